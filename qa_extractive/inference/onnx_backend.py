"""The exported model behind the ``Backend`` protocol: ``model.onnx`` run by onnxruntime, window by window.

Serving code: numpy and onnxruntime, no torch.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from qa_extractive._utils.bounded_folder import BoundedFolder
from qa_extractive._utils.cpus import available_cpus, bounded_threads
from qa_extractive._utils.lru import LruCache
from qa_extractive.errors import ModelError, reason_of
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.onnx_checks import check_graph
from qa_extractive.inference.onnx_forms import (
    QUANTIZED_OPERATORS,
    exact_weights,
    float_products,
    sums_saturate,
    unsigned_weights,
)
from qa_extractive.inference.onnx_inputs import GraphInputs, PaperStates
from qa_extractive.inference.paper_files import PaperFiles, run_identity
from qa_extractive.inference.scheduler import Plan, longest_first, plan_runs, run_in_threads
from qa_extractive.inference.windows import Window
from qa_extractive.settings import EXACT, NATIVE, checked_count
from qa_extractive.types import VERDICT_CLASSES

MODEL_FILE = "model.onnx"
VOCAB_SIZE = "vocab_size"  # key of the file's metadata

_START, _END, _ANSWERABILITY, _VERDICT = _OUTPUTS = (
    "start_logits", "end_logits", "answerability_logit", "verdict_logits",
)  # fmt: skip
_N_VERDICTS = len(VERDICT_CLASSES)
INT8_VARIABLE = "QA_EXTRACTIVE_INT8"
"""Environment variable that says which int8 weights are multiplied: "signed", as stored; "unsigned", the same
sums, exact on every CPU. Without it, those that are exact and fast on this one."""

TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"
"""onnxruntime's own, which this package sets to "1" where it is not set; "0" and "false" leave it on."""

_NOT_FUSED = ("SkipLayerNormFusion",)  # that node takes seven times as long as what it is fused from


class OnnxBackend:
    """Runs ``model.onnx`` of a folder: one window a run, the cores shared out over the runs.

    A window that would leave cores idle runs on all of them. There is no padding, and how onnxruntime
    cuts a product up for its threads does not change a bit of it (``tests/test_invariance.py``), so the
    logits of a window depend neither on its neighbours nor on the number of threads.
    Safe to call from several threads at once; pickled as its folder. A process may fork while no call
    is running; the child is to end with ``os._exit``, as those of multiprocessing do, since onnxruntime
    (seen in 1.31.1) hangs at the normal exit of a process forked after it was imported.
    """

    def __init__(
        self,
        folder: str | Path,
        n_threads: int | None = None,
        keep_above: float | None = None,
        kept_papers: int | None = None,
        precision: str = NATIVE,
        paper_folder: BoundedFolder | None = None,
    ) -> None:
        """Load the model.

        Args:
            folder: Folder that holds ``model.onnx``.
            n_threads: Threads that run it, at most ``most_threads()``; None for the CPUs there are.
            keep_above: Least score, by each pruning head, of the sentences that the layers above it read, of
                windows that tell their sentences; None for all.
            kept_papers: Bytes of memory for what the lower layers make of papers, which they then read apart
                from their questions, with other logits: the same for a paper that was kept and one that was
                not. None where it reads windows whole.
            precision: "native" or "exact", as of ``Predictor``.
            paper_folder: Where papers read apart are kept on disk too; None for nowhere.

        Raises:
            ModelError: The file is missing, broken or no reader, or cannot leave sentences out or read papers
                apart where it should, or ``n_threads`` is not positive.
        """
        self.folder = Path(folder)
        asked = available_cpus() if n_threads is None else checked_count(n_threads, "n_threads")
        self.n_threads = bounded_threads(asked)
        self._sessions = _Sessions(self.folder / MODEL_FILE, self.n_threads, precision)
        session = self._sessions.get(self.n_threads)
        self._settings = (keep_above, kept_papers, precision, paper_folder)
        self._inputs = GraphInputs(session, self.folder / MODEL_FILE, keep_above)
        self._papers: LruCache[bytes, PaperStates] | None = None
        if kept_papers is not None:
            if not self._inputs.can_read_apart:
                raise ModelError(f"{self.folder / MODEL_FILE} has no context cache: export the model again")
            self._papers = LruCache(kept_papers, lambda paper: paper.n_bytes)
        self._files: PaperFiles | None = None
        if paper_folder is not None:
            self._files = PaperFiles(paper_folder, self._sessions.identity(), self._inputs)
        self._outputs = _output_names(session, self.folder)
        self._vocab_size = _vocab_size(session)
        self._lock = threading.Lock()
        self._n_calls = 0

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs of the graph; not every encoder reads segments."""
        return self._inputs.names

    @property
    def window_grid(self) -> int:
        """The grid that several windows of a text are to be cut for, as of ``Windower``."""
        return 1 if self._papers is None else max(1, self._inputs.noted_grid)

    @property
    def bytes_a_token(self) -> int:
        """Memory that a token of a paper takes where it is kept."""
        return self._inputs.bytes_a_token

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """The logits of each window, in order; the longest run first, so that no core waits long."""
        lengths = [window.n_tokens for window in windows]
        with self._counted() as is_alone:
            self._read_papers(windows)
            plan = plan_runs(lengths, self.n_threads) if is_alone else Plan((), longest_first(lengths))
            found = {i: self._run_one(windows[i], self.n_threads) for i in plan.together}
            if min(self.n_threads, len(plan.apart)) <= 1:
                found |= {i: self._run_one(windows[i], 1) for i in plan.apart}
            else:
                (apart,) = run_in_threads([self._jobs(windows, plan.apart)], self.n_threads)
                found |= zip(plan.apart, apart, strict=True)
        return [found[i] for i in range(len(windows))]

    def run_stream(self, parts: Iterable[Sequence[Window]]) -> Iterator[list[WindowLogits]]:
        """The logits of the windows of each part, in order; the next part is made meanwhile.

        The longest window of a part runs first. One thread runs all and makes the parts between.
        """
        if self.n_threads == 1:
            yield from map(self.run, parts)
            return
        orders: deque[tuple[int, ...]] = deque()

        def jobs() -> Iterator[list[Callable[[], WindowLogits]]]:
            for windows in parts:
                self._read_papers(windows)
                orders.append(longest_first([window.n_tokens for window in windows]))
                yield self._jobs(windows, orders[-1])

        with self._counted(), closing(run_in_threads(jobs(), self.n_threads)) as results:
            for found in results:
                by_position = dict(zip(orders.popleft(), found, strict=True))
                yield [by_position[i] for i in range(len(found))]

    def _jobs(self, windows: Sequence[Window], order: Sequence[int]) -> list[Callable[[], WindowLogits]]:
        return [partial(self._run_one, windows[i], 1) for i in order]

    @contextmanager
    def _counted(self) -> Iterator[bool]:
        """Whether no other call is running: those that run at once share the cores already."""
        with self._lock:
            self._n_calls += 1
            is_alone = self._n_calls == 1
        try:
            yield is_alone
        finally:
            with self._lock:
                self._n_calls -= 1

    def _run_one(self, window: Window, n_threads: int) -> WindowLogits:
        highest = int(window.token_ids.max(initial=0))
        if self._vocab_size is not None and highest >= self._vocab_size:  # not every lookup checks it
            raise ModelError(
                f"{self.folder / MODEL_FILE} failed on a window: it knows {self._vocab_size} tokens, not "
                f"number {highest}: the tokenizer is another model's"
            )
        try:
            return _logits(self._run_session(self._sessions.get(n_threads), window), window)
        except Exception as error:  # onnxruntime's errors share no base class
            what = f"{self.folder / MODEL_FILE} failed on a window of {window.n_tokens} tokens"
            raise ModelError(f"{what}: {reason_of(error)}") from error

    def _run_session(self, session: ort.InferenceSession, window: Window) -> dict[str, npt.NDArray[Any]]:
        if self._papers is None or not window.n_context_tokens:
            feed = self._inputs.of_window(window)
        else:
            key = self._inputs.key_of_paper(window)
            paper = self._papers.get(key, lambda: self._paper(session, window, key))
            feed = self._inputs.of_question(window, paper)
        return dict(zip(self._outputs, session.run(self._outputs, feed), strict=True))

    def _read_papers(self, windows: Sequence[Window]) -> None:
        """Read and keep papers that several windows want, if they are too few for a thread each.

        Otherwise threads would read the same one at once.
        """
        if self._papers is None or self.n_threads == 1 or len(windows) < 2:
            return
        own = [(self._inputs.key_of_paper(window), window) for window in windows if window.n_context_tokens]
        wanted = Counter(key for key, _ in own)
        new = {key: window for key, window in own if wanted[key] > 1 and self._papers.find(key) is None}
        if len(new) >= self.n_threads:
            return
        for key, window in new.items():
            if self._inputs.bytes_a_token * (window.n_tokens - window.first) <= self._papers.max_size:
                self._papers.keep(key, self._paper(self._sessions.get(self.n_threads), window, key))

    def _paper(self, session: ort.InferenceSession, window: Window, key: bytes) -> PaperStates:
        """What is made of a paper: from disk, or read, and then kept there."""
        if self._files is None:
            return self._read_paper(session, window)
        n_tokens = window.n_tokens - window.first
        paper = self._files.find(key, n_tokens)
        if paper is None:
            paper = self._read_paper(session, window)
            self._files.keep(key, n_tokens, paper)
        return paper

    def _read_paper(self, session: ort.InferenceSession, window: Window) -> PaperStates:
        return self._inputs.kept(session.run(self._inputs.kept_outputs, self._inputs.of_paper(window)))

    def __reduce__(self) -> tuple[type[OnnxBackend], tuple[Any, ...]]:
        return type(self), (self.folder, self.n_threads, *self._settings)


def _logits(values: Mapping[str, npt.NDArray[Any]], window: Window) -> WindowLogits:
    """What a run gave; ValueError unless it is a number for each token, and one for the window."""
    shapes = {
        _START: (window.n_tokens,),
        _END: (window.n_tokens,),
        _ANSWERABILITY: (),
        _VERDICT: (_N_VERDICTS,),
    }
    found = {name: value.reshape(shapes[name]) for name, value in values.items()}
    if not all(np.isfinite(value).all() for value in found.values()):
        raise ValueError("a logit is not a number")
    answerability = found.get(_ANSWERABILITY)
    return WindowLogits(
        found[_START],
        found[_END],
        None if answerability is None else float(answerability),
        found.get(_VERDICT),
    )


class _Sessions:
    """The graph opened for a number of threads a run, when it is first run on so many.

    A session for more than one has threads of its own, which wait between runs. They would not live on
    in a forked process, so it is closed before a fork and opened again when it is next needed. The file
    is kept open: all sessions are of the same graph, even where the folder has been replaced or removed.
    """

    def __init__(self, path: Path, n_threads: int, precision: str) -> None:
        """Open the graph for so many threads a run; ModelError if it cannot be."""
        self._path, self._precision = path, precision
        self._lock = threading.Lock()
        self._opened = {n_threads: open_session(path, n_threads, precision)}
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        _ALL_SESSIONS.add(self)

    def get(self, n_threads: int) -> ort.InferenceSession:
        """The session for so many threads a run."""
        with self._lock:
            if n_threads not in self._opened:
                self._opened[n_threads] = self._open_again(n_threads)
            return self._opened[n_threads]

    def identity(self) -> bytes:
        """What tells this graph, as it is run here, from others; as of ``run_identity``."""
        digest = hashlib.sha256(_content(self._file)).hexdigest()
        return run_identity(digest, self._precision, weights=weights_form())

    def _open_again(self, n_threads: int) -> ort.InferenceSession:
        return _session(self._path, _formed(self._path, _content(self._file), self._precision), n_threads)

    def close_threads(self) -> None:
        """Close the sessions that have threads."""
        with self._lock:
            self._opened = {n: session for n, session in self._opened.items() if n == 1}


_ALL_SESSIONS: weakref.WeakSet[_Sessions] = weakref.WeakSet()


def _close_all_threads() -> None:
    for sessions in list(_ALL_SESSIONS):
        sessions.close_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_all_threads)


def _content(file: BinaryIO) -> bytes:
    if hasattr(os, "pread"):  # forked processes share the position
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
    file.seek(0)
    return file.read()


def open_session(path: Path, n_threads: int, precision: str = NATIVE) -> ort.InferenceSession:
    """The graph as it is run on this CPU.

    Args:
        path: Its file.
        n_threads: Threads of a run.
        precision: As of ``Predictor``.

    Raises:
        ModelError: It is missing, broken, or cannot be run with this precision.
    """
    check_graph(path)
    if os.environ.get(TELEMETRY_VARIABLE) not in ("0", "false"):
        ort.disable_telemetry_events()  # for where onnxruntime was imported before this package
    content = path.read_bytes()
    formed = _formed(path, content, precision)
    return _session(path, path if formed is content else formed, n_threads)


def _formed(path: Path, content: bytes, precision: str) -> bytes:
    """The graph in the form in which it is run; ``content`` itself where that is as it is stored."""
    if not any(name in content for name in QUANTIZED_OPERATORS):
        return content
    try:
        if precision == EXACT:
            return float_products(content)
        return _WEIGHTS_OF[weights_form()](content)
    except ValueError as error:
        raise ModelError(f"{path} cannot be loaded, export the model again: {error}") from None


_WEIGHTS_OF: dict[str, Callable[[bytes], bytes]] = {
    "signed": bytes,
    "exact": exact_weights,
    "unsigned": unsigned_weights,
}


def weights_form() -> str:
    """Which int8 weights are multiplied here: "signed" or "unsigned", or "exact", which are some of each."""
    wanted = os.environ.get(INT8_VARIABLE, "")
    if wanted not in ("", "signed", "unsigned"):
        raise ModelError(f"{INT8_VARIABLE} must be signed, unsigned or unset, not {wanted!r:.40}")
    return wanted or ("exact" if sums_saturate() else "signed")


def _session(path: Path, graph: Path | bytes, n_threads: int) -> ort.InferenceSession:
    """A session of a file, or of bytes made of it; errors name the file."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is in the exception, which says it once
    options.enable_mem_pattern = False  # it keeps a plan for every length ever seen
    options.add_session_config_entry("session.load_model_format", "ONNX")  # the format that was checked
    options.add_session_config_entry("session.force_spinning_stop", "1")  # the cores are others' between runs
    try:
        return ort.InferenceSession(
            str(graph) if isinstance(graph, Path) else graph,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_NOT_FUSED,
        )
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(f"{path} cannot be loaded, export the model again: {reason_of(error)}") from None


def _vocab_size(session: ort.InferenceSession) -> int | None:
    """Rows of the word embeddings, as ``export_onnx.py`` notes them; None for other files."""
    noted = session.get_modelmeta().custom_metadata_map.get(VOCAB_SIZE, "")
    return int(noted) if re.fullmatch("[0-9]{1,9}", noted) else None


def _output_names(session: ort.InferenceSession, folder: Path) -> list[str]:
    names = [node.name for node in session.get_outputs()]
    if not {_START, _END} <= set(names):
        raise ModelError(f"{folder / MODEL_FILE} gives {', '.join(names)}, not start_logits and end_logits")
    return [name for name in _OUTPUTS if name in names]

"""The exported model behind the ``Backend`` protocol, and ``Predictor``: questions in, answers out.

Serving code: numpy, onnxruntime and tokenizers, no torch.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from qa_extractive.backend import Backend, WindowLogits
from qa_extractive.calibration import Calibration
from qa_extractive.config import DecodeConfig, ReaderConfig
from qa_extractive.decoding import Candidate, Reading, decode
from qa_extractive.errors import DataError, ModelError
from qa_extractive.records import Answer, Question, Span
from qa_extractive.sentences import sentence_at
from qa_extractive.threads import available_cpus
from qa_extractive.windows import Window, Windower

MODEL_FILE = "model.onnx"
DEFAULT_MODEL = Path(__file__).parent / "models" / "default"
CACHE_VARIABLE = "QA_EXTRACTIVE_CACHE"

_INTEGERS: dict[str, type[np.signedinteger[Any]]] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_CHUNK_QUESTIONS = 256
_CHUNK_CHARACTERS = 2_000_000
_MIN_DECODED = 20
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


class OnnxBackend:
    """Runs ``model.onnx`` of a folder: one window a run, the cores shared out over the runs.

    No padding, so the logits of a window never depend on its neighbours or on the number of threads.
    Safe to call from several threads at once; pickled as its folder. The session and the backend
    hold no threads between calls, so a process may fork while no call is running.
    """

    def __init__(self, folder: str | Path, n_threads: int | None = None) -> None:
        """Load the model.

        Args:
            folder: Folder that holds ``model.onnx``.
            n_threads: Windows run at once; None for the CPUs this process may use.

        Raises:
            ModelError: The file is missing, broken or no reader, or ``n_threads`` is not positive.
        """
        self.folder = Path(folder)
        self.n_threads = _thread_count(n_threads)
        self._session = _open_session(self.folder / MODEL_FILE)
        self._inputs = {each.name: _integer_type(each, self.folder) for each in self._session.get_inputs()}
        self._outputs = _output_names(self._session, self.folder)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs of the graph; not every encoder reads segments."""
        return tuple(self._inputs)

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """The logits of each window, in order; the longest run first, so that no core waits long."""
        n_workers = min(self.n_threads, len(windows))
        if n_workers <= 1:
            return [self._run_one(window) for window in windows]
        order = sorted(range(len(windows)), key=lambda i: -windows[i].n_tokens)
        with ThreadPoolExecutor(n_workers, thread_name_prefix="qa-onnx") as pool:
            results = dict(zip(order, pool.map(self._run_one, (windows[i] for i in order)), strict=True))
        return [results[i] for i in range(len(windows))]

    def _run_one(self, window: Window) -> WindowLogits:
        try:
            values = self._session.run(self._outputs, self._feed(window))
        except Exception as error:  # onnxruntime's errors share no base class
            what = f"{self.folder / MODEL_FILE} failed on a window of {window.n_tokens} tokens"
            raise ModelError(f"{what}: {_first_line(error)}") from error
        answerability = float(values[2].reshape(-1)[0]) if len(values) > 2 else None
        return WindowLogits(values[0][0], values[1][0], answerability)

    def _feed(self, window: Window) -> dict[str, npt.NDArray[Any]]:
        values = {
            "input_ids": window.token_ids,
            "attention_mask": np.ones(window.n_tokens, dtype=np.int64),
            "token_type_ids": window.type_ids,
        }
        return {name: values[name][None].astype(dtype, copy=False) for name, dtype in self._inputs.items()}

    def __reduce__(self) -> tuple[type[OnnxBackend], tuple[Path, int]]:
        return type(self), (self.folder, self.n_threads)


def _thread_count(n_threads: int | None) -> int:
    if n_threads is None:
        return available_cpus()
    if not _is_count(n_threads):
        raise ModelError(f"n_threads must be a whole number of at least 1, got {n_threads!r}")
    return n_threads


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _open_session(path: Path) -> ort.InferenceSession:
    if not path.is_file():
        raise ModelError(f"{path} is missing: export the checkpoint with export_onnx.py and give that folder")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it keeps a plan for every length ever seen
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(f"{path} cannot be loaded, export the model again: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _integer_type(node: ort.NodeArg, folder: Path) -> type[np.signedinteger[Any]]:
    if node.name not in ("input_ids", "attention_mask", "token_type_ids") or node.type not in _INTEGERS:
        path = folder / MODEL_FILE
        raise ModelError(f"{path} wants an input {node.name} of {node.type}: not made by export_onnx.py")
    return _INTEGERS[node.type]


def _output_names(session: ort.InferenceSession, folder: Path) -> list[str]:
    names = [node.name for node in session.get_outputs()]
    if not {"start_logits", "end_logits"} <= set(names):
        raise ModelError(f"{folder / MODEL_FILE} gives {', '.join(names)}, not start_logits and end_logits")
    return [n for n in ("start_logits", "end_logits", "answerability_logit") if n in names]


class Predictor:
    """Answers questions with a verbatim span, its sentence and calibrated probabilities, or abstains.

    Safe to use from several threads at once; pickled as its folder and settings.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threshold: float | None = None,
        top_k: int = 5,
        max_risk: float | None = None,
        effort: str = "full",
        n_threads: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: Folder written by ``export_onnx.py``; None for the embedded model.
            threshold: Abstain below this answerable probability, in [0, 1]; None for the model's own.
                0 never abstains, except on a context that holds no token.
            top_k: Candidates of each answer, at least 1.
            max_risk: Take the lowest threshold that keeps the share of given answers that are not
                right at most this, in (0, 1), with 95 % confidence; excludes ``threshold``.
            effort: How much of the model to use; this one knows "full" only.
            n_threads: Windows run at once; None for the CPUs this process may use.

        Raises:
            ModelError: The folder is no exported model, or an argument is out of its range.
        """
        self.folder = _model_folder(model)
        self.model_name = self.folder.name
        self.top_k = _checked_top_k(top_k)
        _check_effort(effort)
        self.config = ReaderConfig.load(self.folder)
        self.calibration = Calibration.load(self.folder)
        self.threshold = _threshold(self.calibration, threshold, max_risk)
        self._windower = Windower.load(self.folder, self.config.window)
        self._backend: Backend = OnnxBackend(self.folder, n_threads)
        self._n_threads = n_threads

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, quantize: str = "int8", cache: str | Path | None = None, **settings: Any
    ) -> Predictor:
        """A predictor from any question-answering checkpoint, exported once. Needs the [train] extra.

        A hub id is exported the first time only and then found by its name: delete the folder of the
        cache to take a newer version. A local folder is exported again when its files change. A plain
        checkpoint has no answerability head and no calibration: its probabilities are the logistic of
        the span's margin over "no span".

        Args:
            name: Hub id or local folder of a Hugging Face question-answering checkpoint or of one
                written by ``train.py``; the folder of an exported model is used as it is.
            quantize: "int8" or "none".
            cache: Folder of exported models; None for $QA_EXTRACTIVE_CACHE or ~/.cache/qa_extractive.
            settings: Keyword arguments of ``Predictor``.

        Raises:
            ModelError: The extra is missing, or the checkpoint cannot be had.
            ExportError: The export failed.
        """
        folder = _exported(str(name), quantize, _cache_folder(cache))
        predictor = cls(folder, **settings)
        predictor.model_name = str(name)
        return predictor

    @property
    def n_threads(self) -> int:
        """Windows run at once."""
        return self._n_threads or available_cpus()

    def answer(self, question: str, context: str, title: str | None = None) -> Answer:
        """The answer to one question.

        Raises:
            DataError: A text is no string, or the question is empty or too long.
        """
        return self.answer_batch([Question(question, context, title)])[0]

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers in the order of the questions; none depends on the others.

        Raises:
            DataError: One is no ``Question``, or too long; the message gives its index.
        """
        asked = self._checked(questions)
        return [self._answer(q, r) for q, r in zip(asked, self._read(asked), strict=True)]

    def read_batch(self, questions: Sequence[Question]) -> list[Reading]:
        """What the model makes of each question, in order, before calibration and abstention.

        Raises:
            DataError: One is no ``Question``, or too long; the message gives its index.
        """
        return self._read(self._checked(questions))

    def check(self, question: Question) -> None:
        """Raise DataError if a question is too long to be read."""
        self._windower.check(question)

    def _read(self, questions: list[Question]) -> list[Reading]:
        n_decoded = max(self.top_k, _MIN_DECODED)  # scores of the first few do not depend on top_k
        return read_questions(questions, self._windower, self._backend, self.config.decode, top_k=n_decoded)

    def _checked(self, questions: Iterable[Question]) -> list[Question]:
        if isinstance(questions, (str, Question)) or not isinstance(questions, Iterable):
            raise DataError(f"questions must be a list of Question, not {type(questions).__name__}")
        asked = list(questions)
        for i, question in enumerate(asked):
            self._check_at(i, question)
        return asked

    def _check_at(self, index: int, question: object) -> None:
        if not isinstance(question, Question):
            raise DataError(f"questions[{index}] must be a Question, not {type(question).__name__}")
        try:
            self.check(question)
        except DataError as error:
            raise DataError(f"questions[{index}]: {error}") from None

    def _answer(self, question: Question, reading: Reading) -> Answer:
        answerable, right = self.calibration.probs(reading)
        scores = candidate_scores(reading.candidates, right)[: self.top_k]
        context = question.context
        spans = tuple(
            Span.cut(context, c.start, c.end, s) for c, s in zip(reading.candidates, scores, strict=False)
        )
        if not spans or answerable < self.threshold:
            return Answer("", 0, 0, right, answerable, abstained=True, candidates=spans)
        best = spans[0]
        around = sentence_at(context, best.start, best.end)
        sentence = Span.cut(context, around.start, around.end, right)
        return Answer(best.text, best.start, best.end, right, answerable, False, sentence, spans)

    def __reduce__(self) -> tuple[Any, ...]:
        settings = {"threshold": self.threshold, "top_k": self.top_k, "n_threads": self._n_threads}
        return _restore, (type(self), self.folder, self.model_name, settings)


def _restore(cls: type[Predictor], folder: Path, model_name: str, settings: dict[str, Any]) -> Predictor:
    predictor = cls(folder, **settings)
    predictor.model_name = model_name
    return predictor


def read_questions(
    questions: Sequence[Question],
    windower: Windower,
    backend: Backend,
    config: DecodeConfig,
    *,
    top_k: int = 5,
) -> list[Reading]:
    """A reading for each question, in order, in memory that does not grow with their number.

    Args:
        questions: Checked questions.
        windower: Cuts them into windows.
        backend: Runs the windows.
        config: Span length and beam.
        top_k: Candidates to keep for each question.
    """
    readings: list[Reading] = []
    for chunk in _chunks(questions):
        windows = windower.windows(chunk)
        readings += decode(chunk, windows, backend.run(windows), config, top_k=top_k)
    return readings


def _chunks(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """Runs of neighbours of at most 256 questions and, but for a single one, two million characters."""
    chunk: list[Question] = []
    n_characters = 0
    for question in questions:
        n_characters += len(question.context)
        if chunk and (len(chunk) == _CHUNK_QUESTIONS or n_characters > _CHUNK_CHARACTERS):
            yield chunk
            chunk, n_characters = [], len(question.context)
        chunk.append(question)
    if chunk:
        yield chunk


def candidate_scores(candidates: Sequence[Candidate], right: float) -> list[float]:
    """A score for each candidate, not rising, of a sum of at most 1.

    The best one's is ``right``, the calibrated probability that it is right. Its rivals, of which at
    most one can be right, share the rest by their softmax weights; none exceeds a better one.
    """
    weights = [math.exp(c.span_logit - candidates[0].span_logit) for c in candidates[1:]]
    total = sum(weights)
    unit = min(right, (1.0 - right) / total) if total > 0.0 else 0.0
    return [right, *(unit * w for w in weights)] if candidates else []


def _threshold(calibration: Calibration, threshold: float | None, max_risk: float | None) -> float:
    if threshold is not None and max_risk is not None:
        raise ModelError("threshold and max_risk exclude each other: give one of them")
    if max_risk is not None:
        return calibration.threshold_for_risk(_number(max_risk, "max_risk"))
    if threshold is None:
        return calibration.threshold
    value = _number(threshold, "threshold")
    if not 0.0 <= value <= 1.0:
        raise ModelError(f"threshold must lie in [0, 1], got {threshold}")
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, (int, float, np.floating)) and not isinstance(value, bool):
        return float(value)
    raise ModelError(f"{name} must be a number, got {value!r}")


def _checked_top_k(top_k: int) -> int:
    if not _is_count(top_k):
        raise ModelError(f"top_k must be a whole number of at least 1, got {top_k!r}")
    return top_k


def _check_effort(effort: str) -> None:
    if effort != "full":
        raise ModelError(f"this model has no effort {effort!r}: use effort='full'")


def _model_folder(model: str | Path | None) -> Path:
    if model is None:
        if not (DEFAULT_MODEL / MODEL_FILE).is_file():
            raise ModelError(f"no embedded model at {DEFAULT_MODEL}: install qa-extractive again")
        return DEFAULT_MODEL
    if not isinstance(model, (str, Path)):
        raise ModelError(f"model must be a folder or None, not {type(model).__name__}")
    folder = Path(model)
    if not folder.is_dir():
        raise ModelError(
            f"model {folder} is no folder: give one written by export_onnx.py; "
            "Predictor.from_pretrained takes Hugging Face names"
        )
    return folder


def _cache_folder(cache: str | Path | None) -> Path:
    given = cache or os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "qa_extractive"


def _exported(name: str, quantize: str, cache: Path) -> Path:
    """The folder of the exported model, exported first unless the cache has it."""
    source = Path(name)
    if (source / MODEL_FILE).is_file():
        return source
    if not (name and source.is_dir()) and not _HUB_ID.fullmatch(name):
        raise ModelError(f"{name} is neither a folder nor a Hugging Face model id such as owner/name")
    folder = cache / f"{_slug(name)}-{_fingerprint(source)}-{quantize}"
    if not (folder / MODEL_FILE).is_file():
        try:
            from qa_extractive.export.exporting import export
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{error.name} is missing, which exporting {name} needs: pip install 'qa-extractive[train]'"
            ) from None
        export(name, folder, quantize=quantize)
    return folder


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[-60:]


def _fingerprint(source: Path) -> str:
    """Of a local folder, its place and the sizes and times of its files; of a hub id, its name."""
    parts = [str(source.resolve() if source.is_dir() else source)]
    for path in sorted(source.iterdir()) if source.is_dir() else []:
        status = path.stat()
        parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

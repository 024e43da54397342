"""What is compared: each class answers questions in a worker and is imported there only.

A setting is a name that ``load`` makes ready and ``answer`` takes. Answers are the best span of each
question, ``(start, end)`` in its context, never abstaining.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qa_extractive.settings import CACHED, EFFORTS, FULL
from speed_parts.models import INT8, ONNX, STATIC, TORCH
from speed_parts.texts import Asked
from speed_parts.worker import use_cpus

Spans = list[tuple[int, int]]
_MAX_ANSWER_TOKENS = 120  # of the embedded model's reader.json; the others are told the same
_MAX_TOKENS, _STRIDE_TOKENS = 512, 128
_BATCH = 20
_KEPT_MB = 4_000  # room for 1,000 abstracts


class System:
    """Holds what ``load`` made, by setting and number of threads."""

    def __init__(self, source: Path, folder: Path) -> None:
        """Take the exported model and the folder of ``models.Models``."""
        self.source, self.folder = source, folder
        self._loaded: dict[tuple[str, int], Callable[[Sequence[Asked]], Spans]] = {}

    def load(self, setting: str, n_threads: int) -> None:
        """Make a setting ready, if it is not."""
        use_cpus(n_threads)
        if (setting, n_threads) not in self._loaded:
            self._loaded[setting, n_threads] = self.open(setting, n_threads)

    def keep(self, settings: Sequence[str], n_threads: int) -> None:
        """Forget the other settings of that number of threads."""
        for key in [k for k in self._loaded if k[1] == n_threads and k[0] not in settings]:
            del self._loaded[key]

    def answer(self, setting: str, n_threads: int, asked: Sequence[Asked]) -> tuple[float, Spans]:
        """Seconds it took, loading and what comes before left out, and the best spans."""
        self.load(setting, n_threads)
        self.before(setting, n_threads, asked)
        answer = self._loaded[setting, n_threads]
        began = time.perf_counter()
        spans = answer(asked)
        return time.perf_counter() - began, spans

    def open(self, setting: str, n_threads: int) -> Callable[[Sequence[Asked]], Spans]:
        """What answers with a setting."""
        raise NotImplementedError

    def before(self, setting: str, n_threads: int, asked: Sequence[Asked]) -> None:
        """What a setting supposes to have happened."""


class Ours(System):
    """``Predictor``: "batch", "one by one", or batches at an effort, its papers asked about before."""

    def open(self, setting: str, n_threads: int) -> Callable[[Sequence[Asked]], Spans]:
        """The embedded model with so many threads."""
        from qa_extractive.predictor import Predictor
        from qa_extractive.types import Question

        effort = setting if setting in EFFORTS else FULL
        predictor = Predictor(self.source, effort=effort, kept_mb=_KEPT_MB, n_threads=n_threads)

        def batch(asked: Sequence[Asked]) -> Spans:
            return [_best(a) for a in predictor.answer_batch([Question(*each) for each in asked])]

        def one_by_one(asked: Sequence[Asked]) -> Spans:
            return [_best(predictor.answer(*each)) for each in asked]

        return one_by_one if setting == "one by one" else batch

    def before(self, setting: str, n_threads: int, asked: Sequence[Asked]) -> None:
        """At the effort "cached": another question, of the same words, to each paper."""
        if setting == CACHED:
            others = [Asked(" ".join(reversed(question.split())), context) for question, context in asked]
            self._loaded[setting, n_threads](others)

    def overhead(self, n_threads: int, asked: Sequence[Asked]) -> dict[str, float]:
        """Shares of the cores' time that the graph does not use, of one batch.

        A run on one thread uses that thread's time on a core: where tokenizing takes turns with it on the
        same core, the time is not the graph's. A run on several threads has all of them until it ends.

        Returns:
            ``work`` outside the graph (tokenizing, scheduling, decoding), ``idle`` cores, and their sum
            ``total``.
        """
        import onnxruntime as ort

        use_cpus(n_threads)
        answer = self._loaded["batch", n_threads]
        runs: list[tuple[float, float]] = []  # the cores' time that is the graph's; what of it they worked
        plain = ort.InferenceSession.run

        def timed(session: Any, *arguments: Any, **named: Any) -> Any:
            n_used = session.get_session_options().intra_op_num_threads
            worked_s = time.thread_time if n_used == 1 else time.process_time
            began, worked = time.perf_counter(), worked_s()
            values = plain(session, *arguments, **named)
            worked = worked_s() - worked
            runs.append((worked if n_used == 1 else n_used * (time.perf_counter() - began), worked))
            return values

        ort.InferenceSession.run = timed
        try:
            began, worked = time.perf_counter(), time.process_time()
            answer(asked)
            all_s, worked_s = n_threads * (time.perf_counter() - began), time.process_time() - worked
        finally:
            ort.InferenceSession.run = plain
        total = 1.0 - sum(of_graph for of_graph, _ in runs) / all_s
        work = (worked_s - sum(worked for _, worked in runs)) / all_s
        return {"total": total, "work": work, "idle": total - work}


def _best(answer: Any) -> tuple[int, int]:
    return (answer.candidates[0].start, answer.candidates[0].end) if answer.candidates else (0, 0)


class Pipeline(System):
    """transformers' question-answering pipeline: "batch 1" or "batch 20"."""

    def open(self, setting: str, n_threads: int) -> Callable[[Sequence[Asked]], Spans]:
        """The pipeline on the torch checkpoint."""
        import torch
        from transformers import pipeline

        pipe = pipeline("question-answering", model=str(self.folder / TORCH), device="cpu")
        batch_size = int(setting.split()[-1])

        def answer(asked: Sequence[Asked]) -> Spans:
            torch.set_num_threads(n_threads)
            found = pipe(
                question=[each.question for each in asked],
                context=[each.context for each in asked],
                batch_size=batch_size,
                max_seq_len=_MAX_TOKENS,
                doc_stride=_STRIDE_TOKENS,
                max_answer_len=_MAX_ANSWER_TOKENS,
            )
            return [(each["start"], each["end"]) for each in (found if isinstance(found, list) else [found])]

        return answer


class Optimum(System):
    """optimum's ``ORTModelForQuestionAnswering``, "fp32" or "int8": padded batches of 20 windows."""

    def open(self, setting: str, n_threads: int) -> Callable[[Sequence[Asked]], Spans]:
        """The exported model, quantized or not."""
        import onnxruntime as ort
        from optimum.onnxruntime import ORTModelForQuestionAnswering
        from transformers import AutoTokenizer

        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        folder = self.folder / (INT8 if setting == "int8" else ONNX)
        file_name = next(path.name for path in sorted(folder.glob("*.onnx")))
        model = ORTModelForQuestionAnswering.from_pretrained(
            folder, file_name=file_name, session_options=options
        )
        tokenizer = AutoTokenizer.from_pretrained(self.folder / TORCH)
        return _padded(self.source, tokenizer, lambda inputs: model(**inputs))


class Torch(System):
    """The checkpoint in torch: "one window a pass", or "padded batch of 20"."""

    def open(self, setting: str, n_threads: int) -> Callable[[Sequence[Asked]], Spans]:
        """The model, in inference mode."""
        import torch
        from transformers import AutoModelForQuestionAnswering, AutoTokenizer

        model = AutoModelForQuestionAnswering.from_pretrained(self.folder / TORCH).eval()

        def forward(inputs: Any) -> Any:
            torch.set_num_threads(n_threads)
            with torch.inference_mode():
                return model(**inputs)

        if setting == "padded batch of 20":
            return _padded(self.source, AutoTokenizer.from_pretrained(self.folder / TORCH), forward)

        def run(windows: Sequence[Any]) -> list[Any]:
            return [_window_logits(forward(_tensors(window))) for window in windows]

        return _unpadded(self.source, run)


class OpenVino(System):
    """OpenVINO: "PRECISION, HINT", a window a request.

    Precisions: fp32 and bf16 of optimum's export, int8 dynamic (optimum's) and int8 static.
    """

    def open(self, setting: str, n_threads: int) -> Callable[[Sequence[Asked]], Spans]:
        """The compiled model with its queue of requests."""
        import openvino as ov

        precision, hint = setting.split(", ")
        folder = self.folder / {"int8 dynamic": INT8, "int8 static": STATIC}.get(precision, ONNX)
        file = next(iter(sorted(folder.glob("*.onnx"))))
        compiled = ov.Core().compile_model(
            str(file),
            "CPU",
            {
                "PERFORMANCE_HINT": hint.upper(),
                "INFERENCE_NUM_THREADS": n_threads,
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            },
        )
        queue = ov.AsyncInferQueue(compiled)  # as many requests as the hint is best with
        names = [port.get_any_name() for port in compiled.inputs]
        order = [_output_index(compiled, name) for name in ("start_logits", "end_logits")]

        def run(windows: Sequence[Any]) -> list[Any]:
            found: dict[int, Any] = {}

            def keep(request: Any, i: int) -> None:
                found[i] = [request.get_output_tensor(o).data[0].copy() for o in order]

            queue.set_callback(keep)
            for i in sorted(range(len(windows)), key=lambda i: -windows[i].n_tokens):
                queue.start_async({name: _arrays(windows[i])[name] for name in names}, userdata=i)
            queue.wait_all()
            return [_logits(*found[i]) for i in range(len(windows))]

        return _unpadded(self.source, run)


def _output_index(compiled: Any, name: str) -> int:
    return next(i for i, port in enumerate(compiled.outputs) if name in port.get_names())


def _padded(
    source: Path, tokenizer: Any, forward: Callable[[Any], Any]
) -> Callable[[Sequence[Asked]], Spans]:
    """Windows by transformers' tokenizer, in padded batches of 20; spans by our decoder."""

    def answer(asked: Sequence[Asked]) -> Spans:
        windows, logits = [], []
        for begin in range(0, len(asked), _BATCH):
            part = asked[begin : begin + _BATCH]
            encoded = tokenizer(
                [each.question for each in part],
                [each.context for each in part],
                truncation="only_second",
                max_length=_MAX_TOKENS,
                stride=_STRIDE_TOKENS,
                return_overflowing_tokens=True,
                padding=True,
                return_tensors="pt",
            )
            indexes = encoded.pop("overflow_to_sample_mapping").tolist()
            for first in range(0, len(indexes), _BATCH):
                outputs = forward({k: v[first : first + _BATCH] for k, v in encoded.items()})
                starts, ends = outputs.start_logits.numpy(), outputs.end_logits.numpy()
                logits += [_logits(start, end) for start, end in zip(starts, ends, strict=True)]
            windows += [
                _padded_window(begin + i, each) for i, each in zip(indexes, encoded.encodings, strict=True)
            ]
        return _decoded(source, asked, windows, logits)

    return answer


def _padded_window(index: int, encoding: Any) -> Any:
    import numpy as np

    from qa_extractive.inference.windows import Window

    context = np.flatnonzero([each == 1 for each in encoding.sequence_ids])
    ids, types, offsets = (np.array(each) for each in (encoding.ids, encoding.type_ids, encoding.offsets))
    return Window(index, ids, types, int(context[0]), offsets[context])


def _unpadded(source: Path, run: Callable[[Sequence[Any]], list[Any]]) -> Callable[[Sequence[Asked]], Spans]:
    """Windows and spans as ours, so that only what runs the model differs."""
    from qa_extractive.config import ReaderConfig
    from qa_extractive.inference.windows import Windower
    from qa_extractive.types import Question

    windower = Windower.load(source, ReaderConfig.load(source).window)

    def answer(asked: Sequence[Asked]) -> Spans:
        windows = windower.windows([Question(*each) for each in asked])
        return _decoded(source, asked, windows, run(windows))

    return answer


def _decoded(source: Path, asked: Sequence[Asked], windows: Sequence[Any], logits: Sequence[Any]) -> Spans:
    from qa_extractive.config import ReaderConfig
    from qa_extractive.inference.decoding import decode
    from qa_extractive.types import Question

    questions = [Question(*each) for each in asked]
    found = decode(questions, windows, logits, ReaderConfig.load(source).decode, top_k=1)
    return [
        (each.candidates[0].start, each.candidates[0].end) if each.candidates else (0, 0) for each in found
    ]


def _arrays(window: Any) -> dict[str, Any]:
    import numpy as np

    return {
        "input_ids": window.token_ids[None],
        "attention_mask": np.ones_like(window.token_ids)[None],
        "token_type_ids": window.type_ids[None],
    }


def _tensors(window: Any) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(array) for name, array in _arrays(window).items()}


def _window_logits(outputs: Any) -> Any:
    return _logits(outputs.start_logits[0].numpy(), outputs.end_logits[0].numpy())


def _logits(start: Any, end: Any) -> Any:
    from qa_extractive.inference.backend import WindowLogits

    return WindowLogits(start, end, None)

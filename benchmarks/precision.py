"""``precision="exact"`` beside the native int8 products: the same best spans, and the time both take.

    python benchmarks/precision.py --data F [F ...] --output benchmarks/results/precision.json

Windows are made of the examples, each with the question of another row beside its own until there are
enough. All run natively and exact, in turns of 50 windows on one thread. On every tenth turn the exact graph
also runs on two threads, and without any optimization of onnxruntime: other kernels, other orders of
addition, as another CPU or version has them.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime as ort

from qa_extractive import Predictor, Question
from qa_extractive.data.loading import load_examples
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.decoding import decode
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend
from qa_extractive.inference.onnx_forms import float_products, sums_saturate
from qa_extractive.inference.onnx_inputs import GraphInputs
from qa_extractive.inference.windows import Window
from qa_extractive.settings import EXACT

_TURN, _VARIED_EVERY = 50, 10
_OUTPUTS = ["start_logits", "end_logits", "answerability_logit"]


def main() -> None:
    """Write and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="F")
    parser.add_argument("--windows", type=int, default=10_000, metavar="N")
    parser.add_argument("--most-tokens", type=int, default=512, metavar="N", help="leave out longer windows")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    predictor = Predictor(n_threads=1)
    questions = [each.question for each in load_examples(options.data).examples]
    windows = islice(_windows(predictor, questions, options.most_tokens), options.windows)
    result = _measured(predictor, list(windows))
    print(json.dumps(result, indent=1))
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _windows(
    predictor: Predictor, questions: Sequence[Question], most_tokens: int
) -> Iterator[tuple[Question, Window]]:
    """A window of each question, then of each text with the question of the next row, and so on."""
    for shift in range(len(questions)):
        for at, own in enumerate(questions):
            asked = Question(questions[(at + shift) % len(questions)].question, own.context, own.title)
            for window in predictor.windower.windows([asked])[:1]:
                if window.n_tokens <= most_tokens:
                    yield asked, window


def _measured(predictor: Predictor, pairs: Sequence[tuple[Question, Window]]) -> dict[str, object]:
    folder = predictor.folder
    runs: dict[str, Callable[[list[Window]], list[WindowLogits]]] = {
        "native": OnnxBackend(folder, 1).run,
        "exact": OnnxBackend(folder, 1, precision=EXACT).run,
    }
    varied = {
        "exact, two threads": OnnxBackend(folder, 2, precision=EXACT).run,
        "exact, not optimized": _not_optimized(folder),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    spans: dict[str, list[tuple[int, int]]] = {name: [] for name in (*runs, *varied, "exact, of these")}
    largest = 0.0
    for turn, first in enumerate(range(0, len(pairs), _TURN)):
        own = pairs[first : first + _TURN]
        logits = {}
        for name in list(runs) if turn % 2 else list(runs)[::-1]:
            began = time.process_time()
            logits[name] = runs[name]([window for _, window in own])
            seconds[name].append(time.process_time() - began)
            spans[name] += _spans(predictor, own, logits[name])
        if turn % _VARIED_EVERY == 0:
            spans["exact, of these"] += _spans(predictor, own, logits["exact"])
            for name, run in varied.items():
                found = run([window for _, window in own])
                spans[name] += _spans(predictor, own, found)
                largest = max(
                    largest, *(_difference(a, b) for a, b in zip(logits["exact"], found, strict=True))
                )
    ratios = np.array(seconds["exact"]) / np.array(seconds["native"])
    return {
        "machine": f"{platform.machine()}, onnxruntime {ort.__version__}, sums saturate: {sums_saturate()}",
        "n_windows": len(pairs),
        "tokens_a_window": float(np.mean([window.n_tokens for _, window in pairs])),
        "cpu_ms_a_window": {name: 1000 * sum(took) / len(pairs) for name, took in seconds.items()},
        "exact_to_native_time": float(np.median(ratios)),
        "same_best_span_as_native": _same(spans["native"], spans["exact"]),
        "n_varied": len(spans["exact, of these"]),
        "same_best_span": {name: _same(spans["exact, of these"], spans[name]) for name in varied},
        "largest_logit_difference": largest,
    }


def _not_optimized(folder: Path) -> Callable[[list[Window]], list[WindowLogits]]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    path = folder / MODEL_FILE
    graph = float_products(path.read_bytes())
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = GraphInputs(session, path, None)

    def run(windows: list[Window]) -> list[WindowLogits]:
        found = [session.run(_OUTPUTS, inputs.of_window(window)) for window in windows]
        return [
            WindowLogits(start.reshape(-1), end.reshape(-1), float(head[0])) for start, end, head in found
        ]

    return run


def _spans(
    predictor: Predictor, pairs: Sequence[tuple[Question, Window]], logits: Sequence[WindowLogits]
) -> list[tuple[int, int]]:
    found = []
    for (question, window), own in zip(pairs, logits, strict=True):
        (reading,) = decode([question], [window], [own], predictor.config.decode, top_k=1)
        found.append(
            (reading.candidates[0].start, reading.candidates[0].end) if reading.candidates else (0, 0)
        )
    return found


def _same(left: Sequence[tuple[int, int]], right: Sequence[tuple[int, int]]) -> float:
    return float(np.mean([a == b for a, b in zip(left, right, strict=True)]))


def _difference(left: WindowLogits, right: WindowLogits) -> float:
    return float(max(np.abs(left.start - right.start).max(), np.abs(left.end - right.end).max()))


if __name__ == "__main__":
    main()

"""The ONNX graphs compared: fp32 with torch by logits, the exported model with fp32 by answers.

Needs the [train] extra.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from qa_extractive.errors import DataError, ExportError
from qa_extractive.export.report import Agreement, Parity
from qa_extractive.export.sample_texts import sample_examples
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.model.checkpoint import Checkpoint
from qa_extractive.model.torch_backend import pad_windows
from qa_extractive.predictor import Predictor
from qa_extractive.types import Example

logger = logging.getLogger(__name__)

MAX_LOGIT_DIFF = 1e-3

_N_RANDOM, _N_REAL, _N_AGREEMENT, _N_LOGITS = 8, 16, 800, 24
_SEED = 17


def measure_parity(
    checkpoint: Checkpoint, fp32: Path, examples: Sequence[Example], n_threads: int | None
) -> Parity:
    """The largest difference of a logit between torch and ONNX, on random windows and some examples.

    Args:
        checkpoint: The torch model.
        fp32: Folder of its fused fp32 graph.
        examples: 16 of them, evenly spaced, are read; may be empty.
        n_threads: Windows run at once; None for all CPUs.

    Raises:
        ExportError: The difference is no rounding: ``MAX_LOGIT_DIFF`` or more.
    """
    windows = random_windows(checkpoint) + example_windows(checkpoint, examples, _N_REAL)[: 2 * _N_REAL]
    backend = OnnxBackend(fp32, n_threads)
    expected = [_torch_logits(checkpoint, window, backend.input_names) for window in windows]
    largest = max(_difference(a, b) for a, b in zip(backend.run(windows), expected, strict=True))
    if not largest < MAX_LOGIT_DIFF:  # NaN too
        raise ExportError(
            f"{checkpoint.name}: a logit of the ONNX graph differs from torch by {largest:.2g}, "
            f"more than {MAX_LOGIT_DIFF:g}: this architecture is not exported faithfully"
        )
    return Parity(largest, len(windows))


def example_windows(checkpoint: Checkpoint, examples: Sequence[Example], n: int) -> list[Window]:
    """The windows of at most ``n`` examples, evenly spaced."""
    real = Windower(checkpoint.tokenizer, checkpoint.reader.window)
    return real.windows([e.question for e in _spread(examples, n) if real.accepts(e.question)])


def random_windows(checkpoint: Checkpoint) -> list[Window]:
    """Windows of tokens drawn at random, from the shortest to the longest; the same on every call."""
    random = np.random.default_rng(_SEED)
    longest = checkpoint.reader.window.max_tokens
    lengths = np.unique(np.geomspace(3, longest, _N_RANDOM).astype(int))
    n_types = max(1, getattr(checkpoint.encoder_config, "type_vocab_size", 0))
    return [
        Window(
            question_index=0,
            token_ids=random.integers(0, checkpoint.encoder_config.vocab_size, n, dtype=np.int64),
            type_ids=np.minimum(np.arange(n) * 2 // n, n_types - 1).astype(np.int64),
            first=n,
            offsets=np.zeros((0, 2), dtype=np.int64),
        )
        for n in lengths.tolist()
    ]


def _difference(left: WindowLogits, right: WindowLogits) -> float:
    return float(np.max([np.abs(each).max() for each in _differences(left, right)]))


def _differences(left: WindowLogits, right: WindowLogits) -> list[npt.NDArray[np.floating[Any]]]:
    """Of the logits of starts, of ends and, where there is one, of answerability."""
    found: list[npt.NDArray[np.floating[Any]]] = [left.start - right.start, left.end - right.end]
    if left.answerability is not None or right.answerability is not None:
        heads = [np.array([each.answerability], dtype=float) for each in (left, right)]
        found.append(heads[0] - heads[1])
    if left.verdict is not None and right.verdict is not None:
        found.append(left.verdict - right.verdict)
    return found


@torch.inference_mode()
def _torch_logits(checkpoint: Checkpoint, window: Window, input_names: Sequence[str]) -> WindowLogits:
    inputs = pad_windows([window])
    output = checkpoint.model(**{name: inputs[name] for name in input_names})
    head: torch.Tensor | None = getattr(output, "answerability_logit", None)
    verdict: torch.Tensor | None = getattr(output, "verdict_logits", None)
    return WindowLogits(
        output.start_logits[0].numpy(),
        output.end_logits[0].numpy(),
        None if head is None else float(head[0]),
        None if verdict is None else verdict[0].numpy(),
    )


class Yardstick:
    """The best spans and logits of fp32 on some examples, to compare what is made of it with."""

    def __init__(self, fp32: Path, examples: Sequence[Example], n_threads: int | None) -> None:
        """Answer with the fused fp32 graph.

        Args:
            fp32: Its folder.
            examples: 800 of them, evenly spaced, are answered, less those too long to be read; made ones
                where none is left.
            n_threads: Windows run at once; None for all CPUs.
        """
        predictor = Predictor(fp32, n_threads=n_threads)
        kept = readable(predictor, _spread(examples, _N_AGREEMENT))
        self.examples = kept or readable(predictor, sample_examples())
        self._n_threads = n_threads
        self._expected = _best_texts(predictor, self.examples)
        questions = [each.question for each in _spread(self.examples, _N_LOGITS)]
        self._windows = predictor.windower.windows(questions)[: 2 * _N_LOGITS]
        self._logits = predictor.backend.run(self._windows)

    def agreement(self, folder: Path) -> Agreement:
        """The best spans of an exported model beside those of fp32."""
        kept, expected = self.examples, self._expected
        if not kept:
            return Agreement(0, None, None, None)
        found = _best_texts(Predictor(folder, n_threads=self._n_threads), kept)
        return Agreement(
            n_check_examples=len(kept),
            answer_agreement=float(np.mean([a == b for a, b in zip(expected, found, strict=True)])),
            fp32_f1=_mean_f1(expected, kept),
            model_f1=_mean_f1(found, kept),
            n_references=sum(bool(each.references) for each in kept),
            span_f1=min(_mean_by_group(_overlaps(expected, found), [bool(e.references) for e in kept])),
        )

    def logit_error(self, folder: Path) -> float:
        """Root mean square of the differences of a model's logits from those of fp32."""
        found = OnnxBackend(folder, self._n_threads).run(self._windows)
        pairs = zip(self._logits, found, strict=True)
        differences = [part for a, b in pairs for part in _differences(a, b)]
        return float(np.sqrt(np.mean(np.concatenate(differences) ** 2))) if differences else 0.0


def _overlaps(expected: Sequence[str], found: Sequence[str]) -> list[float]:
    return [best_token_f1(b, [a]) for a, b in zip(expected, found, strict=True)]


def _mean_by_group(values: Sequence[float], groups: Sequence[bool]) -> list[float]:
    """The mean of each group that has values."""
    parts = [[v for v, own in zip(values, groups, strict=True) if own == group] for group in (True, False)]
    return [float(np.mean(part)) for part in parts if part]


def _spread(examples: Sequence[Example], n: int) -> list[Example]:
    """At most n of the examples, evenly spaced."""
    if len(examples) <= n:
        return list(examples)
    return [examples[i * len(examples) // n] for i in range(n)]


def readable(predictor: Predictor, examples: Sequence[Example]) -> list[Example]:
    """The examples that are not too long to be read; the others are logged."""
    kept = []
    for example in examples:
        try:
            predictor.check(example.question)
        except DataError as error:
            logger.warning("%s is left out: %s", example.id, error)
        else:
            kept.append(example)
    return kept


def _best_texts(predictor: Predictor, examples: Sequence[Example]) -> list[str]:
    predictions = predictor.read_batch([e.question for e in examples])
    best = [(r.candidates[0].start, r.candidates[0].end) if r.candidates else (0, 0) for r in predictions]
    return [e.question.context[start:end] for (start, end), e in zip(best, examples, strict=True)]


def _mean_f1(answers: Sequence[str], examples: Sequence[Example]) -> float | None:
    pairs = [(a, e.references) for a, e in zip(answers, examples, strict=True) if e.references]
    return float(np.mean([best_token_f1(a, references) for a, references in pairs])) if pairs else None

"""Logits -> the probability of each sentence to hold the answer, and which sentences are worth keeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.errors import ModelError
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.decoding import RawPrediction
from qa_extractive.inference.windows import Window
from qa_extractive.settings import checked_count, checked_number
from qa_extractive.types import Question, Span

Floats = npt.NDArray[np.float64]

RELEVANT_FROM = 0.02
"""Sentences below this probability are left out by default; chosen on the development part of ``asked``."""
_TEMPERATURE = 2.0
"""Divides span logits before they are compared; the embedded model's best on the same questions."""


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Which sentences are kept: the most probable ones, one after the other, until a limit would be passed.

    Attributes:
        threshold: Those below this probability are left out, in [0, 1].
        max_sentences: At most so many, at least 1; None for no limit.
        max_share: They hold at most this share of the characters of all sentences, in (0, 1]; the first
            always fits. None for no limit.
    """

    threshold: float = RELEVANT_FROM
    max_sentences: int | None = None
    max_share: float | None = None

    def __post_init__(self) -> None:
        """Raise ModelError for a value outside its range."""
        if not 0.0 <= checked_number(self.threshold, "threshold") <= 1.0:
            raise ModelError(f"threshold must lie in [0, 1], got {self.threshold}")
        if self.max_sentences is not None:
            checked_count(self.max_sentences, "max_sentences")
        if self.max_share is not None and not 0.0 < checked_number(self.max_share, "max_share") <= 1.0:
            raise ModelError(f"max_share must lie above 0 and be at most 1, got {self.max_share}")

    def kept(self, sentences: Sequence[Span]) -> list[Span]:
        """The sentences that are kept, in the order given; of equals, the first go first."""
        room = (
            float("inf") if self.max_share is None else self.max_share * sum(len(s.text) for s in sentences)
        )
        chosen: list[Span] = []
        for sentence in sorted(sentences, key=lambda each: -each.score):
            room -= len(sentence.text)
            is_full = len(chosen) == self.max_sentences or (chosen and room < 0)
            if is_full or sentence.score < self.threshold:
                break
            chosen.append(sentence)
        return sorted(chosen, key=lambda each: each.start)


def scored_sentences(
    questions: Sequence[Question],
    windows: Sequence[Window],
    logits: Sequence[WindowLogits],
    predictions: Sequence[RawPrediction],
    calibration: Calibration,
) -> list[list[Span]]:
    """The sentences of each question's context, in order, each with the probability that the answer is in it.

    The probability that the context answers at all is shared out among the sentences by the weight of the
    spans that begin and end in each, so that they sum to it.

    Args:
        questions: As given to ``Windower.windows``.
        windows: All their windows.
        logits: One for each window.
        predictions: One for each question, of these logits.
        calibration: Of the model.
    """
    sentences = [split_sentences(question.context) for question in questions]
    weights = [np.full(len(own), -np.inf) for own in sentences]
    starts = [np.array([each.start for each in own], dtype=np.int64) for own in sentences]
    for window, found in zip(windows, logits, strict=True):
        if window.n_context_tokens:
            i = window.question_index
            np.maximum(weights[i], _log_weights(window, found, starts[i]), out=weights[i])
    return [
        _scored(own, weight, calibration.probs(prediction)[0])
        for own, weight, prediction in zip(sentences, weights, predictions, strict=True)
    ]


def _log_weights(window: Window, logits: WindowLogits, starts: npt.NDArray[np.int64]) -> Floats:
    """The log of the summed weights of the spans in each sentence, (n_sentences,); minus infinity of none."""
    own = slice(window.first, window.first + window.n_context_tokens)
    first, last = (np.asarray(each[own], dtype=np.float64) for each in (logits.start, logits.end))
    top = first.max() + last.max()
    begins = np.exp((first - first.max()) / _TEMPERATURE)
    ends = np.exp((last - last.max()) / _TEMPERATURE)
    numbers = np.maximum(np.searchsorted(starts, window.offsets[:, 0], side="right") - 1, 0)
    edges = np.flatnonzero(np.r_[True, np.diff(numbers) != 0])
    found = np.full(len(starts), -np.inf)
    for begin, end in zip(edges, [*edges[1:], len(numbers)], strict=True):
        ends_from = np.cumsum(ends[begin:end][::-1])[::-1]
        total = float(begins[begin:end] @ ends_from)
        found[numbers[begin]] = np.log(total) + top / _TEMPERATURE if total > 0.0 else -np.inf
    return found


def _scored(sentences: Sequence[Span], weights: Floats, answerable: float) -> list[Span]:
    if not np.isfinite(weights).any():
        return [Span(each.text, each.start, each.end, 0.0) for each in sentences]
    shares = np.exp(weights - weights.max())
    shares *= answerable / shares.sum()
    return [Span(s.text, s.start, s.end, float(p)) for s, p in zip(sentences, shares, strict=True)]

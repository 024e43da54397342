"""Labelled spans -> token positions of windows: what a model should say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qa_extractive.inference.windows import Window, Windower
from qa_extractive.types import Example


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindow:
    """A window with what the model should say of it.

    Attributes:
        window: The input.
        positions: (first, last) token positions of the right spans; empty where the window has none.
        span_weight: Weight of the span loss; 0 where no span label is known.
        answerable: 1.0 or 0.0, or None where not known.
        verdict: As of ``Example``; None too where the window holds no right span.
    """

    window: Window
    positions: tuple[tuple[int, int], ...]
    span_weight: float
    answerable: float | None
    verdict: str | None = None


def label_windows(windower: Windower, examples: Sequence[Example]) -> list[LabelledWindow]:
    """The windows of the examples with token labels, in order.

    A window that holds none of its example's spans is labelled as holding no answer. An example
    without any label yields windows with no span loss and, if not known, no answerability loss.
    """
    windows = windower.windows([example.question for example in examples])
    return [_label(window, examples[window.question_index]) for window in windows]


def _label(window: Window, example: Example) -> LabelledWindow:
    located = [(window.locate(span), span.score) for span in example.spans]
    positions = tuple(place for place, _ in located if place is not None)
    if example.spans:
        weight = max(span.score for span in example.spans)
        verdict = example.verdict if positions else None
        return LabelledWindow(window, positions, weight, 1.0 if positions else 0.0, verdict)
    if example.answerable is False:
        return LabelledWindow(window, (), 1.0, 0.0)
    known = None if example.answerable is None else float(example.answerable)
    return LabelledWindow(window, (), 0.0, known)

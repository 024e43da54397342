"""The one seam between the model and everything else: windows in, logits out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from qa_extractive.inference.windows import Window

FloatArray = npt.NDArray[np.float32]

DROPPED = -1e4
"""Logit of a token that the model left out: no span starts or ends there."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowLogits:
    """What a model says of one window.

    Attributes:
        start: Logit of each token to be the first of the span, shape (n_tokens,). Position 0
            stands for "no span in this window".
        end: Logit of each token to be the last, shape (n_tokens,).
        answerability: Logit that the window answers the question; None where the model has no such
            head (a plain question-answering checkpoint), and the null span serves instead.
        verdict: Logits of ``VERDICT_CLASSES``, shape (4,); None where the model has no such head.
    """

    start: FloatArray
    end: FloatArray
    answerability: float | None
    verdict: FloatArray | None = None


class Backend(Protocol):
    """Runs a model. Implementations are safe to call from several threads at once."""

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """The logits of each window, in order; those of one never depend on the others."""
        ...


@runtime_checkable
class StreamingBackend(Backend, Protocol):
    """A backend that can be given windows while it runs others."""

    def run_stream(self, parts: Iterable[Sequence[Window]]) -> Iterator[list[WindowLogits]]:
        """The logits of the windows of each part, in order; parts are asked for while others run."""
        ...

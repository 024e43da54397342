"""The best threshold for abstaining: where answering one more row begins to cost more than it gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qa_extractive.metrics.columns import Bools, Floats


@dataclass(frozen=True, slots=True)
class BestCut:
    """The best split of rows, ranked by confidence, into answered and abstained ones.

    Attributes:
        total: The sum of the gains of the answered rows and of what abstaining from all is worth.
        above: Confidence of the last row answered; None where abstaining from all is best.
        below: Confidence of the first row not answered; None where answering all is best.
    """

    total: float
    above: float | None
    below: float | None


def answer_gains(scores: Floats, answerable: Bools, answered: Bools | bool = True) -> Floats:
    """What answering each row adds to abstaining from it, (n_rows,): its score, or a right abstention lost.

    Args:
        scores: Of the answers, (n_rows,), in [0, 1].
        answerable: Whether abstaining is wrong, (n_rows,).
        answered: Whether there is a text at all, (n_rows,); an empty one is an abstention.
    """
    return np.where(answerable, scores, -1.0 * np.asarray(answered))


def best_cut(
    confidences: ArrayLike, gains: ArrayLike, *, start: float = 0.0, parts_ties: bool = False
) -> BestCut:
    """The cut of the highest total; of equal ones that with the fewest answers.

    Args:
        confidences: (n_rows,); rows are answered from the highest down, equal ones in the order given.
        gains: What answering each row adds, (n_rows,).
        start: What abstaining from all rows is worth.
        parts_ties: Whether a cut may fall between rows of equal confidence, which no threshold can.
    """
    values, added = np.asarray(confidences, dtype=np.float64), np.asarray(gains, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    totals = np.cumsum(np.concatenate([[start], added[order]]))
    if not parts_ties:
        totals[1:-1][ranked[:-1] == ranked[1:]] = -np.inf
    n_answered = int(totals.argmax())
    return BestCut(
        total=float(totals[n_answered]),
        above=float(ranked[n_answered - 1]) if n_answered else None,
        below=float(ranked[n_answered]) if n_answered < ranked.size else None,
    )

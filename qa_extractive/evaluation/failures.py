"""Scored rows -> the worst answers of a system, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.metrics.text import RIGHT_F1

N_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Failures:
    """The worst rows of each kind, worst first, at most five of each.

    Attributes:
        wrong: Answered, wrong (token F1 below 0.5) though there is an answer; the surest ``score`` first.
        answered: Answered though there is no answer; the surest ``answerable`` first.
        abstained: Abstained though there is an answer; the surest that there is none first.
        n_wrong: How many there are of the first kind.
        n_answered: Of the second.
        n_abstained: Of the third.
    """

    wrong: tuple[ScoredRow, ...]
    answered: tuple[ScoredRow, ...]
    abstained: tuple[ScoredRow, ...]
    n_wrong: int
    n_answered: int
    n_abstained: int


def failures_of(rows: Iterable[ScoredRow]) -> Failures:
    """Find them; of equally sure ones the first in the data. Rows that the system failed on are none."""
    done = [row for row in rows if row.answer is not None]
    wrong = [r for r in done if r.is_answered and r.answerable and r.is_scored and r.f1 < RIGHT_F1]
    answered = [r for r in done if r.is_answered and r.answerable is False]
    abstained = [r for r in done if not r.is_answered and r.answerable]
    return Failures(
        wrong=_first(wrong, lambda row: -score_of(row)),
        answered=_first(answered, lambda row: -row.answerable_prob),
        abstained=_first(abstained, lambda row: row.answerable_prob),
        n_wrong=len(wrong),
        n_answered=len(answered),
        n_abstained=len(abstained),
    )


def score_of(row: ScoredRow) -> float:
    """The ``score`` of the answer; 0 where the system failed."""
    return 0.0 if row.answer is None else row.answer.score


def _first(rows: Iterable[ScoredRow], key: Callable[[ScoredRow], float]) -> tuple[ScoredRow, ...]:
    return tuple(sorted(rows, key=key)[:N_SHOWN])

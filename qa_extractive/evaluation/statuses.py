"""How often a person is told each of the three states, and how good the best span is in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.metrics.text import RIGHT_F1
from qa_extractive.types import STATUSES


@dataclass(frozen=True, slots=True)
class StatusCount:
    """The rows of one state.

    Attributes:
        status: One of ``STATUSES``.
        n: Rows.
        n_scored: Those of which it is known what a right answer is.
        n_answerable: Of these, those whose context answers the question.
        n_right: Of these, those whose best span is right, whether it was given as the answer or not.
    """

    status: str
    n: int
    n_scored: int
    n_answerable: int
    n_right: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return asdict(self)


def status_counts(rows: Sequence[ScoredRow]) -> tuple[StatusCount, ...]:
    """All three states, in order; rows on which the system failed are in none."""
    return tuple(
        _count(status, [row for row in rows if row.answer is not None and row.answer.status == status])
        for status in STATUSES
    )


def _count(status: str, rows: Sequence[ScoredRow]) -> StatusCount:
    scored = [row for row in rows if row.is_scored]
    answerable = [row for row in scored if row.answerable is not False]
    return StatusCount(
        status, len(rows), len(scored), len(answerable), sum(row.f1 >= RIGHT_F1 for row in answerable)
    )

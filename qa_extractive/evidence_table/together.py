"""What the papers of a table say together, gathered row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qa_extractive.data.question_forms import is_yes_no
from qa_extractive.evidence.gather import LIMITS_OF_TALLY, LIMITS_OF_VALUES
from qa_extractive.evidence.tally import Tally, tally_of, vote_of
from qa_extractive.evidence.values import Value, values_of
from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.types import VOTES, Answer, VoteProbs

MAX_VALUES = 10_000
"""Values listed of a question; of those beyond only the number is told."""

VOTE_HEADS = ("Vote", "Papers", "Truly, expected", "95 %: from", "to")
VALUE_HEADS = ("Paper", "Number", "Unit", "Interval", "Quote")


@dataclass(frozen=True, slots=True)
class Together:
    """What papers say to one question, as a small table.

    Attributes:
        question: What was asked.
        heads: Names of its columns.
        rows: Its rows.
        limits: What it cannot know.
        summary: In a few words; empty where there is nothing to sum up.
    """

    question: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    limits: str
    summary: str = ""


class Collector:
    """Takes rows as they pass, and keeps of each no more than its votes and values."""

    def __init__(self, questions: Sequence[str]) -> None:
        """Take the questions."""
        self._parts = [_Votes(each) if is_yes_no(each) else _Values(each) for each in questions]

    def add(self, row: PaperRow) -> None:
        """Take a row."""
        for part, cell in zip(self._parts, row.cells, strict=True):
            part.add(row, cell)

    def together(self) -> list[Together]:
        """What all rows so far say to each question."""
        return [part.together() for part in self._parts]


@dataclass(slots=True)
class _Votes:
    question: str
    votes: list[str] = field(default_factory=list)
    probs: list[VoteProbs] = field(default_factory=list)

    def add(self, row: PaperRow, cell: Cell) -> None:
        if cell.vote_probs is not None:
            self.votes.append(vote_of(cell.vote_probs, abstained=not cell.is_answered, verdict=cell.verdict))
            self.probs.append(cell.vote_probs)

    def together(self) -> Together:
        if not self.votes:
            return Together(self.question, VOTE_HEADS, (), "The model gives no verdicts.")
        tally = tally_of(self.votes, self.probs)
        rows = [*_counted(tally), *share_rows(tally.yes_share)]
        counts = [f"{row[0]} {row[1]} ({row[3]} to {row[4]})" for row in _counted(tally)]
        return Together(self.question, VOTE_HEADS, tuple(rows), LIMITS_OF_TALLY, ", ".join(counts))


def _counted(tally: Tally) -> list[tuple[Any, ...]]:
    counts = (getattr(tally, vote) for vote in VOTES)
    return [
        (vote.replace("_", " "), each.n, each.expected, each.low, each.high)
        for vote, each in zip(VOTES, counts, strict=True)
    ]


class _Share(Protocol):
    """As ``Share`` of a tally."""

    @property
    def shown(self) -> float | None: ...
    @property
    def expected(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def share_rows(share: _Share | None) -> tuple[tuple[Any, ...], ...]:
    """The share of yes as a row below the votes; none where there is no share."""
    if share is None:
        return ()
    shown = None if share.shown is None else f"{share.shown:.0%}"
    return (
        (
            "yes, of those that report",
            *(shown, f"{share.expected:.0%}", f"{share.low:.0%}", f"{share.high:.0%}"),
        ),
    )


@dataclass(slots=True)
class _Values:
    question: str
    values: list[tuple[str, Value]] = field(default_factory=list)
    n: int = 0

    def add(self, row: PaperRow, cell: Cell) -> None:
        if not cell.is_answered or cell.start is None or cell.end is None:
            return
        answer = Answer(cell.quote, cell.start, cell.end, cell.score or 0.0, cell.answerable or 0.0, False)
        found = values_of(self.question, [row.paper.text], [answer])
        self.n += len(found)
        room = MAX_VALUES - len(self.values)
        self.values += [(row.name, replace(value, paper=row.number)) for value in found[:room]]

    def together(self) -> Together:
        rows = tuple((name, each.number, each.unit, each.interval, each.quote) for name, each in self.values)
        left_out = f" {self.n - len(rows):,} more are not listed." if self.n > len(rows) else ""
        return Together(self.question, VALUE_HEADS, rows, LIMITS_OF_VALUES + left_out)

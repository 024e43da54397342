"""What becomes of rows, and what the thing that answers must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qa_extractive.tables.reading import Row
from qa_extractive.types import Answer, Question


class Answerer(Protocol):
    """Answers questions, in two steps, of which the first may be ahead of the second."""

    def check(self, question: Question) -> None:
        """Raise DataError if a question cannot be answered."""

    def prepare(self, questions: Sequence[Question]) -> Any:
        """Do what needs no model: tokenize."""

    def answer_prepared(self, prepared: Any) -> list[Answer]:
        """The answers, in order."""


class IdentifiedAnswerer(Answerer, Protocol):
    """One that can tell whether another would answer alike."""

    def identity(self) -> Mapping[str, str | int | float]:
        """What decides the answers besides the questions."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was not answered.

    Attributes:
        kind: "unreadable row", "empty question", "not text", "question too long" or "context too long".
        message: What is wrong, where and what to do, on one line.
    """

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """What a row came to.

    Attributes:
        row: As read.
        outcome: Its answer, abstained or not, or why it has none.
        is_repeated: Whether the answer is that of an earlier row with the same texts.
    """

    row: Row
    outcome: Answer | RowError
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows handled together.

    Attributes:
        results: Of each row, in order; the failed and the repeated ones too.
        n_questions: Questions answered in one call; ``BATCH_SIZE``, or fewer at the end.
        ms: Time of answering them alone, without reading and writing.
    """

    results: tuple[RowResult, ...]
    n_questions: int
    ms: float

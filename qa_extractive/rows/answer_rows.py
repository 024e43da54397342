"""Rows with their answers or their errors, in order, twenty questions at a time.

A row that cannot be answered (unreadable, no question, a text that is too long) takes no place in a
batch, nor does one that asks what was asked shortly before. An empty context holds no answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from qa_extractive._utils.prefetch import prefetch
from qa_extractive.data.columns import TableColumns, question_from_row
from qa_extractive.errors import DataError, LongContextError
from qa_extractive.rows.recent_questions import Asked, RecentQuestions
from qa_extractive.rows.results import Answerer, Batch, RowError, RowResult
from qa_extractive.settings import LONG_CONTEXT_CHARACTERS
from qa_extractive.tables.reading import Row
from qa_extractive.types import Question

logger = logging.getLogger(__name__)

BATCH_SIZE = 20

_MAX_PENDING_ROWS = 1000  # bad rows wait for their batch to fill; a file of nothing else must not pile up


def answer_rows(
    answerer: Answerer, rows: Iterable[Row], columns: TableColumns, recent: RecentQuestions | None = None
) -> Iterator[Batch]:
    """Every row with its answer or its error, in order, batch by batch.

    Args:
        answerer: Answers.
        rows: The rows, read no further than the batch.
        columns: Where the question, the context and the title are.
        recent: Finds questions asked before; None to ask each one.
    """
    return map(_answering(answerer), _prepared(answerer, rows, columns, recent))


def answer_rows_ahead(
    answerer: Answerer, rows: Iterable[Row], columns: TableColumns, recent: RecentQuestions | None = None
) -> Generator[Batch, None, None]:
    """The same, with reading and tokenizing, answering, and what the caller does in a thread each.

    Two batches at most wait between one and the next.
    """
    return prefetch(map(_answering(answerer), prefetch(_prepared(answerer, rows, columns, recent), 1)), 1)


@dataclass(slots=True, eq=False)
class _Pending:
    """Rows that wait for their answers.

    Attributes:
        rows: Each with what it asks, and whether that was asked before, or with its error.
        asked: The questions among them that are new.
        prepared: Those, ready for the model.
        ms: Time that took.
    """

    rows: list[tuple[Row, Asked | RowError, bool]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    prepared: Any = None
    ms: float = 0.0

    def add(self, row: Row, question: Question | RowError, recent: RecentQuestions | None) -> None:
        if isinstance(question, RowError):
            self.rows.append((row, question, False))
            return
        asked, is_repeated = (Asked(question), False) if recent is None else recent.ask(question)
        self.rows.append((row, asked, is_repeated))
        if not is_repeated:
            self.asked.append(asked)

    @property
    def is_full(self) -> bool:
        return len(self.asked) == BATCH_SIZE or len(self.rows) == _MAX_PENDING_ROWS

    def questions(self) -> list[Question]:
        return [asked.question for asked in self.asked if asked.question is not None]

    def results(self) -> Iterator[RowResult]:
        for row, asked, is_repeated in self.rows:
            outcome = asked if isinstance(asked, RowError) else asked.answer
            if outcome is None:
                raise ValueError(f"row {row.number} was given no answer")
            yield RowResult(row, outcome, is_repeated)


def _prepared(
    answerer: Answerer, rows: Iterable[Row], columns: TableColumns, recent: RecentQuestions | None
) -> Iterator[_Pending]:
    """Runs of neighbours that hold ``BATCH_SIZE`` new questions, the last one fewer."""
    pending, warned_of = _Pending(), 0
    for row in rows:
        question = _asked(row, columns, answerer.check)
        if row.number != warned_of and _is_long(question):  # a row comes once for each question to it
            warned_of = row.number
            logger.warning(
                "row %d: a context of %s characters takes minutes; max_context_characters refuses such rows",
                row.number,
                f"{len(question.context):,}",
            )
        pending.add(row, question, recent)
        if pending.is_full:
            yield _ready(answerer, pending)
            pending = _Pending()
    if pending.rows:
        yield _ready(answerer, pending)


def _is_long(question: Question | RowError) -> TypeGuard[Question]:
    return isinstance(question, Question) and len(question.context) > LONG_CONTEXT_CHARACTERS


def _ready(answerer: Answerer, pending: _Pending) -> _Pending:
    if pending.asked:
        started = time.perf_counter()
        pending.prepared = answerer.prepare(pending.questions())
        pending.ms = _ms_since(started)
    return pending


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0


def _answering(answerer: Answerer) -> Callable[[_Pending], Batch]:
    """What answers a batch and takes the time."""

    def answer(pending: _Pending) -> Batch:
        started = time.perf_counter()
        answers = answerer.answer_prepared(pending.prepared) if pending.asked else []
        ms = pending.ms + _ms_since(started)
        for asked, found in zip(pending.asked, answers, strict=True):
            asked.answer, asked.question = found, None
        return Batch(tuple(pending.results()), len(answers), ms)

    return answer


def _asked(row: Row, columns: TableColumns, check: Callable[[Question], None]) -> Question | RowError:
    """The question of a row, or why it cannot be answered."""
    if row.error is not None:
        return RowError("unreadable row", row.error)
    where = "" if row.line is None else f"line {row.line}: "
    asked, context = row.values.get(columns.question), row.values.get(columns.context)
    if row.short is not None and (asked is None or context is None):
        return RowError("unreadable row", f"{where}{row.short}")
    if asked is None or (isinstance(asked, str) and not asked.strip()):
        message = f"{where}question is empty (column {columns.question!r}): give text"
        return RowError("empty question", message)
    kind = "not text"
    try:
        question = question_from_row(row, columns)
        kind = "question too long"
        check(question)
    except LongContextError as error:
        return RowError("context too long", f"{where}{error}")
    except DataError as error:
        return RowError(kind, f"{where}{error}")
    return question

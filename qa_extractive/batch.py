"""A table of questions -> the same table with answers: twenty at a time, a row out for each row in.

Rows are read, answered and written in order, holding few of them in memory. A row that cannot be
answered (unreadable, an empty cell, a question that is too long) says why in its ``error`` and stops no
other; it takes no place in a batch, which is twenty questions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qa_extractive.dataset.columns import ColumnNames, TableColumns, question_from_row, resolve_columns
from qa_extractive.errors import DataError
from qa_extractive.records import Answer, Question
from qa_extractive.tables.formats import table_format
from qa_extractive.tables.reading import Row, RowReader, read_rows, write_rows
from qa_extractive.tables.text_files import data_stem

if TYPE_CHECKING:
    from qa_extractive.predictor import Predictor

BATCH_SIZE = 20
ANSWER_COLUMNS = ("answer", "answer_start", "answer_end", "score", "answerable", "sentence", "error")
CANDIDATES_COLUMN = "candidates"

_N_PROB_DIGITS = 4
_N_FIRST_FAILURES = 3
_MAX_PENDING_ROWS = 1000  # bad rows wait for their batch to fill; a file of nothing else must not pile up


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was not answered.

    Attributes:
        kind: "unreadable row", "empty question", "empty context", "not text" or "question too long".
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
    """

    row: Row
    outcome: Answer | RowError


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows handled together.

    Attributes:
        results: Of each row, in order; the failed ones too.
        n_questions: Questions answered in one call; ``BATCH_SIZE``, or fewer at the end.
        ms: Time of that call alone, without reading and writing.
    """

    results: tuple[RowResult, ...]
    n_questions: int
    ms: float


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed rows of one kind.

    Attributes:
        kind: As in ``RowError``.
        n_rows: How many there are.
        first: Row number and message of the first few.
    """

    kind: str
    n_rows: int
    first: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a table.

    Attributes:
        n_rows: Rows read, and written.
        n_answered: Those with an answer.
        n_abstained: Those whose context does not say.
        failures: The others, by kind, in order of first appearance.
        seconds: From the first row read to the last one written.
        batch_ms: Time of each full batch, in order; see ``Batch.ms``.
        short_batch_ms: Time of each batch of fewer than ``BATCH_SIZE`` questions.
    """

    n_rows: int
    n_answered: int
    n_abstained: int
    failures: tuple[Failures, ...]
    seconds: float
    batch_ms: tuple[float, ...]
    short_batch_ms: tuple[float, ...] = ()

    @property
    def n_failed(self) -> int:
        """Rows with an ``error``."""
        return sum(failures.n_rows for failures in self.failures)

    @property
    def rows_per_s(self) -> float:
        """Rows a second, reading and writing included."""
        return self.n_rows / self.seconds if self.seconds > 0.0 else 0.0

    def batch_quantile_ms(self, share: float) -> float | None:
        """The time that this share of the full batches kept to (1.0: the longest); None if there is none."""
        return float(np.quantile(self.batch_ms, share)) if self.batch_ms else None

    def n_batches_over(self, budget_s: float) -> int:
        """Batches that took longer than the budget; a short one that did counts as well."""
        return sum(ms > budget_s * 1000.0 for ms in (*self.batch_ms, *self.short_batch_ms))


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A table that can be read, and where its answers go.

    Attributes:
        reader: Its rows, of which there is at least one.
        columns: Where the question, the context and the title are.
        output: The file to write; not the one that is read.
    """

    reader: RowReader
    columns: TableColumns
    output: Path

    @classmethod
    def open(
        cls,
        path: Path,
        output: Path | None = None,
        names: ColumnNames = ColumnNames(),  # noqa: B008 - frozen
    ) -> BatchJob:
        """Read a table through once and settle everything but the answers.

        Args:
            path: The table; see ``read_rows``.
            output: Its extension names its format; None for ``<stem>.answers<same suffix>`` beside the table.
            names: Columns named by the user.

        Raises:
            DataError: The table cannot be read, has no rows or lacks a column, or the output is the table.
        """
        _require_file(path)
        reader = read_rows(path)
        if not reader.n_rows:
            raise DataError(f"{path} has no rows below its header: give at least one question")
        try:
            columns = resolve_columns(reader.columns, names)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        return cls(reader, columns, _checked_output(path, output or default_output(path)))


def default_output(path: Path) -> Path:
    """``papers.answers.csv.gz`` beside ``papers.csv.gz``."""
    stem = data_stem(path)
    return path.with_name(f"{stem}.answers{path.name[len(stem) :]}")


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder: give a file")
    if not path.exists():
        raise DataError(f"{path} does not exist: check the path")


def _checked_output(path: Path, output: Path) -> Path:
    table_format(output)
    if output.exists() and output.samefile(path):
        raise DataError(f"output {output} is the input itself: give another file")
    return output


def answer_table(
    predictor: Predictor,
    job: BatchJob,
    *,
    with_candidates: bool = False,
    on_batch: Callable[[Batch], object] | None = None,
) -> Summary:
    """Answer a table; the output appears, or replaces the one there, when all is written.

    The output has every input column (one with the name of a column added here is kept as
    ``input_<name>``), then ``ANSWER_COLUMNS``. A failed row has its ``error`` and nothing else of them;
    an abstained one no offsets, no sentence and an empty answer. Probabilities are rounded to 4 digits.

    Args:
        predictor: Answers.
        job: The table and the output.
        with_candidates: Whether to add ``candidates``: the n-best spans, as JSON in a CSV or TSV.
        on_batch: Called with each batch once it is written.

    Raises:
        DataError: The output cannot be written.
        ModelError: The model failed.
    """
    added = (*ANSWER_COLUMNS, CANDIDATES_COLUMN) if with_candidates else ANSWER_COLUMNS
    kept = _kept_names(job.reader.columns, added)
    tally = _Tally()
    with write_rows(job.output, [*kept.values(), *added]) as writer:
        for batch in answer_rows(predictor, job.reader, job.columns):
            for result in batch.results:
                values = {kept[name]: cell for name, cell in result.row.values.items()}
                writer.write(values | _answer_cells(result.outcome, with_candidates))
            tally.add(batch)
            if on_batch is not None:
                on_batch(batch)
    return tally.summary()


def answer_rows(predictor: Predictor, rows: Iterable[Row], columns: TableColumns) -> Iterator[Batch]:
    """Every row with its answer or its error, in order, batch by batch."""
    for pending in _batches(rows, columns, predictor.check):
        questions = [asked for _, asked in pending if isinstance(asked, Question)]
        started = time.perf_counter()
        answers = iter(predictor.answer_batch(questions) if questions else ())
        ms = (time.perf_counter() - started) * 1000.0
        results = (
            RowResult(row, asked if isinstance(asked, RowError) else next(answers)) for row, asked in pending
        )
        yield Batch(tuple(results), len(questions), ms)


_Pending = list[tuple[Row, Question | RowError]]


def _batches(
    rows: Iterable[Row], columns: TableColumns, check: Callable[[Question], None]
) -> Iterator[_Pending]:
    """Runs of neighbours that hold ``BATCH_SIZE`` questions, the last one fewer."""
    pending: _Pending = []
    n_questions = 0
    for row in rows:
        asked = _asked(row, columns, check)
        pending.append((row, asked))
        n_questions += isinstance(asked, Question)
        if n_questions == BATCH_SIZE or len(pending) == _MAX_PENDING_ROWS:
            yield pending
            pending, n_questions = [], 0
    if pending:
        yield pending


def _asked(row: Row, columns: TableColumns, check: Callable[[Question], None]) -> Question | RowError:
    """The question of a row, or why it cannot be answered."""
    if row.error is not None:
        return RowError("unreadable row", row.error)
    where = "" if row.line is None else f"line {row.line}: "
    for part, column in (("question", columns.question), ("context", columns.context)):
        cell = row.values.get(column)
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            return RowError(f"empty {part}", f"{where}{part} is empty (column {column!r}): give text")
    kind = "not text"
    try:
        question = question_from_row(row, columns)
        kind = "question too long"
        check(question)
    except DataError as error:
        return RowError(kind, f"{where}{error}")
    return question


def _kept_names(columns: Sequence[str], added: Sequence[str]) -> dict[str, str]:
    """The output name of each input column; no two are alike."""
    taken = {*columns, *added}
    return {name: _free_name(name, taken) if name in added else name for name in columns}


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"input_{name}"
    return name


def _answer_cells(outcome: Answer | RowError, with_candidates: bool) -> dict[str, Any]:
    if isinstance(outcome, RowError):
        return {"error": outcome.message}
    cells: dict[str, Any] = {
        "answer": outcome.text,
        "score": round(outcome.score, _N_PROB_DIGITS),
        "answerable": round(outcome.answerable, _N_PROB_DIGITS),
    }
    if not outcome.abstained:
        cells |= {"answer_start": outcome.start, "answer_end": outcome.end}
        cells["sentence"] = outcome.sentence.text if outcome.sentence else None
    if with_candidates:
        spans = (replace(span, score=round(span.score, _N_PROB_DIGITS)) for span in outcome.candidates)
        cells[CANDIDATES_COLUMN] = [asdict(span) for span in spans]
    return cells


class _Tally:
    """Counts batches as they pass; memory grows with the number of batches, not of rows."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._n_rows = self._n_answered = self._n_abstained = 0
        self._failures: dict[str, Failures] = {}
        self._full_ms: list[float] = []
        self._short_ms: list[float] = []

    def add(self, batch: Batch) -> None:
        self._n_rows += len(batch.results)
        if batch.n_questions:
            (self._full_ms if batch.n_questions == BATCH_SIZE else self._short_ms).append(batch.ms)
        for result in batch.results:
            if isinstance(result.outcome, RowError):
                self._add_failure(result.row.number, result.outcome)
            elif result.outcome.abstained:
                self._n_abstained += 1
            else:
                self._n_answered += 1

    def _add_failure(self, number: int, error: RowError) -> None:
        known = self._failures.get(error.kind, Failures(error.kind, 0, ()))
        first = (*known.first, (number, error.message))[:_N_FIRST_FAILURES]
        self._failures[error.kind] = Failures(error.kind, known.n_rows + 1, first)

    def summary(self) -> Summary:
        return Summary(
            n_rows=self._n_rows,
            n_answered=self._n_answered,
            n_abstained=self._n_abstained,
            failures=tuple(self._failures.values()),
            seconds=time.perf_counter() - self._started,
            batch_ms=tuple(self._full_ms),
            short_batch_ms=tuple(self._short_ms),
        )

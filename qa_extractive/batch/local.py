"""A table of questions -> the same table with answers, a row out for each row in, in the same order.

Reading and tokenizing, answering, and writing run in a thread each, and hold few rows in memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive.batch.destination import Destination, Existing, default_output
from qa_extractive.batch.fingerprint import Fingerprint, file_digest, fingerprint
from qa_extractive.batch.parts import PART_ROWS, PART_SECONDS, PartedRun
from qa_extractive.batch.questions import QUESTION_COLUMN, AskedRows, checked_questions
from qa_extractive.batch.source import Source
from qa_extractive.batch.summary import Counts, Summary, Tally
from qa_extractive.data.columns import ColumnNames, TableColumns, resolve_columns
from qa_extractive.errors import DataError
from qa_extractive.rows.answer_rows import answer_rows_ahead
from qa_extractive.rows.cells import added_columns, answer_cells, answer_types, kept_names
from qa_extractive.rows.recent_questions import RecentQuestions
from qa_extractive.rows.results import Batch, IdentifiedAnswerer, RowError, RowResult
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_types import table_types
from qa_extractive.tables.formats import table_format
from qa_extractive.tables.growing import Content, ParquetContent, text_content
from qa_extractive.tables.reading import RowReader, read_rows
from qa_extractive.tables.text_files import check_file
from qa_extractive.types import Question

_ERROR_COLUMNS = ("row", "kind", "error")
_NAMES = ColumnNames()


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A table that can be read, and where its answers go.

    Attributes:
        reader: Its rows, of which there is at least one.
        columns: Where the question, the context and the title are.
        output: The file to write; not the one that is read.
        destination: That file and those beside it.
        names: Columns named by the user.
        source: The file of the table, held open and watched.
        questions: What is asked of every row; empty where the table holds the questions.
        kept: The columns of the table that the output has; None for all of them.
        with_votes: Whether the output has ``VOTE_COLUMNS`` too.
    """

    reader: RowReader
    columns: TableColumns
    output: Path
    destination: Destination
    names: ColumnNames
    source: Source
    questions: tuple[str, ...] = ()
    kept: frozenset[str] | None = None
    with_votes: bool = False

    @property
    def written(self) -> tuple[str, ...]:
        """The columns of the rows that are answered which the output has, in order."""
        columns = self.rows.columns
        if self.kept is None:
            return columns
        return tuple(name for name in columns if name in self.kept or name == self.columns.question)

    @property
    def rows(self) -> RowReader | AskedRows:
        """What is answered: the rows of the table, or each of them with each of the questions."""
        return AskedRows(self.reader, self.questions) if self.questions else self.reader

    def check_questions(self, predictor: IdentifiedAnswerer) -> None:
        """Raise DataError if a question that is asked of every row is too long."""
        for question in self.questions:
            predictor.check(Question(question, ""))

    @classmethod
    def open(
        cls,
        path: Path,
        output: Path | None = None,
        names: ColumnNames = _NAMES,
        *,
        existing: Existing = "refuse",
        errors: Path | None = None,
        questions: Sequence[str] = (),
        kept: frozenset[str] | None = None,
        with_votes: bool = False,
    ) -> BatchJob:
        """Read a table through once and settle everything but the answers.

        Args:
            path: The table; see ``read_rows``.
            output: Its extension names its format; None for ``<stem>.answers<same suffix>`` beside the table.
            names: Columns named by the user.
            existing: Of an output that is there, or of a run that was stopped: "refuse" is an error,
                "overwrite" starts afresh, "resume" goes on and leaves a finished output as it is.
            errors: Where to write the failed rows once more, or None.
            questions: Asked of every row, in place of those in the table, which then needs none. The output
                has a row for each row and question, and a column ``question`` after those of the table.
            kept: The columns of the table that the output has; None for all of them.
            with_votes: Whether the output has ``VOTE_COLUMNS`` too.

        Raises:
            DataError: The table cannot be read, has no rows or lacks a column; the output is the table,
                cannot be written, or is there and must not be lost.
        """
        asked = checked_questions(questions, names)
        destination = open_destination(path, output, errors, existing)
        source = Source(path)
        try:
            reader = read_rows(path)
        except Exception:
            source.check()
            raise
        if not reader.n_rows:
            raise DataError(f"{path} has no rows below its header: give at least one question")
        try:
            columns = (
                AskedRows(reader, asked).resolve(names)
                if asked
                else resolve_columns(reader.columns, names, repeats=reader.repeats)
            )
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        target = output or default_output(path)
        return cls(reader, columns, target, destination, names, source, asked, kept, with_votes)


def open_destination(path: Path, output: Path | None, errors: Path | None, existing: Existing) -> Destination:
    """Where the answers to a table go; see ``BatchJob.open``. Only names and presence are looked at."""
    check_file(path)
    table_format(path)
    return Destination.open(path, output or default_output(path), errors, existing)


def finished_summary(
    predictor: IdentifiedAnswerer,
    path: Path,
    destination: Destination,
    names: ColumnNames,
    *,
    with_candidates: bool,
    engine: str = "local",
    questions: Sequence[str] = (),
) -> Summary | None:
    """The summary of a run whose output is there and is to be gone on with, else None. No row is read.

    Raises:
        DataError: The output is that of another table, model or settings, or a run is writing it.
    """
    state = destination.finished()
    if state is None:
        return None
    now = run_fingerprint(predictor, path, destination, names, with_candidates, engine, questions)
    if state.is_tidy:  # nothing is to be removed, so the folder may be one that cannot be written to
        return finished_before(destination, now)
    with destination.locked():
        return finished_before(destination, now)


def finished_before(destination: Destination, now: Fingerprint) -> Summary | None:
    """The same where the destination is locked and the fingerprint known."""
    state = destination.finished()
    if state is None:
        return None
    state.require_same(now, destination.output)
    destination.remove_partial()
    return Tally(state.counts).summary(state.counts, is_complete=True)


def answer_table(
    predictor: IdentifiedAnswerer,
    job: BatchJob,
    *,
    with_candidates: bool = False,
    max_errors: int | None = None,
    on_start: Callable[[Counts], object] | None = None,
    on_batch: Callable[[Batch], object] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Answer a table; the output appears, or replaces the one there, when all is written.

    The output has every input column (one with the name of a column added here is kept as
    ``input_<name>``), then ``ANSWER_COLUMNS``. A failed row has its ``error``, the ``status``
    "failed" and nothing else of them; an abstained one no offsets, no sentence and an empty answer, and its
    best span in ``best_span``. Probabilities are rounded to 4 digits.
    Until the output is whole, its rows are in ``<output>.partial``, part by part.

    Args:
        predictor: Answers.
        job: The table and the output.
        with_candidates: Whether to add ``candidates``: the n-best spans, as JSON in a CSV or TSV.
        max_errors: Stop when more rows than this have failed.
        on_start: Called with the counts of the rows that an earlier run has written.
        on_batch: Called with each batch in order.
        should_stop: Asked after each part whether to leave the rest to another run.

    Raises:
        DataError: The output cannot be written, the run that is to be continued was made of something else,
            or too many rows failed.
        ModelError: The model failed.
    """
    job.check_questions(predictor)
    with job.destination.locked():
        now = run_fingerprint(
            predictor, job.reader.path, job.destination, job.names, with_candidates, questions=job.questions
        )
        done = finished_before(job.destination, now)
        if done is not None:
            return done
        sink = _Sink(job, with_candidates)
        with PartedRun(job.destination, now, sink.contents, job.source) as run:
            if on_start is not None:
                on_start(run.counts)
            tally = Tally(run.counts)
            rows = job.rows.after(run.counts.n_rows, job.columns.asked)
            rules = _Rules(max_errors, on_batch, should_stop)
            with closing(answer_rows_ahead(predictor, rows, job.columns, RecentQuestions())) as batches:
                is_complete = _write(batches, run, sink, tally, rules)
            if is_complete:
                run.finish()
            return tally.summary(run.counts, is_complete=is_complete)


@dataclass(frozen=True, slots=True)
class _Rules:
    max_errors: int | None
    on_batch: Callable[[Batch], object] | None
    should_stop: Callable[[], bool]

    def check(self, tally: Tally, run: PartedRun) -> None:
        """Raise DataError where more rows failed than may."""
        counts = tally.counts()
        if self.max_errors is not None and counts.n_failed > self.max_errors:
            kinds = ", ".join(f"{each.n_rows:,} {each.kind}" for each in counts.failures)
            row, message = counts.failures[0].first[0]
            raise DataError(
                f"more than {self.max_errors:,} of the first {counts.n_rows:,} rows failed "
                f"({kinds}; row {row}: {message}): correct them, or give a higher --max-errors{run.hint()}"
            )


def _write(batches: Iterable[Batch], run: PartedRun, sink: _Sink, tally: Tally, rules: _Rules) -> bool:
    """Write rows part by part; whether that was all of them."""
    try:
        return _write_parts(batches, run, sink, tally, rules)
    except Exception:  # of another table's rows, perhaps
        run.check_source()
        raise


def _write_parts(batches: Iterable[Batch], run: PartedRun, sink: _Sink, tally: Tally, rules: _Rules) -> bool:
    part: list[RowResult] = []
    began = time.monotonic()
    for batch in batches:
        tally.add_times(batch)
        for result in batch.results:
            part.append(result)
            tally.add(result)
            if isinstance(result.outcome, RowError):
                rules.check(tally, run)
            is_late = sink.is_same_in_any_parts and time.monotonic() - began >= PART_SECONDS
            if is_late or len(part) == PART_ROWS:
                run.commit(sink.rows(part), tally.counts())
                part.clear()
                began = time.monotonic()
                if rules.should_stop() and tally.counts().n_rows < sink.n_rows:
                    return False
        if rules.on_batch is not None:
            rules.on_batch(batch)
    if tally.counts().n_rows != sink.n_rows:
        raise DataError("the table changed while it was read: start again with --overwrite")
    if part:
        run.commit(sink.rows(part), tally.counts())
    return True


class _Sink:
    """What is written of each row.

    Attributes:
        contents: Of the output and, where they are wanted, of the errors.
        n_rows: Rows of the table.
        is_same_in_any_parts: Whether a part may end anywhere.
    """

    def __init__(self, job: BatchJob, with_candidates: bool) -> None:
        self.n_rows = job.rows.n_rows
        self._added = (with_candidates, job.with_votes)
        self._kept = kept_names(job.written, added_columns(*self._added))
        self._kept_in_errors = kept_names(job.written, _ERROR_COLUMNS)
        self._has_errors = job.destination.errors is not None
        self.contents = [self._output_content(job)]
        if job.destination.errors is not None:
            self.contents.append(self._errors_content(job, job.destination.errors))
        self.is_same_in_any_parts = all(each.is_same_in_any_parts for each in self.contents)

    def rows(self, results: list[RowResult]) -> list[list[dict[str, Any]]]:
        """The rows of a part for each of the contents."""
        out = [[self._answered(result) for result in results]]
        if self._has_errors:
            out.append([row for result in results for row in self._failed(result)])
        return out

    def _answered(self, result: RowResult) -> dict[str, Any]:
        values = {self._kept[name]: cell for name, cell in result.row.values.items() if name in self._kept}
        return values | answer_cells(result.outcome, *self._added)

    def _failed(self, result: RowResult) -> list[dict[str, Any]]:
        if not isinstance(result.outcome, RowError):
            return []
        kept = self._kept_in_errors
        values = {kept[name]: cell for name, cell in result.row.values.items() if name in kept}
        about = (result.row.number, result.outcome.kind, result.outcome.message)
        return [values | dict(zip(_ERROR_COLUMNS, about, strict=True))]

    def _output_content(self, job: BatchJob) -> Content:
        if table_format(job.destination.output).kind != "parquet":
            columns = [*self._kept.values(), *added_columns(*self._added)]
            return text_content(job.destination.output, columns, job.reader)
        arrow, _ = require_pyarrow()
        types = {self._kept[name]: kind for name, kind in row_types(job).items() if name in self._kept}
        return ParquetContent(types | answer_types(arrow, *self._added))

    def _errors_content(self, job: BatchJob, path: Path) -> Content:
        if table_format(path).kind != "parquet":
            return text_content(path, [*self._kept_in_errors.values(), *_ERROR_COLUMNS], job.reader)
        arrow, _ = require_pyarrow()
        kept = self._kept_in_errors
        types = {kept[name]: kind for name, kind in row_types(job).items() if name in kept}
        return ParquetContent(types | {"row": arrow.int64(), "kind": arrow.string(), "error": arrow.string()})


def row_types(job: BatchJob) -> dict[str, Any]:
    """The Arrow type of each column of the rows that are answered."""
    types, rows = table_types(job.reader), job.rows
    if isinstance(rows, RowReader):
        return types
    arrow, _ = require_pyarrow()
    return {rows.kept[name]: kind for name, kind in types.items()} | {QUESTION_COLUMN: arrow.string()}


def run_fingerprint(
    predictor: IdentifiedAnswerer,
    path: Path,
    destination: Destination,
    names: ColumnNames,
    with_candidates: bool,
    engine: str = "local",
    questions: Sequence[str] = (),
) -> Fingerprint:
    """The fingerprint of a run."""
    asked = {"questions": json.dumps(questions)} if questions else {}
    return fingerprint(
        file_digest(path),
        predictor.identity(),
        names,
        engine=engine,
        candidates=with_candidates,
        output=_format_name(destination.output),
        errors=_format_name(destination.errors),
        errors_file=destination.errors_name,
        **asked,
    )


def _format_name(path: Path | None) -> str:
    if path is None:
        return "none"
    layout = table_format(path)
    return " ".join(filter(None, (layout.kind, layout.delimiter.replace("\t", "tab"), layout.compression)))

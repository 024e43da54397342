"""The same questions asked of every paper of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from qa_extractive.data.columns import ColumnNames, TableColumns, context_columns, resolve_columns
from qa_extractive.errors import DataError
from qa_extractive.rows.cells import kept_names
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.headers import Repeats
from qa_extractive.tables.parquet import ParquetSlices
from qa_extractive.tables.reading import Row, RowReader

QUESTION_COLUMN = "question"


@dataclass(frozen=True, slots=True)
class AskedRows:
    """The rows of a table of papers, each as often as there are questions, one with each of them.

    A row keeps the number of its paper. A column of the table that is named ``question`` is kept as
    ``input_question``.

    Attributes:
        reader: The papers.
        questions: What is asked of each, in order; at least one.
    """

    reader: RowReader
    questions: tuple[str, ...]

    @property
    def kept(self) -> dict[str, str]:
        """The name here of each column of the table."""
        return kept_names(self.reader.columns, (QUESTION_COLUMN,))

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the table, then that of the question."""
        return (*self.kept.values(), QUESTION_COLUMN)

    @property
    def n_rows(self) -> int:
        """One for each paper and question."""
        return self.reader.n_rows * len(self.questions)

    def after(self, n_rows: int, asked: Collection[str] | None = None) -> Iterator[Row]:
        """The rows that follow the first ``n_rows``: paper by paper, the questions in their order.

        Args:
            n_rows: How many to leave out.
            asked: The columns that are looked at; see ``RowReader.after``.
        """
        n_papers, n_asked = divmod(n_rows, len(self.questions))
        own = None if asked is None else {name for name, kept in self.kept.items() if kept in asked}
        return islice(self._rows(n_papers, own), n_asked, None)

    def resolve(self, names: ColumnNames) -> TableColumns:
        """Where the context and the title are; DataError where one that is needed or named is missing."""
        context, title = (
            None if name is None else self.kept.get(name, name) for name in (names.context, names.title)
        )
        shadowed, contested = (
            frozenset(self.kept.get(name, name) for name in group)
            for group in (self.reader.repeats.shadowed, self.reader.repeats.contested)
        )
        repeats = Repeats(shadowed=shadowed, contested=contested)
        return resolve_columns(self.columns, ColumnNames(QUESTION_COLUMN, context, title), repeats=repeats)

    def unasked(self) -> str | None:
        """The column of the table's own questions, which are not asked; None if it has none."""
        any_context = ColumnNames(context=self.reader.columns[0])  # it was found before
        return context_columns(self.reader.columns, any_context)[2]

    def _rows(self, n_papers: int, asked: Collection[str] | None) -> Iterator[Row]:
        kept = self.kept
        for row in self.reader.after(n_papers, asked):
            values = {kept[name]: cell for name, cell in row.values.items()}
            for question in self.questions:
                yield replace(row, values=values | {QUESTION_COLUMN: question})


def asked_batch(slices: ParquetSlices, rows: range, questions: Sequence[str]) -> tuple[Any, list[int]]:
    """Some of the rows that are answered of a Parquet file, as ``AskedRows`` has them.

    Args:
        slices: The papers.
        rows: Which rows, counted from 0; at least one.
        questions: What is asked of each paper; nothing where the table holds the questions.

    Returns:
        A record batch whose last column is that of the question, where there are questions, and the number
        of each row's paper, from 1.
    """
    arrow, _ = require_pyarrow()
    n_each = max(1, len(questions))
    papers = [row // n_each for row in rows]
    batch = slices.read(papers[0], papers[-1] + 1 - papers[0])
    if questions:
        taken = batch.take(arrow.array([paper - papers[0] for paper in papers]))
        asked = arrow.array([questions[row % n_each] for row in rows], arrow.string())
        names = [*batch.schema.names, QUESTION_COLUMN]
        batch = arrow.RecordBatch.from_arrays([*taken.columns, asked], names=names)
    return batch, [paper + 1 for paper in papers]


def checked_questions(questions: Sequence[str], names: ColumnNames) -> tuple[str, ...]:
    """The questions to ask of every paper; DataError for a blank or a repeated one, or a column of others."""
    if questions and names.question is not None:
        raise DataError(
            "--question-column and --question exclude each other: the questions are in the table, or are "
            "the same for every paper"
        )
    for place, question in enumerate(questions):
        if not question.strip():
            raise DataError("question is empty: give a question")
        if question in questions[:place]:
            raise DataError(f"the question {question!r} is given twice: leave one out")
    return tuple(questions)

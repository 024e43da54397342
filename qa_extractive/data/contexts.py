"""Tables of texts without answers -> contexts that questions can be made for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qa_extractive.data.columns import ColumnNames, context_columns
from qa_extractive.data.hub import open_table
from qa_extractive.data.loading import Problem
from qa_extractive.errors import DataError
from qa_extractive.tables.reading import Row


@dataclass(frozen=True, slots=True)
class Context:
    """A text of which no answer is known.

    Attributes:
        id: ``<file stem>-<row>``.
        text: The text; not blank.
        title: Its title, or None.
        question: A question asked of it, or None.
    """

    id: str
    text: str
    title: str | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedContexts:
    """What came out of some tables.

    Attributes:
        contexts: The usable rows, in order.
        problems: The others.
    """

    contexts: tuple[Context, ...]
    problems: tuple[Problem, ...]


def load_contexts(paths: Iterable[Path], names: ColumnNames = ColumnNames()) -> LoadedContexts:  # noqa: B008
    """Read tables with a column of texts and, where there are any, of titles and questions.

    Args:
        paths: CSV, TSV, JSONL or Parquet; folders and ``hf:`` names as ``hub`` says.
        names: Columns named by the user.

    Raises:
        DataError: A file cannot be read or has no column of contexts.
    """
    contexts: list[Context] = []
    problems: list[Problem] = []
    for path in paths:
        table = open_table(path)
        try:
            columns = context_columns(table.columns, names, table.repeats)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        for row in table.rows:
            try:
                contexts.append(_context(row, columns, table.stem))
            except DataError as error:
                problems.append(Problem(path, row.number, str(error)))
    return LoadedContexts(tuple(contexts), tuple(problems))


def _context(row: Row, columns: tuple[str, str | None, str | None], stem: str) -> Context:
    if row.error is not None:
        raise DataError(row.error)
    text, title, question = (None if name is None else row.values.get(name) for name in columns)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"column {columns[0]!r} has no text: give one")
    return Context(f"{stem}-{row.number}", text, _text(title), _text(question))


def _text(cell: object) -> str | None:
    return cell if isinstance(cell, str) and cell.strip() else None

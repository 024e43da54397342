"""Answers for a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qa_extractive.data.columns import ColumnNames, TableColumns, resolve_columns
from qa_extractive.errors import DataError
from qa_extractive.rows.answer_rows import answer_rows
from qa_extractive.rows.cells import added_columns, answer_values, kept_names
from qa_extractive.rows.recent_questions import RecentQuestions
from qa_extractive.rows.results import Answerer
from qa_extractive.tables.formats import check_columns
from qa_extractive.tables.reading import Row

_WHOLE = dict.fromkeys(("answer_start", "answer_end", "best_start", "best_end"), "Int64")
_TYPES = {**_WHOLE, "score": "float64", "answerable": "float64"}


def answer_frame(answerer: Answerer, frame: Any, names: ColumnNames, *, with_candidates: bool = False) -> Any:
    """A new frame with the same index and columns, then those of the answers.

    Args:
        answerer: Answers.
        frame: A ``pandas.DataFrame``; missing values count as empty cells.
        names: Columns named by the user.
        with_candidates: Whether to add ``candidates``, a list of dicts.

    Raises:
        DataError: It is no frame, or a column is missing or there twice.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"answer_frame takes a pandas.DataFrame, not {type(frame).__name__}")
    columns = tuple(map(str, frame.columns))
    check_columns(columns, "the frame")
    asked = resolve_columns(columns, names, remedy="{part}_column='NAME'")
    batches = answer_rows(answerer, _rows(pd, frame, columns, asked), asked, RecentQuestions())
    outcomes = [result.outcome for batch in batches for result in batch.results]
    kept = kept_names(columns, added_columns(with_candidates))
    out = frame.set_axis([kept[name] for name in columns], axis=1)
    for name, values in answer_values(outcomes, with_candidates).items():
        kind = "object" if name == "candidates" else _TYPES.get(name, "string")
        out[name] = pd.Series(values, index=out.index, dtype=kind)
    return out


def _rows(pd: Any, frame: Any, columns: tuple[str, ...], asked: TableColumns) -> Iterator[Row]:
    parts = [name for name in (asked.question, asked.context, asked.title) if name is not None]
    cells = [frame.iloc[:, columns.index(name)] for name in parts]
    for number, values in enumerate(zip(*cells, strict=True), start=1):
        present = [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in values]
        yield Row(number, dict(zip(parts, present, strict=True)))

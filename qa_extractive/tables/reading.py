"""Tables in: CSV, TSV, JSONL (each also .gz or .zst) and Parquet, row by row; out: see ``writing``.

A file that cannot be told apart into rows (an encoding, an unclosed quote, a row without end) is a
DataError from ``read_rows``, before any row is handled. A row that is bad by itself comes out as a
``Row`` with an ``error``, so as many rows come out as the file has, and no row stops another.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from qa_extractive.tables.csv_rows import WINDOWS_1252, CsvShape, csv_rows, csv_shape
from qa_extractive.tables.formats import Dialect, TableFormat, table_format
from qa_extractive.tables.headers import NO_REPEATS, Repeats, unique_names
from qa_extractive.tables.jsonl_rows import JsonlShape, jsonl_rows, jsonl_shape
from qa_extractive.tables.parquet import parquet_rows, parquet_shape
from qa_extractive.tables.rows import Row
from qa_extractive.tables.writing import RowWriter, write_rows

__all__ = ["Row", "RowReader", "RowWriter", "read_rows", "write_rows"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RowReader:
    """The rows of a table; each iteration reads the file anew, holding few rows in memory.

    Attributes:
        path: The file.
        layout: Its format.
        columns: All column names; of JSONL, every key of any row, in order of first appearance.
        n_rows: The number of rows, bad ones included; may be 0.
        repeats: Which columns share a name.
        shape: What else is known of a text file.
    """

    path: Path
    layout: TableFormat
    columns: tuple[str, ...]
    n_rows: int
    repeats: Repeats = NO_REPEATS
    shape: CsvShape | JsonlShape | None = None

    def __iter__(self) -> Iterator[Row]:
        """The rows, in order."""
        return self.after(0)

    def after(self, n_rows: int, asked: Collection[str] | None = None) -> Iterator[Row]:
        """The rows that follow the first ``n_rows``, in order.

        Args:
            n_rows: How many to leave out.
            asked: The columns that are looked at; those of a Parquet file that are not are handed on as
                ``ArrowValue``, untouched. None for all.
        """
        if isinstance(self.shape, CsvShape):
            return islice(csv_rows(self.path, self.shape), n_rows, None)
        if isinstance(self.shape, JsonlShape):
            return islice(jsonl_rows(self.path, self.shape), n_rows, None)
        return parquet_rows(self.path, self.columns, n_rows, asked)

    def dialect_of(self, layout: TableFormat) -> Dialect:
        """How a CSV or TSV that is made of this table is written.

        It has the byte order mark of this one, and its delimiter if their names end alike. What was
        Windows-1252 becomes UTF-8 with a mark, so that the program that wrote it can read it.
        """
        if not isinstance(self.shape, CsvShape):
            return Dialect(layout.delimiter)
        own = self.shape.dialect
        if layout.delimiter == self.layout.delimiter:
            return own
        return Dialect(layout.delimiter, own.has_mark)


def read_rows(path: str | os.PathLike[str]) -> RowReader:
    """Open a table, reading it through once to check it.

    Args:
        path: A ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson`` file, any of them also ``.gz`` or ``.zst``,
            or a ``.parquet`` file. Text is UTF-8, or UTF-16 with a byte order mark; a CSV or TSV may be
            Windows-1252, which is logged as a warning. A CSV or TSV has a header row; its cells are parted
            by commas, semicolons, tabs or bars, and may be quoted with ``"`` and hold line breaks.

    Raises:
        DataError: The file is missing, unreadable, empty, of an unknown format or encoding, has a quote
            that never closes, or a row that is too long.
    """
    file = Path(path)
    layout = table_format(file)
    if layout.kind == "parquet":
        names, n_rows = parquet_shape(file)
        header = unique_names(names)
        return RowReader(file, layout, header.columns, n_rows, header.repeats)
    if layout.kind == "jsonl":
        lines = jsonl_shape(file)
        return RowReader(file, layout, tuple(lines.names.values()), lines.n_rows, shape=lines)
    shape = csv_shape(file, layout.delimiter)
    if shape.encoding == WINDOWS_1252:
        _say_encoding(file, file.stat().st_mtime_ns)
    return RowReader(file, layout, shape.header.columns, shape.n_rows, shape.header.repeats, shape)


@lru_cache(maxsize=1024)
def _say_encoding(path: Path, _changed_ns: int) -> None:
    """Say once of a file in which encoding it is read."""
    _log.warning(
        "%s is not UTF-8: read as Windows-1252 (if letters look wrong, save it again as 'CSV UTF-8')", path
    )

"""Tables in: CSV, TSV, JSONL (each also .gz or .zst) and Parquet, row by row; out: see ``writing``.

A file that cannot be told apart into rows (an encoding, an unclosed quote, two columns of one name) is
a DataError from ``read_rows``, before any row is handled. A row that is bad by itself comes out as a
``Row`` with an ``error``, so as many rows come out as the file has, and no row stops another.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from qa_extractive.errors import DataError
from qa_extractive.tables.formats import TableFormat, check_columns, table_format
from qa_extractive.tables.parquet import parquet_rows, parquet_shape
from qa_extractive.tables.text_files import open_text
from qa_extractive.tables.writing import RowWriter, write_rows

__all__ = ["Row", "RowReader", "RowWriter", "read_rows", "write_rows"]

_MAX_CELL_CHARACTERS = 2**31 - 1
# csv refuses NUL before Python 3.11. Decoded text never holds a lone surrogate, so one can stand in.
_NUL_STAND_IN = "\udc00"


@dataclass(frozen=True, slots=True)
class Row:
    """One data row.

    Attributes:
        number: Its place among the data rows, from 1; blank lines are not rows.
        values: The cell of every column, in the order of the columns; text exactly as it stands in
            a CSV or TSV, the value as typed in JSONL and Parquet, None where the row has none.
        error: Why the row is bad, on one line, or None; ``values`` then holds what could be read.
        line: The line of the file on which it starts, from 1; None in Parquet.
    """

    number: int
    values: dict[str, Any]
    error: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RowReader:
    """The rows of a table; each iteration reads the file anew, holding few rows in memory.

    Attributes:
        path: The file.
        layout: Its format.
        columns: All column names; of JSONL, every key of any row, in order of first appearance.
        n_rows: The number of rows, bad ones included; may be 0.
    """

    path: Path
    layout: TableFormat
    columns: tuple[str, ...]
    n_rows: int

    def __iter__(self) -> Iterator[Row]:
        """The rows, in order."""
        if self.layout.kind == "csv":
            return _csv_rows(self.path, self.layout.delimiter, self.columns)
        if self.layout.kind == "jsonl":
            return _jsonl_rows(self.path, self.columns)
        return _parquet_rows(self.path, self.columns, 0)

    def after(self, n_rows: int) -> Iterator[Row]:
        """The rows that follow the first ``n_rows``, in order."""
        if self.layout.kind == "parquet":
            return _parquet_rows(self.path, self.columns, n_rows)
        return islice(self, n_rows, None)


def read_rows(path: str | os.PathLike[str]) -> RowReader:
    """Open a table, reading it through once to check it.

    Args:
        path: A ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson`` file, any of them also ``.gz`` or ``.zst``,
            or a ``.parquet`` file. Text is UTF-8, or UTF-16 with a byte order mark. A CSV or TSV has a
            header row; cells may be quoted with ``"`` and hold line breaks.

    Raises:
        DataError: The file is missing, unreadable, empty, of an unknown format or encoding, repeats a
            column name, or has a quote that never closes.
    """
    file = Path(path)
    layout = table_format(file)
    if layout.kind == "parquet":
        columns, n_rows = parquet_shape(file)
    elif layout.kind == "csv":
        columns, n_rows = _csv_shape(file, layout.delimiter)
    else:
        columns, n_rows = _jsonl_shape(file)
    check_columns(columns, file)
    return RowReader(file, layout, columns, n_rows)


def _parquet_rows(path: Path, columns: tuple[str, ...], n_skipped: int) -> Iterator[Row]:
    for number, values in enumerate(parquet_rows(path, n_skipped), start=n_skipped + 1):
        yield Row(number, {name: values[name] for name in columns})


# ---------------------------------------------------------------- JSONL


def _jsonl_shape(path: Path) -> tuple[tuple[str, ...], int]:
    names: dict[str, None] = {}
    n_rows = 0
    for row in _jsonl_rows(path, ()):
        names.update(dict.fromkeys(row.values))
        n_rows += 1
    if not n_rows:
        raise DataError(f"{path} is empty: give a file with data")
    return tuple(names), n_rows


def _jsonl_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    number = 0
    with open_text(path) as stream:
        for line, text in enumerate(stream, start=1):
            if text.strip():
                number += 1
                value, error = _json_object(text, line)
                yield Row(number, dict.fromkeys(columns) | value, error, line)


def _json_object(text: str, line: int) -> tuple[dict[str, Any], str | None]:
    """The object on a line, or an empty one and what is wrong."""
    try:
        value = json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        return {}, f"line {line}, column {error.colno}: not JSON ({error.msg}): correct the line"
    except (ValueError, RecursionError) as error:
        return {}, f"line {line}: JSON that cannot be read ({error}): correct the line"
    if not isinstance(value, dict):
        return {}, f"line {line}: a JSON {type(value).__name__} where an object is needed: correct the line"
    return value, None


# ---------------------------------------------------------------- CSV and TSV


def _csv_shape(path: Path, delimiter: str) -> tuple[tuple[str, ...], int]:
    with open_text(path, newline="") as stream:
        records = _csv_records(stream, path, delimiter)
        _, header = next(records, (0, []))
        if not header:
            raise DataError(f"{path} is empty: give a file with data")
        return tuple(header), sum(1 for _, cells in records if not _is_blank(cells, len(header)))


def _csv_rows(path: Path, delimiter: str, columns: tuple[str, ...]) -> Iterator[Row]:
    number = 0
    with open_text(path, newline="") as stream:
        records = _csv_records(stream, path, delimiter)
        next(records, None)
        for line, cells in records:
            if not _is_blank(cells, len(columns)):
                number += 1
                yield _csv_row(number, line, cells, columns)


def _csv_row(number: int, line: int, cells: list[str], columns: tuple[str, ...]) -> Row:
    error = None
    if len(cells) != len(columns):
        error = (
            f"line {line}: {len(cells)} cells where the header has {len(columns)}: "
            "put quotes around a cell that holds a delimiter, a quote or a line break"
        )
    values: dict[str, Any] = dict.fromkeys(columns)
    values.update(zip(columns, cells, strict=False))
    return Row(number, values, error, line)


def _is_blank(cells: list[str], n_columns: int) -> bool:
    """Whether a record is a line of white space; in a table of one column that is a cell like any other."""
    return n_columns > 1 and len(cells) == 1 and not cells[0].strip()


def _csv_records(stream: TextIO, path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not an empty line: the line on which it starts, and its cells."""
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    lines = _RecordLines(stream, path, delimiter)
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            if lines.has_nul():
                cells = [cell.replace(_NUL_STAND_IN, "\0") for cell in cells]
            start = lines.next_record()
            if cells:
                yield start, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.start}: {error}: correct the row") from None


class _RecordLines:
    """Feeds lines to ``csv.reader`` and knows those of the record being read.

    ``csv.reader`` asks for another line only inside a quoted cell; where there is none, the quote never
    closes.

    Attributes:
        start: The line on which the record starts, from 1.
    """

    def __init__(self, stream: TextIO, path: Path, delimiter: str) -> None:
        self._stream = stream
        self._path = path
        self._delimiter = delimiter
        self._record: list[str] = []
        self.start = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._stream, None)
        if line is None:
            if self._record:
                raise DataError(self._unclosed())
            raise StopIteration
        self._record.append(line)
        return line.replace("\0", _NUL_STAND_IN)

    def has_nul(self) -> bool:
        """Whether the record holds a NUL."""
        return any("\0" in line for line in self._record)

    def next_record(self) -> int:
        """End the record; the line on which it started."""
        start = self.start
        self.start += len(self._record)
        self._record.clear()
        return start

    def _unclosed(self) -> str:
        text = "".join(self._record)
        cell = re.compile(_CELL.replace("DELIMITER", self._delimiter))
        position = 0
        while match := cell.match(text, position):
            position = match.end()
        n_lines = len(re.findall(r"\r\n|\r|\n", text[:position]))
        return f"{self._path}, line {self.start + n_lines}: a quote opens here and never closes: close it"


# A whole cell and the delimiter after it, by the rules of ``csv.reader``.
_CELL = r'(?:"[^"]*(?:""[^"]*)*"(?!")|(?!"))[^DELIMITER]*DELIMITER'

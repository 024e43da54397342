"""Tables as sites and screening tools export them (CSV, TSV, records by row) -> Papers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TextIO

from qa_extractive.papers.table_columns import LOOKED_FOR, Columns, columns_of, paper_from_cells
from qa_extractive.papers.types import TOO_LARGE, NoPaperError, Paper
from qa_extractive.tables.csv_rows import WINDOWS_1252, csv_rows, csv_shape
from qa_extractive.tables.dialects import DELIMITERS
from qa_extractive.tables.formats import MAX_ROW_CHARACTERS
from qa_extractive.tables.rows import Row
from qa_extractive.tables.text_files import (
    Encoding,
    EncodingError,
    find_encoding,
    is_windows_1252,
    open_bytes,
    open_text,
    reading,
)

Attempt = Callable[[], Paper]

MAX_PREAMBLE = 50  # lines, or rows of a sheet, before the header
_HEAD_BYTES = 1 << 18
_N_NAMES = 8


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a header stands, what parts its cells, and what they name."""

    n_lines: int
    delimiter: str
    columns: Columns


def table_papers(path: Path) -> Iterator[Attempt]:
    """How to make the paper of each row of a CSV or TSV, in order; rows without any content are none.

    The header may follow lines that are none of the table, and need not have the delimiter that the file's
    name stands for.

    Raises:
        NoPaperError: No column names an abstract or a full text, nor is it a table of papers without them.
        DataError: It is no table: an encoding, a quote that never closes.
    """
    place = _header_place(path)
    encoding = _plain_encoding(path, place)
    yield from _quoted_rows(path, place) if encoding is None else _plain_rows(path, place, encoding)


def record_rows_papers(path: Path) -> Iterator[Attempt]:
    """How to make the paper of each record of a CSV whose rows are fields, as Embase exports them.

    A record ends at an empty line, or where its first field comes again.
    """
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    record: dict[str, str] = {}
    with open_text(path, newline="") as stream:
        for cells in _csv_rows(stream):
            name = cells[0] if cells else ""
            if record and (not name or name == next(iter(record))):
                yield partial(_paper_of_fields, record)
                record = {}
            if name:
                cell = "; ".join(filter(None, map(str.strip, cells[1:])))
                record[name] = "\n".join(filter(None, (record.get(name, ""), cell)))
    if record:
        yield partial(_paper_of_fields, record)


def _csv_rows(stream: TextIO) -> Iterator[list[str]]:
    rows = csv.reader(stream)
    try:
        yield from rows
    except csv.Error as error:
        raise NoPaperError("unreadable", f"line {rows.line_num}: {error}: correct the row") from None


def _paper_of_fields(record: dict[str, str]) -> Paper:
    return paper_from_cells(columns_of(["Abstract", *record]), ["", *record.values()])


def _rows_papers(columns: Columns, rows: Iterable[Sequence[str]]) -> Iterator[Attempt]:
    """How to make the paper of each row of cells; rows without any content are none."""
    for row in rows:
        if any(map(str.strip, row)):
            yield partial(paper_from_cells, columns, row)


def header_index(rows: Sequence[Columns]) -> int | None:
    """Which of the first rows of a table is its header; one that names a single thing where no other is."""
    headers = [i for i, columns in enumerate(rows) if columns.is_header]
    return next((i for i in headers if rows[i].n_known > 1), headers[0] if headers else None)


def no_columns(names: Sequence[str]) -> NoPaperError:
    """Why a table with these columns holds no papers."""
    shown = ", ".join(repr(name.strip()[:40]) for name in names[:_N_NAMES] if name.strip())
    more = ", ..." if len(names) > _N_NAMES else ""
    return NoPaperError(
        "a table",
        f"no column of abstracts or full texts: looked for {LOOKED_FOR}, found {shown or 'nothing'}{more} "
        "(a table of your own goes to infer.py --batch, which takes any column)",
    )


def _header_place(path: Path) -> _Place:
    lines = _first_lines(path)
    headers = [_header(line) for line in lines]
    number = header_index([columns for _, columns in headers])
    if number is None:
        raise no_columns(next((columns.names for _, columns in headers if any(columns.names)), ()))
    return _Place(number, *headers[number])


def _header(line: str) -> tuple[str, Columns]:
    """The delimiter by which a line names most, and what its cells name."""
    found = [(delimiter, columns_of(_cells(line, delimiter))) for delimiter in DELIMITERS]
    return max(found, key=lambda each: (each[1].is_header, each[1].n_known, len(each[1].names)))


def _first_lines(path: Path) -> list[str]:
    encoding = find_encoding(path)
    with reading(path), open_bytes(path) as stream:
        head = stream.read(_HEAD_BYTES)[encoding.n_mark_bytes :]
    text = head.decode(encoding.name, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:MAX_PREAMBLE]


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line by itself."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _quoted_rows(path: Path, place: _Place) -> Iterator[Attempt]:
    shape = csv_shape(path, place.delimiter, place.n_lines)
    columns = columns_of(shape.header.columns)
    for row in csv_rows(path, shape):
        cells = ["" if cell is None else cell for cell in row.values.values()]
        if row.error is not None or any(map(str.strip, cells)):
            yield partial(_paper_of_row, columns, row, cells)


def _paper_of_row(columns: Columns, row: Row, cells: list[str]) -> Paper:
    if row.error is not None:
        raise NoPaperError("a broken row", row.error)
    return paper_from_cells(columns, cells)


def _plain_encoding(path: Path, place: _Place) -> Encoding | None:
    """The encoding of a file in which tabs part the cells and nothing is quoted; None for any other.

    In it each line has the cells of the header; a cell that begins with a quotation mark would otherwise run
    on through the records after it.
    """
    if place.delimiter != "\t":
        return None
    encoding = find_encoding(path)
    try:
        return encoding if _has_even_lines(path, place, encoding) else None
    except EncodingError:
        if encoding.name != "utf-8" or not is_windows_1252(path):
            raise
    return WINDOWS_1252 if _has_even_lines(path, place, WINDOWS_1252) else None


def _has_even_lines(path: Path, place: _Place, encoding: Encoding) -> bool:
    n_tabs = len(place.columns.names) - 1
    return all(line.count("\t") == n_tabs for line in _lines_after(path, place, encoding) if line.strip("\n"))


def _plain_rows(path: Path, place: _Place, encoding: Encoding) -> Iterator[Attempt]:
    lines = (line.rstrip("\n") for line in _lines_after(path, place, encoding))
    yield from _rows_papers(place.columns, ([_unquoted(cell) for cell in line.split("\t")] for line in lines))


def _unquoted(cell: str) -> str:
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if is_quoted else cell


def _lines_after(path: Path, place: _Place, encoding: Encoding) -> Iterator[str]:
    """The lines after the header."""
    with open_text(path, newline=None, encoding=encoding) as stream:
        for number in count():
            line = stream.readline(MAX_ROW_CHARACTERS + 1)
            if not line:
                return
            if len(line) > MAX_ROW_CHARACTERS:
                raise NoPaperError(TOO_LARGE, f"a line of more than {MAX_ROW_CHARACTERS:,} characters")
            if number > place.n_lines:
                yield line

"""CSV and TSV in, as spreadsheets and screening tools write them."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from qa_extractive.errors import DataError
from qa_extractive.tables.dialects import find_dialect, is_blank_line, sep_line_delimiter
from qa_extractive.tables.formats import MAX_ROW_CHARACTERS, Dialect
from qa_extractive.tables.headers import Contents, Header, settle, without_mark
from qa_extractive.tables.rows import Row
from qa_extractive.tables.text_files import (
    Encoding,
    EncodingError,
    find_encoding,
    is_windows_1252,
    open_text,
)

WINDOWS_1252 = Encoding("cp1252")

_MAX_CELL_CHARACTERS = 2**31 - 1
_MAX_RUN = 1000  # rows that one row may have been cut into
_SURE_RUN = 5  # rows of one length that are no row cut into pieces


@dataclass(frozen=True, slots=True)
class CsvShape:
    """What is known of a CSV or TSV once it was read through.

    Attributes:
        encoding: Of its bytes.
        dialect: Of its text.
        header: Its columns.
        n_rows: Its number of rows.
        takes_short: Whether rows with fewer cells than the header have empty ones at the end.
        n_preamble: Lines before the header that are none of the table.
    """

    encoding: Encoding
    dialect: Dialect
    header: Header
    n_rows: int
    takes_short: bool
    n_preamble: int = 0


def csv_shape(path: Path, delimiter: str, n_preamble: int = 0) -> CsvShape:
    """Read a file through, in Windows-1252 where it is no UTF-8 and may be that.

    Args:
        path: The file.
        delimiter: What its name stands for.
        n_preamble: Lines before the header that are none of the table.

    Raises:
        DataError: It cannot be read, is empty, has a quote that never closes or a row that is too long.
    """
    encoding = find_encoding(path)
    try:
        return _shape(path, encoding, delimiter, n_preamble)
    except EncodingError:
        if encoding.name != "utf-8" or not is_windows_1252(path):
            raise
    return _shape(path, WINDOWS_1252, delimiter, n_preamble)


def _shape(path: Path, encoding: Encoding, delimiter: str, n_preamble: int) -> CsvShape:
    dialect = find_dialect(path, encoding, delimiter, n_preamble)
    with open_text(path, newline="", encoding=encoding) as stream:
        records = _records(stream, path, dialect, n_preamble)
        header = next(records, None)
        if header is None:
            raise DataError(f"{path} is empty: give a file with data")
        names = [without_mark(name) for name in header.cells]
        contents = Contents.of(names)
        short = _ShortRows(len(names))
        n_rows = 0
        for record in records:
            if not record.is_blank(len(names)):
                n_rows += 1
                contents.see(record.cells)
                short.see(record.cells)
    header_columns = settle(names, contents)
    return CsvShape(encoding, dialect, header_columns, n_rows, not short.are_pieces(), n_preamble)


def csv_rows(path: Path, shape: CsvShape) -> Iterator[Row]:
    """The rows of a file."""
    header = shape.header
    number = 0
    with open_text(path, newline="", encoding=shape.encoding) as stream:
        records = _records(stream, path, shape.dialect, shape.n_preamble)
        next(records, None)
        for record in records:
            if not record.is_blank(header.n_cells):
                number += 1
                yield _row(number, record, shape)


class _Record(NamedTuple):
    """The cells of a row or of the header.

    Attributes:
        line: The line on which it starts, from 1.
        cells: As they stand there.
        is_ended: Whether a line end follows; only the last record may lack one.
    """

    line: int
    cells: list[str]
    is_ended: bool

    def is_blank(self, n_columns: int) -> bool:
        """Whether it is a line of white space; in a table of one column that is a cell like any other."""
        return n_columns > 1 and len(self.cells) == 1 and not self.cells[0].strip()


def _row(number: int, record: _Record, shape: CsvShape) -> Row:
    header, cells = shape.header, record.cells
    values: dict[str, Any] = dict.fromkeys(header.columns)
    if len(header.columns) == header.n_cells:
        values.update(zip(header.columns, cells, strict=False))
    else:
        places = zip(header.columns, header.positions, strict=True)
        values.update((name, cells[index]) for name, index in places if index < len(cells))
    is_short, wrong = len(cells) < header.n_cells, _wrong_length(record, header.n_cells)
    if _is_bad(record, shape):
        return Row(number, values, f"line {record.line}: {wrong}", record.line)
    return Row(number, values, None, record.line, wrong if is_short else None)


def _is_bad(record: _Record, shape: CsvShape) -> bool:
    """Whether a row has too many cells, or too few to be sure what they are."""
    n_wanted = shape.header.n_cells
    if len(record.cells) > n_wanted:
        return any(cell.strip() for cell in record.cells[n_wanted:])
    is_whole = shape.takes_short and record.is_ended  # without a line end, the file may be cut short
    return len(record.cells) < n_wanted and not is_whole


def _wrong_length(record: _Record, n_wanted: int) -> str:
    return (
        f"{len(record.cells)} cells where the header has {n_wanted}: "
        "put quotes around a cell that holds a delimiter, a quote or a line break"
    )


class _ShortRows:
    """Tells rows whose last cells were left out from rows that unquoted line breaks cut into pieces.

    Spreadsheets leave out empty cells at the end of rows. A row that was cut gives neighbours that have,
    put together, the cells of one row.
    """

    def __init__(self, n_wanted: int) -> None:
        self._n_wanted = n_wanted
        self._run: deque[int] = deque(maxlen=_MAX_RUN)  # delimiters of each of the short rows at hand
        self._is_spaced = False  # whether one of them begins with words, as pieces do and ids do not
        self._n_whole = 0
        self._lengths: set[int] = set()
        self._n_cut = self._n_cut_alike = 0

    def see(self, cells: list[str]) -> None:
        """Look at the next row."""
        if len(cells) < self._n_wanted:
            self._run.append(len(cells) - 1)
            self._lengths.add(len(cells))
            self._is_spaced |= len(cells[0].split()) > 1
        else:
            self._n_whole += 1
            self._end_run()

    def are_pieces(self) -> bool:
        """Whether short rows are pieces; asked after the last row."""
        self._end_run()
        is_habit = not self._n_whole and len(self._lengths) == 1
        return self._n_cut > 0 or (self._n_cut_alike > 0 and not is_habit)

    def _end_run(self) -> None:
        if len(self._run) > 1 and self._holds_a_row():
            if len(set(self._run)) > 1:
                self._n_cut += 1
            elif self._is_spaced and len(self._run) < _SURE_RUN:
                self._n_cut_alike += 1
        self._run.clear()
        self._is_spaced = False

    def _holds_a_row(self) -> bool:
        """Whether some neighbours have as many delimiters as a row, together."""
        total = first = 0
        for n_delimiters in self._run:
            total += n_delimiters
            while total > self._n_wanted - 1:
                total -= self._run[first]
                first += 1
            if total == self._n_wanted - 1:
                return True
        return False


# ---------------------------------------------------------------- records


def _records(stream: TextIO, path: Path, dialect: Dialect, n_preamble: int) -> Iterator[_Record]:
    """Each record that is not an empty line, the header first."""
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    lines = _RecordLines(stream, path, dialect.delimiter, n_preamble)
    try:
        for cells in csv.reader(lines, delimiter=dialect.delimiter):
            record = _Record(lines.start, cells, lines.is_ended())
            lines.next_record()
            if cells:
                yield record
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.start}: {error}: correct the row") from None


class _RecordLines:
    """Feeds lines to ``csv.reader`` and knows those of the record being read.

    ``csv.reader`` asks for another line only inside a quoted cell; where there is none, the quote never
    closes.

    Attributes:
        start: The line on which the record starts, from 1.
    """

    def __init__(self, stream: TextIO, path: Path, delimiter: str, n_preamble: int) -> None:
        self._stream = stream
        self._path = path
        self._delimiter = delimiter
        self._record: list[str] = []
        self._room = MAX_ROW_CHARACTERS
        self.start = 1
        for _ in range(n_preamble):
            self._line()
            self.start += 1
        self._ahead = self._first()

    def _first(self) -> str:
        """The line with the header, behind empty ones and one like ``sep=;``."""
        while (line := self._line()) and (sep_line_delimiter(line) or is_blank_line(line)):
            self.start += 1
        return line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._ahead = self._ahead or self._line(), ""
        if not line:
            if self._record:
                raise DataError(self._unclosed())
            raise StopIteration
        self._record.append(line)
        self._room -= len(line)
        return line

    def _line(self) -> str:
        line = self._stream.readline(self._room + 1)
        if len(line) > self._room:
            raise DataError(
                f"{self._path}, line {self.start}: a row of more than {MAX_ROW_CHARACTERS:,} characters "
                "begins here: shorten it, or close the quote that is open"
            )
        return line

    def is_ended(self) -> bool:
        """Whether the record ends with a line end."""
        return self._record[-1].endswith(("\n", "\r"))

    def next_record(self) -> None:
        """End the record."""
        self.start += len(self._record)
        self._record.clear()
        self._room = MAX_ROW_CHARACTERS

    def _unclosed(self) -> str:
        text = "".join(self._record)
        cell = re.compile(_CELL.replace("DELIMITER", re.escape(self._delimiter)))
        position = 0
        while match := cell.match(text, position):
            position = match.end()
        n_lines = len(re.findall(r"\r\n|\r|\n", text[:position]))
        return f"{self._path}, line {self.start + n_lines}: a quote opens here and never closes: close it"


# A whole cell and the delimiter after it, by the rules of ``csv.reader``.
_CELL = r'(?:"[^"]*(?:""[^"]*)*"(?!")|(?!"))[^DELIMITER]*DELIMITER'

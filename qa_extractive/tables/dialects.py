"""Which delimiter a CSV or TSV has, told from its first lines."""

from __future__ import annotations

import csv
import io
import re
from itertools import islice
from pathlib import Path

from qa_extractive.tables.formats import MAX_ROW_CHARACTERS, Dialect
from qa_extractive.tables.text_files import Encoding, open_text

DELIMITERS = ",;\t|"

_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_ROWS = 100
_MIN_FIT = 0.5
# The first line of a file that Excel is to open whatever the country; spreadsheets may add empty cells to it.
_SEP_LINE = re.compile(r"sep=(?P<delimiter>[^\w\s\"']|\t)(?P=delimiter)*\s*", re.IGNORECASE)


def sep_line_delimiter(line: str) -> str | None:
    """The delimiter that a line like ``sep=;`` names; None where it is no such line."""
    match = _SEP_LINE.fullmatch(line)
    return match["delimiter"] if match else None


def is_blank_line(line: str) -> bool:
    """Whether a line holds nothing but white space and delimiters, without quotes."""
    return not line.strip(f" \r\n{DELIMITERS}")


def find_dialect(path: Path, encoding: Encoding, named: str, n_preamble: int = 0) -> Dialect:
    """The dialect of a file.

    What a line ``sep=`` says counts first, then the delimiter that the name of the file stands for, if the
    first rows have as many cells by it as the header. Else it is the one by which most of them do.

    Args:
        path: The file.
        encoding: Its encoding.
        named: The delimiter that the name of the file stands for.
        n_preamble: Lines before the header that are none of the table.

    Raises:
        DataError: It cannot be read.
    """
    has_mark = encoding.n_mark_bytes > 0 or encoding.name != "utf-8"
    with open_text(path, newline="", encoding=encoding) as stream:
        for _ in range(n_preamble):
            stream.readline(MAX_ROW_CHARACTERS)
        sample = stream.read(_SAMPLE_CHARACTERS)
    is_whole = len(sample) < _SAMPLE_CHARACTERS
    lines = io.StringIO(sample, newline="")
    start = 0
    for line in lines:
        delimiter = sep_line_delimiter(line)
        if delimiter:
            return Dialect(delimiter, has_mark, has_sep_line=True)
        if not is_blank_line(line):
            break
        start += len(line)
    scores = {each: _fit(_lengths(sample[start:], each, is_whole=is_whole)) for each in DELIMITERS}
    best = max(DELIMITERS, key=lambda each: (scores[each], each == named))
    return Dialect(best if scores[best] >= _MIN_FIT else named, has_mark)


def _fit(lengths: list[int]) -> float:
    """How well the rows fit the header, from 0 to 1; 0 where that is one cell.

    A row with fewer or more cells, but two at least, counts half: spreadsheets leave out empty ones at the
    end, people leave out quotes.
    """
    header, *rows = lengths or [0]
    if header < 2:
        return 0.0
    n_off = sum(n_cells > 1 and n_cells != header for n_cells in rows)
    return (rows.count(header) + n_off / 2) / len(rows) if rows else 1.0


def _lengths(sample: str, delimiter: str, *, is_whole: bool) -> list[int]:
    """The numbers of cells of the header and of the first rows, without empty ones beyond the header's."""
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    lengths: list[int] = []
    lines = io.StringIO(sample.replace("\0", " "), newline="")
    try:
        for cells in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_ROWS):
            if not lengths or len(cells) > 1 or not is_blank_line("".join(cells)):
                lengths.append(_n_cells(cells, lengths[0] if lengths else len(cells)))
    except csv.Error:
        return []
    is_cut = not is_whole and not lines.read(1) and len(lengths) > 1
    return lengths[:-1] if is_cut else lengths


def _n_cells(cells: list[str], n_wanted: int) -> int:
    n_cells = len(cells)
    while n_cells > n_wanted and not cells[n_cells - 1].strip():
        n_cells -= 1
    return n_cells

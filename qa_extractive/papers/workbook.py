"""XLSX workbooks -> Papers, sheet by sheet, by ``openpyxl``, once their parts were found harmless."""

from __future__ import annotations

import importlib
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from qa_extractive.errors import DataError
from qa_extractive.papers.safe_xml import UNSAFE
from qa_extractive.papers.sheet_merges import Merges
from qa_extractive.papers.table_columns import Columns, cell_text, columns_of, paper_from_cells
from qa_extractive.papers.table_papers import MAX_PREAMBLE, header_index, no_columns
from qa_extractive.papers.types import MAX_RECORD_CHARACTERS, TOO_LARGE, NoPaperError, Paper
from qa_extractive.tables.text_files import reading

Attempt = Callable[[], Paper]
_Row = tuple[list[str], frozenset[int]]  # cells, and the indices of those that are a row's above

MAX_PART_BYTES: Final = 1 << 28  # of a part of a workbook, decompressed
MAX_PARTS: Final = 10_000
MAX_TAGS: Final = 10_000_000  # of a part; each becomes an object in memory
MAX_ROWS: Final = 1 << 20  # of a sheet, as in Excel
MAX_COLUMNS: Final = 1 << 14
MAX_CELLS: Final = 100_000_000  # of a sheet, empty ones included
MAX_MERGES: Final = 100_000  # of a sheet

_CHUNK_BYTES = 1 << 20
_OVERLAP_BYTES = 100  # so that nothing that is looked for is cut in two
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >]")
_MERGE = re.compile(rb'<(?:\w+:)?mergeCell ref="([A-Z0-9:]{5,21})"')
_WIDE_STARTS = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_ESCAPED = re.compile(r"_x000[9AaDd]_")  # a tab or a line end, as a workbook may write them


def workbook_papers(path: Path) -> Iterator[Attempt]:
    """How to make the paper of each row of the sheets that are shown and have a header of papers.

    Sheets that are hidden, or hold something else, are one failure each, after all papers.

    Raises:
        NoPaperError: It is damaged, unsafe or too large, or no sheet holds papers; what came before stands.
        DataError: It cannot be read, or ``openpyxl`` is missing.
    """
    openpyxl = _require_openpyxl()
    with reading(path):
        yield from _guarded(_papers_of_file(openpyxl, path))


def _require_openpyxl() -> ModuleType:
    try:
        return importlib.import_module("openpyxl")
    except ImportError:
        raise DataError("XLSX needs openpyxl: pip install 'qa-extractive[papers]'") from None


def _guarded(attempts: Iterator[Attempt]) -> Iterator[Attempt]:
    """The same, with whatever ``openpyxl`` raises in one line and without its warnings."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                attempt = next(attempts)
            except StopIteration:
                return
            except (NoPaperError, DataError, OSError, MemoryError):
                raise
            except Exception as error:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise NoPaperError("unreadable", f"no XLSX workbook, or a damaged one: {reason}") from None
        yield attempt


def _papers_of_file(openpyxl: ModuleType, path: Path) -> Iterator[Attempt]:
    with zipfile.ZipFile(path) as archive:
        found = _checked(archive)
    with _opened(openpyxl, path, data_only=True) as values:
        if not found.has_formulas:
            yield from _papers(_sheets(values, values, found))
            return
        with _opened(openpyxl, path, data_only=False) as formulas:
            yield from _papers(_sheets(values, formulas, found))


@contextmanager
def _opened(openpyxl: ModuleType, path: Path, *, data_only: bool) -> Iterator[Any]:
    with path.open("rb") as stream:
        yield openpyxl.load_workbook(stream, read_only=True, data_only=data_only, keep_links=False)


# ---------------------------------------------------------------- sheets


@dataclass(slots=True)
class _Sheet:
    """A sheet as it is read.

    Attributes:
        name: Its own.
        is_hidden: Whether people do not see it.
        rows: The cells of each row, from the first, and which of them are those of a row above.
        merges: Its merged cells.
        widest: The widest of the rows that were looked at for a header.
    """

    name: str
    is_hidden: bool
    rows: Iterator[_Row]
    merges: Merges
    widest: list[str] = field(default_factory=list)

    def columns(self) -> Columns | None:
        """Those of its header, behind which the rows then stand; None where there is none."""
        head, failure = _head(self.rows)
        headers = [columns_of(self.merges.widen(i, row)) for i, (row, _) in enumerate(head, start=1)]
        found = header_index(headers)
        if found is None and failure is not None:
            raise failure
        if found is None:
            self.widest = max((row for row, _ in head), key=len, default=[])
            return None
        self.rows = chain(head[found + 1 :], self.rows if failure is None else _raising(failure))
        return headers[found]


def _head(rows: Iterator[_Row]) -> tuple[list[_Row], Exception | None]:
    """The first rows, and what stopped them."""
    head = list[_Row]()
    try:
        head.extend(islice(rows, MAX_PREAMBLE))
    except Exception as error:
        return head, error
    return head, None


def _raising(error: Exception) -> Iterator[_Row]:
    raise error
    yield


def _sheets(values: Any, formulas: Any, found: _Parts) -> Iterator[_Sheet]:
    for sheet, formula_sheet in zip(values.worksheets, formulas.worksheets, strict=True):
        merges = Merges.of(found.merges.get(sheet._worksheet_path, ()))
        rows = _rows(sheet, None if values is formulas else formula_sheet, merges)
        yield _Sheet(sheet.title, sheet.sheet_state != "visible", rows, merges)


def _papers(sheets: Iterable[_Sheet]) -> Iterator[Attempt]:
    failures = list[NoPaperError]()
    n_read = 0
    for sheet in sheets:
        columns = sheet.columns()
        if columns is not None and not sheet.is_hidden:
            n_read += 1
            yield from _row_papers(sheet, columns)
        elif columns is not None:
            failures.append(NoPaperError("a hidden sheet", f"sheet {sheet.name!r} is hidden: show it first"))
        elif sheet.widest:
            reason = f"sheet {sheet.name!r}: {no_columns(sheet.widest).reason}"
            failures.append(NoPaperError("a table", reason))
    if not n_read:
        raise failures[0] if failures else NoPaperError("no paper", "no sheet holds anything")
    yield from (partial(_fail, failure) for failure in failures)


def _fail(error: NoPaperError) -> Paper:
    raise error


def _row_papers(sheet: _Sheet, columns: Columns) -> Iterator[Attempt]:
    names = [place for field in ("title", "abstract") for place in columns.places.get(field, ())]
    for row, filled in sheet.rows:
        held = {place for place in names if place < len(row) and row[place]}
        if held and filled.issuperset(held):
            yield partial(
                _fail, NoPaperError("no paper", "its title and abstract are those of the row above")
            )
        elif any(row):
            yield partial(paper_from_cells, columns, row)


# ---------------------------------------------------------------- rows


def _rows(sheet: Any, formula_sheet: Any, merges: Merges) -> Iterator[_Row]:
    """The texts of the cells of each row, as far as they go, and which of them are those of a row above."""
    n_cells = 0
    for number, (row, formulas) in enumerate(_pairs(sheet, formula_sheet), start=1):
        n_cells += len(row) + 1
        if number > MAX_ROWS or len(row) > MAX_COLUMNS or n_cells > MAX_CELLS:
            raise NoPaperError(
                TOO_LARGE,
                f"sheet {sheet.title!r} has more than {MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns or "
                f"{MAX_CELLS:,} cells: delete empty ones that have a format",
            )
        cells = [_cell(*pair) for pair in zip_longest(row, formulas)]
        if sum(map(len, cells)) > MAX_RECORD_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"a row of more than {MAX_RECORD_CHARACTERS:,} characters")
        while cells and not cells[-1]:
            cells.pop()
        yield merges.fill(number, cells)


def _pairs(sheet: Any, formula_sheet: Any) -> Iterator[tuple[Any, Any]]:
    """Rows of values, each with that of formulas; the size that a sheet says it has is not believed."""
    sheet.reset_dimensions()
    if formula_sheet is None:
        return ((row, ()) for row in sheet.iter_rows(values_only=True))
    formula_sheet.reset_dimensions()
    return zip(sheet.iter_rows(values_only=True), formula_sheet.iter_rows(values_only=True), strict=True)


def _cell(value: object, formula: object = None) -> str:
    """The text of a cell; of a formula what it gave, or the text that it is."""
    if value is None and isinstance(formula, str):
        text = cell_text(formula)
        return "" if text.startswith("=") else text
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat()
    return _ESCAPED.sub("\n", str(value)).strip()


# ---------------------------------------------------------------- parts


@dataclass(slots=True)
class _Parts:
    """What was seen in the parts of a workbook.

    Attributes:
        has_formulas: Whether any cell has one.
        merges: By part, the ranges of cells that are merged.
    """

    has_formulas: bool = False
    merges: dict[str, set[str]] = field(default_factory=dict)


def _checked(archive: zipfile.ZipFile) -> _Parts:
    """Read all parts once, without making anything of them; NoPaperError where they may do harm."""
    parts = archive.infolist()
    size = max((part.file_size for part in parts), default=0)
    if len(parts) > MAX_PARTS or size > MAX_PART_BYTES:
        raise NoPaperError(
            TOO_LARGE,
            f"a workbook of {len(parts):,} parts, the largest of {size:,} bytes, where {MAX_PARTS:,} and "
            f"{MAX_PART_BYTES:,} are taken: export it in parts, or as CSV",
        )
    found = _Parts()
    for part in parts:
        _check_part(archive, part, found)
    return found


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, found: _Parts) -> None:
    n_tags, before = 0, b""
    merges = found.merges.setdefault(part.filename, set())
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            n_tags += chunk.count(b"<")
            window = before + chunk
            if not before and chunk.startswith(_WIDE_STARTS) and part.filename.endswith((".xml", ".rels")):
                raise NoPaperError(UNSAFE, f"its part {part.filename!r} is UTF-16: save the workbook anew")
            if _DECLARATION.search(window):
                raise NoPaperError(UNSAFE, f"its part {part.filename!r} brings a DTD: save the workbook anew")
            found.has_formulas |= bool(_FORMULA.search(window))
            merges.update(each.decode("ascii") for each in _MERGE.findall(window))
            if n_tags > MAX_TAGS or len(merges) > MAX_MERGES:
                raise NoPaperError(
                    TOO_LARGE, f"its part {part.filename!r} has more than {MAX_TAGS:,} tags: export it as CSV"
                )
            before = window[-_OVERLAP_BYTES:]

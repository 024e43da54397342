"""An evidence table as a workbook, with every quote in its place and what all papers say together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any, Final

from qa_extractive._utils.files import atomic_file
from qa_extractive.data.question_forms import is_yes_no
from qa_extractive.errors import DataError
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.rows import DOUBTFUL, LIKELY, SURE, Cell, PaperRow
from qa_extractive.evidence_table.together import Together
from qa_extractive.rows.cells import FAILED
from qa_extractive.tables.writing import replace_surrogates, writing
from qa_extractive.types import NOT_REPORTED, UNSURE

FILLS: Final = {
    SURE: "#C6E7C8",
    LIKELY: "#E4F2D5",
    DOUBTFUL: "#FFF1BF",
    UNSURE: "#FBE0C8",
    NOT_REPORTED: "#EDEDED",
    FAILED: "#F5C6C6",
}
"""The colour of a cell by its certainty, which is told in words too."""

MAX_ROWS: Final = 1_048_576 - 2
_MAX_CHARACTERS = 32_000  # Excel holds 32,767 in a cell
_MAX_LINKS = 65_000  # and few more links on a sheet
_MAX_LINK_CHARACTERS = 2000
_DOI_COLUMN = 3
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_ROW_POINTS = 62  # four lines
_LINE_POINTS, _MAX_POINTS = 13.5, 400.0  # Excel makes a row at most 409 high
_LETTER = 0.95  # widths of a digit, by which columns are measured
_BASE = {"valign": "top", "text_wrap": True, "border": 1, "border_color": "#D0D0D0", "font_size": 10}

_PAPER_COLUMNS = (("Paper", 38), ("Authors", 20), ("Year", 7), ("DOI", 16), ("File", 20))
_QUOTE, _VERDICT, _SURE = ("quote", 46), ("verdict", 9), ("how sure", 16)
_TOGETHER_WIDTHS, _ABOUT_WIDTHS = (46, 22, 14, 14, 34), (26, 110)
_SKIPPED_COLUMNS = (("File", 30), ("Record", 9), ("Kind", 24), ("Reason", 90))
_QUOTE_COLUMNS = (
    *(("Paper", 34), ("Question", 30), ("Answer", 13), ("Verdict", 9), ("Quote", 44), ("Sentence", 54)),
    *(("Section", 18), ("Page", 7), ("P(right)", 10), ("P(answerable)", 14), ("P(verdict)", 11)),
    *(("Start", 9), ("End", 9), ("File", 20), ("Record", 8)),
)


@contextmanager
def xlsx_writer(
    output: Path, about: About, together: Callable[[], Sequence[Together]]
) -> Iterator[Callable[[PaperRow], None]]:
    """What writes the rows of a table; the file appears, or replaces the one there, when the block ends well.

    Args:
        output: The workbook.
        about: What stands beside the table.
        together: What all papers say, asked for when the last row is written.

    Raises:
        DataError: XlsxWriter is missing, there are more quotes than a sheet holds, or the file cannot be
            written.
    """
    if about.n_papers * len(about.questions) > MAX_ROWS:
        raise DataError(
            f"{output}: {about.n_papers:,} papers x {len(about.questions):,} questions are more rows than a "
            "sheet holds: write .csv, .jsonl or .parquet"
        )
    with writing(output), atomic_file(output) as file:
        book = _Book(about, file)
        yield book.add
        book.close(together())


class _Book:
    def __init__(self, about: About, file: Any) -> None:
        self._about = about
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = _xlsxwriter().Workbook(file, options)
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}
        self._n_rows = self._n_quotes = 0
        self._columns = [
            (_QUOTE, _VERDICT, _SURE) if is_yes_no(question) else (_QUOTE, _SURE)
            for question in about.questions
        ]
        self._table = self._book.add_worksheet("Evidence")
        self._quotes = self._book.add_worksheet("Quotes")
        self._start_table()
        self._start(self._quotes, _QUOTE_COLUMNS, about.n_papers * len(about.questions))

    def add(self, row: PaperRow) -> None:
        """Write a paper: a row of the table, and one for each of its quotes."""
        place, paper = self._n_rows + 2, row.paper
        self._table.set_row(place, _ROW_POINTS)
        self._write(self._table, place, (row.name,), bold=True)
        self._write(self._table, place, ("; ".join(paper.authors), paper.year, None, row.place), first=1)
        self._link(place, row)
        first = len(_PAPER_COLUMNS)
        for columns, cell in zip(self._columns, row.cells, strict=True):
            values = [
                {_QUOTE: cell.shown, _VERDICT: cell.verdict, _SURE: _sure(cell)}[each] for each in columns
            ]
            self._write(self._table, place, values, first=first, bg_color=FILLS[cell.certainty])
            first += len(columns)
        for question, cell in zip(self._about.questions, row.cells, strict=True):
            self._quote(row, question, cell)
        self._n_rows += 1

    def close(self, together: Sequence[Together]) -> None:
        """Write the sheets that follow, and the file."""
        self._together(together)
        self._describe()
        self._skipped()
        self._book.close()

    def _start_table(self) -> None:
        """Two lines of names: each question over its quote, verdict and certainty."""
        sheet, head = self._table, self._format(bold=True, bg_color="#D9E2EF")
        columns = [*_PAPER_COLUMNS, *chain(*self._columns)]
        sheet.set_row(0, 32)
        for i, (_, width) in enumerate(columns):
            sheet.set_column(i, i, width)
            sheet.write_blank(0, i, None, head)
        first = len(_PAPER_COLUMNS)
        for own, question in zip(self._columns, self._about.questions, strict=True):
            sheet.merge_range(0, first, 0, first + len(own) - 1, "", head)
            sheet.write_string(0, first, _printable(question), head)
            first += len(own)
        for i, (name, _) in enumerate(columns):
            sheet.write_string(1, i, name, head)
        sheet.freeze_panes(2, 1)
        sheet.autofilter(1, 0, max(2, self._about.n_papers + 1), len(columns) - 1)
        _for_print(sheet)

    def _start(self, sheet: Any, columns: Sequence[tuple[str, float]], n_rows: int) -> None:
        for i, (_, width) in enumerate(columns):
            sheet.set_column(i, i, width)
        self._write(sheet, 0, [name for name, _ in columns], bold=True, bg_color="#D9E2EF")
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, max(1, n_rows), len(columns) - 1)
        _for_print(sheet)

    def _link(self, place: int, row: PaperRow) -> None:
        doi = row.paper.doi
        if row.link and self._n_rows < _MAX_LINKS and len(row.link) < _MAX_LINK_CHARACTERS:
            style = self._format(font_color="#1F4E9E", underline=1)
            self._table.write_url(place, _DOI_COLUMN, row.link, style, _printable(doi or ""))
        else:
            self._write(self._table, place, (doi,), first=_DOI_COLUMN)

    def _quote(self, row: PaperRow, question: str, cell: Cell) -> None:
        self._n_quotes += 1
        values = (
            *(
                row.name,
                question,
                _words(cell),
                cell.verdict,
                cell.quote,
                cell.sentence,
                cell.section,
                cell.page,
            ),
            *(cell.score, cell.answerable, cell.verdict_score, cell.start, cell.end, row.file, row.record),
        )
        self._write_high(self._quotes, self._n_quotes, values, [width for _, width in _QUOTE_COLUMNS])

    def _together(self, together: Sequence[Together]) -> None:
        sheet, place = self._book.add_worksheet("Together"), 0
        for i, width in enumerate(_TOGETHER_WIDTHS):
            sheet.set_column(i, i, width)
        for each in together:
            self._write_across(sheet, place, each.question, bold=True, font_size=12)
            self._write(sheet, place + 1, each.heads, bold=True, bg_color="#D9E2EF")
            for i, values in enumerate(each.rows):
                self._write_high(sheet, place + 2 + i, values, _TOGETHER_WIDTHS)
            place += 2 + len(each.rows)
            self._write_across(sheet, place, each.limits, italic=True)
            place += 2
        _for_print(sheet)

    def _describe(self) -> None:
        sheet, lines = self._book.add_worksheet("About"), self._about.lines()
        for i, width in enumerate(_ABOUT_WIDTHS):
            sheet.set_column(i, i, width)
        for i, (name, text) in enumerate(lines):
            sheet.set_row(i, _points((name, text), _ABOUT_WIDTHS))
            self._write(sheet, i, (name,), bold=True)
            self._write(sheet, i, (text,), first=1)
        for i, (name, colour) in enumerate(FILLS.items(), start=len(lines) + 1):
            self._write(sheet, i, (name.replace("_", " "),), bg_color=colour)
        _for_print(sheet)

    def _skipped(self) -> None:
        sheet, skipped = self._book.add_worksheet("Skipped"), self._about.skipped
        self._start(sheet, _SKIPPED_COLUMNS, len(skipped))
        for i, values in enumerate(skipped, start=1):
            self._write_high(sheet, i, values, [width for _, width in _SKIPPED_COLUMNS])
        n_more = self._about.n_skipped - len(skipped)
        if n_more:
            self._write(sheet, len(skipped) + 1, (f"and {n_more:,} more: list them with prepare --errors F",))

    def _write_across(self, sheet: Any, place: int, text: str, **style: Any) -> None:
        """A text over all columns of what the papers say together."""
        last = len(_TOGETHER_WIDTHS) - 1
        sheet.set_row(place, _points((text,), (sum(_TOGETHER_WIDTHS),)) + 4)
        sheet.merge_range(place, 0, place, last, "", self._format(**style))
        self._write(sheet, place, (text,), **style)

    def _write_high(self, sheet: Any, place: int, values: Sequence[Any], widths: Sequence[float]) -> None:
        """A row as high as its texts: LibreOffice does not see to that, and Excel not always."""
        sheet.set_row(place, _points(values, widths))
        self._write(sheet, place, values)

    def _write(self, sheet: Any, place: int, values: Sequence[Any], *, first: int = 0, **style: Any) -> None:
        for column, value in enumerate(values, start=first):
            if isinstance(value, str):
                sheet.write_string(place, column, _printable(value), self._format(**style))
            elif isinstance(value, float):
                sheet.write_number(place, column, value, self._format(num_format="0.00", **style))
            elif value is None:
                sheet.write_blank(place, column, None, self._format(**style))
            else:
                sheet.write_number(place, column, value, self._format(**style))

    def _format(self, **style: Any) -> Any:
        key = tuple(sorted(style.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(_BASE | style)
        return self._formats[key]


def _xlsxwriter() -> Any:
    try:
        import xlsxwriter
    except ImportError:
        raise DataError("an .xlsx needs XlsxWriter: pip install 'qa-extractive[papers]'") from None
    return xlsxwriter


def _for_print(sheet: Any) -> None:
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&C&P / &N")


def _points(values: Sequence[Any], widths: Sequence[float]) -> float:
    """How high a row must be for the texts of its cells, about."""
    n_lines = (
        sum(max(1, ceil(len(line) * _LETTER / width)) for line in value.split("\n"))
        for value, width in zip(values, widths, strict=False)
        if isinstance(value, str)
    )
    return min(_MAX_POINTS, _LINE_POINTS * max(n_lines, default=1) + 2)


def _sure(cell: Cell) -> str:
    """As "sure (0.93), p. 4": the probability that the quote is right, or that there is none."""
    if cell.score is None or cell.answerable is None:
        return _words(cell)
    prob = 1.0 - cell.answerable if cell.status == NOT_REPORTED else cell.score
    page = f", p. {cell.page}" if cell.page else ""
    return f"{_words(cell)} ({prob:.2f}){page}"


def _words(cell: Cell) -> str:
    return "not sure" if cell.status == UNSURE else cell.certainty.replace("_", " ")


def _printable(text: str) -> str:
    """What a cell can hold: no control characters, no lone surrogates, and not too much."""
    held = _CONTROL.sub(" ", replace_surrogates(text[:_MAX_CHARACTERS]))
    return held if len(text) <= _MAX_CHARACTERS else f"{held}…"

"""XLSX: sheets and their headers are found, cells are read as they are meant, and no workbook does harm."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from qa_extractive.papers import workbook
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import Paper

HEADER = ["Title", "Abstract", "Year", "DOI", "PMID"]


def outcomes(path: Path) -> list[Any]:
    return [each if isinstance(each, Skipped) else each[1] for each in read_papers(path)]


def saved(tmp_path: Path, *rows: list[Any], change: Callable[[Any], object] = lambda sheet: None) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    change(book.active)
    book.save(tmp_path / "a.xlsx")
    return tmp_path / "a.xlsx"


def with_parts(path: Path, **parts: str) -> Path:
    """The workbook with other text in some of its parts, by the end of their names."""
    changed = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = parts.get(Path(name).stem)
            new.writestr(name, old.read(name) if text is None else text)
    return changed


def test_cells_as_they_are_meant(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        HEADER,
        [
            "Moss",
            "It held\n3.2 l._x000D_\nThen it fell.",
            2019.0,
            "https://doi.org/10.9999/moss.1",
            81000001.0,
        ],
        ['=HYPERLINK("https://example.org", "Ferns ""x""")', "It fell.", datetime(2018, 5, 1), "#N/A", None],
        ["  ", None, None, None, None],
        ['="Peat"', 10.5, "2017", '=HYPERLINK("https://doi.org/10.9999/peat.1")', "=1+1"],
    )
    assert outcomes(path) == [
        Paper("Moss", "It held 3.2 l. Then it fell.", pmid="81000001", doi="10.9999/moss.1", year=2019),
        Paper('Ferns "x"', "It fell.", year=2018),
        Paper("Peat", "10.5", year=2017, doi="10.9999/peat.1"),
    ]


def test_merged_cells(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        for cells in ("A1:E1", "B3:C3", "D4:D5", "A6:A7", "B6:B7"):
            sheet.merge_cells(cells)

    path = saved(
        tmp_path,
        ["Screened in May: title, abstract"],
        [],
        ["Title", "Abstract", None, "Year", "Authors"],
        ["Moss", "It fell.", None, 2019, "Green, A"],
        ["Ferns", None, "It rose.", None, None],
        ["Peat", "It held.", None, 2018, "Roe, R"],
        [None, None, None, None, "Jo, J"],
        change=merge,
    )
    assert outcomes(path) == [
        Paper("Moss", "It fell.", year=2019, authors=("A Green",)),
        Paper("Ferns", "It rose.", year=2019),
        Paper("Peat", "It held.", year=2018, authors=("R Roe",)),
        Skipped(4, "no paper", "its title and abstract are those of the row above"),
    ]


def test_several_sheets(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["Read me"])
    for name, state in (("One", "visible"), ("Gone", "hidden"), ("Two", "visible"), ("None", "visible")):
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        for row in [HEADER, [name, f"{name} fell."]] if name != "None" else []:
            sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    found = outcomes(tmp_path / "a.xlsx")
    assert found[:2] == [Paper("One", "One fell."), Paper("Two", "Two fell.")]
    assert [(each.record, each.kind) for each in found[2:]] == [(3, "a table"), (4, "a hidden sheet")]
    assert "'Read me'" in found[2].reason
    assert "'Gone'" in found[3].reason


@pytest.mark.parametrize("rows", [[], [["Plot", "Mass"], ["a", 3]]])
def test_no_papers(tmp_path: Path, rows: list[list[Any]]) -> None:
    (only,) = outcomes(saved(tmp_path, *rows))
    assert isinstance(only, Skipped)
    assert (only.record, only.kind) == (None, "a table" if rows else "no paper")
    assert not rows or "'Abstract Note'" in only.reason


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<dimension ref="A1:XFD1048576"/>'
    '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Abstract</t></is></c></row>'
    '<row r="{row}"><c r="{column}{row}" t="inlineStr"><is><t>It fell.</t></is></c></row>'
    "</sheetData></worksheet>"
)


def test_the_size_that_a_sheet_says_it_has_is_not_believed(tmp_path: Path) -> None:
    path = with_parts(saved(tmp_path, HEADER), sheet1=SHEET.format(row=2, column="A"))
    assert outcomes(path) == [Paper(abstract="It fell.")]


@pytest.mark.parametrize(("row", "column"), [(99_999_999, "A"), (2, "ZZZ")])
def test_rows_and_columns_without_end(
    tmp_path: Path, row: int, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 1000)
    (only,) = outcomes(with_parts(saved(tmp_path, HEADER), sheet1=SHEET.format(row=row, column=column)))
    assert (only.record, only.kind) == (None, "too large")


@pytest.mark.parametrize(
    "declaration",
    ["<!DOCTYPE x [<!ENTITY a 'b'>]>", f"<!--{' ' * (1 << 20)}--><!DOCTYPE x SYSTEM 'file:///x'>"],
)
@pytest.mark.parametrize("part", ["sheet1", "workbook", "styles"])
def test_declarations(tmp_path: Path, part: str, declaration: str) -> None:
    (only,) = outcomes(
        with_parts(saved(tmp_path, HEADER), **{part: f"<?xml version='1.0'?>{declaration}<x/>"})
    )
    assert (only.record, only.kind) == (None, "unsafe XML")
    assert "brings a DTD" in only.reason


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_PART_BYTES", 300_000), ("MAX_TAGS", 200_000), ("MAX_PARTS", 3)]
)
def test_bombs(tmp_path: Path, limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, limit, value)
    path = with_parts(saved(tmp_path, HEADER), styles="<sst>" + "<si/>" * 300_000 + "</sst>")
    assert path.stat().st_size < 20_000
    (only,) = outcomes(path)
    assert (only.record, only.kind) == (None, "too large")


def test_texts_that_stand_apart_from_their_cells(tmp_path: Path) -> None:
    """As Excel writes them, in runs of style."""
    path = saved(tmp_path, HEADER)
    with zipfile.ZipFile(path) as book:
        types = book.read("[Content_Types].xml").decode()
    part = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{part}"/></Types>'
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    cells = "".join(f'<c r="A{i}" t="s"><v>{i - 1}</v></c>|' for i in (1, 2)).split("|")
    rows = f'<row r="1">{cells[0]}</row><row r="2">{cells[1]}</row>'
    path = with_parts(
        path,
        **{
            "[Content_Types]": types.replace("</Types>", override),
            "sheet1": f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>",
        },
    )
    with zipfile.ZipFile(path, "a") as book:
        book.writestr(
            "xl/sharedStrings.xml",
            f"<sst {space}><si><t>Abstract</t></si>"
            "<si><r><t xml:space='preserve'>It </t></r><r><rPr><i/></rPr><t>fell.</t></r></si></sst>",
        )
    assert outcomes(path) == [Paper(abstract="It fell.")]


def test_rows_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_RECORD_CHARACTERS", 1000)
    found = outcomes(saved(tmp_path, HEADER, ["Moss", "It fell."], ["Ferns", "x" * 1001]))
    assert found[0] == Paper("Moss", "It fell.")
    assert (found[1].record, found[1].kind) == (None, "too large")
    assert "what came before it was taken" in found[1].reason


@pytest.mark.parametrize(
    "content", [b"", b"Title,Abstract\n", b"\xd0\xcf\x11\xe0" + b"\0" * 600, b"PK\x03\x04x"]
)
def test_no_workbooks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    (only,) = outcomes(tmp_path / "a.xlsx")
    assert (only.record, only.kind) == (None, "unreadable")
    assert "no XLSX workbook, or a damaged one" in only.reason


@pytest.mark.parametrize("part", ["sheet1", "workbook", "styles", "[Content_Types]"])
def test_damaged_parts(tmp_path: Path, part: str) -> None:
    path = with_parts(saved(tmp_path, HEADER, ["Moss", "It fell."]), **{part: "<x><y></x>"})
    (only,) = outcomes(path)
    assert (only.record, only.kind) == (None, "unreadable")


def test_what_came_before_damage_is_taken(tmp_path: Path) -> None:
    wrong = '<row r="3"><c r="A3" t="s"><v>9</v></c></row></sheetData>'
    sheet = SHEET.format(row=2, column="A").replace("</sheetData>", wrong)
    found = outcomes(with_parts(saved(tmp_path, HEADER), sheet1=sheet))
    assert found[0] == Paper(abstract="It fell.")
    assert (found[1].record, found[1].kind) == (None, "unreadable")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, HEADER)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (only,) = outcomes(path)
    assert "pip install 'qa-extractive[papers]'" in only.reason

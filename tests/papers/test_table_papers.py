"""Tables as papers: what columns are named, what cells mean, and what is said of the rows that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers import table_papers
from qa_extractive.papers.author_names import names_in
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.table_columns import cell_text, columns_of
from qa_extractive.papers.types import Paper, Section


def outcomes(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> list[Any]:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return [each if isinstance(each, Skipped) else each[1] for each in read_papers(tmp_path / name)]


@pytest.mark.parametrize(
    ("header", "field", "index"),
    [
        ("Key,Publication Title,Title", "title", 2),
        ("Key,Publication Title,Title", "journal", 1),
        ("Journal/Book,Author/s", "authors", 1),
        ("Author(s) ID,Authors,Author Full Names", "authors", 2),
        ("\ufeffABSTRACT_NOTE,x", "abstract", 0),
        ("SOURCE,JOURNAL_TITLE", "journal", 1),
        ("Date,Publication Year", "year", 1),
        ("Medline PMID,PMCID", "pmid", 0),
        ("DOI Link,DOI", "doi", 1),
    ],
)
def test_names_of_columns(header: str, field: str, index: int) -> None:
    assert columns_of(header.split(",")).places[field][0] == index


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("", ()),
        ("Green, Anne; Roe, R.", ("Anne Green", "R. Roe")),
        ("Green, Anne (57190000000); Roe R (0000-0001-2345-6789)", ("Anne Green", "Roe R")),
        ("Green A, van Roe RJ.", ("Green A", "van Roe RJ")),
        ("Green, Anne", ("Anne Green",)),
        ("Green, Anne and Roe, R.", ("Anne Green", "R. Roe")),
        ('["Anne Green", "The Moss; Group"]', ("Anne Green", "The Moss; Group")),
        ('[{"authorId": "1", "name": "Anne Green"}]', ("Anne Green",)),
        ("[]", ()),
        ("[Anon]", ("[Anon]",)),
    ],
)
def test_names_of_authors(cell: str, names: tuple[str, ...]) -> None:
    assert names_in(cell) == names


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('=HYPERLINK("https://example.org";"Moss ""x""")', 'Moss "x"'),
        ('=hyperlink("https://example.org")', "https://example.org"),
        ('="2021"', "2021"),
        ("#REF!", ""),
        ("=A1&B1", "=A1&B1"),
        (" #1 of the moss ", "#1 of the moss"),
    ],
)
def test_cells(cell: str, text: str) -> None:
    assert cell_text(cell) == text


def test_values(tmp_path: Path) -> None:
    table = (
        "Title,Abstract,Full Text,Year,DOI,PMID,Authors\n"
        "Moss &amp; slates,<h4>Aim</h4>It held 10<sup>3</sup> l.<h4>Results</h4>It fell.,yes,2021.0,"
        "http://dx.doi.org/10.9999/moss.1,81000001.0,A. Green\n"
        ",,A full text of moss.,in press,none,https://pubmed.ncbi.nlm.nih.gov/81000002/,\n"
        "Ferns,[No abstract available],https://example.org/a.pdf,,,,\n"
    )
    found = outcomes(tmp_path, table)
    parts = (Section("Aim", "It held 10^3 l."), Section("Results", "It fell."))
    assert found == [
        Paper(
            "Moss & slates", "Aim: It held 10^3 l. Results: It fell.", parts, "81000001",
            "10.9999/moss.1", 2021, authors=("A. Green",),
        ),
        Paper(sections=(Section("", "A full text of moss."),), pmid="81000002"),
        Skipped(3, "no text", "neither an abstract nor a body"),
    ]  # fmt: skip


def test_rows_that_are_broken_stop_no_other(tmp_path: Path) -> None:
    table = "Title,Abstract\nA,It fell.\nB,It rose, and fell.\nTitle,Abstract\n,\n\nC,It held.\n"
    found = outcomes(tmp_path, table)
    assert [found[0], found[3]] == [Paper("A", "It fell."), Paper("C", "It held.")]
    assert (found[1].record, found[1].kind) == (2, "a broken row")
    assert found[1].reason.startswith("line 3: 3 cells where the header has 2")
    assert found[2] == Skipped(3, "no paper", "the header again")
    assert len(found) == 4


def test_a_quote_that_never_closes_is_told_with_its_line(tmp_path: Path) -> None:
    (only,) = outcomes(tmp_path, 'About,the data\n\nTitle,Abstract\nA,It fell.\nB,"It rose.\nC,It held.\n')
    assert (only.record, only.kind) == (None, "unreadable")
    assert only.reason.startswith("line 5: a quote opens here")


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", "Plot,Mass\na,3\n", "question,answer\nWhy?,It fell.\n", "Title\nMoss\n", "\0" * 100],
)
def test_tables_of_something_else(tmp_path: Path, content: str) -> None:
    (only,) = outcomes(tmp_path, content)
    assert only.record is None
    assert only.kind in ("a table", "unreadable")
    if content.startswith("Plot"):
        assert "looked for 'Abstract', 'Abstract Note'" in only.reason
        assert "found 'Plot', 'Mass'" in only.reason
        assert "infer.py --batch" in only.reason


def test_one_column(tmp_path: Path) -> None:
    found = outcomes(tmp_path, "abstract\nIt fell.\nIt rose.\n")
    assert found == [Paper(abstract="It fell."), Paper(abstract="It rose.")]


def test_what_is_above_the_header_is_none_of_it(tmp_path: Path) -> None:
    lines = "".join(f"Line {i}; of many, {i}\n" for i in range(table_papers.MAX_PREAMBLE - 2))
    assert outcomes(tmp_path, f"Summary\n{lines}Title;Abstract\nA;It fell.\n") == [Paper("A", "It fell.")]
    (only,) = outcomes(tmp_path, f"{lines * 2}Title;Abstract\nA;It fell.\n")
    assert only.kind == "a table"


def test_tabs_in_windows_1252(tmp_path: Path) -> None:
    table = 'Title\tAbstract\tYear\n"Grün\t"It" fell.\t2019\n"Rot\t"It rose.\t2018\n'
    assert outcomes(tmp_path, table.encode("cp1252"), "a.tsv") == [
        Paper('"Grün', '"It" fell.', year=2019),
        Paper('"Rot', '"It rose.', year=2018),
    ]


def test_records_by_row(tmp_path: Path) -> None:
    records = (
        '"TITLE","A"\n"AUTHOR NAMES","Green A.","Roe R."\n"ABSTRACT","It fell,\nthen rose."\n'
        '"DOI","10.9999/a"\n'
        '"TITLE","B"\n"ABSTRACT","It held."\n\n\n"TITLE","C"\n'
    )
    first, second, third = outcomes(tmp_path, records)
    assert first == Paper("A", "It fell, then rose.", doi="10.9999/a", authors=("Green A.", "Roe R."))
    assert second == Paper("B", "It held.")
    assert third == Skipped(3, "no text", "neither an abstract nor a body")


def test_what_prepare_wrote(tmp_path: Path) -> None:
    sections = json.dumps([{"heading": "Methods", "text": "We &lt; you."}])
    doubled = sections.replace('"', '""')
    table = f'title,abstract,sections,authors,text,pages\nMoss,It fell.,"{doubled}",'
    (paper,) = outcomes(tmp_path, f'{table}"[""Anne Green""]","Abstract It fell.","[0, 9]"\n')
    assert paper == Paper(
        "Moss", "It fell.", (Section("Methods", "We &lt; you."),), authors=("Anne Green",), pages=(0, 9)
    )

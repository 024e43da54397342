"""1,000 records of each export, with the faults of real ones: each is one row, or skipped once."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers.prepare import prepare
from qa_extractive.papers.reading import Skipped, read_papers
from tests.papers import made_exports as exports
from tests.papers.made_records import N_RECORDS, Record, assert_counted, made_records

RECORDS = made_records()
LATIN = made_records(only_latin=True)
TEXTS: dict[str, Callable[[list[Record]], bytes]] = {
    "a.ris": exports.ris,
    "a.nbib": exports.medline,
    "a.ciw": exports.web_of_science,
    "savedrecs.txt": exports.web_of_science_tabs,
    "a.enw": exports.endnote,
    "cochrane.txt": exports.cochrane,
    "abstract-set.txt": exports.pubmed_abstracts,
    "a.bib": exports.bibtex,
    "pubmed.xml": exports.pubmed_xml,
    "endnote.xml": exports.endnote_xml,
    "atom.xml": exports.atom,
    "crossref.json": exports.crossref,
    "openalex.json": exports.open_alex,
    "europepmc.json": exports.europe_pmc,
    "a.jsonl": exports.json_lines,
    "embase.csv": exports.field_rows,
}


@pytest.mark.parametrize("name", TEXTS)
def test_exports_of_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(TEXTS[name](RECORDS))
    assert_counted(read_papers(path), RECORDS)


@pytest.mark.parametrize("look", exports.COLUMNS)
def test_tables(tmp_path: Path, look: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(exports.csv_of(exports.rows_of(look, RECORDS)))
    assert_counted(read_papers(path), RECORDS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.csv", {"delimiter": ";", "before": "sep=;\r\n"}),
        ("a.csv", {"delimiter": ";", "end": "\n", "encoding": "utf-8"}),
        (
            "a.csv",
            {"before": '"About the data: exported on May 1, 2020, by ""me"""\r\n\r\nQuery: moss, roofs\r\n'},
        ),
        ("a.csv", {"delimiter": "\t", "encoding": "utf-16"}),
        ("a.tsv", {"delimiter": "\t", "quoting": csv.QUOTE_ALL}),
        ("a.tab", {"delimiter": ","}),
        ("a.txt", {"delimiter": "\t", "encoding": "utf-8"}),
    ],
)
def test_faults_of_tables(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = tmp_path / name
    path.write_bytes(exports.csv_of(exports.rows_of("zotero", RECORDS), **options))
    assert_counted(read_papers(path), RECORDS)


def test_windows_1252(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(exports.csv_of(exports.rows_of("rayyan", LATIN), encoding="cp1252"))
    assert_counted(read_papers(path), LATIN)


def test_tabs_between_cells_that_begin_with_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(exports.tabs_without_quotes(exports.rows_of("covidence", RECORDS)))
    assert_counted(read_papers(path), RECORDS)


@pytest.mark.parametrize("look", ["web of science", "twice"])
def test_workbooks(tmp_path: Path, look: str) -> None:
    path = tmp_path / "a.xlsx"
    exports.save_workbook(path, exports.rows_of(look, RECORDS))
    assert_counted(read_papers(path), RECORDS)


def test_a_csv_of_pubmed_has_no_abstracts(tmp_path: Path) -> None:
    names, row = exports.PUBMED
    (tmp_path / "a.csv").write_bytes(exports.csv_of([names, *map(row, RECORDS)]))
    found = list(read_papers(tmp_path / "a.csv"))
    assert len(found) == N_RECORDS
    skipped = [each for each in found if isinstance(each, Skipped)]
    assert len(skipped) == N_RECORDS
    assert {(each.kind, "no column of abstracts" in each.reason) for each in skipped} == {("no text", True)}


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_what_prepare_wrote_is_read_again(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ris").write_bytes(exports.ris(RECORDS))
    done = prepare(tmp_path / "in", tmp_path / name)
    assert done.n_papers + done.skipped["no text"].n == N_RECORDS
    again = [each[1] for each in read_papers(tmp_path / name) if not isinstance(each, Skipped)]
    assert again == [
        each[1] for each in read_papers(tmp_path / "in" / "a.ris") if not isinstance(each, Skipped)
    ]

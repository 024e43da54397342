"""Exports as sites save them, told by what they hold: each record is a paper, or skipped with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import Paper, Section

MEDLINE = """
PMID- 81000001
OWN - NLM
DP  - 2019 May-Jun
TI  - Moss on roofs: a survey
      of slates.
LID - 10.9999/moss.1 [doi]
AB  - BACKGROUND: Moss holds water. RESULTS: It held 3.2 l on
      each square metre.
FAU - Grün, Änne
AU  - Grun A
JT  - Roofs today
SO  - Roofs. 2019 May;1(1):1-2.

PMID- 81000002
DP  - 2018
TI  - [Not Available].
TT  - Musgo en tejados.
OAB - El musgo pesa.
OABL- spa
OAB - Moss weighs 4 kg.
OABL- eng

PMC - PMC7
PMID- 81000003
TI  - No abstract here.
"""
RIS = """\ufeffTY  - JOUR
TI  - Moss on roofs
AU  - Green, Anne
AU  - Roe, R.
AB  - Moss held 3.2 l.
It held more in March.
N2  - Moss held 3.2 l.
PY  - 2019/05/01/
JO  - Roofs today
DO  - https://doi.org/10.9999/moss.1
ER  -

TY  - JOUR
T1  - Ferns on walls
N2  - Ferns grew 10<sup>2</sup> mm.
DB  - PubMed
AN  - 81000004
ER  -
"""
WEB_OF_SCIENCE = """FN Clarivate Analytics Web of Science
VR 1.0
PT J
AU Green, A
   Roe, R
AF Green, Anne
   Roe, Richard
TI Moss on roofs: a survey
   of slates
SO ROOFS TODAY
AB Moss held 3.2 l
   on each slate.
PY 2019
DI 10.9999/moss.1
ER

PT J
TI Ferns on walls
AB [No abstract available]
ER

EF
"""
TABLE = (
    "PT\tAU\tTI\tSO\tAB\tPY\nJ\tGreen, A; Roe, R\tMoss\tROOFS\tMoss held 3.2 l.\t2019\nJ\t\tFerns\t\t\t2018\n"
)
ENDNOTE = """%0 Journal Article
%T Moss on roofs
%A Green, Anne
%D 2019
%J Roofs today
%X Moss held 3.2 l.
%R 10.9999/moss.1

%0 Journal Article
%T Ferns on walls
%X Ferns grew.
"""
COCHRANE = """Record #1 of 2
ID: CN-00000001
AU: Green A
TI: Moss on roofs
SO: Roofs today
YR: 2019
PM: PUBMED 81000001
AB: Moss held 3.2 l.

Record #2 of 2
ID: CN-00000002
TI: Ferns on walls
AB: Ferns grew.
"""
ABSTRACTS = """1. Roofs Today. 2019 May;1(1):1-2. doi: 10.9999/moss.1. Epub 2019 Apr 2.

Moss on roofs: a survey
of slates.

Green A(1)(2), Roe R(1).

Author information:
(1)Department of Moss, Nowhere.
(2)Institute of Slate.

BACKGROUND: Moss holds water.
RESULTS: In 2018,
2. of 3 roofs held 3.2 l.

CONCLUSIONS: Moss is heavy.

© 2019 The Authors.

Conflict of interest statement: none.

DOI: 10.9999/moss.1
PMCID: PMC7
PMID: 81000001 [Indexed for MEDLINE]


2. Roofs Today. 2018 Jan;1(1):3-4.

[Ferns on walls].

[Article in Spanish]

Roe R.

Ferns grew.

PMID: 81000002


3. Roofs Today. 2017;1(1):5.

A letter.

[No authors listed]

PMID: 81000003
"""


def outcomes(path: Path, content: str) -> list[Any]:
    path.write_text(content, encoding="utf-8")
    return list(read_papers(path))


NO_TEXT = "neither an abstract nor a body"
MOSS: dict[str, Any] = {
    "title": "Moss on roofs",
    "abstract": "Moss held 3.2 l.",
    "year": 2019,
    "doi": "10.9999/moss.1",
}
EXPORTS: dict[str, tuple[str, list[Any]]] = {
    "medline": (
        MEDLINE,
        [
            Paper(
                title="Moss on roofs: a survey of slates.",
                abstract="BACKGROUND: Moss holds water. RESULTS: It held 3.2 l on each square metre.",
                pmid="81000001", doi="10.9999/moss.1", year=2019, journal="Roofs today",
                authors=("Änne Grün",),
            ),
            Paper(title="Musgo en tejados.", abstract="Moss weighs 4 kg.", pmid="81000002", year=2018),
            Skipped(3, "no text", NO_TEXT),
        ],
    ),
    "ris": (
        RIS,
        [
            Paper(
                title="Moss on roofs", doi="10.9999/moss.1",
                abstract="Moss held 3.2 l. It held more in March.",
                year=2019, journal="Roofs today", authors=("Anne Green", "R. Roe"),
            ),
            Paper(title="Ferns on walls", abstract="Ferns grew 10^2 mm.", pmid="81000004"),
        ],
    ),
    "web of science": (
        WEB_OF_SCIENCE,
        [
            Paper(
                title="Moss on roofs: a survey of slates", abstract="Moss held 3.2 l on each slate.",
                doi="10.9999/moss.1", year=2019, journal="ROOFS TODAY", authors=("Anne Green", "Richard Roe"),
            ),
            Skipped(2, "no text", NO_TEXT),
        ],
    ),
    "web of science table": (
        TABLE,
        [
            Paper("Moss", "Moss held 3.2 l.", year=2019, journal="ROOFS", authors=("A Green", "R Roe")),
            Skipped(2, "no text", NO_TEXT),
        ],
    ),
    "endnote": (
        ENDNOTE,
        [
            Paper(**MOSS, journal="Roofs today", authors=("Anne Green",)),
            Paper("Ferns on walls", "Ferns grew."),
        ],
    ),
    "cochrane": (
        COCHRANE,
        [
            Paper(
                "Moss on roofs", "Moss held 3.2 l.", pmid="81000001", year=2019, journal="Roofs today",
                authors=("Green A",),
            ),
            Paper("Ferns on walls", "Ferns grew."),
        ],
    ),
    "abstracts": (
        ABSTRACTS,
        [
            Paper(
                title="Moss on roofs: a survey of slates.",
                abstract="BACKGROUND: Moss holds water. RESULTS: In 2018, 2. of 3 roofs held 3.2 l. "
                "CONCLUSIONS: Moss is heavy.",
                pmid="81000001", doi="10.9999/moss.1", year=2019, journal="Roofs Today",
                authors=("Green A", "Roe R"),
            ),
            Paper(
                "[Ferns on walls].", "Ferns grew.", pmid="81000002", year=2018, journal="Roofs Today",
                authors=("Roe R",),
            ),
            Skipped(3, "no text", NO_TEXT),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.txt", "a.nbib", "a.ris", "a.ciw"])
@pytest.mark.parametrize("export", EXPORTS)
def test_exports(tmp_path: Path, export: str, name: str, line_end: str) -> None:
    content, expected = EXPORTS[export]
    path = tmp_path / name
    path.write_bytes(content.replace("\n", line_end).encode())
    found = list(read_papers(path))
    assert [each[0] if isinstance(each, tuple) else each.record for each in found] == [
        *range(1, len(expected) + 1)
    ]
    assert [each[1] if isinstance(each, tuple) else each for each in found] == expected


def test_medline_without_empty_lines(tmp_path: Path) -> None:
    records = "".join(f"PMID- {i}\nTI  - T{i}\nAB  - It fell by {i}.\n" for i in range(1, 4))
    found = outcomes(tmp_path / "a.txt", records)
    abstracts = {each[1].pmid: each[1].abstract for each in found}
    assert abstracts == {str(i): f"It fell by {i}." for i in (1, 2, 3)}


def test_two_languages_in_ris(tmp_path: Path) -> None:
    spanish = (
        "El musgo retiene el agua de la lluvia y los tejados se hunden con el peso de las plantas cada año."
    )
    english = "The moss holds the water of the rain and roofs are bent by the weight of the plants."
    record = f"TY  - JOUR\nTI  - T\nAB  - {spanish}\nAB  - {english}\nER  - \n"
    assert outcomes(tmp_path / "a.ris", record) == [(1, Paper("T", english))]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
@pytest.mark.parametrize("export", [MEDLINE, RIS, WEB_OF_SCIENCE, TABLE, ENDNOTE, COCHRANE, ABSTRACTS])
def test_any_line_ends(tmp_path: Path, export: str, end: str) -> None:
    path = tmp_path / "a.txt"
    expected = outcomes(path, export)
    path.write_bytes(export.replace("\n", end).encode())
    assert list(read_papers(path)) == expected


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        ("question,title\nWhy?,T\n", "a table", "infer.py --batch"),
        ("Title: A\nAbstract: It fell.\n\nTitle: B\nAbstract: It rose.\n", "an export", "several records"),
        ("Record 1 of 2\nA\nIt fell.\n\nRecord 2 of 2\nB\nIt rose.\n", "an export", "several records"),
        ("<1>\nTitle\n  A\nAbstract\n  It fell.\n<2>\nTitle\n  B\n", "an export", "several records"),
        (
            "Scopus\nEXPORT DATE: 1 May 2020\n\nDoe J.\nA\nABSTRACT: It fell.\nSOURCE: Scopus\n",
            "an export",
            "several",
        ),
        (
            "RT Journal Article\nT1 A\nAB It fell.\n\nRT Journal Article\nT1 B\n",
            "an export",
            "several records",
        ),
        ("81|t|A\n81|a|It fell.\n81\t0\t1\tA\n\n82|t|B\n82|a|It rose.\n", "an export", "several records"),
        ("TI- A\nAU- Doe J\nAB- It fell.\n\nTI- B\n", "an export", "several records"),
        ("81000001\n81000002\n81000003\n", "no text", "a list of numbers"),
        ("<!DOCTYPE html>\n<html><body>It fell.</body></html>", "another format", "a web page"),
        ("{\\rtf1\\ansi It fell.}", "another format", "plain text"),
    ],
)
def test_what_is_no_text_of_one_paper(tmp_path: Path, content: str, kind: str, reason: str) -> None:
    (only,) = outcomes(tmp_path / "a.txt", content)
    assert isinstance(only, Skipped)
    assert (only.record, only.kind) == (None, kind)
    assert reason in only.reason


@pytest.mark.parametrize(
    "text",
    [
        "1. Introduction\n\nIn 2019 we measured moss. It fell by 4.\n\nPatients had no PMID.",
        "[Moss on roofs]\n\nIt fell by 4.",
        "{x} is a set\n\nIt fell by 4.",
        "IL-6 and moss\n\nAB was 4. It fell by 4.\nTI - is no tag.",
        "Title: Moss\nAbstract: It fell by 4.",
        "PT with FN, VR and ER\n\nIt fell by 4.",
        "Moss, ferns, and 4 other plants\n\nIt fell by 4.",
    ],
)
def test_what_is_the_text_of_one_paper(tmp_path: Path, text: str) -> None:
    ((number, paper),) = outcomes(tmp_path / "a.txt", text)
    assert number == 1
    assert "It fell by 4." in paper.abstract


def test_other_content_under_a_known_name(tmp_path: Path) -> None:
    record = {"title": "T", "abstract": "A"}
    xml = "<article><front><article-meta><abstract><p>A</p></abstract></article-meta></front></article>"
    lines = json.dumps(record) + "\n" + json.dumps(record)
    for name in ("a.txt", "a.json", "a.jsonl", "a.xml"):
        assert outcomes(tmp_path / name, json.dumps([record])) == [(1, Paper("T", "A"))], name
        assert outcomes(tmp_path / name, json.dumps([record], indent=1)) == [(1, Paper("T", "A"))], name
        assert outcomes(tmp_path / name, lines) == [(1, Paper("T", "A")), (2, Paper("T", "A"))], name
        assert outcomes(tmp_path / name, f'<?xml version="1.0"?>\n{xml}') == [(1, Paper(abstract="A"))], name
    both = json.dumps(record, indent=1) + "\n" + json.dumps(record, indent=1)
    assert len(outcomes(tmp_path / "b.json", both)) == 2
    (only,) = outcomes(tmp_path / "a.ris", "No tag stands in it.")
    assert (only.kind, only.reason) == ("no paper", "it does not begin as a .ris file does")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a.xls", "save it as .xlsx"),
        ("a.ods", "the sheet as CSV"), ("a.xlsx.gz", "none of"), ("a.parquet", "infer.py --batch"),
        ("a.docx", "save it as plain text"), ("a.tar.gz", "unpack it"), ("a.zip", "unpack it"),
        ("a.html", "as XML"), ("a.png", "recognize"), ("a.odd", "its name ends in none of .txt, .json"),
    ],
)  # fmt: skip
def test_advice_for_other_formats(tmp_path: Path, name: str, word: str) -> None:
    (only,) = outcomes(tmp_path / name, "x")
    assert only.kind == "another format"
    assert word in only.reason


def test_atom(tmp_path: Path) -> None:
    entry = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"><title>Query</title>'
        "<entry><title>Moss\n  on roofs</title><summary> We find $10^{3}$ plants. </summary>"
        "<published>2019-05-01T00:00:00Z</published><author><name>Anne Green</name></author>"
        "<arxiv:doi>10.9999/moss.1</arxiv:doi></entry><entry><title>Empty</title></entry></feed>"
    )
    expected = Paper(
        "Moss on roofs", "We find $10^{3}$ plants.", doi="10.9999/moss.1", year=2019, authors=("Anne Green",)
    )
    assert outcomes(tmp_path / "a.xml", entry) == [(1, expected), Skipped(2, "no text", NO_TEXT)]


def test_results_of_europe_pmc(tmp_path: Path) -> None:
    result = (
        "<responseWrapper><resultList><result><id>1</id><pmid>81000001</pmid><title>Moss.</title>"
        "<authorString>Green A, Roe R.</authorString><pubYear>2019</pubYear>"
        "<journalInfo><journal><title>Roofs</title></journal></journalInfo>"
        "<abstractText>&lt;h4>Results&lt;/h4>It held 10&lt;sup>3&lt;/sup> l.</abstractText></result>"
        "</resultList></responseWrapper>"
    )
    assert outcomes(tmp_path / "a.xml", result) == [
        (
            1,
            Paper(
                "Moss.", "Results: It held 10^3 l.", (Section("Results", "It held 10^3 l."),), "81000001",
                year=2019, journal="Roofs", authors=("Green A", "Roe R"),
            ),
        )
    ]  # fmt: skip


def test_words_broken_at_their_hyphens_are_whole_again(tmp_path: Path) -> None:
    broken = ABSTRACTS.replace(
        "Moss holds water.", "In COVID-\n19, moss-\ncovered, pre-\nand post-war, 3-\n5 l."
    )
    path = tmp_path / "abstract-set.txt"
    path.write_text(broken)
    outcome = next(iter(read_papers(path)))
    assert not isinstance(outcome, Skipped)
    assert "In COVID-19, moss-covered, pre- and post-war, 3- 5 l." in outcome[1].abstract

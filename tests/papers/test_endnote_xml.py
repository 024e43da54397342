"""EndNote's XML: texts in runs of style, of which raised ones are exponents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import Paper

STYLE = '<style face="normal" font="default" size="100%">'
RECORD = f"""<record><database name="My.enl">My.enl</database><ref-type name="Journal Article">17</ref-type>
<contributors><authors><author>{STYLE}Green, Anne</style></author><author>Roe, R.</author></authors>
<secondary-authors><author>{STYLE}Editor, Ed</style></author></secondary-authors></contributors>
<titles><title>{STYLE}Moss at 5 </style><style face="italic">or</style> 6</title>
<secondary-title>{STYLE}Roofs</style></secondary-title></titles>
<periodical><full-title>{STYLE}Roofs Today</style></full-title></periodical>
<dates><year>{STYLE}2019</style></year><pub-dates><date>May 1</date></pub-dates></dates>
<accession-num>{STYLE}81000001</style></accession-num>
<abstract>{STYLE}It held 10</style><style face="superscript">6</style>{STYLE} l of CO</style>
<style face="subscript">2</style>{STYLE} at p &lt; 0.05.&#xD;</style>
{STYLE}Then &amp;lt;i&amp;gt;it&amp;lt;/i&amp;gt; fell.</style>
</abstract>
<electronic-resource-num>{STYLE}https://doi.org/10.9999/moss.1</style></electronic-resource-num>
<remote-database-name>{STYLE}PubMed</style></remote-database-name></record>
""".replace("CO</style>\n<style", "CO</style><style")  # fmt: skip
PAPER = Paper(
    "Moss at 5 or 6", "It held 10^6 l of CO2 at p < 0.05. Then it fell.", pmid="81000001",
    doi="10.9999/moss.1", year=2019, journal="Roofs Today", authors=("Anne Green", "R. Roe"),
)  # fmt: skip


def outcomes(tmp_path: Path, content: str, name: str = "a.xml") -> list[Any]:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return [each if isinstance(each, Skipped) else each[1] for each in read_papers(tmp_path / name)]


@pytest.mark.parametrize("name", ["a.xml", "a.txt", "a.enw"])
@pytest.mark.parametrize(
    ("head", "end"),
    [
        ('<?xml version="1.0" encoding="UTF-8" ?>\n<xml><records>', "</records></xml>"),
        ('<?xml version="1.0"?><!DOCTYPE xml SYSTEM "RSXML.dtd"><xml><records>', "</records></xml>"),
        ("\ufeff<xml>\n<records>\n", "</records></xml>"),
        ("<records>", "</records>"),
    ],
)
def test_records(tmp_path: Path, name: str, head: str, end: str) -> None:
    bare = RECORD.replace("PubMed", "Scopus")
    empty = "<record><titles><title>Ferns</title></titles></record>"
    found = outcomes(tmp_path, head + RECORD + empty + bare + end, name)
    assert found[0] == PAPER
    assert found[1] == Skipped(2, "no text", "neither an abstract nor a body")
    assert (found[2].pmid, found[2].abstract) == (None, PAPER.abstract)


def test_a_document_that_breaks_off(tmp_path: Path) -> None:
    found = outcomes(tmp_path, f"<xml><records>{RECORD}<record><titles>")
    assert found[0] == PAPER
    assert (found[1].record, found[1].kind) == (None, "broken XML")


def test_entities_of_its_own(tmp_path: Path) -> None:
    (only,) = outcomes(
        tmp_path, f"<?xml version='1.0'?><!DOCTYPE xml [<!ENTITY a 'b'>]><xml><records>{RECORD}"
    )
    assert only.kind == "unsafe XML"

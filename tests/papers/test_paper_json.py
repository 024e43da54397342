"""JSON of the interfaces that papers come from: records are found, texts are freed of their tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers.json_records import paper_from_json
from qa_extractive.papers.json_shapes import records_of_json
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import Paper, Section

WORK = {
    "DOI": "10.9999/moss.1",
    "title": ["Moss on roofs"],
    "subtitle": ["A survey"],
    "container-title": ["Roofs today"],
    "author": [{"given": "Anne", "family": "Green"}, {"name": "The Moss Group"}],
    "issued": {"date-parts": [[2019, 5]]},
    "abstract": "<jats:title>Abstract</jats:title><jats:sec><jats:title>Results</jats:title><jats:p>Moss "
    "held 10<jats:sup>3</jats:sup> l (<jats:italic>p</jats:italic> &amp;lt; 0.05).</jats:p></jats:sec>"
    "<jats:sec><jats:title>Funding</jats:title><jats:p>None.</jats:p></jats:sec>",
}
PARTS = (Section("Results", "Moss held 10^3 l (p < 0.05)."), Section("Funding", "None."))
PAPER = Paper(
    "Moss on roofs: A survey",
    "Results: Moss held 10^3 l (p < 0.05). Funding: None.",
    PARTS,
    doi="10.9999/moss.1",
    year=2019,
    journal="Roofs today",
    authors=("Anne Green", "The Moss Group"),
)
EUROPE_PMC = {
    "pmid": "81000001",
    "title": "Moss on roofs.",
    "authorString": "Green A, Roe R.",
    "journalInfo": {"yearOfPublication": 2019, "journal": {"title": "Roofs today"}},
    "pubYear": "2019",
    "abstractText": "<h4>Aim</h4>Moss holds water.<h4>Results </h4><p>It held 3.2 l.</p>",
    "source": "MED",
}
OPEN_ALEX = {
    "display_name": "Moss on roofs",
    "publication_year": 2019,
    "ids": {"pmid": "https://pubmed.ncbi.nlm.nih.gov/81000001", "doi": "https://doi.org/10.9999/moss.1"},
    "authorships": [{"author": {"display_name": "Anne Green"}}],
    "primary_location": {"source": {"display_name": "Roofs today"}},
    "abstract_inverted_index": {"held": [1], "Moss": [0], "l.": [3, 10**15], "3.2": [2]},
}
SEMANTIC_SCHOLAR = {
    "paperId": "a",
    "title": "Moss on roofs",
    "abstract": "Moss held 3.2 l.",
    "year": 2019,
    "externalIds": {"PubMed": "81000001", "DOI": "10.9999/moss.1"},
    "journal": {"name": "Roofs today"},
    "authors": [{"authorId": "1", "name": "Anne Green"}],
}
DATA_CITE = {
    "attributes": {
        "doi": "10.9999/moss.1",
        "titles": [{"title": "Musgo", "lang": "es"}, {"title": "Moss on roofs", "lang": "en"}],
        "descriptions": [
            {"description": "v1.0", "descriptionType": "Other"},
            {"description": "Moss held 3.2 l.", "descriptionType": "Abstract"},
        ],
        "publicationYear": 2019,
        "creators": [{"name": "Green, Anne", "givenName": "Anne", "familyName": "Green"}],
    }
}


def test_crossref() -> None:
    assert paper_from_json(WORK) == PAPER


def test_europe_pmc() -> None:
    paper = paper_from_json(EUROPE_PMC)
    assert paper == Paper(
        "Moss on roofs.",
        "Aim: Moss holds water. Results: It held 3.2 l.",
        (Section("Aim", "Moss holds water."), Section("Results", "It held 3.2 l.")),
        pmid="81000001",
        year=2019,
        journal="Roofs today",
        authors=("Green A", "Roe R"),
    )


def test_open_alex() -> None:
    paper = paper_from_json(OPEN_ALEX)
    assert paper == Paper(
        "Moss on roofs",
        "Moss held 3.2 l. l.",
        pmid="81000001",
        doi="10.9999/moss.1",
        year=2019,
        journal="Roofs today",
        authors=("Anne Green",),
    )


@pytest.mark.parametrize("record", [SEMANTIC_SCHOLAR, DATA_CITE])
def test_semantic_scholar_and_data_cite(record: dict[str, Any]) -> None:
    paper = paper_from_json(record)
    assert (paper.title, paper.abstract) == ("Moss on roofs", "Moss held 3.2 l.")
    assert (paper.doi, paper.year) == ("10.9999/moss.1", 2019)
    assert paper.authors in (("Anne Green",), ("Green, Anne",))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda records: records,
        lambda records: {
            "status": "ok",
            "message": {"total-results": 2, "items": records, "query": {"a": None}},
        },
        lambda records: {"hitCount": 2, "resultList": {"result": records}},
        lambda records: {"meta": {"count": 2}, "results": records, "group_by": []},
        lambda records: {"total": 2, "data": records},
        lambda records: {"response": {"numFound": 2, "docs": records}},
        lambda records: {"hits": {"total": 2, "hits": [{"_id": "1", "_source": each} for each in records]}},
        lambda records: {"messages": [{"status": "ok"}], "collection": records},
        lambda records: {str(i): each for i, each in enumerate(records)},
        lambda records: {"included": records[:1], "excluded": records[1:]},
        lambda records: {"title": "A collection", "papers": records},
        lambda records: {"description": "A collection", "items": records},
        lambda records: {"data": [{"citedPaper": each} for each in records]},
    ],
)
def test_records_are_found_in_what_wraps_them(wrapped: Any) -> None:
    records = [{"title": "A", "abstract": "It fell."}, {"title": "B", "abstract": "It rose."}]
    papers = [paper_from_json(record) for record in records_of_json(wrapped(records))]
    assert papers == [Paper("A", "It fell."), Paper("B", "It rose.")]


def test_what_belongs_to_a_paper_is_no_record() -> None:
    record = {
        "title": "A",
        "abstract": "It fell.",
        "references": [{"title": "B", "abstract": "No."}],
        "data": [1],
    }
    assert records_of_json(record) == [record]
    assert records_of_json({"message": WORK}) == [WORK]


@pytest.mark.parametrize(
    ("abstract", "text"),
    [
        ({"es": "El musgo.", "en": "Moss."}, "Moss."),
        ({"pt": "O musgo.", "es": "El musgo."}, "O musgo."),
        ([{"lang": "es", "text": "El musgo."}, {"lang": "en-GB", "text": "Moss."}], "Moss."),
        ([{"language": "eng", "value": "Moss."}, {"language": "fre", "value": "La mousse."}], "Moss."),
        ({"text": "Moss.", "lang": "en"}, "Moss."),
        ({"Aim": "To see.", "Results": "Moss."}, "Aim: To see. Results: Moss."),
        ("No abstract available.", ""),
        ("[Abstract not available]", ""),
        ("<p>[No abstract available]</p>", ""),
    ],
)
def test_abstracts(abstract: Any, text: str) -> None:
    assert paper_from_json({"title": "T", "abstract": abstract, "body": "Body."}).abstract == text


def test_titles_by_language_and_stand_ins() -> None:
    assert paper_from_json({"title": {"pt": "O musgo", "en": "Moss"}, "abstract": "A"}).title == "Moss"
    assert paper_from_json({"title": "[Not Available].", "abstract": "A"}).title == ""
    assert (
        paper_from_json({"title": ["", "CO<sub>2</sub> &amp; moss"], "abstract": "A"}).title == "CO2 & moss"
    )


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        ({"status": "ok", "message": {"count": 0}}, "another shape", "(keys status, message)"),
        ([{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}], "another shape", "(keys a, b, c, d, e, ...)"),
        ([{"title": "T", "abstract": ""}], "no text", "neither an abstract nor a body"),
        ([None], "no paper", "a JSON NoneType where an object is needed"),
    ],
)
def test_what_is_no_paper_says_why(tmp_path: Path, value: Any, kind: str, reason: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    (only,) = read_papers(tmp_path / "a.json")
    assert isinstance(only, Skipped)
    assert (only.record, only.kind) == (1, kind)
    assert only.reason.endswith(reason)


def test_passages_of_bioc(tmp_path: Path) -> None:
    def passage(text: str, **infons: str) -> dict[str, Any]:
        return {"infons": infons, "offset": 0, "text": text}

    documents = [
        {"pmid": 81000001, "passages": [passage("Moss", type="title"), passage("It fell.", type="abstract")]},
        {
            "id": "7",
            "passages": [
                passage("Ferns", section_type="TITLE", type="front"),
                passage("They grew.", section_type="ABSTRACT", type="abstract"),
                passage("They grew 4 cm.", section_type="RESULTS", type="paragraph"),
                passage("Doe J", section_type="REF", type="ref"),
            ],
        },
    ]
    (tmp_path / "a.json").write_text(json.dumps({"documents": documents}))
    assert list(read_papers(tmp_path / "a.json")) == [
        (1, Paper("Moss", "It fell.", pmid="81000001")),
        (2, Paper("Ferns", "They grew.", (Section("", "They grew 4 cm."),))),
    ]


def test_json_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ('{"papers": [' + "{}," * 1_100_000 + "{}]}", "[" + "1," * 5_100_000 + "1]"):
        path.write_text(text)
        (only,) = read_papers(path)
        assert isinstance(only, Skipped)
        assert only.kind == "too large"
    for abstract in ("<b>" * 500_000, "<a " * 900_000, "&#65;" * 500_000):
        path.write_text(json.dumps([{"abstract": abstract}, {"abstract": "It fell."}]))
        first, second = read_papers(path)
        assert isinstance(first, Skipped)
        assert (first.record, first.kind) == (1, "too large")
        assert second == (2, Paper(abstract="It fell."))


def test_a_list_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"abstract": "A"}\n[{"abstract": "B"}, {"abstract": "C"}]\n{"abstract": "D"} x\n')
    *papers, last = read_papers(path)
    assert papers == [(i, Paper(abstract=text)) for i, text in enumerate("ABC", start=1)]
    assert isinstance(last, Skipped)
    assert (last.record, last.kind) == (4, "broken JSON")


SPANISH = (
    "El musgo de los tejados retiene el agua de la lluvia y la temperatura de las casas es menor en verano."
)
ENGLISH = "The moss of the roofs holds the water of the rain and the houses are cooler in summer."


@pytest.mark.parametrize(
    "abstract",
    [
        f"<jats:p>{SPANISH}</jats:p><jats:p>{ENGLISH}</jats:p>",
        f"<jats:title>Resumen</jats:title><jats:p>{SPANISH}</jats:p><jats:title>Abstract</jats:title>"
        f"<jats:p>{ENGLISH}</jats:p>",
        f"<h4>Resumen</h4>{SPANISH}<h4>Abstract</h4>{ENGLISH}",
        [{"text": SPANISH}, {"text": ENGLISH}],
    ],
)
def test_of_two_languages_in_one_abstract_english_is_taken(abstract: object) -> None:
    assert paper_from_json({"title": "Moss", "abstract": abstract}).abstract == ENGLISH


def test_one_language_and_lists_of_names_stay_whole() -> None:
    names = "Funaria, Bryum, Tortula, Grimmia, Hypnum, Dicranum, Mnium, Sphagnum, Barbula, Encalypta."
    for part in (names, "Aim: de la.", "Musgo.", "Se usó un musgo."):
        abstract = f"<p>{part}</p><p>{ENGLISH}</p>"
        assert paper_from_json({"abstract": abstract}).abstract == f"{part} {ENGLISH}"
    assert paper_from_json({"abstract": f"<p>{SPANISH}</p><p>Bien.</p>"}).abstract == f"{SPANISH} Bien."
    body = f"<p>{SPANISH}</p><p>{ENGLISH}</p>"
    assert paper_from_json({"abstract": "A b.", "body": body}).sections[0].text == f"{SPANISH} {ENGLISH}"


def test_nan_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "frame.json"
    path.write_text(
        '[{"title": NaN, "abstract": "Moss grew.", "year": NaN}, {"title": "A", "abstract": NaN}]'
    )
    (first, second) = read_papers(path)
    assert first == (1, Paper(abstract="Moss grew."))
    assert isinstance(second, Skipped)
    assert second.kind == "no text"

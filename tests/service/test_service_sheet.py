"""A table that the caller holds, as a workbook; and votes of several calls, counted together."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from qa_extractive import Predictor
from qa_extractive.evidence.tally import tally_of

requests = pytest.importorskip("requests")
openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("fastapi")
pytest.importorskip("xlsxwriter")

ASKED = ["Does it help?", "How many took part?"]
COUNT = {"n": 1, "expected": 0.9, "low": 0, "high": 1}
CELL = {
    "status": "answered",
    "quote": "=1+1 🧂",
    "start": 4,
    "end": 10,
    "sentence": "It is =1+1.",
    "page": 3,
    "section": "Results",
    "score": 0.93,
    "answerable": 0.95,
    "verdict": "yes",
    "verdict_score": 0.8,
}
ROW = {
    "title": "=cmd|' /C calc'!A0",
    "authors": ["Ann Green"],
    "year": 2020,
    "doi": "10.1/x",
    "file": "a.ris",
    "record": 2,
    "cells": [CELL, {"status": "not_reported", "answerable": 0.1, "score": 0.2}],
}
BODY = {
    "asked": ASKED,
    "rows": [ROW, ROW | {"title": None, "cells": [{"status": "unsure", "quote": "so so"}] * 2}],
    "skipped": [{"file": "b.pdf", "record": None, "kind": "no text", "reason": "a scan"}],
    "together": [
        {
            "question": ASKED[0],
            "tally": dict.fromkeys(("yes", "no", "mixed", "not_reported"), COUNT)
            | {"yes_share": {"shown": 0.5, "expected": 0.4, "low": 0.25, "high": 0.75}},
            "limits": "L",
        },
        {
            "question": ASKED[1],
            "values": [{"row": 0, "quote": "212 adults", "number": "212", "unit": "adults"}],
        },
    ],
}
TIMEOUT = 120


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any]) -> Any:
    return serve(Predictor(n_threads=1))


def post(served: Any, path: str, body: Any) -> Any:
    return requests.post(f"{served.url}/v1/evidence/{path}", json=body, timeout=TIMEOUT)


def test_the_workbook_holds_what_was_sent(served: Any) -> None:
    response = post(served, "xlsx", BODY)
    assert response.status_code == 200, response.text
    assert 'filename="evidence.xlsx"' in response.headers["Content-Disposition"]
    book = openpyxl.load_workbook(io.BytesIO(response.content))
    assert book.sheetnames == ["Evidence", "Quotes", "Together", "About", "Skipped"]
    first = [cell.value for cell in book["Evidence"][3]]
    assert first[:5] == ["=cmd|' /C calc'!A0", "Ann Green", 2020, "10.1/x", "a.ris, record 2"]
    assert first[5:] == ["=1+1 🧂", "yes", "sure (0.93), p. 3", "not reported", "not reported (0.90)"]
    kinds = {cell.data_type for sheet in book for line in sheet for cell in line}
    assert "f" not in kinds, "no text is a formula"
    quoted = [cell.value for cell in book["Quotes"][2]]
    assert quoted[4:8] == ["=1+1 🧂", "It is =1+1.", "Results", 3]
    together = [[cell.value for cell in line] for line in book["Together"]]
    assert ["yes", 1, 0.9, 0, 1] in [line[:5] for line in together]
    assert ["yes, of those that report", "50%", "40%", "25%", "75%"] in [line[:5] for line in together]
    assert ["=cmd|' /C calc'!A0", "212", "adults", None, "212 adults"] in [line[:5] for line in together]
    assert [cell.value for cell in book["Skipped"][2]] == ["b.pdf", None, "no text", "a scan"]
    about = {line[0].value: line[1].value for line in book["About"]}
    assert about["Papers"].startswith("2 from the page of a service, 1 skipped")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"rows": [ROW | {"cells": [CELL]}]}, "rows[0].cells"),
        ({"rows": []}, "rows"),
        ({"rows": [{"cells": []}] * 10_001}, "rows"),
        ({"asked": [" "]}, "asked[0]"),
        ({"asked": ["Why?"] * 101}, "asked"),
        ({"rows": [ROW | {"year": 10**9}]}, "rows[0].year"),
        ({"rows": [ROW | {"cells": [CELL | {"score": 2}] * 2}]}, "rows[0].cells[0].score"),
        ({"together": [{"question": "q", "values": [{"row": 9, "quote": "x"}]}]}, "together.values[0].row"),
    ],
)
def test_what_is_refused(served: Any, change: dict[str, Any], path: str) -> None:
    response = post(served, "xlsx", BODY | change)
    assert response.status_code == 422
    assert response.json()["error"]["fields"][0]["path"] == path


def test_odd_texts_make_a_workbook_that_opens(served: Any) -> None:
    odd = {
        "title": "\x00\x0b\ufffe\ud800" + "x" * 40_000,
        "doi": "\n<>",
        "file": "\u202e",
        "cells": [CELL] * 2,
    }
    response = post(served, "xlsx", BODY | {"rows": [odd] * 3})
    assert openpyxl.load_workbook(io.BytesIO(response.content))["Evidence"].max_row == 5


def test_votes_are_counted_as_elsewhere(served: Any) -> None:
    probs = [(0.9, 0.05, 0.0, 0.05), (0.1, 0.7, 0.1, 0.1), (0.0, 0.0, 0.0, 1.0)]
    votes = ["yes", "no", "not_reported"]
    names = ("yes", "no", "mixed", "not_reported")
    sent = [
        {"vote": vote} | dict(zip(names, each, strict=True)) for vote, each in zip(votes, probs, strict=True)
    ]
    assert post(served, "tally", {"votes": sent}).json() == tally_of(votes, probs).to_dict()
    refused = post(served, "tally", {"votes": [sent[0] | {"no": 0.9}]})
    assert refused.status_code == 422
    assert refused.json()["error"]["fields"][0]["path"] == "votes"

"""Readers of the corpora that share one form of rows, on made-up rows."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.errors import DataError
from qa_extractive.training.corpora import READERS
from qa_extractive.training.labelled_rows import asked_document, asked_documents
from qa_extractive.types import NO_VERDICT, Example

CONTEXT = "We fed hens maize. Hens on maize laid 6 eggs a week. Ducks were not studied."


def _row(**changes: Any) -> dict[str, Any]:
    answer = "6 eggs a week"
    row = {
        "id": "r-1",
        "question": "How many eggs do hens on maize lay?",
        "title": "Maize and hens",
        "context": CONTEXT,
        "answers": [{"text": answer, "answer_start": CONTEXT.index(answer)}],
        "answerable": True,
        "doc": "rct-1",
        "type": "fact",
        "verdict": None,
    }
    return {**row, **changes}


def _read(
    tmp_path: Path, reader: str, *rows: dict[str, Any], name: str = "asked/train.jsonl.gz"
) -> list[Example]:
    return READERS[reader](_write(tmp_path / name, rows), random.Random(1))


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def test_asked_has_spans_documents_and_verdicts(tmp_path: Path) -> None:
    claim = _row(id="r-2", question="Do hens on maize lay?", verdict="yes", type="claim")
    near = _row(id="r-3", question="How many eggs do ducks lay?", answers=[], answerable=False, type="near")
    fact, yes, none = _read(tmp_path, "asked_as_given", _row(), claim, near)
    assert [(s.text, s.start) for s in fact.spans] == [("6 eggs a week", CONTEXT.index("6 eggs"))]
    assert fact.references == ("6 eggs a week",)
    assert (fact.document, fact.source, fact.fields["type"]) == ("pmc-1", "asked", "fact")
    assert [e.verdict for e in (fact, yes, none)] == [NO_VERDICT, "yes", None]
    assert (none.answerable, none.spans) == (False, ())
    assert fact.question.title == "Maize and hens"


def test_asked_for_training_varies_the_mark_and_the_title_alike_for_both_labels(tmp_path: Path) -> None:
    rows = [
        _row(id=f"r-{i}", answerable=i % 2 == 0, answers=_row()["answers"] if i % 2 == 0 else [])
        for i in range(800)
    ]
    examples = _read(tmp_path, "asked", *rows)
    for answerable in (True, False):
        own = [e.question for e in examples if e.answerable is answerable]
        assert 0.08 < sum(not q.question.endswith("?") for q in own) / len(own) < 0.22
        assert 0.5 < sum(q.title is not None for q in own) / len(own) < 0.7


def test_some_questions_answered_yes_ask_for_the_opposite_and_are_answered_no(tmp_path: Path) -> None:
    asked = "Do hens on maize lay more?"
    rows = [_row(id=f"r-{i}", question=asked, verdict=("yes", "no")[i % 2]) for i in range(400)]
    examples = _read(tmp_path, "asked", *rows)
    found = [(e.question.question.rstrip("?"), e.verdict) for e in examples]
    turned = found.count(("Do hens on maize lay less", "no"))
    assert found.count((asked.rstrip("?"), "yes")) + turned == 200
    assert 50 < turned < 110
    assert found.count((asked.rstrip("?"), "no")) == 200, "what is answered no is asked as it stands"


def test_papers_go_by_one_name_in_all_corpora() -> None:
    names = ["rct-12", "scitldr-S1", "scifact-7", "arxiv-1901.1v2"]
    assert [asked_document(n) for n in names] == ["pmc-12", "tldr-S1", "scifact-7", "arxiv-1901.1v2"]


def test_documents_of_the_dev_and_test_parts_are_trained_on_by_no_reader(tmp_path: Path) -> None:
    _write(tmp_path / "asked" / "dev.jsonl.gz", [_row(doc="rct-1")])
    _write(tmp_path / "asked" / "test.jsonl.gz", [_row(doc="scitldr-T2")])
    assert asked_documents(tmp_path) == {"pmc-1", "tldr-T2"}
    assert asked_documents(tmp_path / "elsewhere") == frozenset()
    rows = [_row(pmcid="1"), _row(pmcid="2")]
    (kept,) = _read(tmp_path, "trial_full_text", *rows, name="more/eift.jsonl.gz")
    assert kept.document == "pmc-2"


@pytest.mark.parametrize(
    ("kind", "answerable", "verdict"),
    [
        ("edit0:YES", True, "yes"),
        ("edit1:NO", True, "no"),
        ("edit2:DON'T KNOW", False, None),
        ("edit2:Dave", True, None),
    ],
)
def test_verdicts_under_negation(tmp_path: Path, kind: str, answerable: bool, verdict: str | None) -> None:
    row = _row(kind=kind, answerable=answerable, answers=_row()["answers"] if answerable else [], passage=4)
    (example,) = _read(tmp_path, "negation_questions", row)
    assert (example.verdict, example.document, example.answerable) == (verdict, "condaqa-4", answerable)


def test_a_refuted_claim_is_a_question_whose_answer_is_no(tmp_path: Path) -> None:
    row = _row(question="Maize makes hens lay less.", label="REFUTE", cord_id="c1")
    (example,) = _read(tmp_path, "news_claims", row)
    assert (example.verdict, example.document, example.source) == ("no", "cord-c1", "claims")


def test_only_new_rows_of_the_official_spelling_are_read(tmp_path: Path) -> None:
    rows = [_row(kind="new", answers=[], answerable=False), _row(kind="dup", answers=[], answerable=False)]
    (example,) = _read(tmp_path, "squad_unanswerable", *rows)
    assert example.question.question == "how many eggs do hens on maize lay?"


@pytest.mark.parametrize(
    "reader", ["natural_questions", "health_sections", "paper_roles", "sentence_answers"]
)
def test_the_other_readers_keep_spans(tmp_path: Path, reader: str) -> None:
    (example,) = _read(tmp_path, reader, _row(id="a-b-3-4", kind="x"))
    assert example.spans[0].text == "6 eggs a week"
    assert example.verdict == NO_VERDICT
    assert example.document


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        READERS["asked"](tmp_path / "no.jsonl.gz", random.Random(1))
    (tmp_path / "broken.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="not gzipped JSON lines"):
        READERS["asked"](tmp_path / "broken.jsonl.gz", random.Random(1))


@pytest.mark.skipif("QA_DATA" not in os.environ, reason="needs the third-party data: set QA_DATA")
def test_the_real_files_keep_test_documents_out() -> None:
    root = Path(os.environ["QA_DATA"])
    apart = asked_documents(root)
    assert len(apart) > 300
    for reader, path in (("asked", "asked/train.jsonl.gz"), ("paper_conclusions", "scifact/corpus.jsonl.gz")):
        examples = READERS[reader](root / path, random.Random(1))
        assert examples
        assert apart.isdisjoint(e.document for e in examples)

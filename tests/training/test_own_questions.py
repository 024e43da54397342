"""The project's own questions: offsets in the repository, abstracts outside."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.errors import DataError
from qa_extractive.training.own_questions import context_digest, own_questions
from qa_extractive.training.recipe import Recipe
from qa_extractive.types import NO_VERDICT

TEXT = "Hens on maize laid 6 eggs a week. Ducks laid none."
TRIAL = "Methods: We fed hens. Hens on maize laid more."


def _corpora(folder: Path) -> None:
    _gzip(folder / "arxiv/abstracts.jsonl.gz", {"doc": "arxiv-1", "title": "Maize", "abstract": TEXT})
    trial = {
        "pmcid": 7,
        "title": "Hens",
        "sections": [["Methods:", "We fed hens."], ["", "Hens on maize laid more."]],
    }
    _gzip(folder / "rct_abstracts.jsonl.gz", trial)
    paper = {
        "doc_id": 3,
        "title": "Ducks",
        "abstract": ["Hens on maize laid 6 eggs a week. ", "Ducks laid none."],
    }
    _gzip(folder / "corpus.jsonl.gz", paper)


def _gzip(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")


def _questions(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _row(**changes: Any) -> dict[str, Any]:
    start = TEXT.index("6 eggs")
    row = {
        "doc": "arxiv-1",
        "type": "fact",
        "question": "How much do hens lay?",
        "answers": [[start, start + len("6 eggs a week")]],
        "verdict": None,
        "context": context_digest(TEXT),
    }
    return {**row, **changes}


def test_a_question_meets_its_abstract(tmp_path: Path) -> None:
    _corpora(tmp_path)
    near = _row(question="Did geese lay any?", answers=[], type="near")
    claim = _row(question="Do hens lay?", verdict="yes", type="claim")
    path = _questions(tmp_path, _row(), near, claim)
    fact, none, yes = own_questions(path, tmp_path / "arxiv/abstracts.jsonl.gz", random.Random(1))
    assert [span.text for span in fact.spans] == ["6 eggs a week"]
    assert (fact.question.context, fact.document, fact.source) == (TEXT, "arxiv-1", "asked")
    assert [example.answerable for example in (fact, none, yes)] == [True, False, True]
    assert [example.verdict for example in (fact, none, yes)] == [NO_VERDICT, None, "yes"]
    assert len({fact.id, none.id, yes.id}) == 3


@pytest.mark.parametrize(
    ("corpus", "doc", "context", "document"),
    [
        ("rct_abstracts.jsonl.gz", "rct-7", TRIAL, "pmc-7"),
        ("corpus.jsonl.gz", "scifact-3", TEXT, "scifact-3"),
    ],
)
def test_abstracts_are_put_together_as_asked_has_them(
    tmp_path: Path, corpus: str, doc: str, context: str, document: str
) -> None:
    _corpora(tmp_path)
    others = _row()  # of another corpus: passed over
    path = _questions(tmp_path, others, _row(doc=doc, answers=[[0, 4]], context=context_digest(context)))
    (example,) = own_questions(path, tmp_path / corpus, random.Random(1))
    assert (example.question.context, example.document) == (context, document)


def test_a_changed_abstract_is_refused_instead_of_cut_at_the_wrong_place(tmp_path: Path) -> None:
    _corpora(tmp_path)
    path = _questions(tmp_path, _row(context=context_digest(TEXT + " ")))
    with pytest.raises(DataError, match="abstract of arxiv-1 is not the one"):
        own_questions(path, tmp_path / "arxiv/abstracts.jsonl.gz", random.Random(1))


def test_what_is_missing_or_unknown_is_said(tmp_path: Path) -> None:
    _corpora(tmp_path)
    texts = tmp_path / "arxiv/abstracts.jsonl.gz"
    with pytest.raises(DataError, match=r"questions\.jsonl is missing"):
        own_questions(tmp_path / "questions.jsonl", texts, random.Random(1))
    (tmp_path / "questions.jsonl").write_text("{")
    with pytest.raises(DataError, match="not JSON lines"):
        own_questions(tmp_path / "questions.jsonl", texts, random.Random(1))
    with pytest.raises(DataError, match=r"train.jsonl.gz has no abstracts"):
        own_questions(_questions(tmp_path, _row()), tmp_path / "train.jsonl.gz", random.Random(1))


def test_a_recipe_reads_them_from_its_own_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    _corpora(data)
    _questions(tmp_path, _row())
    source = {
        "reader": "own_questions",
        "path": "arxiv/abstracts.jsonl.gz",
        "questions": "questions.jsonl",
        "copies": 2,
    }
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"sources": [source], "train": {}}))
    examples = Recipe.load(recipe).examples(data)
    assert [example.id.partition("~")[2] for example in examples] == ["", "1"]
    for wrong in ({**source, "questions": None}, {**source, "reader": "claims"}):
        recipe.write_text(json.dumps({"sources": [wrong], "train": {}}))
        with pytest.raises(DataError, match='"questions" goes with the reader'):
            Recipe.load(recipe)


def test_articles_of_validation_prompts_are_left_out(tmp_path: Path) -> None:
    _corpora(tmp_path)
    trials = tmp_path / "rct_abstracts.jsonl.gz"
    row = _row(doc="rct-7", answers=[], type="near", context=context_digest(TRIAL))
    path = _questions(tmp_path, row)
    assert len(own_questions(path, trials, random.Random(1))) == 1
    prompts = tmp_path / "prompts_with_spans.jsonl.gz"
    _gzip(prompts, {"pmcid": 7, "split": "train"})
    assert len(own_questions(path, trials, random.Random(1))) == 1
    _gzip(prompts, {"pmcid": 7, "split": "validation"})
    assert not own_questions(path, trials, random.Random(1))

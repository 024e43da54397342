"""Readers of third-party data, on small made-up records in their formats, and once on the real files."""

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
from qa_extractive.training import corpora
from qa_extractive.types import Example

CONCLUSION = "Zinc made children grow faster than placebo did."


def _write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records)
    return path


@pytest.fixture(autouse=True)
def _no_prompts(tmp_path: Path) -> None:
    """The trials' reader looks for the validation prompts beside its file."""
    _write(tmp_path / "prompts_with_spans.jsonl.gz", [])


def _read(reader: str, path: Path, seed: int = 1) -> list[Example]:
    return corpora.READERS[reader](path, random.Random(seed))


def _trial(number: int = 0, **changes: Any) -> dict[str, Any]:
    sections = [
        ["Background:", "Zinc is a metal."],
        ["Methods", "We gave zinc to 90 children, ±2 °C."],
        ["Results", "They grew by 3.5 cm."],
        ["Conclusions", CONCLUSION],
        ["Trial registration", "ISRCTN1"],
    ]
    title = "Effects of zinc on the growth of children: a trial"
    return {"pmcid": str(number), "title": title, "sections": sections, **changes}


def _prompt(number: int, split: str, *answers: str) -> dict[str, Any]:
    context = "RESULTS:: Pain fell by 3.5 points – a lot. Death did not change."
    found = [{"text": a, "answer_start": context.index(a)} for a in answers]
    prompt = {"outcome": "Pain", "intervention": "Aspirin", "comparator": "Placebo", "label": "no difference"}
    return {
        "prompt_id": str(number),
        "pmcid": str(100 + number),
        "split": split,
        "context": context,
        **prompt,
    } | {"answers": found}


def _paper(number: int, *sentences: str, title: str = "Zinc and the growth of children") -> dict[str, Any]:
    return {"doc_id": number, "title": title, "abstract": list(sentences)}


PLAIN = ["Zinc is a metal.", " We fed 90 mice. ", "They grew by 3.5 cm."]
FOUND = "Our results show that zinc makes young mice grow faster."


def _squad(path: Path) -> Path:
    context = "The  quake of 2008 killed 69,197 people."
    asked = {
        "question": "Who  WAS killed , in Sichuan ?",
        "answers": [{"text": "69,197", "answer_start": 26}],
    }
    hopeless = {"id": "u", "question": "Who won ?", "answers": [], "is_impossible": True}
    paragraphs = [{"context": context, "qas": [{"id": "a", **asked}, hopeless]}]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump({"version": "v2.0", "data": [{"title": "Quakes", "paragraphs": paragraphs}]}, file)
    return path


def test_squad_questions_look_alike_whether_answerable_or_not(tmp_path: Path) -> None:
    answerable, hopeless = _read("squad", _squad(tmp_path / "squad.json.gz"))
    assert [e.question.question for e in (answerable, hopeless)] == [
        "who was killed, in sichuan?",
        "who won?",
    ]
    assert [s.text for s in answerable.spans] == ["69,197"]
    assert (answerable.answerable, hopeless.answerable) == (True, False)
    assert [(e.document, e.source, e.question.title) for e in (answerable, hopeless)] == [
        ("Quakes", "squad", None)
    ] * 2


def test_trial_conclusions_keep_the_conclusion_wherever_it_is_shuffled(tmp_path: Path) -> None:
    examples = _read("trial_conclusions", _write(tmp_path / "t.gz", [_trial(i) for i in range(120)]))
    assert len(examples) == 120
    contexts = [e.question.context for e in examples]
    for example in examples:
        (span,) = example.spans
        assert span.text == CONCLUSION
        assert example.references == (CONCLUSION,)
        assert example.question.title is None, "the title became the question"
        assert "zinc" in example.question.question.lower()
        assert "ISRCTN" not in example.question.context
    last = sum(c.endswith(CONCLUSION) for c in contexts)
    assert 60 <= last <= 100, "half keep the order, and a fourth of the rest ends with it by chance"
    assert 35 <= sum("Conclusions: " in c for c in contexts) <= 85, "half without labels"
    assert 10 <= sum(not all(s[1] in c for s in _trial()["sections"][:3]) for c in contexts) <= 40
    assert any("\n" in c for c in contexts)
    assert any("\n" not in c for c in contexts)


@pytest.mark.parametrize(
    "changes",
    [
        {"sections": _trial()["sections"][:3]},
        {"sections": _trial()["sections"][3:]},
        {"sections": [*_trial()["sections"], ["Interpretation", "It works."]]},
        {"sections": [["Background", " "], *_trial()["sections"][2:4]]},
        {"title": "Zinc for children: study protocol of a trial"},
        {"title": "  "},
        {"sections": [*_trial()["sections"][:3], ["Conclusion", "Its growth will be measured."]]},
    ],
    ids=["no conclusion", "too few", "two conclusions", "blank section", "protocol", "no title", "a plan"],
)
def test_trials_without_one_clear_conclusion_are_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert [
        e.id for e in _read("trial_conclusions", _write(tmp_path / "t.gz", [_trial(1, **changes), _trial(2)]))
    ] == ["rct-2"]


def test_articles_of_validation_prompts_are_no_trials_to_train_on(tmp_path: Path) -> None:
    _write(tmp_path / "prompts_with_spans.jsonl.gz", [_prompt(1, "validation"), _prompt(2, "train")])
    examples = _read("trial_conclusions", _write(tmp_path / "t.gz", [_trial(101), _trial(102), _trial(103)]))
    assert [e.id for e in examples] == ["rct-102", "rct-103"]


def test_a_very_long_conclusion_ends_with_a_whole_sentence(tmp_path: Path) -> None:
    sections = [*_trial()["sections"][:3], ["Conclusions", "It grew 3.5 cm in this group. " * 40]]
    (example,) = _read("trial_conclusions", _write(tmp_path / "t.gz", [_trial(sections=sections)]))
    text = example.spans[0].text
    assert text.endswith("group.")
    assert 100 <= len(text.split()) <= 110


def test_prompts_of_the_validation_split_are_never_trained_on(tmp_path: Path) -> None:
    records = [
        _prompt(1, "train", "Pain fell by 3.5 points – a lot.", "a lot"),
        _prompt(2, "validation", "Death did not change."),
        _prompt(3, "train"),
        _prompt(4, "test", "Pain"),
    ]
    path = _write(tmp_path / "p.gz", records)
    train, held_out = _read("trial_prompts", path), _read("trial_prompts_validation", path)
    assert [e.id for e in train] == ["ei-1-0", "ei-1-1", "ei-3-0", "ei-3-1"], "two wordings of each"
    assert [e.id for e in held_out] == ["ei-2-0"]
    assert [s.text for s in train[0].spans] == ["Pain fell by 3.5 points – a lot.", "a lot"]
    assert [s.text for s in held_out[0].spans] == ["Death did not change."]
    assert [e.answerable for e in train] == [True, True, False, False]
    assert {e.document for e in train}.isdisjoint(e.document for e in held_out)
    assert train[0].document == "pmc-101", "named as in the trials, so that both stay on one side"


def test_prompts_asked_for_their_direction_carry_a_verdict(tmp_path: Path) -> None:
    fell = {"label": "significantly decreased"}
    records = [
        {**_prompt(1, "train", "Pain fell by 3.5 points – a lot."), **fell},
        {**_prompt(2, "validation", "Pain fell by 3.5 points – a lot."), **fell},
        {**_prompt(3, "train"), **fell},
        {**_prompt(4, "train", "Pain"), "label": "invalid prompt"},
    ]
    examples = _read("trial_directions", _write(tmp_path / "p.gz", records))
    assert [e.id for e in examples] == ["ei-1-0-direction", "ei-1-1-direction"]
    assert all(e.verdict in ("yes", "no") and e.answerable for e in examples)
    assert len({e.question.question for e in examples}) == 2


def test_a_prompt_whose_offsets_are_wrong_is_not_taken_for_another_text(tmp_path: Path) -> None:
    record = _prompt(1, "train", "Pain")
    record["answers"][0]["answer_start"] = 60
    with pytest.raises(DataError, match="ei-1-0: the context at"):
        _read("trial_prompts", _write(tmp_path / "p.gz", [record]))


def test_paper_conclusions_are_sentences_that_say_so(tmp_path: Path) -> None:
    records = [_paper(i, *PLAIN, FOUND) for i in range(60)]
    records += [
        _paper(100, *PLAIN, "It rained."),
        _paper(101, *PLAIN, FOUND, "In conclusion, zinc is a very good metal for mice."),
        _paper(102, *PLAIN[:2], FOUND),
        _paper(103, *PLAIN, "These results show growth."),
        _paper(104, *PLAIN, FOUND, title="On zinc"),
    ]
    examples = _read("paper_conclusions", _write(tmp_path / "c.gz", records))
    assert [e.id for e in examples] == [f"scifact-{i}" for i in range(60)]
    assert {e.spans[0].text for e in examples} == {FOUND}
    assert {len(e.spans) for e in examples} == {1}
    last = sum(e.question.context.endswith(FOUND) for e in examples)
    assert 25 <= last <= 52, "half are shuffled"
    assert all(s.strip() in e.question.context for e in examples for s in PLAIN)


def test_claims_are_answered_by_their_rationales_and_only_there(tmp_path: Path) -> None:
    _write(tmp_path / "corpus.jsonl.gz", [_paper(7, *PLAIN, FOUND), _paper(8, *PLAIN)])
    evidence = {"7": [{"sentences": [3], "label": "SUPPORT"}, {"sentences": [1], "label": "SUPPORT"},
                      {"sentences": [3], "label": "SUPPORT"}]}  # fmt: skip
    claim = {
        "id": 4,
        "claim": "Zinc promotes growth of mice.",
        "evidence": evidence,
        "cited_doc_ids": [7, 8, 9],
    }
    path = _write(tmp_path / "claims.gz", [claim])
    supported, silent = _read("claims", path)
    assert [s.text for s in supported.spans] == [FOUND, PLAIN[1].strip()], "in order, none twice"
    assert supported.question.context == " ".join(s.strip() for s in [*PLAIN, FOUND])
    assert (supported.answerable, silent.answerable, silent.spans) == (True, False, ())
    assert [e.document for e in (supported, silent)] == ["scifact-7", "scifact-8"]
    assert supported.question.question == "Does zinc promote growth of mice?"
    titles = {e.question.title for seed in range(12) for e in _read("claims", path, seed)}
    assert titles == {None, "Zinc and the growth of children"}, "half with the title"


def test_takeaways_are_the_one_sentence_nearest_the_summary(tmp_path: Path) -> None:
    def record(name: str, labels: list[int], score: float = 0.7, title: str = "Deep nets") -> dict[str, Any]:
        scores = [0.1, score, 0.1][: len(labels)]
        return {"paper_id": name, "title": title, "source": PLAIN[: len(labels)]} | {
            "source_labels": labels, "rouge_scores": scores, "target": ["x"]
        }  # fmt: skip

    records = [
        record("good", [0, 1, 0]),
        record("two", [1, 1, 0]),
        record("none", [0, 0, 0]),
        record("far", [0, 1, 0], 0.29),
        record("short", [0, 1]),
        record("untitled", [0, 1, 0], title="Nets"),
    ]
    (example,) = _read("takeaways", _write(tmp_path / "s.gz", records))
    assert (example.id, example.document) == ("tldr-good", "tldr-good")
    assert [s.text for s in example.spans] == ["We fed 90 mice."]
    assert "eep nets" in example.question.question


@pytest.mark.parametrize("reader", sorted(set(corpora.READERS) - {"squad"}))
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing"),
        (b"not gzip", "is not gzipped JSON lines"),
        (gzip.compress(b'{"a": 1' + bytes(range(32, 127)), mtime=0)[:-20], "is not gzipped JSON lines"),
        (gzip.compress(b"{\n", mtime=0), "is not gzipped JSON lines"),
        (gzip.compress(b"\xff\n", mtime=0), "is not gzipped JSON lines"),
    ],
    ids=["missing", "plain", "cut off", "no JSON", "no UTF-8"],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, reader: str, content: bytes | None, message: str
) -> None:
    _write(tmp_path / "corpus.jsonl.gz", [])  # which the claims need
    path = tmp_path / "rct_abstracts.jsonl.gz"  # one of the names of corpora that some readers want
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        _read(reader, path)


@pytest.mark.skipif(
    not os.environ.get("QA_DATA"), reason="QA_DATA names no folder of third-party data (recipes/DATA.md)"
)
def test_the_real_files_give_labelled_examples_with_unique_ids() -> None:
    root = Path(os.environ["QA_DATA"])
    files = {
        "trial_conclusions": ("evidence_inference/rct_abstracts.jsonl.gz", 1100, "pmc-"),
        "trial_prompts": ("evidence_inference/prompts_with_spans.jsonl.gz", 800, "pmc-"),
        "trial_directions": ("evidence_inference/prompts_with_spans.jsonl.gz", 600, "pmc-"),
        "trial_prompts_validation": ("evidence_inference/prompts_with_spans.jsonl.gz", 50, "pmc-"),
        "paper_conclusions": ("scifact/corpus.jsonl.gz", 2000, "scifact-"),
        "claims": ("scifact/claims_train.jsonl.gz", 500, "scifact-"),
        "takeaways": ("scitldr/train.jsonl.gz", 1000, "tldr-"),
    }
    documents = {}
    for reader, (path, least, prefix) in files.items():
        examples = _read(reader, root / path)
        assert len(examples) >= least, reader
        assert len({e.id for e in examples}) == len(examples), reader
        assert all(e.is_labelled and e.document.startswith(prefix) for e in examples), reader
        assert all(s.text.strip() == s.text for e in examples for s in e.spans), reader
        documents[reader] = {e.document for e in examples}
    for reader in ("trial_prompts", "trial_conclusions"):
        assert documents[reader].isdisjoint(documents["trial_prompts_validation"])

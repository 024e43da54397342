"""Yes/no questions from what abstracts state: the rules, the balance, what is left out."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from qa_extractive.errors import DataError
from qa_extractive.training.findings import stated_findings, yes_no_from_sentence


def _asked(sentence: str) -> set[tuple[str, str]]:
    """All that the rules make of a sentence, whatever is drawn; lower case."""
    made = [yes_no_from_sentence(sentence, random.Random(seed)) for seed in range(60)]
    return {(found[0].lower(), found[1]) for found in made if found is not None}


def test_what_is_stated_is_asked_as_it_stands_and_turned_round() -> None:
    found = _asked("In conclusion, daily walking significantly reduced knee pain in patients with gout.")
    assert ("did daily walking reduce knee pain in patients with gout?", "yes") in found
    assert ("did daily walking increase knee pain?", "no") in found
    assert {verdict for question, verdict in found if "increase" in question} == {"no"}
    assert {verdict for question, verdict in found if "reduce" in question} == {"yes"}


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Copper bracelets did not reduce joint stiffness.", "did copper bracelets reduce joint stiffness?"),
        ("We found that tea was not associated with sleep.", "was tea associated with sleep?"),
        ("There was no significant difference in yield (p = .4).", "is there a difference in yield?"),
        ("No effect of colour on taste was observed.", "is there an effect of colour on taste?"),
    ],
)
def test_what_is_denied_is_answered_with_no(sentence: str, question: str) -> None:
    found = _asked(sentence)
    assert question in {asked for asked, _ in found}
    assert {verdict for _, verdict in found} == {"no"}


@pytest.mark.parametrize(
    "sentence",
    [
        "It reduced pain in adults.",  # what did?
        "Despite the concerns raised by nurses, doctors agreed.",
        "Participants were randomised to tea or coffee.",
        "Tea reduced pain in adults but not in children.",  # half yes, half no
        "The trial that we started reduced waiting times here.",
        "Why do birds sing?",
        "",
    ],
)
def test_no_question_is_made_of_what_no_rule_fits(sentence: str) -> None:
    assert not _asked(sentence)


def _corpus(folder: Path, n: int = 30) -> Path:
    (folder / "scifact").mkdir()
    path = folder / "scifact" / "corpus.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for i in range(n):
            sentences = [
                f"Method {i} was tested on ten farms.",
                f"Method {i} reduced the loss of milk on small farms.",
                f"Method {i} was associated with better growth of calves.",
                f"Method {i} is required for the hatching of eggs.",
                f"Method {i} did not affect the weight of hens.",
                f"Method {i} stimulated the growth of grass.",
                f"Method {i} regulates the flow of water.",
            ]
            file.write(json.dumps({"doc_id": i, "title": f"Farm {i}", "abstract": sentences}) + "\n")
    return path


def test_a_paper_gives_at_most_four_and_no_more_yes_than_no(tmp_path: Path) -> None:
    examples = stated_findings(_corpus(tmp_path), random.Random(2))
    assert examples
    assert max(Counter(example.document for example in examples).values()) <= 4
    verdicts = Counter(example.verdict for example in examples)
    assert verdicts["yes"] <= verdicts["no"]
    for example in examples:
        (span,) = example.spans
        assert example.question.context[span.start : span.end] == span.text
        assert "tested" not in span.text
        wants_no = "did not" in span.text or " increase " in example.question.question
        wants_no |= any(word in example.question.question for word in ("worse ",))
        assert example.verdict == ("no" if wants_no else "yes"), example.question.question


def test_papers_kept_for_measuring_are_left_out(tmp_path: Path) -> None:
    path = _corpus(tmp_path)
    (tmp_path / "asked").mkdir()
    for part in ("dev", "test"):
        with gzip.open(tmp_path / "asked" / f"{part}.jsonl.gz", "wt") as file:
            file.write(json.dumps({"doc": "scifact-3"}) + "\n")
    assert "scifact-3" not in {e.document for e in stated_findings(path, random.Random(2))}


def test_a_corpus_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"other\.jsonl\.gz has no abstracts"):
        stated_findings(tmp_path / "other.jsonl.gz", random.Random(2))

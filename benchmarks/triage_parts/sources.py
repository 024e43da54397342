"""Third-party data -> rows with yes or no. PubMedQA, SQuAD's dev sets and Evidence Inference's validation
rows are not read."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qa_extractive.types import Example, Question

SEED = 17
# Whether a study is about it is told by its title, which no reader gets to see.
TOPICS = {
    "Is this study about cancer?": r"cancer|tumou?r|carcinoma|leuka?emia|lymphoma|melanoma|chemotherap",
    "Is this study in children or infants?": r"\bchild|infant|neonat|adolescen|newborn|pa?ediatric|\bpreterm",
    "Is this study about diabetes?": r"diabet",
    "Is this study about mental health?": r"depress|anxi|schizo|psych|bipolar|autis|\bADHD\b|dementia|suicid",
    "Is this study about pregnancy or birth?": r"pregnan|maternal|obstet|\bbirth|c(a)?esarean|gestation",
}
ONE_TOPIC = "Is this study in children or infants?"


def topics(root: Path) -> list[Example]:
    """Each topic asked of all abstracts whose title names it and of twice as many others."""
    papers = list(_lines(root / "evidence_inference/rct_abstracts.jsonl.gz"))
    return [row for question in TOPICS for row in _topic(question, papers)]


def one_topic(root: Path) -> list[Example]:
    """The same with one topic only."""
    return _topic(ONE_TOPIC, list(_lines(root / "evidence_inference/rct_abstracts.jsonl.gz")))


def _topic(question: str, papers: list[dict[str, Any]]) -> list[Example]:
    wanted = re.compile(TOPICS[question], re.IGNORECASE)
    read = [paper for paper in papers if paper["title"].strip() and len(_text(paper).split()) > 50]
    yes = [paper for paper in read if wanted.search(paper["title"])]
    no = random.Random(SEED).sample([p for p in read if not wanted.search(p["title"])], 2 * len(yes))
    return [
        _row(f"{p['pmcid']}-{question}", question, _text(p), is_yes, p["pmcid"])
        for is_yes, papers in ((True, yes), (False, no))
        for p in papers
    ]


def effects(root: Path) -> list[Example]:
    """Trial prompts of the training split: did the outcome change significantly?"""
    prompts = _lines(root / "evidence_inference/prompts_with_spans.jsonl.gz")
    return [
        _row(
            p["prompt_id"],
            f"Did {p['intervention']} significantly change {p['outcome']} compared with {p['comparator']}?",
            p["context"],
            p["label"] != "no significant difference",
            p["pmcid"],
        )
        for p in prompts
        if p["split"] == "train" and len(p["outcome"] + p["intervention"] + p["comparator"]) < 250
    ]


def claims(root: Path) -> list[Example]:
    """Claims beside an abstract that supports or contradicts them."""
    corpus = {str(paper["doc_id"]): paper for paper in _lines(root / "scifact/corpus.jsonl.gz")}
    return [
        _row(
            f"{claim['id']}-{document}",
            f"Is it true that {claim['claim'].rstrip('.')}?",
            " ".join(corpus[document]["abstract"]),
            evidence[0]["label"] == "SUPPORT",
            document,
        )
        for claim in _lines(root / "scifact/claims_train.jsonl.gz")
        for document, evidence in claim["evidence"].items()
        if document in corpus and evidence
    ]


def _text(paper: dict[str, Any]) -> str:
    return "\n".join(text for _, text in paper["sections"] if text.strip())


def _row(name: str, question: str, text: str, is_yes: bool, document: str) -> Example:
    return Example(id=name, question=Question(question, text), answerable=is_yes, document=str(document))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


SOURCES = {"topics": topics, "one_topic": one_topic, "effects": effects, "claims": claims}

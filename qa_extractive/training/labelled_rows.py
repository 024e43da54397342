"""Corpora that share one form: rows of question, title, context, answers with offsets, and labels.

Each row is a JSON object with ``id``, ``question``, ``title``, ``context``, ``answers`` (a list of
``text`` and ``answer_start``, each acceptable) and ``answerable``; what else a corpus has, its reader says.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.training import questions
from qa_extractive.types import NO_VERDICT, Example, Question, Span

_CONDAQA_VERDICTS = {"YES": "yes", "NO": "no"}
_CLAIM_VERDICTS = {"SUPPORT": "yes", "REFUTE": "no"}
_TITLED_SHARE = 0.6
_OPPOSITE_SHARE = 0.4
_DOCUMENTS = {"rct": "pmc", "scitldr": "tldr"}  # what the same papers are called in ``corpora``


def asked(path: Path, rng: random.Random) -> list[Example]:
    """Questions as people ask them of abstracts, with their verdicts; some with the title, some without."""
    return [asked_example(row, rng) for row in json_lines(path)]


def asked_as_given(path: Path, rng: random.Random) -> list[Example]:
    """The same for evaluation: as they stand, all with their titles."""
    return [
        _row(row, "asked", asked_document(row["doc"]), verdict=_asked_verdict(row))
        for row in json_lines(path)
    ]


def asked_example(row: dict[str, Any], rng: random.Random) -> Example:
    """A row of the form of ``asked`` for training: question mark and title there or not at random.

    Of the questions that are answered "yes", some ask for the opposite, so that the paper tells yes from no
    and not the question. (What is answered "no" stays: often there is no difference either way.)
    """
    question, verdict = questions.vary_mark(row["question"], rng), row["verdict"]
    title = row["title"] if rng.random() < _TITLED_SHARE else None
    turned = questions.opposite(question) if verdict == "yes" and rng.random() < _OPPOSITE_SHARE else None
    if turned is not None:
        question, verdict = turned, "no"
    changed = {**row, "question": question, "title": title, "verdict": verdict}
    return _row(changed, "asked", asked_document(row["doc"]), verdict=_asked_verdict(changed))


def _asked_verdict(row: dict[str, Any]) -> str | None:
    return (row["verdict"] or NO_VERDICT) if row["answerable"] else None


def asked_document(name: str) -> str:
    """The document of a row of ``asked``, by the name that the other corpora give it."""
    kind, _, rest = name.partition("-")
    return f"{_DOCUMENTS.get(kind, kind)}-{rest}"


def asked_documents(data_root: Path) -> frozenset[str]:
    """The documents of the development and test parts of ``asked``, which nothing is trained on.

    None where ``data_root`` has no folder ``asked``.
    """
    folder = data_root / "asked"
    if not folder.is_dir():
        return frozenset()
    parts = (folder / "dev.jsonl.gz", folder / "test.jsonl.gz")
    return frozenset(asked_document(row["doc"]) for part in parts for row in json_lines(part))


def natural_questions(path: Path, rng: random.Random) -> list[Example]:
    """Questions typed into a search box, with evidence in Wikipedia (QED)."""
    rows = json_lines(path)
    return [_row(_marked(row, rng), "searches", f"wiki-{row['title']}", verdict=NO_VERDICT) for row in rows]


def negation_questions(path: Path, rng: random.Random) -> list[Example]:
    """Yes/no questions on passages with negations (CondaQA); those answered "don't know" have no span."""
    return [
        _row(
            row,
            "negations",
            f"condaqa-{row['passage']}",
            verdict=_CONDAQA_VERDICTS.get(row["kind"].partition(":")[2]),
        )
        for row in json_lines(path)
    ]


def health_sections(path: Path, rng: random.Random) -> list[Example]:
    """Health questions on sections of patient pages (MedQuAD); the negatives ask for another section."""
    return [
        _row(_marked(row, rng), "health", row["id"].rpartition("-")[0], verdict=_wh(row))
        for row in json_lines(path)
    ]


def paper_roles(path: Path, rng: random.Random) -> list[Example]:
    """Aim, method and result of computer-science abstracts (CSAbstruct)."""
    return [
        _row(_marked(row, rng), "roles", "-".join(row["id"].split("-")[:3]), verdict=_wh(row))
        for row in json_lines(path)
    ]


def sentence_answers(path: Path, rng: random.Random) -> list[Example]:
    """Questions on sections of Wikipedia, answered by sentences (SelQA)."""
    rows = json_lines(path)
    return [_row(_marked(row, rng), "sentences", f"wiki-{row['title']}", verdict=_wh(row)) for row in rows]


def news_claims(path: Path, rng: random.Random) -> list[Example]:
    """Claims on COVID-19 as questions, with the sentences that support or refute them (Check-COVID)."""
    return [
        _row(
            {**row, "question": questions.from_claim(row["question"], rng)},
            "claims",
            f"cord-{row['cord_id']}",
            verdict=_CLAIM_VERDICTS[row["label"]],
        )
        for row in json_lines(path)
    ]


def trial_full_text(path: Path, rng: random.Random) -> list[Example]:
    """Prompts of Evidence Inference on passages of full texts, and on passages without results."""
    apart = asked_documents(path.parent.parent)
    examples = [_row(row, "prompts", f"pmc-{row['pmcid']}") for row in json_lines(path)]
    return [example for example in examples if example.document not in apart]


def squad_unanswerable(path: Path, rng: random.Random) -> list[Example]:
    """Unanswerable questions of SQuAD 2.0 that the larger file lacks, as of ``even_look``."""
    return [
        _row({**row, "question": questions.even_look(row["question"])}, "squad", row["title"])
        for row in json_lines(path)
        if row["kind"] == "new"
    ]


def _marked(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    return {**row, "question": questions.vary_mark(row["question"], rng)}


def _wh(row: dict[str, Any]) -> str | None:
    return NO_VERDICT if row["answerable"] and row["question"].lower().startswith(("wh", "how")) else None


def _row(row: dict[str, Any], source: str, document: str, *, verdict: str | None = None) -> Example:
    spans = tuple(
        Span(a["text"], a["answer_start"], a["answer_start"] + len(a["text"])) for a in row["answers"]
    )
    return Example(
        id=str(row["id"]),
        question=Question(row["question"], row["context"], row["title"] or None),
        references=tuple(span.text for span in spans),
        spans=spans,
        answerable=bool(row["answerable"]),
        document=document,
        source=source,
        verdict=verdict if row["answerable"] else None,
        fields={name: row[name] for name in ("type", "kind") if name in row},
    )


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a ``.jsonl.gz`` file; DataError where it is missing or is none."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except FileNotFoundError:
        raise DataError(f"{path} is missing: recipes/DATA.md says how to get it") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is not gzipped JSON lines ({error}): get it again") from None


READERS = {
    "asked": asked,
    "asked_as_given": asked_as_given,
    "natural_questions": natural_questions,
    "negation_questions": negation_questions,
    "health_sections": health_sections,
    "paper_roles": paper_roles,
    "sentence_answers": sentence_answers,
    "news_claims": news_claims,
    "trial_full_text": trial_full_text,
    "squad_unanswerable": squad_unanswerable,
}

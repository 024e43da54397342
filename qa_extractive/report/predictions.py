"""Every answer of a system, beside what is known of it, as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Results
from qa_extractive.evaluation.score import shipped_columns
from qa_extractive.tables.writing import write_rows

COLUMNS = (
    "data",
    "id",
    "document",
    "question",
    "references",
    "is_answerable",
    "true_verdict",
    "answer",
    "answer_start",
    "answer_end",
    "score",
    "answerable",
    "abstained",
    "status",
    "verdict",
    "verdict_score",
    "best_span",
    "em",
    "f1",
    "best_span_em",
    "best_span_f1",
    "best_span_rouge_l",
    "evidence_hit",
    "error",
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 80


def write_predictions(path: Path, data: Sequence[tuple[str, Results]]) -> None:
    """Write what a system said of some data sets, a row for each of theirs, in order.

    Columns: ``is_answerable``, ``true_verdict`` and ``references`` are what is known; ``answerable``,
    ``score``, ``verdict`` and ``answer`` (empty where it abstained, null where it failed) what the system
    said; ``best_span`` is the answer or, where it abstained, its best candidate; ``status`` is what a person
    is told (``Answer.status``). ``em`` and ``f1`` score the answer as given, null where no right answer is
    known.

    Args:
        path: The file; its extension names the format.
        data: The name of each data set, and what the system made of its rows.

    Raises:
        DataError: The file cannot be written, or needs pyarrow.
    """
    with write_rows(path, COLUMNS) as writer:
        for name, results in data:
            for values in _rows(results.rows):
                writer.write({"data": name, **values})


def prediction_names(systems: Sequence[str], extension: str) -> list[str]:
    """A name of a file for each system: ``predictions-NAME`` and the extension, no two alike in any case."""
    names: list[str] = []
    taken: set[str] = set()
    for system in systems:
        stem = _UNSAFE.sub("-", system).strip("-.")[:_MAX_NAME] or "system"
        name, n = stem, 1
        while name.casefold() in taken:
            n += 1
            name = f"{stem}-{n}"
        taken.add(name.casefold())
        names.append(f"predictions-{name}{extension}")
    return names


def _rows(rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
    em, f1 = shipped_columns(rows)
    for row, own_em, own_f1 in zip(rows, em.tolist(), f1.tolist(), strict=True):
        yield {
            "id": row.example.id,
            "document": row.example.document,
            "question": row.example.question.question,
            "references": list(row.references),
            "is_answerable": row.answerable,
            "true_verdict": row.example.verdict,
            **_said(row),
            "best_span": row.text,
            **(_scores(row, own_em, own_f1) if row.is_scored else {}),
        }


def _said(row: ScoredRow) -> dict[str, Any]:
    answer = row.answer
    if answer is None:
        return {"error": str(row.outcome)}
    offsets = {} if answer.abstained else {"answer_start": answer.start, "answer_end": answer.end}
    return {
        "answer": answer.text,
        **offsets,
        "score": answer.score,
        "answerable": answer.answerable,
        "abstained": answer.abstained,
        "status": answer.status,
        "verdict": answer.verdict,
        "verdict_score": answer.verdict_score,
    }


def _scores(row: ScoredRow, em: float, f1: float) -> dict[str, Any]:
    return {
        "em": em,
        "f1": f1,
        "best_span_em": row.em,
        "best_span_f1": row.f1,
        "best_span_rouge_l": row.rouge_l if row.references else None,
        "evidence_hit": row.is_hit if row.example.spans else None,
    }

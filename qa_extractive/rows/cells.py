"""What a row of the output holds: the input's cells, then those of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from qa_extractive.rows.results import RowError
from qa_extractive.types import VOTES, Answer

_FIRST_COLUMNS = ("answer", "answer_start", "answer_end", "score", "answerable", "sentence", "error")
_LATER_COLUMNS = ("status", "best_span", "best_start", "best_end", "verdict", "verdict_score")
ANSWER_COLUMNS = (*_FIRST_COLUMNS, *_LATER_COLUMNS)
CANDIDATES_COLUMN = "candidates"
VOTE_COLUMNS = tuple(f"{vote}_prob" for vote in VOTES)
"""``Answer.vote_probs``, where they are wanted."""

FAILED = "failed"
"""The ``status`` of a row with an error, beside those of ``Answer.status``."""

_N_PROB_DIGITS = 4
_N_VOTE_DIGITS = 8  # their sum must still be 1


def added_columns(with_candidates: bool, with_votes: bool = False) -> tuple[str, ...]:
    """The columns that answers add to a table; those that came later stand behind those that were first."""
    candidates = (CANDIDATES_COLUMN,) if with_candidates else ()
    return (*_FIRST_COLUMNS, *candidates, *_LATER_COLUMNS, *(VOTE_COLUMNS if with_votes else ()))


def kept_names(columns: Sequence[str], added: Sequence[str]) -> dict[str, str]:
    """The output name of each input column: ``input_<name>`` where one of that name is added."""
    taken = {*columns, *added}
    return {name: _free_name(name, taken) if name in added else name for name in columns}


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"input_{name}"
    return name


def answer_cells(
    outcome: Answer | RowError, with_candidates: bool, with_votes: bool = False
) -> dict[str, Any]:
    """The cells that an outcome fills; see ``batch.answer_table``."""
    if isinstance(outcome, RowError):
        return {"error": outcome.message, "status": FAILED}
    cells: dict[str, Any] = {
        "answer": outcome.text,
        "score": round(outcome.score, _N_PROB_DIGITS),
        "answerable": round(outcome.answerable, _N_PROB_DIGITS),
        "status": outcome.status,
    }
    if not outcome.abstained:
        cells |= {"answer_start": outcome.start, "answer_end": outcome.end}
        cells["sentence"] = outcome.sentence.text if outcome.sentence else None
    if outcome.best is not None:
        best = outcome.best
        cells |= {"best_span": best.text, "best_start": best.start, "best_end": best.end}
    if outcome.verdict_score is not None:
        cells |= {"verdict": outcome.verdict, "verdict_score": round(outcome.verdict_score, _N_PROB_DIGITS)}
    if with_votes and outcome.vote_probs is not None:
        probs = (round(prob, _N_VOTE_DIGITS) for prob in outcome.vote_probs)
        cells |= dict(zip(VOTE_COLUMNS, probs, strict=True))
    if with_candidates:
        spans = (replace(span, score=round(span.score, _N_PROB_DIGITS)) for span in outcome.candidates)
        cells[CANDIDATES_COLUMN] = [asdict(span) for span in spans]
    return cells


def answer_values(
    outcomes: Sequence[Answer | RowError], with_candidates: bool, with_votes: bool = False
) -> dict[str, list[Any]]:
    """The cells of each added column, None where an outcome has none."""
    rows = [answer_cells(outcome, with_candidates, with_votes) for outcome in outcomes]
    return {name: [row.get(name) for row in rows] for name in added_columns(with_candidates, with_votes)}


def answer_types(arrow: Any, with_candidates: bool, with_votes: bool = False) -> dict[str, Any]:
    """The Arrow type of each added column."""
    text, whole, real = arrow.string(), arrow.int64(), arrow.float64()
    types = dict(zip(_FIRST_COLUMNS, (text, whole, whole, real, real, text, text), strict=True))
    types |= dict(zip(_LATER_COLUMNS, (text, text, whole, whole, text, real), strict=True))
    span = arrow.struct([("text", text), ("start", whole), ("end", whole), ("score", real)])
    types[CANDIDATES_COLUMN] = arrow.list_(span)
    types |= dict.fromkeys(VOTE_COLUMNS, real)
    return {name: types[name] for name in added_columns(with_candidates, with_votes)}

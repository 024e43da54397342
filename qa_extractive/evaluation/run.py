"""A system and labelled Examples -> its scored rows, each call timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from qa_extractive.errors import ModelError, QAError
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.systems import RowSystem, System
from qa_extractive.evaluation.usage import Usage
from qa_extractive.types import Answer, Example, Question

BATCH_ROWS = 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """The time one call took.

    Attributes:
        n_rows: Its rows.
        seconds: Wall-clock time; with the answers one by one where the call as a whole failed.
        n_tokens: Tokens of its rows (``lengths.count_tokens``); 0 where they were not counted.
    """

    n_rows: int
    seconds: float
    n_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Results:
    """What a system made of some rows: of a data set, of several, or of a slice of one.

    Attributes:
        system: Its name.
        rows: The rows, scored.
        batches: The calls, in order; all but the last of a data set of 20 rows.
        n_cores: CPUs that the system may use; None where the work is done on another machine.
        usage: What it used of an endpoint, as it counts itself (``System.usage``); None without one.
    """

    system: str
    rows: tuple[ScoredRow, ...]
    batches: tuple[Batch, ...]
    n_cores: int | None = None
    usage: Usage | None = None


def run_system(
    system: System,
    examples: Sequence[Example],
    *,
    n_tokens: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Ask a system, 20 questions at a time, each call timed; without a warm-up.

    Where a call raises a QAError its questions are asked one by one, so that only those it is about fail.

    Args:
        system: The system.
        examples: What to ask, and what is known of the answers.
        n_tokens: Tokens of each example (``lengths.count_tokens``), for the throughput.
        progress: Told the rows done and the rows there are, after each call.

    Raises:
        ModelError: The system gave more or fewer answers than it was asked.
    """
    rows: list[ScoredRow] = []
    batches: list[Batch] = []
    for begin in range(0, len(examples), BATCH_ROWS):
        own = examples[begin : begin + BATCH_ROWS]
        questions = [example.question for example in own]
        started = time.perf_counter()
        outcomes = _outcomes(system, questions)
        seconds = time.perf_counter() - started
        batches.append(Batch(len(own), seconds, sum((n_tokens or ())[begin : begin + BATCH_ROWS])))
        if len(outcomes) != len(own):
            raise ModelError(
                f"{system.name} gave {len(outcomes)} answers to {len(own)} questions: give one for each"
            )
        rows += map(ScoredRow.of, own, outcomes)
        if progress is not None:
            progress(len(rows), len(examples))
    return Results(system.name, tuple(rows), tuple(batches), _n_cores(system), getattr(system, "usage", None))


def join_results(results: Sequence[Results]) -> Results:
    """The results of one system on several data sets as one, in order."""
    usages = [each.usage for each in results if each.usage is not None]
    return Results(
        results[0].system,
        tuple(row for each in results for row in each.rows),
        tuple(batch for each in results for batch in each.batches),
        results[0].n_cores,
        reduce(add, usages) if usages else None,
    )


def _n_cores(system: System) -> int | None:
    """The CPUs a system works on at once; None behind an endpoint."""
    return None if getattr(system, "usage", None) is not None else int(getattr(system, "n_threads", 1))


def _outcomes(system: System, questions: Sequence[Question]) -> Sequence[Answer | QAError]:
    if isinstance(system, RowSystem):
        return system.answer_rows(questions)
    try:
        return system.answer_batch(questions)
    except QAError as error:
        if len(questions) == 1:
            return [error]
    return [outcome for question in questions for outcome in _outcomes(system, [question])]

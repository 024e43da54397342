"""A system and labelled Examples -> its scored rows, each call timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qa_extractive.errors import ModelError, QAError
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.systems import System
from qa_extractive.records import Answer, Example, Question

BATCH_ROWS = 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """The time one call took.

    Attributes:
        n_rows: Its rows.
        seconds: Wall-clock time; with the answers one by one where the call as a whole failed.
    """

    n_rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Results:
    """What a system made of some rows: of a data set, of several, or of a slice of one.

    Attributes:
        system: Its name.
        rows: The rows, scored.
        batches: The calls, in order; all but the last of a data set of 20 rows.
    """

    system: str
    rows: tuple[ScoredRow, ...]
    batches: tuple[Batch, ...]


def run_system(system: System, examples: Sequence[Example], *, progress: Progress | None = None) -> Results:
    """Ask a system, 20 questions at a time, each call timed; without a warm-up.

    Where a call raises a QAError its questions are asked one by one, so that only those it is about fail.

    Args:
        system: The system.
        examples: What to ask, and what is known of the answers.
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
        batches.append(Batch(len(own), time.perf_counter() - started))
        if len(outcomes) != len(own):
            raise ModelError(f"{system.name} gave {len(outcomes)} answers to {len(own)} questions: mend it")
        rows += map(ScoredRow.of, own, outcomes)
        if progress is not None:
            progress(len(rows), len(examples))
    return Results(system.name, tuple(rows), tuple(batches))


def join_results(results: Sequence[Results]) -> Results:
    """The results of one system on several data sets as one, in order."""
    return Results(
        results[0].system,
        tuple(row for each in results for row in each.rows),
        tuple(batch for each in results for batch in each.batches),
    )


def _outcomes(system: System, questions: Sequence[Question]) -> Sequence[Answer | QAError]:
    try:
        return system.answer_batch(questions)
    except QAError as error:
        if len(questions) == 1:
            return [error]
    return [outcome for question in questions for outcome in _outcomes(system, [question])]

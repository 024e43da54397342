"""What all parts share: the model under test, its rows by data set, and figures beside their floors.

A row that the model fails on counts as an empty answer to figures of texts and as the worst possible
probability to figures of probabilities. ``n_failed`` of a part says how many there were.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qa_extractive.data.loading import load_examples
from qa_extractive.errors import DataError
from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.evaluation.resampling import Resampling
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Results, run_system
from qa_extractive.evaluation.score import score
from qa_extractive.evaluation.systems import ModelSystem
from qa_extractive.inference.calibration import Calibration
from qa_extractive.metrics.bootstrap import Interval, bootstrap_statistic_interval
from qa_extractive.metrics.columns import Bools, Floats, mean_or_none
from qa_extractive.metrics.scores import answerability_auroc
from qa_extractive.metrics.text import RIGHT_F1
from qa_extractive.types import Answer, Example

PROGRESS_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must reach.

    Attributes:
        rule: How the figure is held against the floor; "interval above" asks it of the interval's lower end.
        floor: The bound that must hold.
        aim: The value hoped for, which no verdict depends on.
    """

    rule: Literal["at least", "at most", "interval above"]
    floor: float
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number.

    Attributes:
        name: In words.
        value: The number; None where it is not defined.
        n: The rows it is taken over.
        interval: 95 % bootstrap interval over whole documents; None where there are no two documents.
        goal: What it must reach; None if nothing.
        remark: What the verdict alone does not say.
    """

    name: str
    value: float | None
    n: int
    interval: Interval | None = None
    goal: Goal | None = None
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the floor is reached; None without a floor or a value."""
        if self.goal is None or self.value is None:
            return None
        if self.goal.rule == "interval above":
            return self.interval is not None and self.interval[0] > self.goal.floor
        return (
            self.value >= self.goal.floor if self.goal.rule == "at least" else self.value <= self.goal.floor
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        values: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "interval": self.interval,
            "n": self.n,
        }
        if self.goal is None:
            return values
        goal = {"rule": self.goal.rule, "floor": self.goal.floor, "aim": self.goal.aim}
        return values | {"goal": goal, "met": self.met, "remark": self.remark}


@dataclass(frozen=True, slots=True)
class Part:
    """What one part measured.

    Attributes:
        figures: The numbers, in the order of the table.
        rows: Every row the model was asked for it.
        details: Further plain values for the JSON file.
        table: Further rows for people, of equal keys.
        notes: What a reader of the table must know.
    """

    figures: list[Figure]
    rows: Sequence[ScoredRow]
    details: dict[str, Any] = field(default_factory=dict)
    table: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {
            "n_rows": len(self.rows),
            "n_failed": sum(row.answer is None for row in self.rows),
            "n_documents": len({_document(row) for row in self.rows}),
            "notes": self.notes,
            "figures": [figure.to_dict() for figure in self.figures],
            "table": self.table,
            **self.details,
        }


@dataclass(slots=True)
class Bench:
    """The model under test and what it has been asked so far.

    Attributes:
        system: The model.
        calibration: Its calibration, whose promises are tested.
        data_root: Folder of the data, laid out as recipes/DATA.md says.
        fresh: File of examples that the model has not seen in any role; None if there is none.
        limit: At most so many rows of each set, drawn with the seed; None for all.
        seed: Of everything drawn.
        n_bootstrap: Resamples of documents for each interval.
    """

    system: ModelSystem
    calibration: Calibration
    data_root: Path
    fresh: Path | None = None
    limit: int | None = None
    seed: int = 17
    n_bootstrap: int = 1000
    _results: dict[str, Results] = field(default_factory=dict)

    def load(self, path: Path) -> list[Example]:
        """The examples of a file; DataError if any cannot be read."""
        return self.sample(load_examples(path, strict=True).examples)

    def sample(self, examples: Sequence[Example]) -> list[Example]:
        """At most ``limit`` of the examples, in their order."""
        if self.limit is None or self.limit >= len(examples):
            return list(examples)
        chosen = sorted(random.Random(self.seed).sample(range(len(examples)), self.limit))
        return [examples[i] for i in chosen]

    def run(self, name: str, examples: Callable[[], Sequence[Example]]) -> Results:
        """What the model makes of a data set; asked once, however many parts need it."""
        if name not in self._results:
            asked = examples()
            if not asked:
                raise DataError(f"{name} holds no example: give a data root laid out as recipes/DATA.md says")
            self._results[name] = run_system(self.system, asked, progress=_Progress(name))
        return self._results[name]

    def fresh_results(self) -> Results:
        """What the model makes of the fresh examples."""
        path = self.fresh
        if path is None:
            raise DataError("this part needs --fresh FILE, examples that the model has not seen in any role")
        return self.run("fresh", lambda: self.load(path))

    def unabstained(self, rows: Sequence[ScoredRow]) -> list[Answer]:
        """The answers to rows asked again with a threshold of 0."""
        questions = [row.example.question for row in rows]
        answers: list[Answer] = self.system.predictor.answer_batch(questions, threshold=0.0)
        return answers

    def score(self, results: Results) -> Evaluation:
        """The package's own figures of these rows."""
        return score(results, n_bootstrap=self.n_bootstrap, seed=self.seed)

    def resampling(self, rows: Sequence[ScoredRow]) -> Resampling:
        """Draws of whole documents of these rows."""
        return Resampling.of(rows, self.n_bootstrap, self.seed)

    def interval(
        self, rows: Sequence[ScoredRow], statistic: Callable[[NDArray[np.intp]], float | None]
    ) -> Interval | None:
        """Interval of any figure of the indices of rows, over whole documents."""
        _, units = np.unique([_document(row) for row in rows], return_inverse=True)
        members = [np.flatnonzero(units == unit) for unit in range(int(units.max(initial=-1)) + 1)]
        return bootstrap_statistic_interval(
            lambda drawn: statistic(np.concatenate([members[i] for i in drawn])),
            len(members),
            n_resamples=self.n_bootstrap,
            seed=self.seed,
        )

    def mean(self, name: str, values: Floats, rows: Sequence[ScoredRow], goal: Goal | None = None) -> Figure:
        """The mean of a value of each row."""
        resampling = self.resampling(rows)
        interval = resampling.interval(resampling.mean(values, rows))
        return Figure(name, mean_or_none(values), len(rows), interval, goal)

    def auroc(self, name: str, rows: Sequence[ScoredRow], goal: Goal | None = None) -> Figure:
        """How often ``answerable`` ranks an answerable row above an unanswerable one."""
        known = [row for row in rows if row.answerable is not None]
        labels = bools(bool(row.answerable) for row in known)
        probs = pessimistic([row.answerable_prob for row in known], labels, known)
        resampling = self.resampling(known)
        interval = resampling.interval(resampling.auroc(probs, labels, known))
        return Figure(name, answerability_auroc(probs, labels), len(known), interval, goal)


class _Progress:
    """Says on standard error how far a set is, about every thousand rows."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = PROGRESS_ROWS

    def __call__(self, n_done: int, n_rows: int) -> None:
        if n_done >= self._next:
            print(f"{self._name}: {n_done:,} of {n_rows:,} rows", file=sys.stderr, flush=True)
            self._next += PROGRESS_ROWS


def pessimistic(probs: Sequence[float], outcomes: Bools, rows: Sequence[ScoredRow]) -> Floats:
    """The probabilities, a failed row promising the opposite of what came true."""
    failed = bools(row.answer is None for row in rows)
    return np.where(failed, ~outcomes, floats(probs))


def is_right(row: ScoredRow) -> bool:
    """Whether the best span is right, as the calibration means it."""
    return bool(row.answerable) and row.f1 >= RIGHT_F1


def floats(values: Any) -> Floats:
    """A column of numbers."""
    return np.fromiter(values, dtype=np.float64)


def bools(values: Any) -> Bools:
    """A column of truths."""
    return np.fromiter(values, dtype=np.bool_)


def _document(row: ScoredRow) -> str:
    return row.example.document or row.example.id

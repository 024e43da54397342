"""How well systems say yes or no, side by side, with intervals over whole documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_extractive.evaluation.resampling import Resampling
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Results
from qa_extractive.metrics.bootstrap import Interval, Statistic, paired_bootstrap_statistic
from qa_extractive.metrics.columns import Bools, Floats
from qa_extractive.metrics.scores import brier_score, calibration_error

FIGURES = ("accuracy", "f1", "auroc")


@dataclass(frozen=True, slots=True)
class Score:
    """How well one system sorts some rows; a row that it failed on counts as a no of probability 0.

    Attributes:
        system: Its name.
        n: Rows.
        n_yes: Those that are a yes.
        n_failed: Those that it failed on.
        accuracy: Share of the rows that are sorted right at its threshold.
        accuracy_interval: 95 % bootstrap interval of it.
        f1: Harmonic mean of precision and recall of yes; None where nothing is a yes or taken for one.
        f1_interval: The same of it.
        auroc: How often a yes is given a higher probability than a no; None where all are of one kind.
        auroc_interval: The same of it.
        calibration_error: Of the probability of yes, over at most 15 bins of equal mass.
        brier: Its mean squared error.
        s_per_1000: Seconds for 1,000 rows.
    """

    system: str
    n: int
    n_yes: int
    n_failed: int
    accuracy: float | None
    accuracy_interval: Interval | None
    f1: float | None
    f1_interval: Interval | None
    auroc: float | None
    auroc_interval: Interval | None
    calibration_error: float | None
    brier: float | None
    s_per_1000: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one system less that of another, on the same resamples.

    Attributes:
        figure: One of ``FIGURES``.
        system: The one.
        against: The other.
        difference: Of the two; None where either is not defined.
        interval: 95 % interval of it.
    """

    figure: str
    system: str
    against: str
    difference: float | None
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return asdict(self)


def score(system: str, rows: Sequence[ScoredRow], *, n_bootstrap: int, seed: int) -> Score:
    """The figures of what a system said of rows whose label is known."""
    resampling = Resampling.of(rows, n_bootstrap, seed)
    accuracy, f1, auroc = (_figure(figure, rows, resampling) for figure in FIGURES)
    probs, labels = _probs(rows), _labels(rows)
    return Score(
        system=system,
        n=len(rows),
        n_yes=int(labels.sum()),
        n_failed=sum(row.answer is None for row in rows),
        accuracy=accuracy[0],
        accuracy_interval=accuracy[1],
        f1=f1[0],
        f1_interval=f1[1],
        auroc=auroc[0],
        auroc_interval=auroc[1],
        calibration_error=calibration_error(probs, labels),
        brier=brier_score(probs, labels),
    )


def _figure(
    figure: str, rows: Sequence[ScoredRow], resampling: Resampling
) -> tuple[float | None, Interval | None]:
    statistic = _statistic(figure, rows, resampling)
    value = statistic(np.arange(resampling.n_units, dtype=np.intp)) if rows else None
    return value, None if value is None else resampling.interval(statistic)


def differences(one: Results, other: Results, *, n_bootstrap: int, seed: int) -> list[Difference]:
    """By how much the one sorts the same rows better than the other."""
    resampling = Resampling.of(one.rows, n_bootstrap, seed)
    found = []
    for figure in FIGURES:
        left, right = (_statistic(figure, results.rows, resampling) for results in (one, other))
        paired = None
        if n_bootstrap:
            paired = paired_bootstrap_statistic(
                left, right, resampling.n_units, n_resamples=n_bootstrap, seed=seed
            )
        difference, interval = (None, None) if paired is None else (paired.difference, paired.interval)
        found.append(Difference(figure, one.system, other.system, difference, interval))
    return found


def _statistic(figure: str, rows: Sequence[ScoredRow], resampling: Resampling) -> Statistic:
    said, labels = _said(rows), _labels(rows)
    if figure == "accuracy":
        return resampling.mean((said == labels).astype(np.float64), rows)
    if figure == "auroc":
        return resampling.auroc(_probs(rows), labels, rows)
    right = resampling.mean(2.0 * (said & labels).astype(np.float64), rows)
    marked = resampling.mean(said.astype(np.float64) + labels, rows)

    def f1(drawn: NDArray[np.intp]) -> float | None:
        both = marked(drawn)
        return (right(drawn) or 0.0) / both if both else None

    return f1


def _probs(rows: Sequence[ScoredRow]) -> Floats:
    return np.array([row.answerable_prob for row in rows], dtype=np.float64)


def _said(rows: Sequence[ScoredRow]) -> Bools:
    return np.array([row.is_answered for row in rows], dtype=np.bool_)


def _labels(rows: Sequence[ScoredRow]) -> Bools:
    return np.array([bool(row.example.answerable) for row in rows], dtype=np.bool_)

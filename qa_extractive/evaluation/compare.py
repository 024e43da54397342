"""Two systems on the same rows -> by how much the one is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qa_extractive.errors import DataError
from qa_extractive.evaluation.resampling import Resampling
from qa_extractive.evaluation.run import Results
from qa_extractive.evaluation.score import (
    answerable_columns,
    known_rows,
    right_columns,
    scored_rows,
    shipped_columns,
)
from qa_extractive.metrics.bootstrap import Interval, Statistic, paired_bootstrap_statistic

_LOWER_IS_BETTER = ("aurc",)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A system against another by one figure, from a paired bootstrap: both see the same resamples.

    Attributes:
        figure: "f1", "em", "auroc" or "aurc", as the keys of ``metrics.json``.
        system: The one.
        against: The other.
        difference: The figure of the one less that of the other; None where either is not defined.
        interval: 95 % interval of the difference; None without resamples or two documents.
        better_share: Share of the resamples in which the one is better (a lower AURC, a higher figure
            else), a draw counting half; None with the interval.
    """

    figure: str
    system: str
    against: str
    difference: float | None
    interval: Interval | None
    better_share: float | None

    @property
    def is_better(self) -> bool | None:
        """Whether the one is better, or worse; None where that is not clear: the interval holds 0."""
        if self.interval is None or self.interval[0] <= 0.0 <= self.interval[1]:
            return None
        return (self.interval[0] > 0.0) != (self.figure in _LOWER_IS_BETTER)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values that ``json`` can write."""
        return {
            "figure": self.figure,
            "system": self.system,
            "against": self.against,
            "difference": self.difference,
            "interval": self.interval,
            "better_share": self.better_share,
        }


def compare(results: Sequence[Results], *, n_bootstrap: int = 1000, seed: int = 17) -> list[Comparison]:
    """Every system against the first, by F1 and EM as shipped, AUROC and AURC.

    Args:
        results: What each system made of the same rows, in the same order.
        n_bootstrap: Resamples of whole documents; 0 for differences only.
        seed: Of the resampling.

    Raises:
        DataError: The systems saw different rows.
    """
    for other in results[1:]:
        if [row.example.id for row in other.rows] != [row.example.id for row in results[0].rows]:
            raise DataError(
                f"{other.system} and {results[0].system} saw different rows: run both on the same"
            )
    return [
        _compare(figure, other, results[0], n_bootstrap, seed) for other in results[1:] for figure in _FIGURES
    ]


def _compare(figure: str, one: Results, other: Results, n_bootstrap: int, seed: int) -> Comparison:
    resampling = Resampling.of(one.rows, n_bootstrap, seed)
    left, right = (_FIGURES[figure](results, resampling) for results in (one, other))
    everything = np.arange(resampling.n_units, dtype=np.intp)
    values = [None if statistic is None else statistic(everything) for statistic in (left, right)]
    if left is None or right is None or values[0] is None or values[1] is None:
        return Comparison(figure, one.system, other.system, None, None, None)
    difference = values[0] - values[1]
    paired = None
    if n_bootstrap:
        first, second = (right, left) if figure in _LOWER_IS_BETTER else (left, right)
        paired = paired_bootstrap_statistic(
            first, second, resampling.n_units, n_resamples=n_bootstrap, seed=seed
        )
    if paired is None:
        return Comparison(figure, one.system, other.system, difference, None, None)
    low, high = paired.interval
    interval = (0.0 - high, 0.0 - low) if figure in _LOWER_IS_BETTER else (low, high)
    return Comparison(figure, one.system, other.system, difference, interval, paired.better_share)


def _f1(results: Results, resampling: Resampling) -> Statistic | None:
    rows = scored_rows(results.rows)
    return resampling.mean(shipped_columns(rows)[1], rows) if rows else None


def _em(results: Results, resampling: Resampling) -> Statistic | None:
    rows = scored_rows(results.rows)
    return resampling.mean(shipped_columns(rows)[0], rows) if rows else None


def _auroc(results: Results, resampling: Resampling) -> Statistic | None:
    rows = known_rows(results.rows)
    probs, labels = answerable_columns(rows)
    return resampling.auroc(probs, labels, rows) if labels.any() and not labels.all() else None


def _aurc(results: Results, resampling: Resampling) -> Statistic | None:
    rows = scored_rows(results.rows)
    return resampling.aurc(*right_columns(rows), rows) if rows else None


_FIGURES: dict[str, Callable[[Results, Resampling], Statistic | None]] = {
    "f1": _f1,
    "em": _em,
    "auroc": _auroc,
    "aurc": _aurc,
}

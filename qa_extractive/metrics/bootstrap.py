"""Percentile bootstrap intervals (Efron 1979) of figures of rows, and of the difference of two systems."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qa_extractive.errors import DataError
from qa_extractive.metrics.columns import Floats, finite_column, require_same_length

Interval: TypeAlias = tuple[float, float]
Statistic: TypeAlias = Callable[[NDArray[np.intp]], float | None]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better system A is than system B on the same rows: A's figure minus B's.

    Attributes:
        difference: On the rows as they are.
        interval: Its percentile bootstrap interval.
        better_share: Share of the resamples in which A's figure is higher, in [0, 1]; a tie counts
            half, so a system against itself has 0.5. No probability that A is better: it says how often
            another draw of such rows would show the same sign.
        n_resamples: Resamples in which both figures are defined.
    """

    difference: float
    interval: Interval
    better_share: float
    n_resamples: int

    def __post_init__(self) -> None:
        """Raise DataError where the share or the interval is impossible."""
        if not 0.0 <= self.better_share <= 1.0 or self.interval[0] > self.interval[1]:
            raise DataError(f"no difference has the interval {self.interval} and share {self.better_share}")

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.interval[0] <= 0.0 <= self.interval[1]


def bootstrap_interval(
    values: ArrayLike, *, n_resamples: int = 1000, seed: int, level: float = 0.95
) -> Interval | None:
    """Percentile bootstrap interval of the mean of ``values``, (n_rows,); None below two rows."""
    column = finite_column(values)
    return bootstrap_statistic_interval(
        lambda rows: float(column[rows].mean()), column.size, n_resamples=n_resamples, seed=seed, level=level
    )


def bootstrap_statistic_interval(
    statistic: Statistic,
    n_rows: int,
    *,
    n_resamples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> Interval | None:
    """Percentile bootstrap interval (Efron 1979) of any figure of the rows.

    Args:
        statistic: Takes row indices, (n_rows,) drawn with replacement, to the figure of those rows.
            Resamples for which it is None are left out.
        n_rows: Rows to draw from: independent units, so documents where several rows share one.
        n_resamples: How often to draw.
        seed: Fixes the draws: two figures with the same seed and rows see the same resamples.
        level: The share of resampled figures that the interval holds, in (0, 1).

    Returns:
        The lower and upper end; None below two rows or where every resample is None.
    """
    figures = _resampled(statistic, n_rows, n_resamples, seed, level)
    return _percentiles(figures, level) if figures.size else None


def paired_bootstrap(
    values_a: ArrayLike,
    values_b: ArrayLike,
    *,
    units: Sequence[Hashable] | None = None,
    n_resamples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> PairedDifference | None:
    """Whether A's mean is higher than B's: paired bootstrap resampling (Koehn 2004, W04-3250).

    Both systems are scored on the same resampled rows, so what makes a row hard for both cancels out:
    two intervals that overlap can still hold a clear difference. Berg-Kirkpatrick et al. 2012 (D12-1091)
    compare the method with others and show what it does not cover: other data sets, other training runs.

    Args:
        values_a: A score of each row by system A, (n_rows,), higher is better: token F1, for example.
        values_b: The same of system B, on the same rows in the same order.
        units: The document of each row, (n_rows,): rows of one are drawn together, and a mean is still
            that of the rows. None where each row is its own.
        n_resamples: How often to draw.
        seed: Fixes the draws: those of ``bootstrap_interval`` with the same seed, where units is None.
        level: The share of resampled differences that the interval holds, in (0, 1).

    Returns:
        The difference; None below two units.
    """
    a, b = finite_column(values_a), finite_column(values_b)
    numbers = np.arange(a.size) if units is None else _unit_numbers(units)
    require_same_length(values_a=a.size, values_b=b.size, units=numbers.size)
    sums, counts = np.bincount(numbers, weights=a - b), np.bincount(numbers)

    def difference(drawn: NDArray[np.intp]) -> float:
        return float(sums[drawn].sum() / counts[drawn].sum())

    return _paired(difference, counts.size, n_resamples, seed, level)


def paired_bootstrap_statistic(
    statistic_a: Statistic,
    statistic_b: Statistic,
    n_rows: int,
    *,
    n_resamples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> PairedDifference | None:
    """The same for any figure, such as an AUROC: both statistics see the same resamples.

    Args:
        statistic_a: Takes row indices, (n_rows,), to A's figure of those rows; higher is better, so
            give the negative of an error. Resamples for which it is None are left out.
        statistic_b: The same of B.
        n_rows: Rows to draw from (see bootstrap_statistic_interval).
        n_resamples: How often to draw.
        seed: Fixes the draws: those of ``bootstrap_statistic_interval`` with the same seed.
        level: The share of resampled differences that the interval holds, in (0, 1).

    Returns:
        The difference; None below two rows, or where a figure is None on the rows or on all resamples.
    """

    def difference(drawn: NDArray[np.intp]) -> float | None:
        a, b = statistic_a(drawn), statistic_b(drawn)
        return None if a is None or b is None else a - b

    return _paired(difference, n_rows, n_resamples, seed, level)


def _paired(
    difference: Statistic, n_rows: int, n_resamples: int, seed: int, level: float
) -> PairedDifference | None:
    figures = _resampled(difference, n_rows, n_resamples, seed, level)
    measured = difference(np.arange(n_rows, dtype=np.intp)) if figures.size else None
    if measured is None:
        return None
    better = float(np.mean(figures > 0.0) + np.mean(figures == 0.0) / 2)
    return PairedDifference(measured, _percentiles(figures, level), better, figures.size)


def _resampled(statistic: Statistic, n_rows: int, n_resamples: int, seed: int, level: float) -> Floats:
    """The figure of each resample for which it is defined; none below two rows."""
    if n_resamples < 1 or not 0.0 < level < 1.0:
        raise DataError(f"n_resamples must be positive and level in (0, 1), got {n_resamples} and {level}")
    if n_rows < 2:
        return np.empty(0)
    rng = np.random.default_rng(seed)
    drawn = (statistic(rng.integers(n_rows, size=n_rows, dtype=np.intp)) for _ in range(n_resamples))
    return np.array([figure for figure in drawn if figure is not None], dtype=np.float64)


def _percentiles(figures: Floats, level: float) -> Interval:
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _unit_numbers(units: Sequence[Hashable]) -> NDArray[np.intp]:
    """The number of each row's unit, in order of first appearance."""
    numbers = {unit: i for i, unit in enumerate(dict.fromkeys(units))}
    return np.array([numbers[unit] for unit in units], dtype=np.intp)

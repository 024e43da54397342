"""Percentile bootstrap intervals (Efron 1979) of figures of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qa_extractive.errors import DataError
from qa_extractive.metrics.columns import finite_column

Interval: TypeAlias = tuple[float, float]


def bootstrap_interval(
    values: ArrayLike, *, n_resamples: int = 1000, seed: int, level: float = 0.95
) -> Interval | None:
    """Percentile bootstrap interval of the mean of ``values``, (n_rows,); None below two rows."""
    column = finite_column(values)
    return bootstrap_statistic_interval(
        lambda rows: float(column[rows].mean()), column.size, n_resamples=n_resamples, seed=seed, level=level
    )


def bootstrap_statistic_interval(
    statistic: Callable[[NDArray[np.intp]], float | None],
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
    if n_resamples < 1 or not 0.0 < level < 1.0:
        raise DataError(f"n_resamples must be positive and level in (0, 1), got {n_resamples} and {level}")
    if n_rows < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = (statistic(rng.integers(n_rows, size=n_rows, dtype=np.intp)) for _ in range(n_resamples))
    figures = [figure for figure in drawn if figure is not None]
    if not figures:
        return None
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

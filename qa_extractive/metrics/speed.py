"""What answers cost: time for each batch, rows for each second, money for each million questions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qa_extractive.errors import DataError
from qa_extractive.metrics.columns import finite_column

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class LatencyPercentiles:
    """Seconds that half, 95 % and 99 % of the batches stay within; linear between two batches.

    A percentile of few batches is nearly their slowest: p99 says something of its own from some hundred
    batches on.

    Attributes:
        p50_s: Median.
        p95_s: 95th percentile.
        p99_s: 99th percentile.
    """

    p50_s: float
    p95_s: float
    p99_s: float


def latency_percentiles(seconds: ArrayLike) -> LatencyPercentiles | None:
    """The percentiles of the wall-clock seconds of each batch, (n_batches,); None without batches.

    Raises:
        DataError: If a time is negative or not finite.
    """
    column = finite_column(seconds)
    if np.any(column < 0.0):
        raise DataError(f"times must not be negative, but batch {int(np.argmin(column))} is {column.min()}")
    if not column.size:
        return None
    p50, p95, p99 = (float(value) for value in np.quantile(column, [0.5, 0.95, 0.99]))
    return LatencyPercentiles(p50, p95, p99)


def rate(n: int, seconds: float) -> float | None:
    """How many in a second, of rows or of tokens; None where no time was measured."""
    if n < 0 or not seconds >= 0.0 or math.isinf(seconds):
        raise DataError(f"a rate needs a number and seconds that are not negative, got {n} in {seconds} s")
    return n / seconds if seconds > 0.0 else None


def cost_per_million(rows_per_s: float, price_per_hour: float) -> float:
    """What a million questions cost on a machine of this price an hour, in the currency of the price.

    A lower bound: the machine does nothing else and never waits for questions.

    Raises:
        DataError: If the rate is not positive, or the price negative or not finite.
    """
    if not (math.isfinite(rows_per_s) and rows_per_s > 0.0):
        raise DataError(f"a cost needs a positive number of rows a second, got {rows_per_s}")
    if not (math.isfinite(price_per_hour) and price_per_hour >= 0.0):
        raise DataError(f"the price an hour must not be negative, got {price_per_hour}")
    return 1e6 / rows_per_s / _SECONDS_PER_HOUR * price_per_hour

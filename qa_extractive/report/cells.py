"""Numbers -> cells of a report; "-" where a figure is not defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that the command line can show its help without numpy
    from qa_extractive.metrics.bootstrap import Interval

UNDEFINED = "-"
_BYTES_PER_MB = 1_000_000
_SMALLEST = 0.001


def percent(value: float | None, interval: Interval | None = None) -> str:
    """A share in [0, 1] in percent, with its interval."""
    return _cell(value, interval, lambda share: f"{100 * share:.1f}")


def decimal(value: float | None, interval: Interval | None = None) -> str:
    """A number with three decimals, with its interval."""
    return _cell(value, interval, lambda number: f"{number:.3f}")


def points(value: float | None, interval: Interval | None = None) -> str:
    """A difference of shares in percentage points, signed, with its interval."""
    return _cell(value, interval, lambda share: f"{100 * share:+.1f}")


def signed(value: float | None, interval: Interval | None = None) -> str:
    """A difference with three decimals, signed, with its interval."""
    return _cell(value, interval, lambda number: f"{number:+.3f}")


def _cell(value: float | None, interval: Interval | None, text: Callable[[float], str]) -> str:
    if value is None:
        return UNDEFINED
    ends = "" if interval is None else f" [{text(interval[0])}, {text(interval[1])}]"
    return f"{text(value)}{ends}"


def number(value: float | None) -> str:
    """A number that is not negative to three significant digits, from 100 on to the unit."""
    if value is None:
        return UNDEFINED
    if 0.0 < value < _SMALLEST:
        return f"< {_SMALLEST}"
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def count(value: int | None) -> str:
    """A count."""
    return UNDEFINED if value is None else f"{value:,}"


def megabytes(value: int | None) -> str:
    """Bytes in MB of a million bytes."""
    return UNDEFINED if value is None else f"{value / _BYTES_PER_MB:,.1f}"

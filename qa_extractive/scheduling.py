"""Which windows share all cores and which take one each, so that the last core is done soonest."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

# Tokens at which attention, whose work grows with their square, takes as long as all the rest: it took
# 41 % of the time of windows of 380 tokens.
_EVEN_TOKENS = 550
_SHARED_GAIN = 0.7  # of n times the speed: 2 cores run a window of 519 tokens 1.38 times as fast as one
_MAX_WINDOWS_A_THREAD = 4  # more of them leave cores idle for too short a time to be worth a plan


class Plan(NamedTuple):
    """Positions of windows, each in one of the two.

    Attributes:
        together: Run one after the other, on all threads each, before the others.
        apart: Run on one thread each, in this order; the longest first.
    """

    together: tuple[int, ...]
    apart: tuple[int, ...]


def plan_runs(lengths: Sequence[int], n_threads: int) -> Plan:
    """The plan that should end soonest; what it says never changes what a window's run computes.

    Args:
        lengths: Tokens of each window.
        n_threads: Threads there are.
    """
    order = longest_first(lengths)
    if n_threads == 1 or len(lengths) > _MAX_WINDOWS_A_THREAD * n_threads:
        return Plan((), order)
    costs = [_cost(lengths[i]) for i in order]
    gain = _SHARED_GAIN * n_threads

    def end(n_together: int) -> float:
        return sum(costs[:n_together]) / gain + _last_end(costs[n_together:], n_threads)

    n_together = min(range(min(len(costs), n_threads) + 1), key=end)
    return Plan(order[:n_together], order[n_together:])


def longest_first(lengths: Sequence[int]) -> tuple[int, ...]:
    """Positions by falling length, equal ones in their order."""
    return tuple(sorted(range(len(lengths)), key=lambda i: -lengths[i]))


def _cost(n_tokens: int) -> float:
    """Time of a window on one thread, in that of a token without attention."""
    return n_tokens * (1.0 + n_tokens / _EVEN_TOKENS)


def _last_end(costs: Sequence[float], n_threads: int) -> float:
    """When the last of the threads is done, each taking the next window as soon as it is free."""
    ends = [0.0] * n_threads
    for cost in costs:
        heapq.heapreplace(ends, ends[0] + cost)
    return max(ends)

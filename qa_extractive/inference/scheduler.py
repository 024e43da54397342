"""Which windows share all cores and which take one each, and the threads that run them."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple, TypeVar

_T = TypeVar("_T")

# Tokens at which attention, whose work grows with their square, takes as long as all the rest: it took
# 41 % of the time of windows of 380 tokens.
_EVEN_TOKENS = 550
_SHARED_GAIN = 0.7  # of n times the speed: 2 cores run a window of 519 tokens 1.38 times as fast as one
_AHEAD_OF_A_THREAD = 16  # jobs that wait or run when results are looked at: no thread is to run out of them

MAX_PLANNED_A_THREAD = 4
"""Windows of a plan for each thread: more of them leave cores idle for too short a time to be worth one."""


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
    if n_threads == 1 or len(lengths) > MAX_PLANNED_A_THREAD * n_threads:
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


def run_in_threads(
    parts: Iterable[Sequence[Callable[[], _T]]], n_threads: int
) -> Generator[list[_T], None, None]:
    """What the jobs of each part give, in order; parts are made, and results used, while jobs run.

    A part waits while those before it run, or several small ones.
    The first error, of a job or of making a part, is raised when the jobs that are running have ended;
    the others are not started, nor are they when the generator is closed.

    Args:
        parts: Jobs that take far longer than a thread needs to be told of them, started in their order.
        n_threads: Of them at once.
    """
    pending: deque[list[Future[_T]]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="qa-run") as pool:
        try:
            for part in parts:
                pending.append([pool.submit(job) for job in part])
                while len(pending) > 1 and sum(map(len, pending)) > _AHEAD_OF_A_THREAD * n_threads:
                    yield _results(pending)
            while pending:
                yield _results(pending)
        finally:
            for future in chain.from_iterable(pending):
                future.cancel()


def _results(pending: deque[list[Future[_T]]]) -> list[_T]:
    """Of the oldest part, which then is pending no more."""
    results = [future.result() for future in pending[0]]
    pending.popleft()
    return results

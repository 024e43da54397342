"""Which windows share the cores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.inference.scheduler import longest_first, plan_runs, run_in_threads


@given(lengths=st.lists(st.integers(1, 512), max_size=40), n_threads=st.integers(1, 9))
def test_every_window_runs_once_the_longest_first(lengths: list[int], n_threads: int) -> None:
    together, apart = plan_runs(lengths, n_threads)
    assert sorted([*together, *apart]) == list(range(len(lengths)))
    run = [lengths[i] for i in (*together, *apart)]
    assert run == sorted(lengths, reverse=True)
    assert len(together) <= n_threads


@pytest.mark.parametrize(
    ("lengths", "n_threads", "together"),
    [
        ([], 2, ()),
        ([100], 1, ()),
        ([100], 2, (0,)),  # one window: all cores
        ([100, 100], 2, ()),  # one core each
        ([100, 100, 100], 2, (0,)),  # the third would keep one core waiting
        ([512, 30], 2, (0, 1)),  # the short one would keep a core waiting for the long one
        ([400, 390, 30], 2, ()),
        ([30, 512], 4, (1, 0)),
        ([100] * 5, 4, (0,)),
        ([100] * 20, 2, ()),
        ([512, *[10] * 30], 2, ()),  # too many to plan
    ],
)
def test_windows_share_the_cores_that_would_wait(
    lengths: list[int], n_threads: int, together: tuple[int, ...]
) -> None:
    assert plan_runs(lengths, n_threads).together == together


def test_equal_windows_keep_their_order() -> None:
    assert longest_first([5, 9, 5, 9]) == (1, 3, 0, 2)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60), max_size=8),
    n_threads=st.integers(1, 4),
)
def test_parts_come_back_in_order_whatever_ends_first(sizes: list[int], n_threads: int) -> None:
    def job(part: int, i: int) -> Callable[[], tuple[int, int]]:
        def run() -> tuple[int, int]:
            time.sleep(0.0002 * ((part + i) % 3))
            return part, i

        return run

    parts = ([job(part, i) for i in range(size)] for part, size in enumerate(sizes))
    expected = [[(part, i) for i in range(size)] for part, size in enumerate(sizes)]
    assert list(run_in_threads(parts, n_threads)) == expected


def test_a_part_is_made_while_the_one_before_it_runs() -> None:
    is_made = threading.Event()

    def parts() -> Iterator[list[Callable[[], bool]]]:
        yield [lambda: is_made.wait(30.0)] * 100  # more than may wait, were it not the only part
        is_made.set()
        yield [is_made.is_set]

    assert list(run_in_threads(parts(), 2)) == [[True] * 100, [True]]


def test_parts_are_not_made_far_ahead() -> None:
    n_made = 0
    gate = threading.Event()

    def parts() -> Iterator[list[Callable[[], bool]]]:
        nonlocal n_made
        for _ in range(50):
            n_made += 1
            yield [lambda: gate.wait(30.0)] * 40

    results = run_in_threads(parts(), 2)
    threading.Timer(0.2, gate.set).start()
    next(results)
    assert n_made == 2
    results.close()


def test_the_first_error_ends_it_and_what_waits_is_not_started() -> None:
    started: list[int] = []

    def job(i: int) -> Callable[[], None]:
        def run() -> None:
            started.append(i)
            if i == 3:
                raise ValueError("the fourth")
            time.sleep(0.001)

        return run

    with pytest.raises(ValueError, match="the fourth"):
        list(run_in_threads(([job(100 * part + i) for i in range(100)] for part in range(3)), 2))
    assert 3 in started
    assert len(started) < 200


def test_an_error_of_making_a_part_is_raised_when_the_running_jobs_have_ended() -> None:
    ended: list[int] = []

    def job() -> None:
        time.sleep(0.05)
        ended.append(1)

    def parts() -> Iterator[list[Callable[[], None]]]:
        yield [job]
        raise ValueError("no second part")

    with pytest.raises(ValueError, match="no second part"):
        list(run_in_threads(parts(), 2))
    assert ended == [1]


def test_closing_starts_no_more() -> None:
    started: list[int] = []

    def job() -> None:
        time.sleep(0.002)
        started.append(1)

    parts = ([job] * 20 for _ in range(30))
    results = run_in_threads(parts, 2)
    next(results)
    results.close()
    n_started = len(started)
    assert n_started < 100
    time.sleep(0.05)
    assert len(started) == n_started

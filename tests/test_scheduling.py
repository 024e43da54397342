"""Which windows share the cores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_extractive.scheduling import longest_first, plan_runs


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

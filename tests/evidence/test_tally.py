"""Intervals for true counts: exact, held by a simulated truth, and honest about a biased reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from qa_extractive.errors import DataError
from qa_extractive.evidence.tally import ALLOWED_ERROR, Count, Share, Tally, count_probs, tally_of
from qa_extractive.types import VOTES

Floats = npt.NDArray[np.float64]
SIZES = (1, 2, 3, 5, 8, 13, 20, 35, 50, 80, 120, 200)
N_SIMULATIONS = 2_000


def flat(n: int, generator: np.random.Generator) -> Floats:
    return generator.dirichlet([1.0] * 4, n)


def skewed(n: int, generator: np.random.Generator) -> Floats:
    """A sure reader of papers that mostly do not say."""
    return generator.dirichlet([0.2, 0.1, 0.03, 0.6], n)


def lopsided(n: int, generator: np.random.Generator) -> Floats:
    """Nearly all say yes, and it is never quite sure."""
    return generator.dirichlet([12.0, 2.0, 0.5, 1.0], n)


def votes_of(probs: Floats) -> list[str]:
    return [VOTES[i] for i in probs.argmax(axis=1)]


def drawn(probs: Floats, generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """What each paper truly says, (n_papers,)."""
    found: npt.NDArray[np.intp] = (generator.random((len(probs), 1)) > probs.cumsum(axis=1)[:, :3]).sum(
        axis=1
    )
    return found


def counts(tally: Tally) -> list[Count]:
    return [tally.yes, tally.no, tally.mixed, tally.not_reported]


def coverage(
    made: Callable[[int, np.random.Generator], Floats],
    sizes: Sequence[int],
    *,
    error: float = 0.0,
    moved: float = 0.0,
    n_simulations: int = N_SIMULATIONS,
) -> Floats:
    """Whether simulated truths lie within the intervals of the four counts, (n_simulations, 4).

    ``moved`` is what the reader's probabilities have of yes too much, at the cost of "not reported".
    """
    generator = np.random.default_rng(5)
    held = np.zeros((n_simulations, 4))
    for i in range(n_simulations):
        truth = made(sizes[i % len(sizes)], generator)
        read = truth.copy()
        shift = np.minimum(moved, truth[:, 3])
        read[:, 0] += shift
        read[:, 3] -= shift
        found = np.bincount(drawn(truth, generator), minlength=4)
        tally = tally_of(votes_of(read), read, error=error)
        held[i] = [c.low <= k <= c.high for c, k in zip(counts(tally), found, strict=True)]
    return held


@pytest.fixture
def _without_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would take most of the time of thousands of tallies."""
    monkeypatch.setattr("qa_extractive.evidence.tally._yes_share", lambda *_: None)


# ---------------------------------------------------------------- the counts


def test_distributions_are_those_of_all_outcomes() -> None:
    probs = np.random.default_rng(1).random((3, 6))
    for row, found in zip(probs, count_probs(probs), strict=True):
        expected = np.zeros(7)
        for outcome in product((0, 1), repeat=6):
            expected[sum(outcome)] += np.prod([p if o else 1 - p for p, o in zip(row, outcome, strict=True)])
        assert found == pytest.approx(expected)


def test_a_thousand_draws_keep_their_sum_and_mean() -> None:
    probs = np.random.default_rng(2).random((2, 1000))
    found = count_probs(probs)
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert found @ np.arange(1001) == pytest.approx(probs.sum(axis=1))
    assert found.min() >= 0.0


@pytest.mark.parametrize("n", [1, 7, 60])
def test_an_interval_holds_95_percent_and_no_side_leaves_out_more_than_its_half(n: int) -> None:
    probs = flat(n, np.random.default_rng(n))
    tally = tally_of(votes_of(probs), probs, error=0.0)
    for count, own in zip(counts(tally), count_probs(probs.T), strict=True):
        below, above = own[: count.low].sum(), own[count.high + 1 :].sum()
        assert max(below, above) <= 0.025 + 1e-12
        assert below + own[count.low] > 0.025, "a narrower one would leave out more"
        assert above + own[count.high] > 0.025
        assert count.low <= count.expected <= count.high or n == 1


@pytest.mark.usefixtures("_without_shares")
@pytest.mark.parametrize("made", [flat, skewed, lopsided])
def test_a_calibrated_readers_intervals_hold_the_truth_and_are_not_too_wide(
    made: Callable[[int, np.random.Generator], Floats],
) -> None:
    held = coverage(made, SIZES)
    assert held.mean(axis=0).min() >= 0.95, held.mean(axis=0)
    many = np.resize(np.array(SIZES) >= 50, len(held))
    assert 0.95 <= held[many].mean() < 0.995


@pytest.mark.usefixtures("_without_shares")
def test_a_biased_readers_intervals_miss_the_truth_of_many_papers_unless_the_bias_is_allowed_for() -> None:
    """In 1,000 simulations .66 of the intervals for yes held of 200 papers, .92 of 50; allowed for, .98."""
    held = coverage(flat, [200], moved=0.05, n_simulations=150).mean(axis=0)[0]
    allowed = coverage(flat, [200], moved=0.05, error=ALLOWED_ERROR, n_simulations=150).mean(axis=0)
    told = f"200 papers, .05 too much of yes: {held:.3f}; allowed for: {allowed}"
    assert 0.5 < held < 0.8, told
    assert allowed.min() >= 0.95, told


def test_what_is_sure_has_no_interval() -> None:
    probs = np.array([[1.0, 0, 0, 0]] * 3 + [[0, 0, 0, 1.0]] * 2)
    tally = tally_of(["yes"] * 3 + ["not_reported"] * 2, probs, error=0.0)
    assert counts(tally) == [
        Count(3, 3.0, 3, 3),
        Count(0, 0.0, 0, 0),
        Count(0, 0.0, 0, 0),
        Count(2, 2.0, 2, 2),
    ]
    assert tally.yes_share == Share(1.0, 1.0, 1.0, 1.0)
    assert tally.to_dict()["yes"] == {"n": 3, "expected": 3.0, "low": 3, "high": 3}


def test_an_error_widens_to_both_sides_and_no_further_than_the_papers() -> None:
    probs = lopsided(40, np.random.default_rng(3))
    plain, wide = (tally_of(votes_of(probs), probs, error=e) for e in (0.0, 0.1))
    assert wide.yes.low < plain.yes.low < plain.yes.high < wide.yes.high <= 40
    most = tally_of(votes_of(probs), probs, error=1.0)
    assert [(c.low, c.high) for c in counts(most)] == [(0, 40)] * 4


# ---------------------------------------------------------------- the share


@pytest.mark.parametrize("made", [flat, skewed, lopsided])
def test_the_share_of_yes_holds_the_truth(made: Callable[[int, np.random.Generator], Floats]) -> None:
    generator = np.random.default_rng(6)
    held = []
    for i in range(100):
        probs = made(SIZES[i % 10], generator)
        share = tally_of(votes_of(probs), probs, error=0.0).yes_share
        for _ in range(20):
            found = np.bincount(drawn(probs, generator), minlength=4)
            if found[:3].sum() and share:
                held.append(share.low <= found[0] / found[:3].sum() <= share.high)
    assert len(held) > 1_000
    assert np.mean(held) >= 0.95


def test_the_share_allows_for_the_error_and_is_the_same_each_time() -> None:
    probs = flat(150, np.random.default_rng(8))
    plain, wide, again = (tally_of(votes_of(probs), probs, error=e).yes_share for e in (0.0, 0.05, 0.05))
    assert plain
    assert wide
    assert wide == again
    assert wide.low < plain.low < plain.expected < plain.high < wide.high
    assert wide.high - plain.high == pytest.approx(0.05 / probs[:, :3].sum(axis=1).mean(), abs=0.02)


def test_no_share_where_nothing_is_reported() -> None:
    tally = tally_of(["not_reported"] * 4, [[0.0, 0.0, 0.0, 1.0]] * 4)
    assert tally.yes_share is None
    assert (tally.not_reported.n, tally.yes.n) == (4, 0)
    tally = tally_of(["not_reported"] * 4, [[0.2, 0.1, 0.0, 0.7]] * 4)
    assert tally.yes_share
    assert tally.yes_share.shown is None


def test_no_papers() -> None:
    tally = tally_of([], [])
    assert counts(tally) == [Count(0, 0.0, 0, 0)] * 4
    assert tally.yes_share is None


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("votes", "probs", "error", "message"),
    [
        (["yes"], [[0.5, 0.5, 0.0, 0.0]] * 2, 0.0, "1 votes have 2 rows"),
        (["maybe"], [[0.5, 0.5, 0.0, 0.0]], 0.0, "no vote 'maybe'"),
        (["yes"], [[0.5, 0.5, 0.5, 0.0]], 0.0, "of sum 1"),
        (["yes"], [[1.5, -0.5, 0.0, 0.0]], 0.0, "must lie in"),
        (["yes"], [[float("nan"), 0.5, 0.5, 0.0]], 0.0, "must lie in"),
        (["yes"], [[1.0, 0.0, 0.0, 0.0]], 1.5, "error must lie"),
    ],
)
def test_what_is_no_tally(votes: list[str], probs: list[list[float]], error: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        tally_of(votes, probs, error=error)

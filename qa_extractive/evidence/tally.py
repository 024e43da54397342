"""The votes of papers on a yes/no question, with intervals for the true counts.

A vote is what a paper's answer shows. How many papers truly say so is not known, since the reader errs; but
each paper's calibrated probabilities of the four votes say how often. Under the assumptions of ``tally_of``
the true number of papers of a vote is a sum of independent draws (Poisson-binomial), whose distribution is
computed exactly, by convolution.

What it costs if the assumptions fail: the interval for a count widens with the square root of the papers,
and a bias of the probabilities grows with their number. ``error`` allows for such a bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qa_extractive.errors import DataError
from qa_extractive.types import NOT_REPORTED, VERDICTS, VOTES, VoteProbs

ALLOWED_ERROR: Final = 0.05
"""How far the probabilities may be off in one direction. The calibration errors in the embedded model's card
are somewhat larger; they count what is off in both directions, which a sum in part cancels."""

_TAIL = 0.025  # on each side of an interval of 95 %
_N_DRAWS = 10_000
_SHARE_TAIL = 0.024  # a little less, for the error of so many draws
_FEWEST_DRAWS = 100  # with a paper that reports, for a share
_SEED = 0

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Count:
    """How many papers say one thing.

    Attributes:
        n: Papers whose answer shows it.
        expected: The sum of the papers' probabilities of it.
        low: Lower end of the 95 % interval for the true number of papers.
        high: Its upper end, included.
    """

    n: int
    expected: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Share:
    """The share of "yes" among the papers that report; all in [0, 1].

    Attributes:
        shown: Of the votes as shown; None where no paper's answer shows one.
        expected: The expected papers that say yes, for each expected paper that reports.
        low: Lower end of the 95 % interval for the true share, given that at least one paper reports.
        high: Its upper end.
    """

    shown: float | None
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What papers say to a yes/no question, counted; each paper is one vote.

    Attributes:
        n_papers: All papers asked, the sum of the four ``n``.
        yes: Those that say yes.
        no: Those that say no.
        mixed: Those that say both, only for some, or that it is inconclusive.
        not_reported: Those that do not say.
        yes_share: Of yes among the others that report; None where hardly any paper might report.
        error: The error of the probabilities that the intervals allow for, in [0, 1].
    """

    n_papers: int
    yes: Count
    no: Count
    mixed: Count
    not_reported: Count
    yes_share: Share | None
    error: float

    def to_dict(self) -> dict[str, Any]:
        """The tally as plain values that ``json`` can write."""
        return asdict(self)


def tally_of(votes: Sequence[str], probs: npt.ArrayLike, *, error: float = ALLOWED_ERROR) -> Tally:
    """Count the votes, with 95 % intervals for the true counts.

    It is assumed that

    - the probabilities are calibrated: of the papers given p for a vote, a share of p truly has it, but for
      at most ``error``, by which any paper's probability may be moved from one vote to another, for all
      papers in the same direction;
    - given these probabilities, the papers are independent: the reader's error on one does not tell its error
      on the next. Papers that say the same in the same words are not.

    Counts are exact under these assumptions; the share of yes is simulated (10,000 draws of all papers, with
    a fixed seed).

    Args:
        votes: As shown, each one of ``VOTES``.
        probs: Of the papers, in the same order; shape (n_papers, 4), in the order of ``VOTES``, each
            row of sum 1.
        error: What the intervals allow for, in [0, 1]; 0 takes the probabilities as they are.

    Raises:
        DataError: A vote or a probability is none, or their numbers differ.
    """
    table = _checked(votes, probs, error)
    lows, highs = _intervals(table.T, error)
    yes, no, mixed, silent = counts = [
        Count(votes.count(vote), float(table[:, i].sum()), int(lows[i]), int(highs[i]))
        for i, vote in enumerate(VOTES)
    ]
    return Tally(len(votes), yes, no, mixed, silent, _yes_share(counts, table, error), error)


def vote_of(probs: VoteProbs, *, abstained: bool, verdict: str | None) -> str:
    """What an answer shows, one of ``VOTES``.

    An answer whose verdict the model leaves open counts for the likeliest one.
    """
    return NOT_REPORTED if abstained else verdict or max(zip(probs, VERDICTS, strict=False))[1]


def count_probs(probs: npt.ArrayLike) -> _Floats:
    """The distributions of sums of independent draws of 0 or 1, by convolution: exact.

    Args:
        probs: Of a 1; shape (n_sums, n_draws).

    Returns:
        The probability of each sum from 0 to ``n_draws``, shape (n_sums, n_draws + 1).
    """
    rows = np.asarray(probs, dtype=np.float64)
    found = np.zeros((rows.shape[0], rows.shape[1] + 1))
    found[:, 0] = 1.0
    for i in range(rows.shape[1]):
        drawn = rows[:, i : i + 1]
        moved = found[:, : i + 1] * drawn
        found[:, : i + 1] -= moved
        found[:, 1 : i + 2] += moved
    return found


def _intervals(rows: _Floats, error: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The central intervals of each row's sum: neither side leaves out more than its tail."""
    shifted = np.clip(np.concatenate((rows - error, rows + error)), 0.0, 1.0)
    fewer, more = np.split(np.cumsum(count_probs(shifted), axis=1), 2)
    return (fewer <= _TAIL).sum(axis=1), (more[:, :-1] < 1.0 - _TAIL).sum(axis=1)


def _yes_share(counts: Sequence[Count], table: _Floats, error: float) -> Share | None:
    few, many, reported = _drawn(table, error)
    some = reported > 0
    if some.sum() < _FEWEST_DRAWS:
        return None
    n_reporting = sum(count.n for count in counts[:3])
    return Share(
        shown=counts[0].n / n_reporting if n_reporting else None,
        expected=counts[0].expected / sum(count.expected for count in counts[:3]),
        low=float(np.quantile(few[some] / reported[some], _SHARE_TAIL, method="lower")),
        high=float(np.quantile(many[some] / reported[some], 1.0 - _SHARE_TAIL, method="higher")),
    )


def _drawn(table: _Floats, error: float) -> tuple[_Floats, _Floats, _Floats]:
    """Papers that say yes, too few and too many by the error, and those that report; each (n_draws,).

    The error is moved between yes and the others that report, which changes the share the most.
    """
    generator = np.random.default_rng(_SEED)
    few, many, reported = np.zeros((3, _N_DRAWS))
    for yes, reports in zip(table[:, 0], table[:, :3].sum(axis=1), strict=True):
        drawn = generator.random(_N_DRAWS)
        few += drawn < yes - error
        many += drawn < min(yes + error, reports)
        reported += drawn < reports
    return few, many, reported


def _checked(votes: Sequence[str], probs: npt.ArrayLike, error: float) -> _Floats:
    table = np.asarray(probs, dtype=np.float64).reshape(-1, len(VOTES))
    if len(table) != len(votes):
        raise DataError(f"{len(votes)} votes have {len(table)} rows of probabilities: give one for each")
    wrong = next((vote for vote in votes if vote not in VOTES), None)
    if wrong is not None:
        raise DataError(f"there is no vote {wrong!r:.40}: use one of {', '.join(VOTES)}")
    if not (np.all((table >= 0.0) & (table <= 1.0)) and np.allclose(table.sum(axis=1), 1.0)):
        raise DataError("probabilities must lie in [0, 1], those of a paper of sum 1")
    if not 0.0 <= error <= 1.0:
        raise DataError(f"error must lie in [0, 1], got {error}")
    return table

"""Exact search for the run of tokens with the highest token F1 against a reference.

A best run starts and ends on a token of the reference (trimming one that does not raises F1), and
one longer than three times the reference cannot reach F1 0.5, so only pairs of matching tokens at
most ``window_limit`` apart are visited, with counts kept sliding. Starts and extensions that cannot
beat the best found so far are cut off by an upper bound, without losing exactness.

Cost: O(n + k w) for n context tokens, k of them in the reference, w of those within one limit;
typically 1 ms for an abstract, and linear in the context for a fixed reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Window:
    """A run of tokens ``[first, end)`` and how well it matches.

    Attributes:
        first: Index of its first token.
        end: Index after its last token.
        f1: Token F1 against the reference, counted with repetition, in [0, 1].
        key: The F1 less the penalty for group ends crossed: what ranked it, above 0.
    """

    first: int
    end: int
    f1: float
    key: float


def window_limit(n_reference: int) -> int:
    """The greatest number of tokens of a window searched for a reference of ``n_reference`` tokens."""
    return 3 * n_reference + 10


def best_token_f1(reference: Sequence[str], words: Sequence[str]) -> float:
    """The highest token F1 of any run of at most ``window_limit`` words; 0.0 if nothing is shared."""
    return max((w.f1 for w in best_windows(reference, words, max_kept=1)), default=0.0)


def best_windows(
    reference: Sequence[str],
    words: Sequence[str],
    *,
    groups: Sequence[int] | None = None,
    n_groups: int = 1,
    penalty: float = 0.0,
    max_kept: int = 64,
) -> list[Window]:
    """The windows with the highest key, all of them equal in it, in order of their place.

    Args:
        reference: The tokens to match; order plays no part.
        words: The tokens to search.
        groups: For each word the number of its group (its sentence), ascending; None for one group.
        n_groups: How many groups a window may touch free of penalty.
        penalty: Taken off the key once for each group touched beyond ``n_groups``.
        max_kept: At most this many windows are kept, the first ones.
    """
    wanted = Counter(reference)
    search = _Search(wanted, len(reference), groups, n_groups, penalty, max_kept)
    places = [i for i, word in enumerate(words) if word in wanted]
    matched = [words[i] for i in places]
    reach, limit = 0, window_limit(len(reference))
    for start, place in enumerate(places):
        while reach < len(places) and places[reach] < place + limit:
            reach += 1
        search.extend_from(start, reach, places, matched)
    return search.best


class _Search:
    """The best windows so far, and the sliding counts that extend one start to every end."""

    def __init__(
        self,
        wanted: Counter[str],
        n_wanted: int,
        groups: Sequence[int] | None,
        n_groups: int,
        penalty: float,
        max_kept: int,
    ) -> None:
        self.best: list[Window] = []
        self._best_key = 0.0
        self._wanted, self._n_wanted = wanted, n_wanted
        self._groups, self._n_groups, self._penalty = groups, n_groups, penalty
        self._max_kept = max_kept

    def extend_from(self, start: int, reach: int, places: Sequence[int], matched: Sequence[str]) -> None:
        """Offer every window from match ``start`` to a match before ``reach``."""
        counts: dict[str, int] = {}
        n_wanted, n_shared, first = self._n_wanted, 0, places[start]
        if self._bound(0, 0, reach - start) < self._best_key - _EPSILON:
            return
        for at in range(start, reach):
            word = matched[at]
            used = counts.get(word, 0)
            counts[word] = used + 1
            length = places[at] - first + 1
            if used < self._wanted[word]:
                n_shared += 1
                self._offer(first, places[at] + 1, 2 * n_shared / (length + n_wanted))
            if self._bound(n_shared, length, reach - at - 1) < self._best_key - _EPSILON:
                return

    def _bound(self, n_shared: int, length: int, n_ahead: int) -> float:
        gained = min(self._n_wanted - n_shared, n_ahead)
        return 2 * (n_shared + gained) / (length + gained + self._n_wanted)

    def _offer(self, first: int, end: int, f1: float) -> None:
        if f1 < self._best_key - _EPSILON:
            return
        key = f1 - self._penalty * self._n_crossed(first, end)
        if key > self._best_key + _EPSILON:
            self.best, self._best_key = [], key
        if key >= self._best_key - _EPSILON and len(self.best) < self._max_kept:
            self.best.append(Window(first, end, f1, key))

    def _n_crossed(self, first: int, end: int) -> int:
        if self._groups is None:
            return 0
        return max(0, self._groups[end - 1] - self._groups[first] + 1 - self._n_groups)

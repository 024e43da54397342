"""Merged cells of a sheet, whose value stands only in the first of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_RANGE = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")


@dataclass(frozen=True, slots=True)
class _Merge:
    first_row: int
    last_row: int
    first_column: int  # from 0
    last_column: int


@dataclass(slots=True)
class Merges:
    """Fills the rows of a sheet, which are given from the first one on.

    Attributes:
        starts: The merges by their first row, from 1.
    """

    starts: dict[int, list[_Merge]] = field(default_factory=dict)
    _open: dict[int, tuple[_Merge, str]] = field(default_factory=dict)  # by column

    @classmethod
    def of(cls, ranges: Iterable[str]) -> Merges:
        """Of ranges such as ``A2:A5``."""
        merges = cls()
        for found in filter(None, map(_RANGE.fullmatch, ranges)):
            merge = _Merge(int(found[2]), int(found[4]), _index(found[1]), _index(found[3]))
            merges.starts.setdefault(merge.first_row, []).append(merge)
        return merges

    def fill(self, number: int, cells: list[str]) -> tuple[list[str], frozenset[int]]:
        """A row's cells, those that are merged with one above them with its value; the indices of these."""
        self._open = {column: each for column, each in self._open.items() if each[0].last_row >= number}
        for merge in self.starts.get(number, ()):
            if merge.last_row > number and merge.first_column < len(cells):
                self._open[merge.first_column] = (merge, cells[merge.first_column])
        filled = {c: value for c, (merge, value) in self._open.items() if merge.first_row < number and value}
        if filled:
            cells = cells + [""] * (max(filled) + 1 - len(cells))
            cells = [filled.get(column, cell) for column, cell in enumerate(cells)]
        return cells, frozenset(filled)

    def widen(self, number: int, cells: list[str]) -> list[str]:
        """A header's cells, with the name of several columns over each of them."""
        names = dict(enumerate(cells))
        for merge in self.starts.get(number, ()):
            over = range(merge.first_column, min(merge.last_column, len(cells) + _MAX_WIDENED) + 1)
            names |= dict.fromkeys(over, names.get(merge.first_column, ""))
        return [names.get(column, "") for column in range(max(names, default=-1) + 1)]


_MAX_WIDENED = 100  # columns beyond the last name


def _index(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1

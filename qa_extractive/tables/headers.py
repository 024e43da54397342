"""The names of a table's columns, as its header gives them and as they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Repeats:
    """Columns whose names differ at most in case and outer white space.

    Attributes:
        shadowed: Those that are empty or the same as another one: the other one stands for them.
        contested: Those that differ, so that nobody knows which one is meant.
    """

    shadowed: frozenset[str] = frozenset()
    contested: frozenset[str] = frozenset()


NO_REPEATS = Repeats()


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a table.

    Attributes:
        columns: Their names, each once.
        positions: The index of each among the cells of a record, rising.
        n_cells: Cells of the header, those of dropped columns included.
        repeats: Which of them share a name.
    """

    columns: tuple[str, ...]
    positions: tuple[int, ...]
    n_cells: int
    repeats: Repeats = NO_REPEATS


def fold(name: str) -> str:
    """A name as it is compared: without case and outer white space."""
    return name.strip().casefold()


@dataclass(slots=True)
class Contents:
    """What the columns hold whose names do not tell them apart; others are not looked at.

    Attributes:
        nameless: The index of each column without a name.
        groups: Of those that share a name.
        filled: Of those that hold a cell that is not blank.
        digests: Of all cells of each that shares its name; the same for the same cells.
    """

    nameless: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    filled: set[int] = field(default_factory=set)
    digests: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str]) -> Contents:
        """Of columns with these names."""
        indices: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            indices.setdefault(fold(name), []).append(index)
        nameless = tuple(indices.pop("", ()))
        return cls(nameless, tuple(tuple(group) for group in indices.values() if len(group) > 1))

    def see(self, cells: Sequence[str]) -> None:
        """Look at a row."""
        for index in self.nameless:
            if index not in self.filled and index < len(cells) and cells[index].strip():
                self.filled.add(index)
        for index in chain.from_iterable(self.groups):
            cell = cells[index] if index < len(cells) else ""
            self.digests[index] = hash((self.digests.get(index), cell))
            if cell.strip():
                self.filled.add(index)


def settle(names: Sequence[str], contents: Contents) -> Header:
    """The columns of a header.

    A column without a name and without content is dropped (trailing commas make such), unless there is no
    other. Of columns with one name, the first with content keeps it, the others become ``name_2``,
    ``name_3``; several without a name become ``column_4`` by their place.
    """
    dropped = {index for index in contents.nameless if index not in contents.filled}
    if len(dropped) == len(names):
        dropped = set()
    positions = tuple(index for index in range(len(names)) if index not in dropped)
    used = dict(zip(positions, _unique([names[i] for i in positions], positions, contents), strict=True))
    return Header(tuple(used.values()), positions, len(names), _repeats(used, contents))


def unique_names(names: Sequence[str]) -> Header:
    """The columns of a table whose content is not known: those of one name count as different."""
    if len(set(names)) == len(names):
        return Header(tuple(names), tuple(range(len(names))), len(names))
    there = range(len(names))
    return settle(names, replace(Contents.of(names), filled=set(there), digests=dict(enumerate(there))))


def without_mark(name: str) -> str:
    """A name without byte order marks, which stand inside its quotes where files were joined."""
    return name.lstrip(_MARK)


def _unique(names: Sequence[str], positions: Sequence[int], contents: Contents) -> list[str]:
    """Each name once, in order."""
    out = list(names)
    taken = set(names)
    places: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name if name.strip() else "", []).append(at)
    nameless = places.pop("", [])
    for at in nameless if len(nameless) > 1 else ():
        out[at] = _free(taken, "column", positions[at] + 1)
    for name, same in places.items():
        keeper = next((at for at in same if positions[at] in contents.filled), same[0])
        for number, at in enumerate((at for at in same if at != keeper), start=2):
            out[at] = _free(taken, name, number)
    return out


def _free(taken: set[str], stem: str, start: int) -> str:
    """The first name ``stem_N`` that is not taken, which it is then."""
    name = next(name for name in map(f"{stem}_{{}}".format, count(start)) if name not in taken)
    taken.add(name)
    return name


def _repeats(used: dict[int, str], contents: Contents) -> Repeats:
    shadowed: set[str] = set()
    contested: set[str] = set()
    for group in contents.groups:
        own: dict[int | None, int] = {}  # the first column of each content
        for index in sorted(group, key=lambda index: index not in contents.filled):
            if index in contents.filled or not own:
                own.setdefault(contents.digests.get(index), index)
        shadowed.update(used[index] for index in set(group) - set(own.values()))
        contested.update(used[index] for index in own.values() if len(own) > 1)
    return Repeats(frozenset(shadowed), frozenset(contested))

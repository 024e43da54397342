"""Characters -> runs, and runs -> the lines of a page in the order in which they are read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from qa_extractive.papers.pdf.extract import Char

FULL_WIDTH = -1
"""The column of lines that go over several columns."""

_MAX_GAP = 1.0  # of the size: characters further apart are of different runs
_MAX_BACK = 0.7  # of the size: a ligature's letters lie on each other, an accent on its letter
_RAISED, _LOWERED = 0.75, 0.4  # of the size: how far a script may be from its line
_SAME_SIZE = 0.85
_SAME_BASE = 0.3  # of the size
_WIDE = 0.2  # of the page's text: a run that may be a line of a column
_MIN_LINES = 2  # one below the other and beside others, to make a column
_BELOW = 2.5  # of the size: how far below
_MIN_GUTTER = 4.0  # points
_MAX_CANDIDATES = 12
_MAX_RUNS = 3_000  # that are looked at for columns
_OVER = 6.0  # points: what reaches further into both columns lies over them
_BUCKET = 4.0  # points


@dataclass
class Run:
    """Characters that follow each other on a line.

    Attributes:
        chars: At least one.
    """

    chars: list[Char]

    @cached_property
    def size(self) -> float:
        """That of most of its characters."""
        return Counter(round(char.size, 1) for char in self.chars).most_common(1)[0][0]

    @cached_property
    def base(self) -> float:
        """The base line of most of its characters of that size."""
        own = [char.base for char in self.chars if abs(char.size - self.size) < 0.1]
        return Counter(round(base, 1) for base in own).most_common(1)[0][0]

    @cached_property
    def left(self) -> float:
        """Where it begins."""
        return min(char.left for char in self.chars)

    @cached_property
    def right(self) -> float:
        """Where it ends."""
        return max(char.right for char in self.chars)


@dataclass
class Row:
    """The runs of one line of a column.

    Attributes:
        runs: Unordered.
        left: Where it begins.
        right: Where it ends.
        column: From 0; ``FULL_WIDTH`` over several.
    """

    runs: list[Run]
    left: float
    right: float
    column: int = 0
    main: Run = field(init=False)

    def __post_init__(self) -> None:
        """The first run is the main one: they come by size."""
        self.main = self.runs[0]

    def take(self, run: Run) -> None:
        """Take one more."""
        self.runs.append(run)
        self.left, self.right = min(self.left, run.left), max(self.right, run.right)

    def chars(self) -> list[Char]:
        """Its characters from left to right."""
        runs = sorted(self.runs, key=lambda run: run.left)
        return [char for run in runs for char in run.chars]


def rows_of(chars: Sequence[Char], gutters_before: tuple[float, ...]) -> tuple[list[Row], tuple[float, ...]]:
    """The lines of a page in reading order, and where its columns part.

    Args:
        chars: Of the page, as they were drawn.
        gutters_before: Where the columns of the page before part; they are taken where they fit here.
    """
    runs = list(runs_of(chars))
    still = _still(gutters_before, runs)
    gutters = still if _are_used(still, runs) else _gutters(runs) or still
    return _ordered(_rows(runs, gutters)), gutters


def runs_of(chars: Sequence[Char]) -> Iterator[Run]:
    """The characters in runs, in the order in which they were drawn."""
    run, size, base = list[Char](), 0.0, 0.0
    for char in chars:
        if run and not _follows(run[-1], char, size, base):
            yield Run(run)
            run = []
        if not run or char.size > size * 1.05:
            size, base = char.size, char.base
        run.append(char)
    if run:
        yield Run(run)


def _follows(last: Char, char: Char, size: float, base: float) -> bool:
    """Whether a character goes on the line of the last one, whose type has that size and base."""
    size = max(size, char.size)
    if not -_MAX_BACK * size <= char.left - last.right <= _MAX_GAP * size:
        return False
    if min(char.size, size) / size > _SAME_SIZE and abs(char.base - base) <= _SAME_BASE * size:
        return True
    if char.size > last.size:  # back from a script to the line
        return -_RAISED * size <= char.base - last.base <= _LOWERED * size
    return -_LOWERED * size <= char.base - base <= _RAISED * size


def _gutters(runs: Sequence[Run]) -> tuple[float, ...]:
    """Where the columns after the first begin; empty where there is one."""
    if not runs:
        return ()
    left, right = min(run.left for run in runs), max(run.right for run in runs)
    least = _WIDE * (right - left)
    some = runs[:_MAX_RUNS]
    begins = Counter(round(run.left) for run in some if _is_wide(run, least) and run.left > left + least)
    scores = {x: _n_beside(x, some, least) for x, _ in begins.most_common(_MAX_CANDIDATES)}
    found: list[float] = []
    for x in sorted(scores, key=lambda x: (-scores[x], x)):
        if scores[x] >= _MIN_LINES and all(abs(x - other) > least for other in found):
            found.append(float(x))
    return tuple(sorted(found))


def _is_wide(run: Run, least: float) -> bool:
    return run.right - run.left >= least


def _n_beside(x: float, runs: Sequence[Run], least: float) -> int:
    """How many lines begin there, one below the other, and stand beside others with nothing over both."""
    before = _by_height(run for run in runs if run.right <= x - _MIN_GUTTER and _is_wide(run, least))
    over = _by_height(run for run in runs if run.left < x - _OVER and run.right > x + _OVER)
    here = [
        run
        for run in runs
        if abs(run.left - x) <= 2
        and any(abs(run.base - other.base) < 1.5 * run.size for other in _near(before, run))
        and not any(abs(run.base - other.base) < run.size / 2 for other in _near(over, run))
    ]
    heights = sorted(run.base for run in here)
    return (
        sum(0 < upper - lower < _BELOW * here[0].size for lower, upper in pairwise(heights)) + 1
        if here
        else 0
    )


def _by_height(runs: Iterable[Run]) -> dict[int, list[Run]]:
    found: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        found[int(run.base // _BUCKET)].append(run)
    return found


def _near(runs: dict[int, list[Run]], run: Run) -> Iterator[Run]:
    """The runs at most one and a half lines above or below."""
    reach = 1 + int(1.5 * run.size // _BUCKET)
    bucket = int(run.base // _BUCKET)
    for i in range(bucket - reach, bucket + reach + 1):
        yield from runs.get(i, ())


def _still(gutters: tuple[float, ...], runs: Sequence[Run]) -> tuple[float, ...]:
    """The gutters of the page before, unless much lies over them here."""
    n_over = sum(_is_over(run, gutters) for run in runs)
    return gutters if 2 * n_over < len(runs) else ()


def _are_used(gutters: tuple[float, ...], runs: Sequence[Run]) -> bool:
    """Whether lines begin at one of the gutters."""
    begins = Counter(round(run.left) for run in runs)
    return any(sum(begins[round(x) + by] for by in (-1, 0, 1)) >= _MIN_LINES for x in gutters)


def _is_over(run: Run, gutters: Sequence[float]) -> bool:
    return any(run.left < x - 3 * _OVER and run.right > x + 2 * _OVER for x in gutters)


def _rows(runs: Sequence[Run], gutters: Sequence[float]) -> list[Row]:
    by_size = sorted(runs, key=lambda run: -len(run.chars) if run.size <= 0 else -run.size)
    wide = [run for run in by_size if _is_over(run, gutters)]
    rows = _assembled(wide, FULL_WIDTH, [])
    columns: dict[int, list[Run]] = defaultdict(list)
    full = _rows_by_height(rows)
    for run in by_size:
        if _is_over(run, gutters):
            continue
        beside = next((row for row in _candidates(full, run) if _goes_on(row, run)), None)
        if beside is not None:
            beside.take(run)
        else:
            columns[sum((run.left + run.right) / 2 > x for x in gutters)].append(run)
    for column, own in columns.items():
        rows += _assembled(own, column, [])
    return rows


def _assembled(runs: Sequence[Run], column: int, rows: list[Row]) -> list[Row]:
    """The rows that runs make, the largest type first."""
    by_height = _rows_by_height(rows)
    for run in runs:
        row = next((row for row in _candidates(by_height, run) if _belongs(row, run)), None)
        if row is not None:
            row.take(run)
            continue
        row = Row([run], run.left, run.right, column)
        rows.append(row)
        by_height[int(run.base // _BUCKET)].append(row)
    return rows


def _rows_by_height(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[int(row.main.base // _BUCKET)].append(row)
    return found


def _candidates(rows: dict[int, list[Row]], run: Run) -> Iterator[Row]:
    bucket = int(run.base // _BUCKET)
    for distance in (0, -1, 1, -2, 2):
        yield from rows.get(bucket + distance, ())


def _belongs(row: Row, run: Run) -> bool:
    """Whether a run, of type that is no larger, is of a row."""
    size, height = row.main.size, run.base - row.main.base
    if run.size >= _SAME_SIZE * size:
        return abs(height) <= _SAME_BASE * size
    is_near = run.left <= row.right + 2 * size and run.right >= row.left - 2 * size
    is_short = len(run.chars) <= max(12, len(row.main.chars) // 2) and len(run.chars) <= 3 * len(
        row.main.chars
    )
    return is_near and is_short and -_LOWERED * size <= height <= _RAISED * size


def _goes_on(row: Row, run: Run) -> bool:
    """Whether a run stands beside a row that lies over columns, as after a wide space."""
    reach = 3 * row.main.size
    return run.left <= row.right + reach and run.right >= row.left - reach and _belongs(row, run)


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """The rows from top to bottom, one column after the other between those that lie over all."""
    ordered: list[Row] = []
    columns: dict[int, list[Row]] = defaultdict(list)

    def flush() -> None:
        for column in sorted(columns):
            ordered.extend(columns[column])
        columns.clear()

    for row in sorted(rows, key=lambda row: (-row.main.base, row.left)):
        if row.column == FULL_WIDTH:
            flush()
            ordered.append(row)
        else:
            columns[row.column].append(row)
    flush()
    return ordered

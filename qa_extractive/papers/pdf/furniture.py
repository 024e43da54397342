"""What stands around the text of all pages: running heads and feet, and the numbers of the pages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qa_extractive.papers.pdf.scripts import TextLine

_ZONE = 0.13  # of the page's height, at its top and at its bottom
_N_OUTER = 4  # lines in a zone that are looked at
_SAME_HEIGHT = 6.0  # points
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"(?i)\W*(?:page\s*)?(?:[a-z]?\d{1,5}|[ivxl]{1,6})(?:\s*(?:of|/|\|)\s*\d{1,5})?\W*")
_NUMBER_GAP = 1.6  # of the size, between a page's number and the text


@dataclass(frozen=True, slots=True)
class PageLines:
    """The lines of a page in reading order.

    Attributes:
        lines: The lines.
        bottom: Of the page, in the lines' coordinates.
        top: Of the page.
    """

    lines: list[TextLine]
    bottom: float
    top: float


def without_furniture(pages: Sequence[PageLines]) -> tuple[list[list[TextLine]], list[str]]:
    """The lines of each page that are of its text, and the texts of the others."""
    seen: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, page in enumerate(pages):
        for line, height in _outer(page):
            seen[_key(line)].append((number, height))
    kept, removed = [], []
    for number, page in enumerate(pages):
        away = {id(line) for line, height in _outer(page) if _is_repeated(seen[_key(line)], number, height)}
        away |= {id(line) for line in _numbers(page)}
        kept.append([line for line in page.lines if id(line) not in away])
        removed += [line.text for line in page.lines if id(line) in away]
    return kept, removed


def _key(line: TextLine) -> str:
    """The text of a line without what changes from page to page."""
    return " ".join(_DIGITS.sub("", line.text).casefold().split())


def _outer(page: PageLines) -> Iterator[tuple[TextLine, float]]:
    """The outermost lines, with their distance from the top (or, below zero, from the bottom) in points."""
    zone = _ZONE * (page.top - page.bottom)
    for line in _from_top(page)[:_N_OUTER]:
        if page.top - line.base <= zone:
            yield line, page.top - line.base
    for line in _from_top(page)[-_N_OUTER:]:
        if line.base - page.bottom <= zone:
            yield line, page.bottom - line.base


def _from_top(page: PageLines) -> list[TextLine]:
    return sorted(page.lines, key=lambda line: -line.base)


def _is_repeated(seen: Sequence[tuple[int, float]], number: int, height: float) -> bool:
    """Whether the same stands at the same height of another page."""
    return any(other != number and abs(height - at) <= _SAME_HEIGHT for other, at in seen)


def _numbers(page: PageLines) -> Iterator[TextLine]:
    """The number of a page that is its first or last line, apart from the text."""
    lines = _from_top(page)
    for line, inner in zip(lines[:1] + lines[-1:], lines[1:2] + lines[-2:-1], strict=False):
        is_apart = abs(line.base - inner.base) >= _NUMBER_GAP * line.size
        near = min(page.top - line.base, line.base - page.bottom) <= _ZONE * (page.top - page.bottom)
        if is_apart and near and _NUMBER.fullmatch(line.text):
            yield line

"""What a report is made of, before it is HTML or Markdown. All texts are plain: renderers escape them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from qa_extractive.errors import DataError

MAX_CHARACTERS = 300
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Prose."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        header: The names of the columns.
        rows: Its cells; the first of a row names it.
        is_text: Whether the cells are prose instead of figures.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_text: bool = False

    def __post_init__(self) -> None:
        """Raise DataError unless all rows are as long as the header."""
        if any(len(row) != len(self.header) for row in self.rows):
            raise DataError(f"table {self.caption!r} has rows that are not {len(self.header)} cells long")


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture.

    Attributes:
        caption: What it shows.
        alt: What is to be seen in it, in words.
        svg: The picture; None where plots could not be drawn.
    """

    caption: str
    alt: str
    svg: bytes | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


Block: TypeAlias = "Paragraph | Bullets | Table | Plot | Section"


def plain(text: object, limit: int = MAX_CHARACTERS) -> str:
    """A text from data as one line of printable characters.

    Runs of white space become one blank, control characters, lone surrogates and marks that reorder
    their surroundings U+FFFD; what is longer than the limit is cut, ending in "…".
    """
    cut = str(text)[: 4 * limit + 4]  # enough to fill the limit, and no more work than that
    line = " ".join(cut.split())
    shown = "".join("\ufffd" if _is_unprintable(character) else character for character in line)
    return shown if len(shown) <= limit and len(str(text)) == len(cut) else f"{shown[: limit - 1]}…"


def sections(blocks: Sequence[Block]) -> list[Section]:
    """The sections among the blocks."""
    return [block for block in blocks if isinstance(block, Section)]


def _is_unprintable(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co")

"""Text that knows where in a PDF each of its characters came from."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

NO_GLYPH = -1


@dataclass(frozen=True, slots=True)
class Traced:
    """A text and its glyphs.

    Attributes:
        text: Any text.
        glyphs: For each character the number of its glyph; ``NO_GLYPH`` where none was drawn for it.
    """

    text: str = ""
    glyphs: array[int] = field(default_factory=lambda: array("l"))

    def __getitem__(self, part: slice) -> Traced:
        """A part of it."""
        return Traced(self.text[part], self.glyphs[part])

    def stripped(self, n_left: int = 0) -> Traced:
        """It without its first characters, and without white space around the rest."""
        text = self.text[n_left:]
        start = n_left + len(text) - len(text.lstrip())
        return self[start : start + len(text.strip())]


def untraced(text: str) -> Traced:
    """A text of which nothing was drawn."""
    return Traced(text, array("l", [NO_GLYPH]) * len(text))


def concatenated(parts: Iterable[Traced], separator: str = "") -> Traced:
    """The parts one after the other."""
    texts, glyphs = list[str](), array("l")
    between = array("l", [NO_GLYPH]) * len(separator)
    for part in parts:
        if texts:
            glyphs.extend(between)
        texts.append(part.text)
        glyphs.extend(part.glyphs)
    return Traced(separator.join(texts), glyphs)


class Glyphs:
    """Where all glyphs of a document are drawn.

    Attributes:
        pages: The page of each, from 1.
        boxes: Left, bottom, right and top of each, in points: four numbers a glyph.
        lines: The line of each, by number; ``NO_GLYPH`` where it is in none.
        texts: The character that each shows.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.pages = array("H")
        self.boxes = array("f")
        self.lines = array("l")
        self.texts: list[str] = []

    def __len__(self) -> int:
        return len(self.pages)

    def add(self, page: int, box: tuple[float, float, float, float], text: str) -> int:
        """Take a glyph; its number."""
        self.pages.append(page)
        self.boxes.extend(box)
        self.lines.append(NO_GLYPH)
        self.texts.append(text)
        return len(self.pages) - 1

    def box(self, glyph: int) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of a glyph."""
        left, bottom, right, top = self.boxes[4 * glyph : 4 * glyph + 4]
        return left, bottom, right, top

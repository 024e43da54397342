"""What crosses the modules that read PDFs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading a PDF may take; beyond, it is refused.

    Attributes:
        file_bytes: Of the file, decompressed.
        pages: Of the document.
        characters: Of all pages.
        memory_bytes: Address space of the process that reads; only where the system can limit it.
        seconds: Wall time of a request.
        written_bytes: Of a copy with highlights.
    """

    file_bytes: int = 100_000_000
    pages: int = 2_000
    characters: int = 5_000_000
    memory_bytes: int = 1_500_000_000
    seconds: float = 60.0
    written_bytes: int = 300_000_000


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a line of a page, in points from the origin of the page's own coordinates.

    Attributes:
        page: From 1.
        left: Smallest x.
        bottom: Smallest y.
        right: Largest x.
        top: Largest y.
    """

    page: int
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a quote stands.

    Attributes:
        page: Where it begins, from 1.
        boxes: One for each line of the quote, in the order of the text.
    """

    page: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A quote to highlight.

    Attributes:
        start: Where it begins in ``Paper.text``.
        end: Where it ends.
        question: What it answers.
        probability: That it does; from 0 to 1.
        quote: The text from ``start`` to ``end``, to check that the file is the one that was read.
    """

    start: int
    end: int
    question: str
    probability: float
    quote: str

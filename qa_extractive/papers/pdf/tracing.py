"""Where a part of a paper's text stands in its PDF, checked. Runs in the process that reads PDFs."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from unicodedata import category, combining, normalize

from qa_extractive.papers.pdf.document import Document
from qa_extractive.papers.pdf.trace import NO_GLYPH, Glyphs
from qa_extractive.papers.pdf.types import Box, Place

_MIN_DRAWN = 0.5  # of a quote's letters: the text adds headings and signs that are not printed
_HYPHENS = ("-", "\u00ad")


class Places:
    """The places of quotes in a document."""

    def __init__(self, document: Document) -> None:
        """Take a document that was read."""
        self._document = document

    def of(self, start: int, end: int) -> Place | None:
        """Where a span of ``Paper.text`` stands; None where that cannot be told for sure."""
        text = self._document.text
        if not 0 <= start < end <= len(text.text):
            return None
        characters = zip(text.text[start:end], text.glyphs[start:end], strict=True)
        drawn = [(each, glyph) for each, glyph in characters if not each.isspace()]
        glyphs = [glyph for _, glyph in drawn if glyph != NO_GLYPH]
        if not glyphs or len(glyphs) < _MIN_DRAWN * len(drawn):
            return None
        lines = list(_by_line(glyphs, self._document.glyphs))
        quote = "".join(each for each, glyph in drawn if glyph != NO_GLYPH)
        if _letters("".join(map(self._under, lines))) != _letters(quote):
            return None
        whole = [*(self._with_hyphen(line) for line in lines[:-1]), lines[-1]]
        boxes = tuple(_box(line, self._document.glyphs) for line in whole)
        return Place(boxes[0].page, boxes)

    def _with_hyphen(self, line: Sequence[int]) -> list[int]:
        """The glyphs of a line with the hyphen that breaks its last word, which the text does not have."""
        store, last = self._document.glyphs, line[-1]
        after = [each for each in (last + 1,) if each < len(store) and store.texts[each] in _HYPHENS]
        return [*line, *(each for each in after if store.lines[each] == store.lines[last])]

    def _under(self, line: Sequence[int]) -> str:
        """What is drawn in the box of a line's glyphs, in its direction, but for what the text leaves out."""
        store = self._document.glyphs
        box = _box(line, store)
        inside = [glyph for glyph in self._level_with(box) if _is_within(store.box(glyph), box)]
        begin, end = _middle(store.box(line[0])), _middle(store.box(line[-1]))
        along = (end[0] - begin[0], end[1] - begin[1])
        axis = int(abs(along[1]) > abs(along[0]))
        sign = -1 if along[axis] < 0 else 1
        ordered = sorted(inside, key=lambda glyph: (sign * _middle(store.box(glyph))[axis], glyph))
        return "".join(store.texts[glyph] for glyph in ordered)

    def _level_with(self, box: Box) -> Iterator[int]:
        """The glyphs of the text on the page of a box that are neither above nor below it."""
        glyphs = self._by_height[box.page]
        begin = bisect_left(glyphs, (box.bottom, NO_GLYPH))
        for height, glyph in islice(glyphs, begin, None):
            if height > box.top:
                break
            yield glyph

    @cached_property
    def _by_height(self) -> dict[int, list[tuple[float, int]]]:
        """The glyphs of the text by page, each with its height, from the bottom."""
        store = self._document.glyphs
        found: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for glyph in set(self._document.text.glyphs) - {NO_GLYPH}:
            found[store.pages[glyph]].append((_middle(store.box(glyph))[1], glyph))
        for glyphs in found.values():
            glyphs.sort()
        return found


def _by_line(glyphs: Sequence[int], store: Glyphs) -> Iterator[list[int]]:
    """The glyphs of each line, in the order of the text."""
    line: list[int] = []
    for glyph in glyphs:
        if line and store.lines[glyph] != store.lines[line[-1]]:
            yield line
            line = []
        line.append(glyph)
    if line:
        yield line


def _box(line: Sequence[int], store: Glyphs) -> Box:
    lefts, bottoms, rights, tops = zip(*map(store.box, line), strict=True)
    return Box(store.pages[line[0]], min(lefts), min(bottoms), max(rights), max(tops))


def _middle(box: tuple[float, float, float, float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _is_within(glyph: tuple[float, float, float, float], box: Box) -> bool:
    x, y = _middle(glyph)
    return box.left <= x <= box.right and box.bottom <= y <= box.top


def _letters(text: str) -> str:
    """The letters and digits of a text, whatever their form."""
    plain = normalize("NFKD", text)
    return "".join(each for each in plain if not combining(each) and category(each)[0] in "LNS").casefold()

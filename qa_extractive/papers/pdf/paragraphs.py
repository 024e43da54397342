"""Lines in reading order -> paragraphs, whose words are whole again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from qa_extractive.papers.pdf.lines import FULL_WIDTH
from qa_extractive.papers.pdf.scripts import TextLine
from qa_extractive.papers.pdf.trace import Traced, concatenated, untraced

_SAME_SIZE = 0.06  # by how much of it sizes may differ
_LEADING, _TITLE_LEADING = 1.2, 1.5  # of the size, where it cannot be measured, and in large type
_MAX_LEADING = 1.3  # of the usual distance between lines: more parts paragraphs
_INDENT = 0.7  # of the size
_SHORT = 0.75  # of the column: a line that ends before is the last one of a paragraph
_SAME_EDGE = 2.0  # points
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BROKEN = re.compile(r"[^\W\d_]-$")
_BREAKS_AFTER = re.compile(r"(?<=[\w)])[\u2013\u2014/-]$")
_FIRST_HALF, _SECOND_HALF = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+)*)-$"), re.compile(r"[^\W\d_]+")
_TERMINAL = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*$")
# How what stands under a figure or over a table begins, and a footnote.
CAPTION: Final = re.compile(
    r"(?i)(?:(?:supplementary|extended data|online)\s+)?(?:fig(?:ure|\.)?|table|box|scheme|chart)"
    r"\s*\.?\s*[A-Z]?\d{1,3}"
)
NOTE: Final = re.compile(
    r"(?:\d{1,2}\s?(?=[A-Z])|[*\u2217\u2020\u2021\u00a7\u00b6#]\s?)"
    r"|(?i:correspond|e-?mail|abbreviations?:|present address)"
)
_COORDINATED = re.compile(r"(?:and|or|to|versus|vs)\b")
_KEPT = frozenset(("double", "non", "placebo", "quasi", "self", "triple", "well"))

# What makes one word with what follows: "under-stand" is no compound.
_CLOSED = frozenset(
    "any back down every fore further hand here how inter life mean more never out over some there under up "
    "what when where who with".split()
)


@dataclass(slots=True)
class Paragraph:
    """Lines that belong together.

    Attributes:
        lines: At least one.
        traced: Its text, on one line; set when it is whole.
    """

    lines: list[TextLine]
    traced: Traced = field(default_factory=Traced)

    @property
    def text(self) -> str:
        """Its text."""
        return self.traced.text

    @property
    def first(self) -> TextLine:
        """Its first line."""
        return self.lines[0]

    @property
    def last(self) -> TextLine:
        """Its last line."""
        return self.lines[-1]

    @property
    def is_open(self) -> bool:
        """Whether it ends in the middle of a sentence."""
        return not _TERMINAL.search(self.last.text)


class Vocabulary:
    """The words that stand whole in the lines of a document."""

    def __init__(self, lines: Iterable[TextLine]) -> None:
        """Count them."""
        self._words: Counter[str] = Counter()
        for line in lines:
            self._words.update(match.casefold() for match in _WORD.findall(line.text)[1:-1])

    def is_compound(self, first: str, second: str) -> bool:
        """Whether a hyphen at the end of a line is part of the word that it breaks."""
        first, second = first.casefold(), second.casefold()
        joined, hyphened = self._words[first + second], self._words[f"{first}-{second}"]
        if joined or hyphened:
            return hyphened > joined
        if "-" in first or first in _KEPT:
            return True
        are_words = self._words[first] > 0 and self._words[second] > 0
        return are_words and len(first) > 2 and len(second) > 3 and first not in _CLOSED


@dataclass(frozen=True, slots=True)
class Measures:
    """What is usual in a document.

    Attributes:
        body: The size of most of its type, in points.
        leadings: The distance between lines by size.
        edges: The left and right edge of each column by page and column.
    """

    body: float
    leadings: dict[float, float]
    edges: dict[tuple[int, int], tuple[float, float]]

    def leading(self, size: float) -> float:
        """The distance between lines of a size."""
        if size <= 1.15 * self.body:
            return self.leadings.get(_rounded(size)) or _LEADING * size
        return max(self.leadings.get(_rounded(size), 0.0), _TITLE_LEADING * size)


def measured(pages: Sequence[Sequence[TextLine]]) -> Measures:
    """What is usual in the lines of the pages."""
    sizes: Counter[float] = Counter()
    distances: dict[float, Counter[float]] = {}
    columns: dict[tuple[int, int], list[TextLine]] = {}
    for lines in pages:
        for line, after in zip_longest(lines, lines[1:]):
            sizes[_rounded(line.size)] += len(line.text)
            columns.setdefault((line.page, line.column), []).append(line)
            if after is not None and _is_beside(line, after) and 0 < line.base - after.base < 2.5 * line.size:
                distances.setdefault(_rounded(line.size), Counter())[round(line.base - after.base, 1)] += 1
    body = max(sizes, key=lambda size: (sizes[size], size), default=10.0)
    leadings = {size: counts.most_common(1)[0][0] for size, counts in distances.items()}
    return Measures(body, leadings, {key: _edges(lines) for key, lines in columns.items()})


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _edges(lines: Sequence[TextLine]) -> tuple[float, float]:
    left = Counter(round(line.left) for line in lines).most_common(1)[0][0]
    rights = sorted(line.right for line in lines)
    return left, rights[int(0.9 * (len(rights) - 1))]


def paragraphs_of(
    pages: Sequence[Sequence[TextLine]], measures: Measures, is_heading: re.Pattern[str]
) -> Iterator[Paragraph]:
    """The paragraphs of all pages, without their texts; ``is_heading`` matches lines that stand alone."""
    open_one: Paragraph | None = None
    for lines in pages:
        for line in lines:
            stands_alone = bool(is_heading.fullmatch(line.text))
            if open_one is not None and not stands_alone and _goes_on(open_one, line, measures, is_heading):
                open_one.lines.append(line)
                continue
            if open_one is not None:
                yield open_one
            open_one = Paragraph([line])
    if open_one is not None:
        yield open_one


def _goes_on(paragraph: Paragraph, line: TextLine, measures: Measures, is_heading: re.Pattern[str]) -> bool:
    last = paragraph.last
    if not alike(last, line) or (len(paragraph.lines) == 1 and is_heading.fullmatch(last.text)):
        return False
    if _begins_caption(line, measures) or _begins_note(line, measures):
        return False
    if line.italic != last.italic and (not paragraph.is_open or _is_short_one(paragraph, measures)):
        return False
    down = last.base - line.base
    if not (_is_beside(last, line) and down > 0):
        return paragraph.is_open and line.size <= 1.15 * measures.body and not line.bold
    if down > _MAX_LEADING * measures.leading(line.size):
        return False
    return paragraph.is_open or not _begins(paragraph, line, measures)


def _begins_caption(line: TextLine, measures: Measures) -> bool:
    """Whether a caption begins, which its type tells from a sentence that names a figure."""
    found = CAPTION.match(line.text)
    return found is not None and (line.size < 0.97 * measures.body or line.n_bold >= len(found[0]))


def _begins_note(line: TextLine, measures: Measures) -> bool:
    return line.size < 0.95 * measures.body and not line.bold and bool(NOTE.match(line.text))


def _is_short_one(paragraph: Paragraph, measures: Measures) -> bool:
    """Whether a paragraph so far is one line that ends early, as a heading does."""
    return len(paragraph.lines) == 1 and _is_short(paragraph.last, measures)


def _is_short(line: TextLine, measures: Measures) -> bool:
    left, right = measures.edges[line.page, line.column]
    return line.right < left + _SHORT * (right - left)


def alike(one: TextLine, other: TextLine) -> bool:
    """Whether lines are of the same type."""
    same_size = abs(one.size - other.size) <= _SAME_SIZE * max(one.size, other.size)
    return same_size and one.bold == other.bold


def _is_beside(last: TextLine, line: TextLine) -> bool:
    """Whether a line stands in the column of the last one, or begins where that did over all columns."""
    if last.page != line.page:
        return False
    over = FULL_WIDTH in (last.column, line.column)
    return last.column == line.column or (over and abs(last.left - line.left) <= _SAME_EDGE)


def _begins(paragraph: Paragraph, line: TextLine, measures: Measures) -> bool:
    """Whether a line after the end of a sentence begins a paragraph: indented, or after a short line."""
    last = paragraph.last
    left, _ = measures.edges[last.page, last.column]
    before = last.left if len(paragraph.lines) > 1 else min(left, last.left)
    is_indented = line.left - before > _INDENT * line.size
    is_outdented = len(paragraph.lines) > 1 and last.left - line.left > _INDENT * line.size
    return is_indented or is_outdented or _is_short(last, measures)


def joined(lines: Sequence[TextLine], vocabulary: Vocabulary) -> Traced:
    """The text of lines on one line."""
    parts: list[Traced] = []
    for i, line in enumerate(lines):
        part = line.traced
        if i + 1 < len(lines):
            part = _before(part, lines[i + 1].text, vocabulary)
        parts.append(part)
    return concatenated(parts).stripped()


def _before(part: Traced, following: str, vocabulary: Vocabulary) -> Traced:
    """A line as it stands before the next one: without its hyphen, as it is, or with a space."""
    if _BROKEN.search(part.text) and following[:1].isalpha() and not _COORDINATED.match(following):
        return part if _keeps_hyphen(part.text, following, vocabulary) else part[:-1]
    if _BREAKS_AFTER.search(part.text) and following[:1].isalnum() and not _COORDINATED.match(following):
        return part
    return concatenated([part, untraced(" ")])


def _keeps_hyphen(text: str, following: str, vocabulary: Vocabulary) -> bool:
    if not following[0].islower():
        return True
    first, second = _FIRST_HALF.search(text), _SECOND_HALF.match(following)
    return bool(first and second and vocabulary.is_compound(first[1], second[0]))

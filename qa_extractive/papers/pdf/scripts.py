"""A row of a page -> the text of a line: raised and lowered characters keep what they mean, citations go."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal
from unicodedata import combining, normalize

from qa_extractive.papers.inline import Line as InlineLine
from qa_extractive.papers.pdf.extract import Char
from qa_extractive.papers.pdf.lines import Row
from qa_extractive.papers.pdf.trace import NO_GLYPH, Glyphs, Traced, concatenated

Script = Literal["", "raised", "lowered"]

_SMALL = 0.85  # of the line's size
_UP, _DOWN, _UP_IN_FULL = 0.13, 0.06, 0.25  # of the line's size
_SPACE = 0.2  # of the size: a gap that parts words where no space was drawn
_NUMBERS = re.compile(r"\[?\(?\d{1,3}(?:\s?[,;\u2013\u2212-]\s?\d{1,3})*[,;]?\)?\]?")
_MARKS = re.compile(r"[a-h](?:,[a-h])*|[\u2020\u2021\u00a7\u00b6#\u2016]+")
_TEN = re.compile(r"(?:^|[^\w.,])10$")
_POWERS = re.compile(r"(?:^|[^A-Za-z])(?:[mckdn\u00b5\u03bc]m|in|ft|[^\W\d_])$")  # of lengths and symbols
_LONG_WORD_OR_NUMBER = re.compile(r"(?:[^\W\d_]{4}|\d)[.,;:)\]\u201d\"]?$")
_NOTE_NUMBER = re.compile(
    r"\d{1,2}(?=[A-Z][a-z]{3})"
)  # of a footnote; that of an isotope stands at its symbol
_N_BEFORE = 40  # characters that decide what a script is


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a page.

    Attributes:
        traced: Its text.
        page: Its page, from 1.
        column: Its column, from 0; ``FULL_WIDTH`` over several.
        left: Where it begins, in points.
        right: Where it ends.
        base: The height of its base line.
        size: Of its type.
        bold: Whether all of it is.
        italic: Whether all of it is.
        n_bold: How many of its first characters are bold.
    """

    traced: Traced
    page: int
    column: int
    left: float
    right: float
    base: float
    size: float
    bold: bool
    italic: bool
    n_bold: int

    @property
    def text(self) -> str:
        """Its text."""
        return self.traced.text


def text_line(row: Row, page: int, number: int, glyphs: Glyphs) -> TextLine | None:
    """The text of a row; None where nothing is left of it. Its glyphs learn the number of the line."""
    chars = row.chars()
    if chars[-1].text == "\u00ad":
        chars[-1] = chars[-1]._replace(text="-")
    for char in chars:
        glyphs.lines[char.glyph] = number
    traced = _written_out(chars, row)
    if not traced.text:
        return None
    letters = [char for char in chars if char.text.isalnum()] or chars
    return TextLine(
        traced, page, row.column, row.left, row.right, row.main.base, row.main.size,
        all(char.bold for char in letters), all(char.italic for char in letters), _n_bold(chars),
    )  # fmt: skip


def _written_out(chars: Sequence[Char], row: Row) -> Traced:
    writer = _Writer()
    groups = [(script, list(group)) for script, group in groupby(chars, lambda char: _script(char, row))]
    for (script, group), after in zip(groups, [*groups[1:], None], strict=True):
        following = None if after is None else after[1][0]
        writer.write(script, group, "" if following is None or following.spaced else following.text)
    traced = writer.traced().stripped()
    if groups[0][0] and (found := _NOTE_NUMBER.match(traced.text)):
        return concatenated([traced[: found.end()], traced[found.end() :]], " ")
    return traced


def _n_bold(chars: Sequence[Char]) -> int:
    """How many of the first characters are bold, spaces among them."""
    others = (place for place, char in enumerate(chars) if not char.bold and char.text.isalnum())
    n_bold = next(others, len(chars))
    return n_bold + sum(char.spaced for char in chars[1:n_bold])


def _script(char: Char, row: Row) -> Script:
    size, height = row.main.size, char.base - row.main.base
    is_small = char.size <= _SMALL * size
    if height > (_UP if is_small else _UP_IN_FULL) * size:
        return "raised"
    return "lowered" if is_small and height < -_DOWN * size else ""


class _Writer:
    """Writes the characters of a line, each with its glyph."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._glyphs = array("l")
        self._last: Char | None = None

    def traced(self) -> Traced:
        """What was written."""
        return Traced("".join(self._texts), self._glyphs)

    def write(self, script: Script, chars: Sequence[Char], following: str) -> None:
        """Write characters of one height; ``following`` is the character that stands right after them."""
        if script:
            self._write_script(script == "raised", chars, following)
        else:
            for char in chars:
                self._write(char)
        self._last = chars[-1]

    def _write(self, char: Char) -> None:
        if self._texts and self._is_apart(char):
            self._put(" ", NO_GLYPH)
        if (
            combining(char.text)
            and self._texts
            and len(composed := normalize("NFC", self._texts[-1] + char.text)) == 1
        ):
            self._texts[-1] = composed
        elif char.text != "\u00ad":
            self._put(char.text, char.glyph)
        self._last = char

    def _is_apart(self, char: Char) -> bool:
        last = self._last
        return last is not None and (
            char.spaced or char.left - last.right > _SPACE * max(char.size, last.size)
        )

    def _put(self, text: str, glyph: int) -> None:
        self._texts.append(text)
        self._glyphs.append(glyph)

    def _write_script(self, is_raised: bool, chars: Sequence[Char], following: str) -> None:
        first = chars[0]
        is_apart = first.spaced and (
            self._last is None or first.left - self._last.right > _SPACE * first.size
        )
        before = "".join(self._texts[-_N_BEFORE:]) + (" " if is_apart and self._texts else "")
        text = "".join((" " if char.spaced and i else "") + char.text for i, char in enumerate(chars))
        if is_raised and _is_reference(before, text, following):
            return
        written = _written(before, text, following, is_raised)
        if is_apart and self._texts:
            self._put(" ", NO_GLYPH)
        sources = iter(chars)
        source = next(sources, None)
        for each in written:
            is_own = source is not None and source.text == each
            self._put(each, source.glyph if source is not None and is_own else NO_GLYPH)
            source = next(sources, None) if is_own else source


def _is_reference(before: str, raised: str, following: str) -> bool:
    """Whether what is raised names a source or a footnote, which is left out."""
    word = before.rstrip()
    if _NUMBERS.fullmatch(raised):
        if not word or before != word:  # at the start, or after a space: of an isotope or of a source
            return bool(word) and not following.isalpha()
        is_power = _TEN.search(word) or (len(raised) == 1 and _POWERS.search(word))
        return not (raised.isdigit() and is_power)
    return bool(_MARKS.fullmatch(raised) and _LONG_WORD_OR_NUMBER.search(word))


def _written(before: str, text: str, following: str, is_raised: bool) -> str:
    """How a script is written: ``^5``, ``2+``, ``th``."""
    line = InlineLine()
    line.add(before)
    start = len(str(line))
    if is_raised:
        line.raised(text, following)
    else:
        line.lowered(text)
    return str(line)[start:] if str(line).startswith(before) else text

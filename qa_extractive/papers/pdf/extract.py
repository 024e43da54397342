"""A page of a PDF -> its characters, turned so that lines run from left to right."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from ctypes import addressof, c_double, c_int, create_string_buffer
from dataclasses import dataclass
from typing import Any, NamedTuple
from unicodedata import category, normalize

from qa_extractive.papers.pdf.trace import Glyphs

_BOLD = re.compile(r"(?i)bold|black|heavy|demi|cmbx|sfbx|-medi|[-.]b(?:i|old)?$")
_ITALIC = re.compile(r"(?i)ital|obli|cmti|sfti|[-.]i$|-it$")
_NO_ROOM = 0.03  # of the size
_MAX_TILT = 10.0  # degrees; what is tilted more is a watermark
_MIN_SIZE = 1.5  # points; smaller is not meant to be read
_ASCENT, _DESCENT = 0.76, 0.22  # of a line's size above and below its base
# PDFium's own signs for a hyphen at the end of a line, and what is a hyphen, soft or hard.
_READ_AS = {
    "\x02": "-",
    "\ufffe": "-",
    "\u2010": "-",
    "\u2011": "-",
    "\u00ad": "\u00ad",
    "\u200b": "",
    "\ufeff": "",
}
_COMPATIBLE = re.compile("[\ufb00-\ufb06\U0001d400-\U0001d7ff\u00a0\u2000-\u200a]")
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_DROPPED = frozenset(("Cc", "Cf", "Co", "Cn", "Cs"))  # categories; bullets of symbol fonts are Co
_NAME_BYTES = 128


class Char(NamedTuple):
    """A character of a page, in points, in coordinates in which its line runs from left to right.

    Attributes:
        text: One character.
        glyph: Its number.
        left: Where it begins.
        right: Where it ends.
        base: The height of its base line.
        size: Of its type.
        bold: Whether its type is.
        italic: Whether its type is.
        spaced: Whether white space stands before it.
    """

    text: str
    glyph: int
    left: float
    right: float
    base: float
    size: float
    bold: bool
    italic: bool
    spaced: bool


@dataclass(frozen=True, slots=True)
class PageText:
    """The characters of a page in the order in which they were drawn.

    Attributes:
        number: Of the page, from 1.
        chars: The characters.
        bottom: Of the page, in the characters' coordinates.
        top: Of the page.
        n_unreadable: Glyphs that stand for no known character.
    """

    number: int
    chars: list[Char]
    bottom: float
    top: float
    n_unreadable: int


class _Type(NamedTuple):
    quarter: int | None
    size: float
    bold: bool
    italic: bool


class _Drawn(NamedTuple):
    text: str
    box: tuple[float, float, float, float]
    origin: tuple[float, float]
    type: _Type
    spaced: bool


def page_text(page: Any, number: int, glyphs: Glyphs, limit: int) -> PageText | None:
    """The text of a page, its glyphs added to those of the document.

    Args:
        page: A ``PdfPage``.
        number: From 1.
        glyphs: Of the document so far.
        limit: Characters; None is returned where there are more.
    """
    text_page = page.get_textpage()
    try:
        if text_page.count_chars() > limit:
            return None
        reader = _Reader(text_page)
        seen = page.get_bbox()
        drawn = [each for each in reader.drawn() if _is_seen(each, seen)]
    finally:
        text_page.close()
    quarter = _main_quarter(drawn)
    chars = [_char(each, quarter, number, glyphs) for each in drawn if each.type.quarter == quarter]
    _, bottom, _, top = _turned(seen, quarter)
    return PageText(number, chars, bottom, top, reader.n_unreadable)


def _main_quarter(drawn: list[_Drawn]) -> int:
    """The direction of most characters, in quarters of a turn against the clock."""
    quarters = Counter(each.type.quarter for each in drawn if each.type.quarter is not None)
    return max(quarters, key=lambda quarter: (quarters[quarter], -quarter), default=0)


def _is_seen(drawn: _Drawn, page: tuple[float, float, float, float]) -> bool:
    """Whether it stands on the page, and is large enough."""
    left, bottom, right, top = page
    x, y = drawn.origin
    return left - 1 <= x <= right + 1 and bottom - 1 <= y <= top + 1 and drawn.type.size >= _MIN_SIZE


def _char(drawn: _Drawn, quarter: int, number: int, glyphs: Glyphs) -> Char:
    left, _, right, _ = _turned(drawn.box, quarter)
    x, y = drawn.origin
    _, base, _, _ = _turned((x, y, x, y), quarter)
    size = drawn.type.size
    if not 0 <= right - left <= 3 * size:  # fonts may say anything
        right = left + size / 2
    box = _turned((left, base - _DESCENT * size, right, base + _ASCENT * size), -quarter)
    glyph = glyphs.add(number, box, drawn.text)
    return Char(drawn.text, glyph, left, right, base, size, drawn.type.bold, drawn.type.italic, drawn.spaced)


def _turned(box: tuple[float, float, float, float], quarter: int) -> tuple[float, float, float, float]:
    """A box after turning the page by so many quarters with the clock."""
    left, bottom, right, top = box
    for _ in range(quarter % 4):
        left, bottom, right, top = bottom, -right, top, -left
    return left, bottom, right, top


class _Reader:
    """Reads the characters of a text page of PDFium."""

    def __init__(self, text_page: Any) -> None:
        import pypdfium2.raw as raw

        self._raw: Any = raw
        self._page = text_page.raw
        self._n = text_page.count_chars()
        self._last: tuple[int, _Type] | None = None
        self._fonts: dict[int, tuple[bool, bool]] = {}
        self.n_unreadable = 0

    def drawn(self) -> Iterator[_Drawn]:
        """The characters that were drawn, one by one."""
        space: tuple[float, float] | None = None
        for i, code in self._codes():
            text = self._clean(code)
            if text.isspace():
                space = space or (self._origin(i) if text == " " else None)
                continue
            for each in text:
                origin, its_type = self._origin(i), self._type(i)
                # A space that takes no room is a soft hyphen that some programs write as one.
                is_apart = space is not None and math.dist(space, origin) > _NO_ROOM * its_type.size
                yield _Drawn(each, self._box(i), origin, its_type, is_apart)
                space = None

    def _codes(self) -> Iterator[tuple[int, int]]:
        """The code of each character by its number, those in two halves put together."""
        high = 0
        for i in range(self._n):
            code = self._raw.FPDFText_GetUnicode(self._page, i)
            if code in _LOW:
                code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0
            high = code if code in _HIGH else 0
            if not high:
                yield i, code

    def _clean(self, code: int) -> str:
        """What is read for a code: nothing, white space, or letters where it is a ligature.

        A new line stands where PDFium only believes one to begin.
        """
        text = chr(code) if 0 < code < 0x110000 else ""
        if text.isspace():
            return "\n" if text in "\r\n" else " "
        if text in _READ_AS:
            return _READ_AS[text]
        if not text or text == "\ufffd" or category(text) in _DROPPED:
            self.n_unreadable += 1
            return ""
        return normalize("NFKC", text) if _COMPATIBLE.match(text) else text

    def _box(self, i: int) -> tuple[float, float, float, float]:
        box = self._raw.FS_RECTF()
        self._raw.FPDFText_GetLooseCharBox(self._page, i, box)
        return box.left, box.bottom, box.right, box.top

    def _origin(self, i: int) -> tuple[float, float]:
        x, y = c_double(), c_double()
        self._raw.FPDFText_GetCharOrigin(self._page, i, x, y)
        return x.value, y.value

    def _type(self, i: int) -> _Type:
        """Its type, which is the same for all characters of an object that is drawn."""
        text_object = self._raw.FPDFText_GetTextObject(self._page, i)
        address = addressof(text_object.contents) if text_object else 0
        if self._last is None or self._last[0] != address or not address:
            self._last = (address, self._read_type(i, text_object))
        return self._last[1]

    def _read_type(self, i: int, text_object: Any) -> _Type:
        matrix = self._raw.FS_MATRIX()
        self._raw.FPDFText_GetMatrix(self._page, i, matrix)
        size = self._raw.FPDFText_GetFontSize(self._page, i) * math.hypot(matrix.c, matrix.d)
        bold, italic = self._font(i, text_object)
        return _Type(_quarter(matrix.a, matrix.b), abs(size), bold, italic)

    def _font(self, i: int, text_object: Any) -> tuple[bool, bool]:
        """Whether the font of a character is bold and italic, by its name; its weight may say anything."""
        font = self._raw.FPDFTextObj_GetFont(text_object) if text_object else None
        address = addressof(font.contents) if font else 0
        if address not in self._fonts:
            name = self._font_name(i)
            self._fonts[address] = (bool(_BOLD.search(name)), bool(_ITALIC.search(name)))
        return self._fonts[address]

    def _font_name(self, i: int) -> str:
        name = create_string_buffer(_NAME_BYTES)
        self._raw.FPDFText_GetFontInfo(self._page, i, name, _NAME_BYTES, c_int())
        return name.value.decode("utf-8", "replace")


def _quarter(a: float, b: float) -> int | None:
    """The direction of a line in quarters of a turn; None where it is tilted, or cannot be told."""
    if not b and a > 0:
        return 0
    if not (math.isfinite(a) and math.isfinite(b)) or not (a or b):
        return None
    degrees = math.degrees(math.atan2(b, a))
    quarter = round(degrees / 90)
    return quarter % 4 if abs(degrees - 90 * quarter) <= _MAX_TILT else None

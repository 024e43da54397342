"""PDFs that tests read, drawn word by word, so that it is known where each one stands."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = 595.0, 842.0
MARGIN, GUTTER = 55.0, 18.0
FONTS = {
    "Times-Roman": "Times-Bold",
    "Helvetica": "Helvetica-Bold",
    "Courier": "Courier-Bold",
}
_SYLLABLES = "mo ri ta len su ka vor ne il pra dos te lum sha re fin co bel ga zi ter min".split()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A word, or a half of one, as it was drawn: points from the lower left corner of the page."""

    text: str
    page: int
    left: float
    right: float
    base: float
    size: float


@dataclass(slots=True)
class Made:
    """A PDF and the words of its body in reading order; of one that a line's end breaks, both pieces."""

    content: bytes = b""
    words: list[list[Drawn]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Style:
    """How a paper looks."""

    columns: int = 2
    font: str = "Times-Roman"
    size: float = 10.0
    leading: float = 1.2
    hyphenates: bool = True
    indents: bool = True


def sentence(chance: random.Random) -> list[str]:
    """A made-up sentence."""
    words = [_word(chance) for _ in range(chance.randint(5, 16))]
    if chance.random() < 0.5:
        words.insert(chance.randrange(1, len(words)), f"{chance.randint(1, 99)}.{chance.randint(1, 9)}%")
    if chance.random() < 0.3:
        words[2] += ","
    return [words[0].capitalize(), *words[1:-1], words[-1] + "."]


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(chance.randint(1, 4)))


class Drawer:
    """Draws a paper, page by page, in columns."""

    def __init__(self, chance: random.Random, style: Style, title: str = "") -> None:
        self.chance, self.style = chance, style
        self._buffer = BytesIO()
        self.canvas: Any = Canvas(self._buffer, pagesize=(WIDTH, HEIGHT))
        self.canvas.setTitle(title)
        self.words: list[list[Drawn]] = []
        self.page, self.column = 1, 0
        self.top = HEIGHT - 70
        self.y = self.top
        self._furniture()

    def made(self) -> Made:
        """The PDF so far."""
        self.canvas.save()
        return Made(self._buffer.getvalue(), self.words)

    def _furniture(self) -> None:
        self.canvas.setFont("Helvetica", 8)
        self.canvas.drawString(MARGIN, HEIGHT - 40, f"Moss Letters {self.page + 2018}, volume 4")
        self.canvas.drawCentredString(WIDTH / 2, 30, str(self.page + 100))

    @property
    def width(self) -> float:
        return (WIDTH - 2 * MARGIN - GUTTER * (self.style.columns - 1)) / self.style.columns

    @property
    def left(self) -> float:
        return MARGIN + self.column * (self.width + GUTTER)

    def whole(self, words: Sequence[str], font: str, size: float) -> None:
        """Lines over all columns; the columns begin below."""
        self.y = self._lines(words, font, size, MARGIN, WIDTH - 2 * MARGIN, self.y)[1] - size
        self.top = self.y

    def heading(self, text: str) -> None:
        """A heading on a line of its own."""
        size = self.style.size
        self._need(4 * size * self.style.leading)
        self.y -= 0.6 * size
        self.canvas.setFont(FONTS[self.style.font], size + 1)
        self.canvas.drawString(self.left, self.y, text)
        self.y -= 1.5 * size

    def paragraph(self, words: Sequence[str]) -> None:
        """Running text; its words are kept."""
        size, indent = self.style.size, self.style.size if self.style.indents else 0.0
        rest = list(words)
        while rest:
            self._need(size)
            rest = self._line(rest, indent)
            indent = 0.0
        if not self.style.indents:
            self.y -= 0.6 * size

    def _need(self, height: float) -> None:
        if self.y - height > 70:
            return
        self.column += 1
        if self.column == self.style.columns:
            self.canvas.showPage()
            self.page, self.column, self.top = self.page + 1, 0, HEIGHT - 70
            self._furniture()
        self.y = self.top

    def _line(self, words: list[str], indent: float) -> list[str]:
        """Draw one justified line; the words that are left, the first one perhaps broken."""
        font, size = self.style.font, self.style.size
        space = stringWidth(" ", font, size)
        room, taken, used = self.width - indent, list[str](), 0.0
        while words and used + stringWidth(words[0], font, size) <= room:
            used += stringWidth(words[0], font, size) + space
            taken.append(words.pop(0))
        broken = ""
        if words and self.style.hyphenates and words[0].isalpha() and len(words[0]) > 5:
            for cut in range(len(words[0]) - 3, 2, -1):
                # No word begins so: neither half may be taken for one.
                if words[0][cut] in "aeou" and used + stringWidth(words[0][:cut] + "-", font, size) <= room:
                    broken = words[0][:cut]
                    break
        pieces = [*taken, broken + "-"] if broken else taken
        width = sum(stringWidth(each, font, size) for each in pieces)
        gap = (room - width) / (len(pieces) - 1) if words and len(pieces) > 1 else space
        self._pieces(pieces, self.left + indent, min(gap, 3 * space))
        self.y -= size * self.style.leading
        if broken:
            words[0] = words[0][len(broken) :]
            self._half = True
        return words

    _half = False  # whether the next word is the second half of one

    def _pieces(self, pieces: Sequence[str], x: float, gap: float) -> None:
        font, size = self.style.font, self.style.size
        text = self.canvas.beginText(x, self.y)
        text.setFont(font, size)
        for i, piece in enumerate(pieces):
            right = x + stringWidth(piece, font, size)
            drawn = Drawn(piece, self.page, x, right, self.y, size)
            if self._half:
                self.words[-1].append(drawn)
                self._half = False
            else:
                self.words.append([drawn])
            text.setTextOrigin(x, self.y)
            text.textOut(piece if i + 1 == len(pieces) else piece + " ")
            x = right + gap
        self.canvas.drawText(text)

    def _lines(
        self, words: Sequence[str], font: str, size: float, left: float, width: float, y: float
    ) -> tuple[int, float]:
        """Ragged lines; how many, and where the next one would stand."""
        lines: list[str] = []
        for word in words:
            if lines and stringWidth(f"{lines[-1]} {word}", font, size) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        self.canvas.setFont(font, size)
        for line in lines:
            self.canvas.drawString(left, y, line)
            y -= 1.25 * size
        return len(lines), y


def made_paper(seed: int, style: Style, n_paragraphs: int = 14) -> Made:
    """A paper of made-up sentences: title and abstract over all columns, then sections."""
    chance = random.Random(seed)
    drawer = Drawer(chance, style)
    drawer.whole("A trial of moss and ferns on the roofs of small towns".split(), "Helvetica-Bold", 18)
    drawer.whole("Anne Green, Bo White".split(), "Times-Roman", 10)
    drawer.whole(["Abstract"], "Times-Bold", 11)
    drawer.whole([word for _ in range(7) for word in sentence(chance)], "Times-Roman", 9)
    names = ["Introduction", "Methods", "Results", "Discussion"]
    for i in range(n_paragraphs):
        if i % -(-n_paragraphs // 4) == 0:
            drawer.heading(names.pop(0))
        drawer.paragraph([word for _ in range(chance.randint(3, 9)) for word in sentence(chance)])
    drawer.heading("References")
    drawer.paragraph("Green A. Another paper. Moss Letters 2001.".split())
    del drawer.words[-7:]
    return drawer.made()


def quotes(made: Made, chance: random.Random, n: int) -> Iterator[tuple[str, list[Drawn]]]:
    """Quotes of a few words up to some sentences, and the pieces that were drawn for each."""
    for _ in range(n):
        start = chance.randrange(len(made.words) - 4)
        words = made.words[start : start + chance.choice([3, 4, 6, 10, 25])]
        text = " ".join("".join(half.text.removesuffix("-") for half in word) for word in words)
        yield text, [half for word in words for half in word]


def simple(draw: Any, pagesize: tuple[float, float] = (WIDTH, HEIGHT), **options: Any) -> bytes:
    """A PDF on whose canvas ``draw`` has drawn."""
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=pagesize, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def picture() -> ImageReader:
    """A picture of no text."""
    from PIL import Image

    return ImageReader(Image.new("L", (60, 80), 200))


def line(canvas: Any, x: float, y: float, parts: Sequence[str | tuple[int, str]], size: float = 10) -> None:
    """A line in Times; a pair is raised (1) or lowered (-1) and smaller."""
    text = canvas.beginText(x, y)
    for part in parts:
        height, piece = (0, part) if isinstance(part, str) else part
        text.setFont("Times-Roman", size * 0.65 if height else size)
        text.setRise(height * size * 0.35)
        text.textOut(piece)
    canvas.drawText(text)


def lines(
    canvas: Any, texts: Sequence[str], x: float = 55, y: float = 780, font: str = "Times-Roman"
) -> None:
    """Lines of 10 points, one below the other."""
    canvas.setFont(font, 10)
    for i, text in enumerate(texts):
        canvas.drawString(x, y - 12 * i, text)


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """A PDF of objects, the first one its catalogue."""
    content, offsets = b"%PDF-1.7\n", list[int]()
    for number, each in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        content
        + b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
        + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(content))
    )


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<<%b/Length %d>>stream\n%b\nendstream" % (entries, len(content), content)

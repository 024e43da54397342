"""Where quotes stand, compared with where they were drawn; and highlights there."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from reportlab.pdfbase.pdfmetrics import stringWidth

from qa_extractive.errors import DataError
from qa_extractive.papers.pdf.document import opened, read_document
from qa_extractive.papers.pdf.highlight import highlight
from qa_extractive.papers.pdf.places import locate
from qa_extractive.papers.pdf.reading import read_pdf
from qa_extractive.papers.pdf.tracing import Places
from qa_extractive.papers.pdf.types import Box, Limits, Mark, Place
from tests.papers.pdf import made
from tests.papers.pdf.made import Drawn, line, lines, simple

STYLES = [
    made.Style(1, "Times-Roman", 11, 1.2, hyphenates=True, indents=True),
    made.Style(2, "Times-Roman", 9, 1.1, hyphenates=True, indents=True),
    made.Style(2, "Helvetica", 10, 1.35, hyphenates=True, indents=False),
    made.Style(2, "Courier", 8, 1.2, hyphenates=False, indents=True),
    made.Style(3, "Helvetica", 8, 1.2, hyphenates=True, indents=True),
]


def is_right(place: Place, pieces: Sequence[Drawn]) -> bool:
    """Whether the boxes hold these pieces, and end where they do."""
    rest = list(pieces)
    for box in place.boxes:
        inside = [piece for piece in rest if _is_in(piece, box)]
        left, right = min((p.left for p in inside), default=0), max((p.right for p in inside), default=0)
        if not inside or abs(left - box.left) > 1.5 or abs(right - box.right) > 1.5:
            return False
        rest = [piece for piece in rest if piece not in inside]
    return not rest and place.page == pieces[0].page


def _is_in(piece: Drawn, box: Box) -> bool:
    middle = (piece.left + piece.right) / 2
    height = piece.base + 0.3 * piece.size
    return piece.page == box.page and box.left <= middle <= box.right and box.bottom < height < box.top


def test_quotes_are_where_they_were_drawn() -> None:
    n_right = n_quotes = 0
    for seed, style in enumerate(STYLES):
        drawn = made.made_paper(seed, style, n_paragraphs=10)
        with opened(drawn.content, Limits()) as pdf:
            document = read_document(pdf, Limits())
        text = document.paper.text
        flat, places = text.replace("\n", " "), Places(document)
        for quote, pieces in made.quotes(drawn, random.Random(seed), 80):
            start = flat.find(quote)
            if start < 0 and _is_over_heading(quote, text):
                continue
            n_quotes += 1
            place = places.of(start, start + len(quote)) if flat.count(quote) == 1 else None
            assert place is None or is_right(place, pieces), (style, quote, place, pieces)
            n_right += place is not None
    assert n_quotes > 300
    assert n_right >= 0.99 * n_quotes


def _is_over_heading(quote: str, text: str) -> bool:
    """Whether a heading stands within a quote's words, which are then no text of one section."""
    plain = re.sub(r"\n\n[A-Z][a-z]+\n", " ", text).replace("\n", " ")
    return quote in plain


def located(path: Path, *quotes: str) -> list[Place | None]:
    text = read_pdf(path).text
    return locate(path, [(text.index(quote), text.index(quote) + len(quote)) for quote in quotes])


def test_breaks_and_what_was_left_out(tmp_path: Path) -> None:
    def draw(canvas: Any) -> None:
        lines(canvas, ["A page of moss that was well-", "known and con-"], 55, 700)
        line(canvas, 55, 676, ["sidered by 5.2", (1, "12"), " towns and 10", (1, "5"), " roofs was fol-"])
        canvas.showPage()
        lines(canvas, ["lowed by another. It ended."], 55, 780)

    path = tmp_path / "a.pdf"
    path.write_bytes(simple(draw))
    quotes = ("considered by 5.2 towns", "10^5 roofs was followed by another.", "well-known", "5.2")
    first, second, third, fourth = located(path, *quotes)
    assert first is not None
    begin = 55 + stringWidth("known and ", "Times-Roman", 10)
    assert [(box.page, box.left) for box in first.boxes] == [(1, pytest.approx(begin, abs=0.1)), (1, 55)]
    assert second is not None
    assert second.page == 1
    assert [box.page for box in second.boxes] == [1, 2]
    assert third is not None
    assert len(third.boxes) == 2
    assert fourth is not None
    (box,) = fourth.boxes
    assert box.right - box.left == pytest.approx(12.5, abs=1)


def test_what_cannot_be_placed(tmp_path: Path) -> None:
    def draw(canvas: Any) -> None:
        for i, (name, text) in enumerate(
            [("Methods", ""), ("Participants", "We took 212 adults of the town.")]
        ):
            canvas.setFont("Times-Bold", 13 - i)
            canvas.drawString(55, 700 - 40 * i, name)
            lines(canvas, [text], y=680 - 40 * i)
        lines(canvas, ["Abstract"], y=780, font="Times-Bold")
        lines(canvas, ["It was fine."], y=760)

    path = tmp_path / "a.pdf"
    path.write_bytes(simple(draw))
    text = read_pdf(path).text
    assert text.endswith("Methods / Participants\nWe took 212 adults of the town.")
    prefix, whole, own, numbers, heading, empty, beyond = locate(
        path,
        [
            (text.index("Methods"), text.index("Participants")),
            (text.index("Methods"), len(text)),
            (text.index("Participants"), len(text)),
            (text.index("212"), text.index("212") + 3),
            (0, text.index("fine")),
            (5, 5),
            (len(text) - 2, len(text) + 2),
        ],
    )
    assert (prefix, empty, beyond) == (None, None, None)
    assert whole == own
    assert own is not None
    assert len(own.boxes) == 2
    assert numbers is not None
    assert heading is not None
    assert [round(box.bottom) for box in heading.boxes] == [778, 758]


def test_text_over_text_is_not_placed() -> None:
    def draw(canvas: Any) -> None:
        lines(canvas, ["Moss grew by 4 mm on all of the roofs."], y=700)
        lines(canvas, ["Fern fell by 7 mm on none of the walls."], y=702)

    with opened(simple(draw), Limits()) as pdf:
        document = read_document(pdf, Limits())
    text = document.paper.text
    start = text.find("4 mm")
    assert start < 0 or Places(document).of(start, start + 4) is None


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_turned_pages(quarter: int, tmp_path: Path) -> None:
    def draw(canvas: Any) -> None:
        canvas.setPageRotation(90 * quarter)
        canvas.translate(300, 400)
        canvas.rotate(90 * quarter)
        lines(canvas, ["The moss on the roofs", "of all of the town."], -90, 20)

    path = tmp_path / "a.pdf"
    path.write_bytes(simple(draw))
    (place,) = located(path, "roofs of")
    assert place is not None
    left = -90 + stringWidth("The moss on the ", "Times-Roman", 10)  # of "roofs", before the page is turned
    corners = {0: (left, 20), 1: (-20, left), 2: (-left, -20), 3: (20, -left)}
    x, y = corners[quarter]
    box = place.boxes[0]
    assert box.left - 0.1 <= 300 + x <= box.right + 0.1
    assert box.bottom - 0.1 <= 400 + y <= box.top + 0.1
    assert (box.right - box.left > box.top - box.bottom) == (quarter % 2 == 0)


# ---------------------------------------------------------------- highlights


def marks_of(path: Path, *quotes: str) -> list[Mark]:
    text = read_pdf(path).text
    return [
        Mark(text.index(quote), text.index(quote) + len(quote), "Did Δ grow – where?", 0.876, quote)
        for quote in quotes
    ]


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(
        simple(lambda canvas: lines(canvas, ["Moss grew by 4 mm on all of the", "roofs of the town."]))
    )
    return path


def test_highlights_are_in_the_copy(paper: Path, tmp_path: Path) -> None:
    before, output = paper.read_bytes(), tmp_path / "marked.pdf"
    (place,) = highlight(paper, output, marks_of(paper, "4 mm on all of the roofs"))
    assert place is not None
    assert paper.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"paper.pdf", "marked.pdf"}
    content = output.read_bytes()
    (found,) = re.findall(rb"<<[^<>]*(?:<[^<>]*>[^<>]*)*/Subtype ?/Highlight.*?>>", content, re.S)
    assert b"(qa-extractive)" in found
    quads = re.search(rb"/QuadPoints ?\[([^\]]*)\]", found)
    assert quads is not None
    numbers = [float(each) for each in quads[1].split()]
    first, second = place.boxes
    assert numbers == pytest.approx(
        [
            *(
                first.left,
                first.top,
                first.right,
                first.top,
                first.left,
                first.bottom,
                first.right,
                first.bottom,
            ),
            *(second.left, second.top, second.right, second.top),
            *(second.left, second.bottom, second.right, second.bottom),
        ],
        abs=0.01,
    )
    assert _contents(found) == "Did Δ grow – where?\n\n“4 mm on all of the roofs”\n\nProbability: 88%"
    assert read_pdf(output) == read_pdf(paper)


def _contents(annotation: bytes) -> str:
    """The note of an annotation, as the standard writes text that is not plain."""
    found = re.search(rb"/Contents ?<([0-9A-Fa-f]+)>", annotation)
    if found is not None:
        return bytes.fromhex(found[1].decode()).decode("utf-16")
    literal = re.search(rb"/Contents ?\((.*?)(?<!\\)\)", annotation, re.S)
    assert literal is not None
    return re.sub(rb"\\(.)", lambda m: {b"r": b"\r", b"n": b"\n"}.get(m[1], m[1]), literal[1]).decode(
        "utf-16"
    )


def _yellow(picture: Any) -> list[tuple[int, int]]:
    """The yellow pixels of a picture."""
    content = picture.convert("RGB").tobytes()
    pixels = enumerate(zip(content[::3], content[1::3], content[2::3], strict=True))
    yellow = (i for i, (red, green, blue) in pixels if red > 200 and green > 150 and blue < 120)
    return [(i % picture.width, i // picture.width) for i in yellow]


def _is_over(pixels: Sequence[tuple[int, int]], place: Place, height: float) -> bool:
    """Whether the pixels, one a point, are those of the boxes."""
    lefts, rights = [box.left for box in place.boxes], [box.right for box in place.boxes]
    tops, bottoms = [box.top for box in place.boxes], [box.bottom for box in place.boxes]
    xs, ys = [x for x, _ in pixels], [height - y for _, y in pixels]
    sides = (min(xs), max(xs), min(ys), max(ys))
    return sides == pytest.approx((min(lefts), max(rights), min(bottoms), max(tops)), abs=3)


def test_highlights_are_drawn(paper: Path, tmp_path: Path) -> None:
    output = tmp_path / "marked.pdf"
    (place,) = highlight(paper, output, marks_of(paper, "grew by 4 mm"))
    assert place is not None
    with pypdfium2.PdfDocument(output) as pdf:
        assert _is_over(_yellow(pdf[0].render().to_pil()), place, made.HEIGHT)
    with pypdfium2.PdfDocument(paper) as pdf:
        assert not _yellow(pdf[0].render().to_pil())


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="poppler is not installed")
def test_poppler_draws_them(paper: Path, tmp_path: Path) -> None:
    from PIL import Image

    output = tmp_path / "marked.pdf"
    (place,) = highlight(paper, output, marks_of(paper, "grew by 4 mm"))
    assert place is not None
    subprocess.run(["pdftoppm", "-r", "72", "-png", "-singlefile", output, tmp_path / "page"], check=True)
    assert _is_over(_yellow(Image.open(tmp_path / "page.png")), place, made.HEIGHT)


def test_what_is_not_highlighted(paper: Path, tmp_path: Path) -> None:
    (mark,) = marks_of(paper, "grew by 4 mm")
    other = Mark(mark.start, mark.end, "?", 0.5, "grew by 5 mm")
    output = tmp_path / "marked.pdf"
    output.write_text("old")
    assert [place is not None for place in highlight(paper, output, [other, mark])] == [False, True]
    assert output.read_bytes().count(b"/Highlight") == 1
    with pytest.raises(DataError, match="is the PDF itself: give the copy another name"):
        highlight(paper, paper, [mark])
    with pytest.raises(DataError, match="cannot be written: No such file"):
        highlight(paper, tmp_path / "none" / "marked.pdf", [mark])

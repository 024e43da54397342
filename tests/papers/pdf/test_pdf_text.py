"""What a PDF says: its reading order, its words, its sections."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from qa_extractive.papers.pdf.document import opened, read_document
from qa_extractive.papers.pdf.reading import read_pdf, read_pdf_bytes
from qa_extractive.papers.pdf.types import Limits
from qa_extractive.papers.types import NoPaperError, Paper, Section
from tests.papers.pdf import made
from tests.papers.pdf.made import line, lines, simple


def paper_of(content: bytes) -> Paper:
    """The paper of a PDF, read in this process."""
    with opened(content, Limits()) as pdf:
        return read_document(pdf, Limits()).paper


def text_of(*texts: str, x: float = 55) -> str:
    return paper_of(simple(lambda canvas: lines(canvas, texts, x))).text


def draw_paper(canvas: Any) -> None:
    """Three pages: what a paper has around and between its text."""
    for number, draw in enumerate((_first_page, _second_page, _third_page)):
        canvas.setFont("Helvetica", 8)
        canvas.drawString(55, 800, f"Green et al. | J Moss {number}")
        canvas.drawCentredString(297, 30, f"Page {number + 1} of 3")
        draw(canvas)
        canvas.showPage()


def _heading(canvas: Any, y: float, text: str, font: str = "Times-Bold", size: float = 12) -> None:
    canvas.setFont(font, size)
    canvas.drawString(55, y, text)


def _first_page(canvas: Any) -> None:
    _heading(canvas, 760, "Moss on the roofs of towns:", "Helvetica-Bold", 20)
    _heading(canvas, 736, "a placebo-controlled trial", "Helvetica-Bold", 20)
    line(canvas, 55, 716, ["Anne Green", (1, "1,2"), ", Bo White", (1, "2")])
    line(canvas, 55, 704, [(1, "1"), "Department of Moss, University of Town"], 8)
    line(canvas, 55, 690, ["Published: 3 May 2021. https://doi.org/10.1234/moss.2021.55"], 9)
    _heading(canvas, 670, "A B S T R A C T", size=10)
    line(canvas, 55, 655, ["Background: Moss grows. Results: It grew by 5.2", (1, "12"), " mm."])
    line(canvas, 55, 643, ["Conclusions: Moss is fine at 10", (1, "5"), " cells and 3 m", (1, "2"), "."])
    line(canvas, 55, 625, ["Keywords: moss; roofs"])
    _heading(canvas, 600, "1. Introduction")
    line(canvas, 55, 580, ["Moss fell by 5.2", (1, "12"), " in all towns.", (1, "3–5"), " The placebo-"])
    line(canvas, 55, 568, ["controlled trial of Kaplan-Meier con-"])
    line(canvas, 55, 556, ["trols was small (CO", (-1, "2"), ", 10", (1, "−5"), ", m s", (1, "−1"), ")."])
    line(
        canvas,
        65,
        544,
        ["The roofs", (1, "7"), " had R", (1, "2"), " of 0.5", (1, "8,9"), " in the 5", (1, "th")],
    )
    line(canvas, 55, 532, ["year. This fact goes on across the page and is never"])
    line(canvas, 55, 90, ["* Corresponding author: a@b.org"], 8)
    line(canvas, 55, 80, [(1, "1"), "Supported by the town."], 8)


def _second_page(canvas: Any) -> None:
    canvas.rect(100, 600, 300, 150)
    for i in range(5):
        line(canvas, 110 + 50 * i, 605, [str(20 * i)], 7)
    line(canvas, 55, 580, ["Figure 1. Growth of moss in three towns over a year."], 9)
    line(canvas, 55, 550, ["interrupted by a figure. It ended well."])
    _heading(canvas, 520, "2. Methods")
    _heading(canvas, 504, "2.1. Participants", "Times-BoldItalic", 10)
    line(canvas, 55, 490, ["We took 212 adults."])
    _heading(canvas, 470, "Outcome measures", "Times-Italic", 10)
    line(canvas, 55, 456, ["Height in mm."])
    _heading(canvas, 430, "3. Results")
    line(canvas, 55, 414, ["It grew by 4 mm (p < 0.05)."])


def _third_page(canvas: Any) -> None:
    _heading(canvas, 760, "Acknowledgements")
    line(canvas, 55, 745, ["We thank the town."])
    _heading(canvas, 720, "References")
    line(canvas, 55, 705, ["1. Green A. A reference in 1999."], 8)
    line(canvas, 55, 695, ["2. White B. Another one."], 8)


def test_a_paper() -> None:
    paper = paper_of(simple(draw_paper))
    assert paper == Paper(
        title="Moss on the roofs of towns: a placebo-controlled trial",
        abstract=(
            "Background: Moss grows. Results: It grew by 5.2 mm. "
            "Conclusions: Moss is fine at 10^5 cells and 3 m^2."
        ),
        sections=(
            Section(
                "Introduction",
                "Moss fell by 5.2 in all towns. The placebo-controlled trial of Kaplan-Meier controls was "
                "small (CO2, 10^−5, m s^−1).\n"
                "The roofs had R^2 of 0.5 in the 5th year. This fact goes on across the page and is never "
                "interrupted by a figure. It ended well.\n"
                "Figure 1. Growth of moss in three towns over a year.",
            ),
            Section("Methods / Participants", "We took 212 adults."),
            Section("Methods / Outcome measures", "Height in mm."),
            Section("Results", "It grew by 4 mm (p < 0.05)."),
            Section("Footnotes", "* Corresponding author: a@b.org\n1 Supported by the town."),
        ),
        doi="10.1234/moss.2021.55",
        year=2021,
        pages=paper.pages,
    )
    assert [paper.text[start:].split()[0] for start in paper.pages[:2]] == ["Abstract", "interrupted"]
    assert len(paper.pages) == 3


def test_its_own_process_reads_the_same(tmp_path: Path) -> None:
    content = simple(draw_paper)
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    assert read_pdf(path) == read_pdf_bytes(content) == paper_of(content)


@pytest.mark.parametrize(
    ("columns", "font"), [(1, "Times-Roman"), (2, "Times-Roman"), (2, "Courier"), (3, "Helvetica")]
)
def test_reading_order(columns: int, font: str) -> None:
    drawn = made.made_paper(7, made.Style(columns, font, size=9), n_paragraphs=8)
    paper = paper_of(drawn.content)
    words = ["".join(piece.text.removesuffix("-") for piece in word) for word in drawn.words]
    assert " ".join(section.text for section in paper.sections).split() == words
    assert paper.title == "A trial of moss and ferns on the roofs of small towns"
    assert [section.heading for section in paper.sections] == [
        "Introduction",
        "Methods",
        "Results",
        "Discussion",
    ]
    assert len(paper.abstract) > 200
    assert "Anne Green" not in paper.text
    assert "Moss Letters" not in paper.text


def test_a_second_column_of_two_lines() -> None:
    first = [f"Line {i} of the first column says what it has to say." for i in range(20)]

    def draw(canvas: Any) -> None:
        lines(canvas, first)
        lines(canvas, ["Line 20 stands in the second column, and is followed", "by one."], 306)

    text = paper_of(simple(draw)).text
    assert text.replace("\n", " ") == " ".join(first) + (
        " Line 20 stands in the second column, and is followed by one."
    )


def test_a_wide_figure_between_columns() -> None:
    def draw(canvas: Any) -> None:
        for half, top in ((0, 780), (1, 500)):
            for column, x in ((0, 55), (1, 306)):
                texts = [
                    f"Part {half}{column} line {i} of moss that grew on all of the roofs" for i in range(8)
                ]
                lines(canvas, [*texts[:-1], texts[-1] + "."], x, top)
        line(
            canvas,
            55,
            540,
            ["Figure 1. " + "A figure that goes over both of the columns of this page. " * 2],
            8,
        )

    text = paper_of(simple(draw)).text
    order = [text.index(part) for part in ("Part 00", "Part 01", "Figure 1.", "Part 10", "Part 11")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["The moss was mea-", "sured in all of the towns."], "was measured in"),
        (["The roofs had a moss-", "covered side, and others no moss-covered one."], "a moss-covered side"),
        (["A self-", "reported result of the owners."], "self-reported"),
        (["Patients with COVID-", "19 were not on any of the roofs."], "COVID-19 were"),
        (["By the method of Kaplan-", "Meier and others it was so."], "Kaplan-Meier and"),
        (["Both pre- and post-", "treatment roofs, pre-", "and post-treatment."], "pre- and post-treatment."),
        (["In the years 2010–", "2015 all of the roofs grew."], "2010–2015"),
        (["The re-", "sults: these results were the same."], "The results: these"),
    ],
)
def test_broken_words(texts: list[str], expected: str) -> None:
    assert expected in text_of(*texts)


def test_ligatures_and_accents() -> None:
    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
    content = simple(lambda canvas: lines(canvas, ["The ﬁnal ﬂow of the café, −5 ± 2 µm."], font="Vera"))
    assert paper_of(content).text == "The final flow of the café, −5 ± 2 µm."


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["It fell by 5.2", (1, "12"), " in all."], "It fell by 5.2 in all."),
        (["It fell by 5.2.", (1, "12"), " Then it rose."], "It fell by 5.2. Then it rose."),
        (["Of 45 min", (1, "3"), " at most."], "Of 45 min at most."),
        (["As others", (1, "a"), " said", (1, "†"), "."], "As others said."),
        (["There were 10", (1, "6"), " and 2 × 10", (1, "−3"), "."], "There were 10^6 and 2 × 10^−3."),
        (["At 24 kg/m", (1, "2"), " and 5 cm", (1, "3"), "."], "At 24 kg/m^2 and 5 cm^3."),
        (
            ["Some Ca", (1, "2+"), " and ", (1, "14"), "C and H", (-1, "2"), "O."],
            "Some Ca2+ and 14C and H2O.",
        ),
        (["The χ", (1, "2"), " test."], "The χ^2 test."),
    ],
)
def test_scripts(parts: list[Any], expected: str) -> None:
    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
    plain = [part if isinstance(part, tuple) else part.replace("χ", "X") for part in parts]
    text = paper_of(
        simple(lambda canvas: line(canvas, 55, 700, [*plain, " That is what there was to say."]))
    ).text
    assert text == expected.replace("χ", "X") + " That is what there was to say."


def _turned(canvas: Any) -> None:
    canvas.setPageRotation(90)
    canvas.translate(500, 60)
    canvas.rotate(90)
    lines(canvas, ["Moss grew on each of the roofs of the con-", "sidered town."], 0, 100)


def _cropped(canvas: Any) -> None:
    canvas.setCropBox((100, 200, 500, 800))
    lines(canvas, ["Moss grew on each of the roofs of the con-", "sidered town."], 120, 700)
    lines(canvas, ["Nobody sees this line outside of the box."], 120, 150)


def _stamped(canvas: Any) -> None:
    lines(canvas, ["Moss grew on each of the roofs of the con-", "sidered town."])
    for angle in (90, 45):
        canvas.saveState()
        canvas.translate(30, 300)
        canvas.rotate(angle)
        lines(canvas, ["A stamp"], 0, 0)
        canvas.restoreState()


@pytest.mark.parametrize("draw", [_turned, _cropped, _stamped])
def test_turned_cropped_and_stamped_pages(draw: Any) -> None:
    assert paper_of(simple(draw)).text == "Moss grew on each of the roofs of the considered town."


def test_heads_feet_and_numbers() -> None:
    def draw(canvas: Any) -> None:
        for number in range(6):
            lines(canvas, [f"Green and others. Moss Letters 4 ({number + 20}): 7"], 55, 810)
            lines(canvas, [("Left head", "Right head")[number % 2]], 400, 810)
            lines(canvas, [str(number + 117)], 290, 30)
            lines(canvas, [f"Roof {'abcdef'[number]}{'x' * i} had moss on it." for i in range(40)], y=760)
            canvas.showPage()

    text = paper_of(simple(draw)).text
    assert text.count("had moss on it.") == 240
    assert not any(word in text for word in ("Green", "head", "Letters", "117", "122"))


def test_an_abstract_without_a_heading() -> None:
    sentences = ["Moss grows on roofs in the shade of trees and it does so in towns."] * 4

    def draw(canvas: Any) -> None:
        _heading(canvas, 780, "Moss on the roofs of towns", size=18)
        lines(canvas, ["Anne Green, Bo White"], y=755)
        lines(canvas, sentences, y=730)
        _heading(canvas, 660, "Introduction")
        lines(canvas, ["This is the introduction of it."], y=640)

    paper = paper_of(simple(draw))
    assert paper.abstract == " ".join(sentences)
    assert paper.sections == (Section("Introduction", "This is the introduction of it."),)


def test_labels_of_an_abstract() -> None:
    def draw(canvas: Any) -> None:
        _heading(canvas, 780, "Moss on the roofs of towns", size=18)
        for i, (name, text) in enumerate(
            [
                ("Abstract", ""), ("Background", "Moss grows."), ("Methods", "We looked at it."),
                ("Introduction", "Towns have roofs."), ("Methods", "We looked at all of the roofs."),
            ]
        ):  # fmt: skip
            _heading(canvas, 750 - 40 * i, name)
            lines(canvas, [text], y=735 - 40 * i)

    paper = paper_of(simple(draw))
    assert paper.abstract == "Background: Moss grows. Methods: We looked at it."
    assert [section.heading for section in paper.sections] == ["Introduction", "Methods"]


def test_pages_do_not_fall() -> None:
    drawn = made.made_paper(3, made.Style(1, size=11, leading=1.8))
    paper = paper_of(drawn.content)
    assert len(paper.pages) == max(piece.page for word in drawn.words for piece in word) > 2
    assert all(one < other for one, other in pairwise(paper.pages))
    for page, start in enumerate(paper.pages[1:], start=2):
        first = next(pieces[-1] for pieces in drawn.words if pieces[-1].page == page)
        assert paper.text[start:].startswith(first.text.removesuffix("-"))


def test_pages_without_text_among_others() -> None:
    def draw(canvas: Any) -> None:
        for texts in (["Moss grew on each of the roofs and"], [], [], ["on the walls of the town."]):
            lines(canvas, texts)
            canvas.showPage()

    paper = paper_of(simple(draw))
    assert paper.text == "Moss grew on each of the roofs and on the walls of the town."
    assert paper.pages == (0, 35, 35, 35)


def test_damage_is_refused_or_read() -> None:
    """Each byte may be another: what comes is a paper whose text is whole, or a refusal."""
    content = simple(draw_paper, pageCompression=0)
    n_read = 0
    for seed in range(60):
        chance, damaged = random.Random(seed), bytearray(content)
        for _ in range(chance.randint(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b"0123456789.-/()<>[] \xff")
        with suppress(NoPaperError), opened(bytes(damaged), Limits()) as pdf:
            document = read_document(pdf, Limits())
            assert document.text.text == document.paper.text
            n_read += 1
    assert n_read > 10


def test_many_sizes_of_paper() -> None:
    for size in ((300, 400), (1200, 400), A4):
        content = simple(lambda canvas: lines(canvas, ["Moss grew by 4 mm on roofs."], 40, 300), size)
        assert paper_of(content).text == "Moss grew by 4 mm on roofs."

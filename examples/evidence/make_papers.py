"""Write the twelve made-up papers of ``studies.json`` as PDFs: ``python make_papers.py papers``.

Every study, name and number in them is invented. Needs reportlab.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Frame, FrameBreak, NextPageTemplate, PageTemplate, Paragraph

STUDIES = Path(__file__).with_name("studies.json")
JOURNAL = "Annals of Invented Research"
MARGIN, GAP, TOP = 15 * mm, 6 * mm, 50 * mm  # TOP: of the frame of the title

_SERIF = ParagraphStyle("text", fontName="Times-Roman", fontSize=11.5, leading=15, alignment=4, spaceAfter=5)
_ABSTRACT = ParagraphStyle("abstract", _SERIF, fontName="Times-Roman", fontSize=11, leading=14)
_TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=14, leading=17, spaceAfter=6)
_AUTHORS = ParagraphStyle("authors", fontName="Helvetica", fontSize=9, leading=12, spaceAfter=2)
_HEADING = ParagraphStyle(
    "heading", fontName="Helvetica-Bold", fontSize=10, leading=13, spaceBefore=6, keepWithNext=1
)


def write_papers(folder: Path) -> list[Path]:
    """Write all of them; the files in order."""
    folder.mkdir(parents=True, exist_ok=True)
    studies = json.loads(STUDIES.read_text(encoding="utf-8"))
    return [_write(study, folder / f"{study['file']}.pdf") for study in studies]


def _write(study: dict[str, Any], path: Path) -> Path:
    document = BaseDocTemplate(
        str(path), pagesize=A5, title=study["title"], author="; ".join(study["authors"]), invariant=1
    )

    def furniture(canvas: Any, page: Any) -> None:
        """The running head and the page number."""
        canvas.setFont("Helvetica", 8)
        canvas.drawString(MARGIN, A5[1] - 12 * mm, f"{JOURNAL} {study['year']}")
        canvas.drawRightString(A5[0] - MARGIN, A5[1] - 12 * mm, f"doi: {study['doi']}")
        canvas.drawCentredString(A5[0] / 2, 10 * mm, str(page.page))

    first, later = _frames(study["columns"])
    document.addPageTemplates(
        [PageTemplate("first", first, onPage=furniture), PageTemplate("later", later, onPage=furniture)]
    )
    parts = [
        NextPageTemplate("later"),
        Paragraph(study["title"], _TITLE),
        Paragraph(", ".join(study["authors"]), _AUTHORS),
        Paragraph(f"Published {study['year']}", _AUTHORS),
        FrameBreak(),
        Paragraph("Abstract", _HEADING),
        Paragraph(study["abstract"], _ABSTRACT),
    ]
    for number, (heading, text) in enumerate(study["sections"], start=1):
        parts += [Paragraph(f"{number} {heading}", _HEADING), Paragraph(text, _SERIF)]
    document.build(parts)
    return path


def _frames(n_columns: int) -> tuple[list[Frame], list[Frame]]:
    """Those of the first page, the title over the columns, and of the others."""
    width, height = A5[0] - 2 * MARGIN, A5[1] - 36 * mm
    title = Frame(MARGIN, A5[1] - TOP, width, TOP - 18 * mm, 0, 0, 0, 0)
    column = (width - (n_columns - 1) * GAP) / n_columns
    lefts = [MARGIN + i * (column + GAP) for i in range(n_columns)]
    below = height - TOP + 16 * mm
    first = [Frame(left, 18 * mm, column, below, 0, 0, 0, 0) for left in lefts]
    return [title, *first], [Frame(left, 18 * mm, column, height, 0, 0, 0, 0) for left in lefts]


if __name__ == "__main__":
    for written in write_papers(Path(sys.argv[1] if len(sys.argv) > 1 else "papers")):
        print(written)

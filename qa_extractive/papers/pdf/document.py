"""A PDF -> a paper and where each character of its text is drawn. Runs in the process that reads PDFs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from qa_extractive.papers.pdf.extract import page_text
from qa_extractive.papers.pdf.front import metadata_title
from qa_extractive.papers.pdf.furniture import PageLines, without_furniture
from qa_extractive.papers.pdf.headings import HEADING_LINE
from qa_extractive.papers.pdf.lines import rows_of
from qa_extractive.papers.pdf.paragraphs import Vocabulary, measured, paragraphs_of
from qa_extractive.papers.pdf.scripts import text_line
from qa_extractive.papers.pdf.structure import Front, traced_paper
from qa_extractive.papers.pdf.trace import Glyphs, Traced
from qa_extractive.papers.pdf.types import Limits
from qa_extractive.papers.types import TOO_LARGE, NoPaperError, Paper

_FEW = 20  # characters: a page with fewer has no text
_MAX_SHOWN = 20  # pages that a message names


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF that was read.

    Attributes:
        paper: What it says.
        text: ``paper.text``, each character with its glyph.
        glyphs: Where they are drawn.
    """

    paper: Paper
    text: Traced
    glyphs: Glyphs


@contextmanager
def opened(content: bytes, limits: Limits) -> Iterator[Any]:
    """The ``PdfDocument`` of a file's content; NoPaperError where it is none or has too many pages."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise _cannot_open(error) from None
    try:
        if len(pdf) > limits.pages:
            raise NoPaperError(
                TOO_LARGE, f"a PDF of {len(pdf):,} pages, more than {limits.pages:,}: split it"
            )
        if not len(pdf):
            raise NoPaperError("no text", "a PDF without pages")
        yield pdf
    finally:
        pdf.close()


def _cannot_open(error: Exception) -> NoPaperError:
    import pypdfium2.raw as raw

    if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
        return NoPaperError("encrypted", "a PDF that needs a password: save a copy without one")
    if getattr(error, "err_code", None) == raw.FPDF_ERR_SECURITY:
        return NoPaperError("encrypted", "a PDF of a protection that is not known: save a copy without it")
    return NoPaperError("unreadable", "a PDF that is broken or cut short: get it again")


def read_document(pdf: Any, limits: Limits) -> Document:
    """Read an open PDF; NoPaperError where it has no text or too much."""
    glyphs, pages = Glyphs(), list[PageLines]()
    gutters: tuple[float, ...] = ()
    empty: list[int] = []
    for i in range(len(pdf)):
        page_lines, gutters = _page(pdf, i, glyphs, gutters, limits)
        pages.append(page_lines)
        if sum(len(line.text) for line in page_lines.lines) < _FEW:
            empty.append(i + 1)
    _check_text(pdf, empty)
    kept, furniture = without_furniture(pages)
    measures = measured(kept)
    vocabulary = Vocabulary(line for lines in kept for line in lines)
    paragraphs = list(paragraphs_of(kept, measures, HEADING_LINE))
    known = Front(_title(pdf), furniture, len(pdf))
    traced = traced_paper(paragraphs, measures, vocabulary, known, glyphs)
    return Document(traced.paper, traced.text, glyphs)


def _page(
    pdf: Any, i: int, glyphs: Glyphs, gutters: tuple[float, ...], limits: Limits
) -> tuple[PageLines, tuple[float, ...]]:
    """The lines of a page, and where its columns part; a page that cannot be read has none."""
    import pypdfium2

    try:
        page = pdf[i]
    except pypdfium2.PdfiumError:
        return PageLines([], 0.0, 0.0), gutters
    try:
        text = page_text(page, i + 1, glyphs, limits.characters - len(glyphs))
    except pypdfium2.PdfiumError:
        return PageLines([], 0.0, 0.0), gutters
    finally:
        page.close()
    if text is None:
        raise NoPaperError(TOO_LARGE, f"a PDF of more than {limits.characters:,} characters: split it")
    rows, gutters = rows_of(text.chars, gutters)
    lines = [text_line(row, i + 1, len(glyphs) + number, glyphs) for number, row in enumerate(rows)]
    return PageLines([line for line in lines if line is not None], text.bottom, text.top), gutters


def _check_text(pdf: Any, empty: list[int]) -> None:
    """Raise NoPaperError where half of the pages are pictures, or none has text."""
    scanned = [number for number in empty if _has_picture(pdf, number)]
    if 2 * len(scanned) >= len(pdf):
        raise NoPaperError("no text", f"scanned {_pages(scanned)}: recognize the text first (OCR)")
    if len(empty) == len(pdf):
        raise NoPaperError(
            "no text", f"no text on {_pages(empty)} that can be read: recognize it first (OCR)"
        )


def _has_picture(pdf: Any, number: int) -> bool:
    import pypdfium2
    import pypdfium2.raw as raw

    with suppress(pypdfium2.PdfiumError):
        page = pdf[number - 1]
        try:
            kinds = (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING)
            return next(iter(page.get_objects(filter=kinds, max_depth=3)), None) is not None
        finally:
            page.close()
    return False


def _pages(numbers: list[int]) -> str:
    """Pages as a message names them: ``pages 1-3, 5``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    named = [str(first) if first == last else f"{first}-{last}" for first, last in spans[:_MAX_SHOWN]]
    more = ", ..." if len(spans) > _MAX_SHOWN else ""
    return f"{'page' if len(numbers) == 1 else 'pages'} {', '.join(named)}{more}"


def _title(pdf: Any) -> str:
    try:
        return metadata_title(pdf.get_metadata_value("Title"))
    except (ValueError, UnicodeError, RuntimeError):
        return ""

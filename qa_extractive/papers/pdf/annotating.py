"""Highlights in a copy of a PDF. Runs in the process that reads PDFs."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_extractive.papers.pdf.types import Box, Mark, Place
from qa_extractive.papers.types import TOO_LARGE, NoPaperError

AUTHOR = "qa-extractive"
_COLOUR = (255, 221, 64)
_OPACITY = 255
_PRINTED = 4  # the flag of annotations that are printed too
_MAX_CHARACTERS = 4_000  # of a question or a quote in a note


def annotate(pdf: Any, marks: Sequence[tuple[Mark, Place]]) -> None:
    """Add a highlight for each mark to the pages of an open PDF, one for each page that it is on."""
    for mark, place in marks:
        pages: dict[int, list[Box]] = defaultdict(list)
        for box in place.boxes:
            pages[box.page].append(box)
        for number, boxes in pages.items():
            page = pdf[number - 1]
            try:
                _highlight(page, boxes, contents_of(mark))
            finally:
                page.close()


def contents_of(mark: Mark) -> str:
    """What the note of a highlight says."""
    question, quote = mark.question[:_MAX_CHARACTERS], mark.quote[:_MAX_CHARACTERS]
    return f"{question}\n\n\u201c{quote}\u201d\n\nProbability: {mark.probability:.0%}"


def _highlight(page: Any, boxes: Sequence[Box], contents: str) -> None:
    import pypdfium2.raw as raw

    annotation = raw.FPDFPage_CreateAnnot(page.raw, raw.FPDF_ANNOT_HIGHLIGHT)
    if not annotation:
        raise NoPaperError("unreadable", "a PDF that takes no highlights")
    try:
        for box in boxes:
            raw.FPDFAnnot_AppendAttachmentPoints(annotation, _quad(raw, box))
        raw.FPDFAnnot_SetRect(annotation, _rectangle(raw, boxes))
        raw.FPDFAnnot_SetColor(annotation, raw.FPDFANNOT_COLORTYPE_Color, *_COLOUR, _OPACITY)
        raw.FPDFAnnot_SetFlags(annotation, _PRINTED)
        for key, text in {"T": AUTHOR, "Contents": contents}.items():
            raw.FPDFAnnot_SetStringValue(annotation, key.encode(), _wide(raw, text))
    finally:
        raw.FPDFPage_CloseAnnot(annotation)


def _quad(raw: Any, box: Box) -> Any:
    """The corners as all readers take them: the upper ones first, from the left."""
    left, bottom, right, top = box.left, box.bottom, box.right, box.top
    return raw.FS_QUADPOINTSF(left, top, right, top, left, bottom, right, bottom)


def _rectangle(raw: Any, boxes: Sequence[Box]) -> Any:
    sides: Mapping[str, float] = {
        "left": min(box.left for box in boxes),
        "bottom": min(box.bottom for box in boxes),
        "right": max(box.right for box in boxes),
        "top": max(box.top for box in boxes),
    }
    return raw.FS_RECTF(**sides)


def _wide(raw: Any, text: str) -> Any:
    """A text in UTF-16 with a zero behind it, as PDFium takes it."""
    content = text.replace("\0", "").encode("utf-16-le", "replace") + b"\0\0"
    buffer = (ctypes.c_ushort * (len(content) // 2)).from_buffer_copy(content)
    return ctypes.cast(buffer, raw.FPDF_WIDESTRING)


def save(pdf: Any, path: Path, max_bytes: int) -> None:
    """Write an open PDF to a file that it does not come from; NoPaperError where it is too large."""
    with path.open("wb") as file:
        pdf.save(file)
        if file.tell() > max_bytes:
            raise NoPaperError(TOO_LARGE, f"the copy would have more than {max_bytes:,} bytes")

"""A copy of a PDF in which quotes are highlighted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from qa_extractive._utils.files import atomic_file
from qa_extractive.errors import DataError
from qa_extractive.papers.pdf.places import places_from
from qa_extractive.papers.pdf.types import Mark, Place
from qa_extractive.papers.pdf.worker import Worker, shared_worker
from qa_extractive.tables.text_files import os_reason


def highlight(
    path: Path, output: Path, marks: Sequence[Mark], worker: Worker | None = None
) -> list[Place | None]:
    """Write a copy of a PDF with a highlight for each mark, whose note has question, quote and probability.

    The copy appears whole or not at all, and replaces what was there; the original is never changed.

    Args:
        path: The PDF that ``read_pdf`` read.
        output: The copy.
        marks: What to highlight, by place in ``Paper.text``.
        worker: The process that reads; by default the one that all share.

    Returns:
        The place of each mark; None for one that was left out, since its quote is not the text there or
        cannot be placed for sure.

    Raises:
        NoPaperError: As ``read_pdf``.
        DataError: ``output`` is the PDF itself, or cannot be written.
    """
    if output.exists() and output.samefile(path):
        raise DataError(f"{output} is the PDF itself: give the copy another name")
    with TemporaryDirectory(prefix="qa-extractive-") as folder:
        copy = Path(folder, "copy.pdf")
        request = {
            "do": "highlight",
            "path": os.path.abspath(path),  # noqa: PTH100 (no link followed)
            "output": str(copy),
            "marks": [asdict(mark) for mark in marks],
        }
        places = places_from((worker or shared_worker()).ask(request))
        _put(copy, output)
    return places


def _put(copy: Path, output: Path) -> None:
    try:
        with copy.open("rb") as source, atomic_file(output) as target:
            shutil.copyfileobj(source, target)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {os_reason(error)}") from None

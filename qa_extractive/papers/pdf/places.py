"""Where quotes stand in a PDF."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_extractive.papers.pdf.types import Box, Place
from qa_extractive.papers.pdf.worker import Worker, shared_worker


def locate(path: Path, spans: Sequence[tuple[int, int]], worker: Worker | None = None) -> list[Place | None]:
    """The place of each span of a PDF's text; None where it cannot be told for sure.

    What is drawn in the boxes was checked to be what the text has there, but for white space, hyphens,
    ligatures, raised numbers of sources, and what the text adds: ``^`` before an exponent, the headings above
    a section's own. A span most of which is added has no place.

    Args:
        path: The file that ``read_pdf`` read.
        spans: Start and end of each, in characters of ``Paper.text``.
        worker: The process that reads; by default the one that all share.

    Raises:
        NoPaperError: As ``read_pdf``.
    """
    request = {"do": "locate", "path": os.path.abspath(path), "spans": [list(span) for span in spans]}  # noqa: PTH100
    return places_from((worker or shared_worker()).ask(request))


def places_from(values: Sequence[Mapping[str, Any] | None]) -> list[Place | None]:
    """Places as the process replies them."""
    return [None if value is None else _place(value) for value in values]


def _place(value: Mapping[str, Any]) -> Place:
    return Place(value["page"], tuple(Box(**box) for box in value["boxes"]))

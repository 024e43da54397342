"""PDFs in: a file, or the bytes of one that was uploaded, as a paper."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qa_extractive.papers.pdf.worker import Worker, shared_worker
from qa_extractive.papers.types import TOO_LARGE, NoPaperError, Paper, Section


def read_pdf(path: Path, worker: Worker | None = None) -> Paper:
    """The paper of a PDF, which is read in a process of its own.

    Args:
        path: The file; one named ``.gz`` or ``.zst`` is decompressed.
        worker: The process; by default the one that all share.

    Raises:
        NoPaperError: It has no text, is encrypted, broken, too large or too slow, or the extra ``papers`` is
            not installed.
    """
    reply = (worker or shared_worker()).ask({"do": "read", "path": os.path.abspath(path)})  # noqa: PTH100 (no link followed)
    return _paper(reply)


def read_pdf_bytes(content: bytes, worker: Worker | None = None) -> Paper:
    """The paper of a PDF in memory; NoPaperError as ``read_pdf``."""
    worker = worker or shared_worker()
    with pdf_file(content, worker) as path:
        return read_pdf(path, worker)


@contextmanager
def pdf_file(content: bytes, worker: Worker | None = None) -> Iterator[Path]:
    """A temporary file that holds a PDF, for what takes a path; NoPaperError where it is too large."""
    limit = (worker or shared_worker()).limits.file_bytes
    if len(content) > limit:
        raise NoPaperError(TOO_LARGE, f"a PDF of more than {limit // 10**6:,} MB")
    with TemporaryDirectory(prefix="qa-extractive-") as folder:
        path = Path(folder, "paper.pdf")
        path.write_bytes(content)
        yield path


def _paper(values: Mapping[str, Any]) -> Paper:
    changed = {
        "sections": tuple(Section(**section) for section in values["sections"]),
        "authors": tuple(values["authors"]),
        "pages": tuple(values["pages"]),
    }
    return Paper(**{**values, **changed})

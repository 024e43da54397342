"""What callers of ``/v1/papers`` get, as OpenAPI states it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from qa_extractive.service.schemas import Returned


class ReadPassage(Returned):
    """Where a section lies in the text of its paper."""

    heading: str
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]


class ReadPaper(Returned):
    """A paper of a file; `text`, `title`, `id`, `passages` and `pages` are what `/v1/evidence` takes."""

    id: Annotated[str | None, Field(description="Its PubMed id, or else its DOI.")]
    title: str
    authors: list[str]
    year: int | None
    doi: str | None
    text: Annotated[str, Field(description="All that can be quoted: the body too, where there is one.")]
    passages: list[ReadPassage]
    pages: Annotated[list[int], Field(description="Where each page begins in `text`; only of PDFs.")]
    file: Annotated[str, Field(description="The name that was sent.")]
    record: Annotated[int, Field(ge=1, description="Its number in the file.")]


class SkippedRecord(Returned):
    """What is no paper, or could not be read."""

    record: Annotated[int | None, Field(ge=1, description="Null for the whole file, or the rest of it.")]
    kind: str
    reason: str


class PapersBody(Returned):
    """The papers of a file, and what in it is none."""

    papers: list[ReadPaper]
    skipped: list[SkippedRecord]

"""A file -> the papers in it, one by one, and what in it is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from qa_extractive.errors import DataError
from qa_extractive.papers import jats, pubmed
from qa_extractive.papers.plain import paper_from_json, paper_from_text, records_of_json
from qa_extractive.papers.records import MAX_RECORD_CHARACTERS, NoPaperError, Paper
from qa_extractive.papers.safe_xml import TOO_LARGE, elements
from qa_extractive.tables.formats import compression_of
from qa_extractive.tables.text_files import open_bytes, open_text, reading

KNOWN_NAMES = ".txt, .json, .jsonl (or .ndjson), .xml (or .nxml), each also with .gz or .zst"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or a record of one, that is not in the table.

    Attributes:
        record: Its number in the file, from 1; None for all of the file, or the rest of it.
        kind: In a few words, the same for alike ones.
        reason: On one line.
    """

    record: int | None
    kind: str
    reason: str


Outcome = tuple[int, Paper] | Skipped


def read_papers(path: Path) -> Iterator[Outcome]:
    """The papers of a file by their number in it, from 1, and what was skipped; a bad file raises nothing."""
    read = _READERS.get(_suffix(path))
    if read is None:
        yield Skipped(None, "another format", f"its name ends in none of {KNOWN_NAMES}")
        return
    found = False
    try:
        for number, attempt in enumerate(read(path), start=1):
            found = True
            try:
                yield number, attempt()
            except NoPaperError as error:
                yield Skipped(number, error.kind, error.reason)
    except NoPaperError as error:
        yield Skipped(None, error.kind, error.reason + (" (what came before it was taken)" if found else ""))
    except (DataError, OSError) as error:
        reason = " ".join(str(error).split()).removeprefix(str(path)).lstrip(" ,:")
        yield Skipped(None, "unreadable", reason)
    else:
        if not found:
            yield Skipped(None, "no paper", "nothing in it is a paper")


Attempt = Callable[[], Paper]


def _suffix(path: Path) -> str:
    return Path(path.stem if compression_of(path) else path.name).suffix.lower()


def _text_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path) as stream:
        text = _bounded(stream.read(MAX_RECORD_CHARACTERS + 1))
    yield partial(paper_from_text, text)


def _json_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path) as stream:
        value = _json(_bounded(stream.read(MAX_RECORD_CHARACTERS + 1)))
    for record in records_of_json(value):
        yield partial(paper_from_json, record)


def _jsonl_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path) as stream:
        for line in _lines(stream):
            if line.strip():
                yield partial(_paper_of_line, line)


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(MAX_RECORD_CHARACTERS + 1):
        yield _bounded(line)


def _paper_of_line(line: str) -> Paper:
    return paper_from_json(_json(line))


def _json(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        raise NoPaperError("broken JSON", f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise NoPaperError("broken JSON", f"it cannot be read: {error}") from None


def _xml_papers(path: Path) -> Iterator[Attempt]:
    makers = {jats.TAG: jats.paper_from_jats, pubmed.TAG: pubmed.paper_from_pubmed}
    with reading(path), open_bytes(path) as stream, closing(elements(stream, makers)) as found:
        for element in found:
            yield partial(makers[element.tag], element)


def _bounded(text: str) -> str:
    if len(text) > MAX_RECORD_CHARACTERS:
        raise NoPaperError(TOO_LARGE, f"more than {MAX_RECORD_CHARACTERS:,} characters")
    return text


_READERS: dict[str, Callable[[Path], Iterator[Attempt]]] = {
    ".txt": _text_papers,
    ".json": _json_papers,
    ".jsonl": _jsonl_papers,
    ".ndjson": _jsonl_papers,
    ".xml": _xml_papers,
    ".nxml": _xml_papers,
}

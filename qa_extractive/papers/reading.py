"""A file -> the papers in it, one by one, and what in it is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from qa_extractive.errors import DataError
from qa_extractive.papers import endnote_xml, feeds, jats, pubmed, sniffing, tagged
from qa_extractive.papers.bibtex import bibtex_papers
from qa_extractive.papers.json_records import paper_from_json
from qa_extractive.papers.json_shapes import is_too_large, records_of_json
from qa_extractive.papers.other_formats import ADVICE, EXPORT_ADVICE
from qa_extractive.papers.pdf.reading import read_pdf
from qa_extractive.papers.plain import paper_from_text
from qa_extractive.papers.pubmed_text import abstract_records, paper_from_abstract_record
from qa_extractive.papers.safe_xml import UNSAFE, Element, elements
from qa_extractive.papers.table_papers import record_rows_papers, table_papers
from qa_extractive.papers.types import MAX_RECORD_CHARACTERS, TOO_LARGE, NoPaperError, Paper
from qa_extractive.papers.workbook import workbook_papers
from qa_extractive.tables.formats import compression_of
from qa_extractive.tables.text_files import open_bytes, open_text, reading

KNOWN_NAMES = (
    ".txt, .json, .jsonl (or .ndjson), .xml (or .nxml), .nbib, .ris, .enw, .ciw, .bib, .csv, .tsv (or .tab), "
    ".pdf, each also with .gz or .zst, and .xlsx"
)
_TEXTS = (".txt", ".text")
_EXPORTS = (".nbib", ".medline", ".ris", ".enw", ".ciw", ".isi", ".bib")
_JSON, _JSONL, _XML, _PDF = (".json",), (".jsonl", ".ndjson"), (".xml", ".nxml"), (".pdf",)
_TABLES, _WORKBOOKS = (".csv", ".tsv", ".tab"), (".xlsx",)


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
Attempt = Callable[[], Paper]


def read_papers(path: Path) -> Iterator[Outcome]:
    """The papers of a file by their number in it, from 1, and what was skipped; a bad file raises nothing."""
    found = False
    try:
        for number, attempt in enumerate(_attempts(path), start=1):
            found = True
            try:
                yield number, attempt()
            except NoPaperError as error:
                yield Skipped(number, error.kind, error.reason)
            except RecursionError:
                yield Skipped(number, UNSAFE, "nested too deep to be read")
    except NoPaperError as error:
        yield Skipped(None, error.kind, error.reason + (" (what came before it was taken)" if found else ""))
    except (DataError, OSError) as error:
        reason = " ".join(str(error).split()).removeprefix(str(path)).lstrip(" ,:")
        yield Skipped(None, "unreadable", reason)
    else:
        if not found:
            yield Skipped(None, "no paper", "nothing in it is a paper")


def _attempts(path: Path) -> Iterator[Attempt]:
    """How to make each paper of a file, by what it holds; its name says only whether it is looked at."""
    suffix = Path(path.stem if compression_of(path) else path.name).suffix.lower()
    if suffix in _WORKBOOKS and not compression_of(path):
        return workbook_papers(path)
    if suffix not in (*_TEXTS, *_EXPORTS, *_JSON, *_JSONL, *_XML, *_TABLES, *_PDF):
        raise NoPaperError("another format", ADVICE.get(suffix, f"its name ends in none of {KNOWN_NAMES}"))
    kind = _kind(_head(path), suffix)
    if kind in EXPORT_ADVICE:
        raise NoPaperError(*EXPORT_ADVICE[kind])
    return _READERS[kind](path)


def _head(path: Path) -> str:
    """How a file begins, whatever its encoding."""
    with reading(path), open_bytes(path) as stream:
        head = stream.read(sniffing.HEAD_BYTES)
    is_wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _kind(head: str, suffix: str) -> sniffing.Kind:
    kind = sniffing.kind_of(head)
    if suffix in _PDF and kind != "pdf" and not sniffing.is_pdf(head):
        raise NoPaperError("no paper", "it does not begin as a .pdf file does")
    if kind == "pdf" or suffix in _PDF:
        return "pdf"
    if kind in _TAGGED or kind in _SURE:
        return kind
    if suffix in _TABLES:
        return "table"
    if suffix in _XML:
        return kind if kind in ("json", "jsonl") else "xml"
    if suffix in _JSON:
        return "jsonl" if kind == "jsonl" else "json"
    if suffix in _JSONL:
        return "json" if sniffing.is_in_lines(head) else "jsonl"
    if suffix == ".bib":
        return "bibtex"
    if suffix in _EXPORTS and kind in ("text", "numbers"):
        raise NoPaperError("no paper", f"it does not begin as a {suffix} file does")
    return kind


def _text_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path, newline=None) as stream:
        text = _bounded(stream.read(MAX_RECORD_CHARACTERS + 1))
    yield partial(paper_from_text, text)


def _tagged_papers(dialect: tagged.Dialect, path: Path) -> Iterator[Attempt]:
    with open_text(path, newline=None) as stream:
        for fields in tagged.tagged_records(_lines(stream), dialect):
            yield partial(tagged.paper_from_tags, fields, dialect)


def _table_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path, newline=None) as stream:
        for fields in tagged.table_records(_lines(stream)):
            yield partial(tagged.paper_from_tags, fields, tagged.WEB_OF_SCIENCE)


def _numbered_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path, newline=None) as stream:
        for record in abstract_records(_lines(stream)):
            yield partial(paper_from_abstract_record, record)


def _bibtex_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path, newline=None) as stream:
        yield from bibtex_papers(_lines(stream))


def _json_papers(path: Path) -> Iterator[Attempt]:
    """Papers of one JSON value, or of several, one after the other."""
    with open_text(path) as stream:
        text = _bounded(stream.read(MAX_RECORD_CHARACTERS + 1))
    end, n_characters = 0, len(text.rstrip())
    while end < n_characters or not end:
        value, end = _json(text, end)
        for record in records_of_json(value):
            yield partial(paper_from_json, record)


def _jsonl_papers(path: Path) -> Iterator[Attempt]:
    with open_text(path) as stream:
        for line in _lines(stream):
            if line.strip():
                yield from _papers_of_line(line.strip())


def _papers_of_line(line: str) -> Iterator[Attempt]:
    try:
        value, end = _json(line, 0)
        if end < len(line):
            raise NoPaperError("broken JSON", f"line 1, column {end + 1}: more than one value")
    except NoPaperError as error:
        yield partial(_fail, error)
        return
    records = records_of_json(value)
    for record in records if any(isinstance(each, dict) for each in records) else [value]:
        yield partial(paper_from_json, record)


def _fail(error: NoPaperError) -> Paper:
    raise error


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(MAX_RECORD_CHARACTERS + 1):
        yield _bounded(line)


_DECODER = json.JSONDecoder(strict=False, parse_constant=lambda _: None)  # NaN is what pandas has for nothing
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")


def _json(text: str, start: int) -> tuple[object, int]:
    """The value that begins there, and where the next one would begin."""
    if is_too_large(text):
        raise NoPaperError(TOO_LARGE, "JSON of too many values: give one record a line (.jsonl)")
    space = _SPACE.match(text, start)
    try:
        value, end = _DECODER.raw_decode(text, space.end() if space else start)
    except json.JSONDecodeError as error:
        raise NoPaperError("broken JSON", f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise NoPaperError("broken JSON", f"it cannot be read: {error}") from None
    space = _SPACE.match(text, end)
    return value, space.end() if space else end


def _xml_papers(path: Path) -> Iterator[Attempt]:
    found = False
    with reading(path), open_bytes(path) as stream, closing(elements(stream, _RECORDS, _SETS)) as records:
        for record in records:
            found = True
            yield from _RECORDS.get(record.tag, _other_record)(record)
    if not found:
        name = sniffing.outermost(_head(path))
        raise NoPaperError("no paper", f"nothing in it is a paper (its outermost element is <{name}>)")


def _endnote_papers(path: Path) -> Iterator[Attempt]:
    tags = (endnote_xml.TAG,)
    with reading(path), open_bytes(path) as stream, closing(elements(stream, tags)) as records:
        for record in records:
            yield from endnote_xml.papers_of_record(record)


def _other_record(record: Element) -> Iterator[Attempt]:
    yield partial(_fail, NoPaperError("another record", f"a <{record.tag}>, which is no paper"))


def _pdf_papers(path: Path) -> Iterator[Attempt]:
    yield partial(read_pdf, path)


def _bounded(text: str) -> str:
    if len(text) > MAX_RECORD_CHARACTERS:
        raise NoPaperError(TOO_LARGE, f"more than {MAX_RECORD_CHARACTERS:,} characters")
    return text


_RECORDS: dict[str, Callable[[Element], Iterator[Attempt]]] = {
    jats.TAG: jats.papers_of_article,
    **dict.fromkeys((*pubmed.ARTICLE_TAGS, *pubmed.BOOK_TAGS), pubmed.papers_of_record),
    **dict.fromkeys(feeds.TAGS, feeds.papers_of_entry),
}
_SURE = ("web of science table", "xml", "endnote xml", "bibtex", "field rows")
_SETS = (*pubmed.SET_TAGS, "pmc-articleset")
_TAGGED: dict[sniffing.Kind, tagged.Dialect] = {
    "medline": tagged.MEDLINE,
    "ris": tagged.RIS,
    "web of science": tagged.WEB_OF_SCIENCE,
    "endnote": tagged.ENDNOTE,
    "cochrane": tagged.COCHRANE,
}
_READERS: dict[sniffing.Kind, Callable[[Path], Iterator[Attempt]]] = {
    "text": _text_papers,
    "pdf": _pdf_papers,
    "xml": _xml_papers,
    "endnote xml": _endnote_papers,
    "bibtex": _bibtex_papers,
    "table": table_papers,
    "field rows": record_rows_papers,
    "json": _json_papers,
    "jsonl": _jsonl_papers,
    "web of science table": _table_papers,
    "pubmed abstracts": _numbered_papers,
    **{kind: partial(_tagged_papers, dialect) for kind, dialect in _TAGGED.items()},
}

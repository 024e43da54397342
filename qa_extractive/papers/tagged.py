"""Exports with a tag before each line (MEDLINE, RIS, Web of Science, EndNote, Cochrane) -> Papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qa_extractive.papers.fragments import plain_sections, plain_text
from qa_extractive.papers.languages import english_first, english_texts
from qa_extractive.papers.types import (
    LINE_WEIGHT,
    MAX_RECORD_CHARACTERS,
    TOO_LARGE,
    NoPaperError,
    Paper,
    bare_doi,
    bounded,
    first_title,
    joined,
    one_line,
    year_in,
)

Fields = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an export is laid out, and which tags it has for what; of several tags, the first that is there.

    Attributes:
        name: As people know it.
        line: What begins a field; its groups are the tag and the text.
        starts: Tags that begin a record.
        ends: The tag that ends one; empty where none does.
        title: Tags of the title.
        abstract: Tags of the abstract.
        journal: Tags of the journal.
        year: Tags of the year or date.
        authors: Tags of authors, full names before others.
        doi: Tags of what may be a DOI.
        pmid: Tags of the PubMed id.
    """

    name: str
    line: re.Pattern[str]
    starts: tuple[str, ...]
    ends: str = ""
    title: tuple[str, ...] = ("TI",)
    abstract: tuple[str, ...] = ("AB",)
    journal: tuple[str, ...] = ("SO",)
    year: tuple[str, ...] = ("PY",)
    authors: tuple[str, ...] = ("AU",)
    doi: tuple[str, ...] = ("DO",)
    pmid: tuple[str, ...] = ("PM",)


MEDLINE = Dialect(
    "MEDLINE",
    re.compile(r"([A-Z][A-Z0-9]{1,3}) {0,2}- ?(.*)"),
    starts=("PMID",),
    title=("TI", "TT", "BTI"),
    journal=("JT", "TA", "BTI"),
    year=("DP", "DEP"),
    authors=("FAU", "AU", "CN"),
    doi=("LID", "AID"),
    pmid=("PMID",),
)
RIS = Dialect(
    "RIS",
    re.compile(r"([A-Z][A-Z0-9]) {0,2}-(?: (.*))?"),
    starts=("TY",),
    ends="ER",
    title=("TI", "T1", "CT", "BT", "TT"),
    abstract=("AB", "N2"),
    journal=("JO", "JF", "T2", "JA", "J2", "BT"),
    year=("PY", "Y1", "DA"),
    authors=("AU", "A1"),
    doi=("DO", "DI"),
    pmid=("PM", "AN"),
)
WEB_OF_SCIENCE = Dialect(
    "Web of Science",
    re.compile(r"([A-Z][A-Z0-9])(?: (.*))?"),
    starts=("PT",),
    ends="ER",
    authors=("AF", "AU"),
    doi=("DI",),
)
ENDNOTE = Dialect(
    "EndNote",
    re.compile(r"%([0-9A-Z@~?!#$&(),*<>\[\]^+=|:;'\"])(?: (.*))?"),
    starts=("0",),
    title=("T",),
    abstract=("X",),
    journal=("J", "B"),
    year=("D", "8"),
    authors=("A",),
    doi=("R",),
    pmid=(),
)
COCHRANE = Dialect(
    "Cochrane",
    re.compile(r"([A-Z]{2,4}): ?(.*)"),
    starts=("ID",),
    year=("YR", "PY"),
    doi=("DOI", "DO"),
)
# Of a file, not of a record: heads and ends.
_FILE_LINE = re.compile(r"(?:FN|VR|EF)(?: .*)?|Record #\d+ of \d+")
_NUMBER = re.compile(r"(?:PUBMED\s*)?(\d{1,9})", re.IGNORECASE)
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_LABELLED = re.compile(r"\s*\[[A-Za-z]+\]$")  # of MEDLINE: "10.1/x [doi]"


@dataclass(slots=True)
class _Record:
    lines: dict[str, list[list[str]]] = field(default_factory=dict)  # of each field, by tag
    tag: str = ""  # of the line before
    weight: int = 0

    def count(self, line: str) -> None:
        self.weight += len(line) + LINE_WEIGHT
        if self.weight > MAX_RECORD_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"a record of more than {MAX_RECORD_CHARACTERS:,} characters")

    def add(self, tag: str, text: str) -> None:
        self.tag = tag
        self.lines.setdefault(tag, []).append([text.strip()])

    def go_on(self, text: str) -> None:
        self.lines[self.tag][-1].append(text.strip())

    def fields(self) -> Fields:
        return {tag: ["\n".join(lines) for lines in fields] for tag, fields in self.lines.items()}


def tagged_records(lines: Iterable[str], dialect: Dialect) -> Iterator[Fields]:
    """The texts of each record by tag; a field goes on over lines without a tag.

    A record ends where the next begins, at the tag that ends one, and in MEDLINE at an empty line.

    Raises:
        NoPaperError: A record is too large; those before it stand.
    """
    record, is_after_gap = _Record(), False
    for line in lines:
        if dialect in (WEB_OF_SCIENCE, COCHRANE) and _FILE_LINE.fullmatch(line.strip()):
            continue
        found = dialect.line.fullmatch(line.rstrip()) if line[:1] not in (" ", "\t") else None
        tag = found[1] if found else ""
        record.count(line)
        begins = tag in dialect.starts or (bool(tag) and is_after_gap and dialect is MEDLINE)
        if record.lines and (begins or (tag and tag == dialect.ends)) and not _goes_before(record, tag):
            yield record.fields()
            record = _Record()
        if found and tag != dialect.ends:
            record.add(tag, found[2] or "")
        elif line.strip() and record.tag and not found:
            record.go_on(line)
        is_after_gap = not line.strip()
    if record.lines:
        yield record.fields()


def _goes_before(record: _Record, tag: str) -> bool:
    """Whether what stands before a start belongs to that record: ``PMC`` before ``PMID``."""
    return tag not in record.lines and record.lines.keys() <= {"PMC", "OWN"}


def table_records(lines: Iterable[str]) -> Iterator[Fields]:
    """The records of a Web of Science table: tags in the first line, tabs between the cells."""
    rows = filter(str.strip, lines)
    tags = next(rows, "").rstrip("\r\n").split("\t")
    for line in rows:
        cells = line.rstrip("\r\n").split("\t")
        yield {tag: [cell] for tag, cell in zip(tags, cells, strict=False) if cell.strip()}


def paper_from_tags(fields: Fields, dialect: Dialect) -> Paper:
    """The paper of a record; NoPaperError where it has no abstract."""
    parts = bounded(plain_sections(_abstract(fields, dialect)))
    titles = (plain_text(" ".join(fields[tag])) for tag in dialect.title if tag in fields)
    return Paper(
        title=first_title(titles),
        abstract=joined(parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=_pmid(fields, dialect),
        doi=_doi(fields, dialect),
        year=next(filter(None, map(year_in, _all(fields, dialect.year))), None),
        journal=one_line(next(_all(fields, dialect.journal), "")) or None,
        authors=tuple(_authors(fields, dialect)),
    )


def _all(fields: Fields, tags: Iterable[str]) -> Iterator[str]:
    return (text for tag in tags for text in fields.get(tag, ()) if text)


def _abstract(fields: Fields, dialect: Dialect) -> str:
    """The abstract, in English where there are several; a field that is there twice is one in parts."""
    texts = next((fields[tag] for tag in dialect.abstract if any(fields.get(tag, ()))), [])
    if dialect is MEDLINE and not texts and fields.get("OAB"):
        codes = fields.get("OABL", []) + [""] * len(fields["OAB"])
        others = list(zip(codes, fields["OAB"], strict=False))
        texts = [others[i][1] for i in english_first(others)[:1]]
    return "\n".join(english_texts(texts))


def _pmid(fields: Fields, dialect: Dialect) -> str | None:
    is_pubmed = dialect is not RIS or "pubmed" in " ".join(_all(fields, ("DB", "DP"))).casefold()
    tags = [tag for tag in dialect.pmid if is_pubmed or tag == "PM"]
    found = filter(None, map(_NUMBER.fullmatch, _all(fields, tags)))
    return next((each[1] for each in found), None)


def _doi(fields: Fields, dialect: Dialect) -> str | None:
    for text in _all(fields, dialect.doi):
        doi = bare_doi(_LABELLED.sub("", text))
        if doi and _DOI.fullmatch(doi):
            return doi
    return None


def _authors(fields: Fields, dialect: Dialect) -> Iterator[str]:
    """Names, given name first; Web of Science has one a line, its tables and others ``;`` between them."""
    texts = next((fields[tag] for tag in dialect.authors if fields.get(tag)), [])
    for name in re.split(r"[\n;]", "\n".join(texts)):
        family, comma, given = name.strip().rstrip(",").partition(", ")
        if family:
            yield one_line(f"{given} {family}" if comma else family)

"""What the columns of an export hold, told by their names, and the paper of a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qa_extractive.papers.author_names import names_in
from qa_extractive.papers.fragments import plain_body, plain_sections, plain_text
from qa_extractive.papers.passages import in_one_language
from qa_extractive.papers.types import NoPaperError, Paper, Section, bounded, first_title, joined, year_in

# Names in small letters, of letters and digits alone; of several, the first that has content.
_FIELDS: Final = {
    "title": "title articletitle documenttitle papertitle primarytitle titles titleenglish englishtitle "
    "titleen dctitle",
    "abstract": "abstract abstracts abstractnote abstracttext paperabstract abstractenglish englishabstract "
    "abstracten dcdescriptionabstract summary",
    "text": "fulltext text body bodytext fulltextcontent",
    "sections": "sections",
    "pages": "pages",
    "authors": "authorfullnames authors author authornames authorlist authorsfullnames creators creator "
    "dccreator firstauthor",
    "year": "year publicationyear pubyear publishedyear yearpublished yearofpublication publicationdate "
    "pubdate datepublished date coverdate published firstpublicationdate",
    "journal": "journal journalbook journaltitle sourcetitle publicationtitle publicationname journalname "
    "containertitle venue pubtitle publicationvenue publication secondarytitle booktitle source",
    "doi": "doi digitalobjectidentifier articledoi doilink doiurl",
    "pmid": "pmid pubmedid medlinepmid pubmed pubmedpmid",
}
_BESIDE_TITLE: Final = ("authors", "year", "journal", "doi", "pmid")
LOOKED_FOR: Final = "'Abstract', 'Abstract Note', 'Summary', 'Full text', 'Text' or the like"
_NO_ABSTRACTS: Final = (
    "its table has no column of abstracts (looked for "
    f"{LOOKED_FOR}): export the records with abstracts, from PubMed in the format 'PubMed' or 'Abstract'"
)

_NUMBERED = re.compile(r"_\d+$")  # of columns that share a name
_HYPERLINK = re.compile(
    r"""=\s*HYPERLINK\(\s*"(?:[^"]|"")*"\s*(?:[,;]\s*"((?:[^"]|"")*)"\s*)?\)\s*""", re.IGNORECASE
)
_LITERAL = re.compile(r'="((?:[^"]|"")*)"')  # ="2021" stays a text in a spreadsheet
_LINK_TARGET = re.compile(r'"((?:[^"]|"")*)"')
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_PMID = re.compile(r"(?:\D*|.*[/:=]\s*)(\d{1,9})(?:\.0+)?/?")
_ERRORS = frozenset(("#n/a", "#ref!", "#name?", "#value!", "#div/0!", "#null!", "#num!"))


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a row has what.

    Attributes:
        places: Of each field that the table has, the indices of its columns, the best first.
        names: Of all columns, as the header has them.
    """

    places: Mapping[str, tuple[int, ...]]
    names: tuple[str, ...]

    @property
    def has_text(self) -> bool:
        """Whether there is a column of abstracts or full texts."""
        return "abstract" in self.places or "text" in self.places

    @property
    def is_header(self) -> bool:
        """Whether this is the header of a table of papers, with or without their abstracts."""
        n_beside = sum(name in self.places for name in _BESIDE_TITLE)
        return self.has_text or ("title" in self.places and n_beside > 1)

    @property
    def n_known(self) -> int:
        """How many fields were found."""
        return len(self.places)

    def cells(self, field: str, row: Sequence[str]) -> Iterator[str]:
        """The cells of a field that hold anything, as plain as they can be."""
        return filter(None, (cell_text(row[i]) for i in self.places.get(field, ()) if i < len(row)))

    def cell(self, field: str, row: Sequence[str]) -> str:
        """The first of these; empty where there is none."""
        return next(self.cells(field, row), "")

    def is_repeated_by(self, row: Sequence[str]) -> bool:
        """Whether a row is the header again, as where files were joined."""
        return tuple(cell.strip() for cell in row) == tuple(name.strip() for name in self.names)


def columns_of(names: Sequence[str]) -> Columns:
    """The columns that a header's cells name."""
    plain = [_plain_name(name) for name in names]
    found = {field: tuple(_places(known.split(), plain)) for field, known in _FIELDS.items()}
    return Columns({field: places for field, places in found.items() if places}, tuple(names))


def cell_text(cell: str) -> str:
    """A cell without what makes a spreadsheet show it so: a link's own text, ``="2021"``, an error."""
    text = cell.strip()
    if text.startswith("="):
        if link := _HYPERLINK.fullmatch(text):
            target = _LINK_TARGET.search(text)
            text = (link[1] or (target[1] if target else "")).replace('""', '"')
        elif literal := _LITERAL.fullmatch(text):
            text = literal[1].replace('""', '"')
    return "" if text.casefold() in _ERRORS else text.strip()


def paper_from_cells(columns: Columns, row: Sequence[str]) -> Paper:
    """The paper of a row; NoPaperError where it has no text, or is the header again."""
    if columns.is_repeated_by(row):
        raise NoPaperError("no paper", "the header again")
    if not columns.has_text:
        raise NoPaperError("no text", _NO_ABSTRACTS)
    parts = in_one_language(bounded(plain_sections(columns.cell("abstract", row))))
    written = _sections(columns.cell("sections", row))
    body = written or bounded(plain_body(_text(columns.cell("text", row))))
    return Paper(
        title=first_title(map(plain_text, columns.cells("title", row))),
        abstract=joined(parts),
        sections=body or tuple(part for part in parts if part.heading),
        pmid=_found(_PMID.fullmatch(columns.cell("pmid", row)), 1),
        doi=_doi(columns.cells("doi", row)),
        year=next(filter(None, map(year_in, columns.cells("year", row))), None),
        journal=plain_text(columns.cell("journal", row)) or None,
        authors=tuple(map(plain_text, names_in(columns.cell("authors", row)))),
        pages=_pages(columns.cell("pages", row)) if written else (),
    )


def _plain_name(name: str) -> str:
    bare = _NUMBERED.sub("", cell_text(name).strip("\ufeff ").casefold())
    return "".join(filter(str.isalnum, bare))


def _places(known: Sequence[str], names: Sequence[str]) -> list[int]:
    return [index for name in known for index, each in enumerate(names) if each == name]


def _text(cell: str) -> str:
    """A full text; empty where a cell only says where it is, or whether there is one."""
    return cell if len(cell.split()) > 1 else ""


def _doi(cells: Iterable[str]) -> str | None:
    return next(filter(None, (_found(_DOI.search(cell), 0) for cell in cells)), None)


def _found(match: re.Match[str] | None, group: int) -> str | None:
    return match[group] if match else None


def _sections(cell: str) -> tuple[Section, ...]:
    """Those that ``prepare`` wrote into a table of text, as JSON."""
    value = _json_list(cell)
    parts = [each for each in value if isinstance(each, dict) and {"heading", "text"} == each.keys()]
    if not parts or len(parts) < len(value):
        return ()
    return bounded(Section(str(each["heading"]), str(each["text"])) for each in parts)


def _pages(cell: str) -> tuple[int, ...]:
    value = _json_list(cell)
    return tuple(value) if all(isinstance(each, int) for each in value) else ()


def _json_list(cell: str) -> list[Any]:
    try:
        value = json.loads(cell) if cell.startswith("[") else []
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []

"""A paper, and what could not be made one."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

MAX_RECORD_CHARACTERS: Final = 50_000_000  # of a paper with its markup; also of a whole text or JSON file

_YEAR = re.compile(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)")


class NoPaperError(Exception):
    """Why a file or a record is no paper.

    Attributes:
        kind: In a few words, the same for alike ones.
        reason: On one line.
    """

    def __init__(self, kind: str, reason: str) -> None:
        """Take both."""
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a paper.

    Attributes:
        heading: Its title after those of the sections it lies in, parted by `` / ``; may be empty.
        text: Its own paragraphs.
    """

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Paper:
    """What a table has of a paper; what is not known is None or empty.

    Attributes:
        title: On one line.
        abstract: On one line, the labels of its parts before them.
        sections: Of the body; where there is none, the labelled parts of the abstract.
        pmid: PubMed id.
        doi: Without a resolver before it.
        year: Of publication.
        journal: Its name.
        authors: Given name before family name.
    """

    title: str = ""
    abstract: str = ""
    sections: tuple[Section, ...] = ()
    pmid: str | None = None
    doi: str | None = None
    year: int | None = None
    journal: str | None = None
    authors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise NoPaperError where there is nothing to read."""
        if not self.abstract and not any(section.text for section in self.sections):
            raise NoPaperError("no text", "neither an abstract nor a body")

    def to_row(self) -> dict[str, Any]:
        """Its values by column."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return values | {
            "sections": [asdict(section) for section in self.sections],
            "authors": list(self.authors),
        }


COLUMNS = ("title", "abstract", "sections", "pmid", "doi", "year", "journal", "authors")


def one_line(text: str) -> str:
    """The text with single spaces for all white space."""
    return " ".join(text.split())


def labelled(heading: str, text: str) -> str:
    """A part of an abstract with its label before it."""
    return text if not heading else f"{heading}{'' if heading[-1] in '.:?!' else ':'} {text}"


def year_in(text: object) -> int | None:
    """The first year from 1500 to 2099 that a text names."""
    found = _YEAR.search(str(text))
    return int(found.group()) if found else None


def bare_doi(text: str) -> str | None:
    """A DOI without what resolves it; None where there is none."""
    doi = re.sub(r"(?i)^(https?://(dx\.)?doi\.org/|doi:)\s*", "", text.strip())
    return doi or None

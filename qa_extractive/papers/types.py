"""A paper, and what could not be made one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

MAX_RECORD_CHARACTERS: Final = 50_000_000  # of a paper with its markup; also of a whole text or JSON file
MAX_HEADING_CHARACTERS: Final = 5_000_000  # of all headings of a paper, each after those it lies under
LINE_WEIGHT: Final = 64  # characters that a line counts for beside its text: what it takes in memory
TOO_LARGE: Final = "too large"

_AT_ONCE = 1_000_000  # characters

# Not "pre-" and "post-treatment".
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_][^\W\d_]-)\r?\n(?=[^\W_])(?!(?:and|or|to|versus|vs)\b)")
_YEAR = re.compile(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)")
# What data bases write where there is no title or no abstract.
_STAND_IN = re.compile(
    r"(?:in process citation|untitled|n/?a|none|null|nan|<na>|no (?:title|abstract)(?: (?:is )?available)?"
    r"|(?:(?:title|abstract|english abstract) )?(?:is )?not available"
    r"|abstract (?:is )?(?:unavailable|missing))"
)


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
class Passage:
    """Where a section lies in the text of its paper.

    Attributes:
        heading: Of the section; "Abstract" of the abstract; may be empty.
        start: Where its heading, or its text where it has none, begins in ``Paper.text``.
        end: Where its text ends.
    """

    heading: str
    start: int
    end: int


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
        pages: Where each page begins in ``text``, not falling; only of PDFs.
    """

    title: str = ""
    abstract: str = ""
    sections: tuple[Section, ...] = ()
    pmid: str | None = None
    doi: str | None = None
    year: int | None = None
    journal: str | None = None
    authors: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise NoPaperError where there is nothing to read."""
        if not self.abstract and not any(section.text for section in self.sections):
            raise NoPaperError("no text", "neither an abstract nor a body")

    @property
    def n_characters(self) -> int:
        """How much text it is, headings included."""
        in_sections = sum(len(section.heading) + len(section.text) for section in self.sections)
        return len(self.title) + len(self.abstract) + in_sections

    @property
    def has_body(self) -> bool:
        """Whether it has more than its abstract, whose labelled parts ``sections`` may hold."""
        return bool(self.sections) and joined(self.sections) != self.abstract

    @property
    def text(self) -> str:
        """All that can be quoted: the abstract alone, or it and the body, each heading on a line of its own.

        A blank line parts one section from the next; ``passages`` says where each lies.
        """
        return self.abstract if not self.has_body else _PARTED.join(map(_block, self._blocks()))

    @property
    def passages(self) -> tuple[Passage, ...]:
        """Where the sections, or the labelled parts of the abstract, lie in ``text``, in order."""
        if self.has_body:
            return _in_turn([(each.heading, _block(each)) for each in self._blocks()], len(_PARTED))
        parts = [(each.heading, labelled(each.heading, each.text)) for each in self.sections]
        return _in_turn(parts or [(_ABSTRACT, self.abstract)], 1)

    def _blocks(self) -> list[Section]:
        first = [Section(_ABSTRACT, self.abstract)] if self.abstract else []
        return [section for section in (*first, *self.sections) if section.text]

    def to_row(self) -> dict[str, Any]:
        """Its values by column; ``text`` and ``pages`` are None where it has no body or no pages."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return values | {
            "sections": [asdict(section) for section in self.sections],
            "authors": list(self.authors),
            "text": self.text if self.has_body else None,
            "pages": list(self.pages) or None,
        }


COLUMNS = ("title", "abstract", "sections", "pmid", "doi", "year", "journal", "authors")
LATER_COLUMNS = ("text", "pages")
_ABSTRACT = "Abstract"
_PARTED = "\n\n"


def _in_turn(parts: Iterable[tuple[str, str]], n_between: int) -> tuple[Passage, ...]:
    """Where parts lie that stand one after the other, each with its heading."""
    found, start = [], 0
    for heading, text in parts:
        found.append(Passage(heading, start, start + len(text)))
        start += len(text) + n_between
    return tuple(found)


def _block(section: Section) -> str:
    return f"{section.heading}\n{section.text}" if section.heading else section.text


def one_line(text: str) -> str:
    """The text with single spaces for all white space."""
    if len(text) <= _AT_ONCE:
        return " ".join(text.split())
    parts = []
    for start in range(0, len(text), _AT_ONCE):  # millions of words at once would fill the memory
        part = text[start : start + _AT_ONCE]
        line = " ".join(part.split())
        starts_word = line and (part[0].isspace() or (start and text[start - 1].isspace()))
        parts.append(f" {line}" if starts_word else line)
    return "".join(parts).strip()


def unwrapped(text: str) -> str:
    """A text whose lines were also broken after hyphens, with these words whole: ``COVID-19``."""
    return _BROKEN_WORD.sub("", text)


def without_stand_in(text: str) -> str:
    """The text; empty where it only says that there is none: ``[Not Available].``."""
    bare = text.strip(" []().:*").casefold()
    return "" if len(bare) < 40 and _STAND_IN.fullmatch(bare) else text


def first_title(titles: Iterable[str]) -> str:
    """The first title that is one; empty where there is none."""
    return next(filter(None, map(without_stand_in, titles)), "")


def joined(parts: Sequence[Section]) -> str:
    """The abstract that labelled parts make; empty where it only says that there is none."""
    return without_stand_in(" ".join(labelled(part.heading, part.text) for part in parts))


def bounded(sections: Iterable[Section]) -> tuple[Section, ...]:
    """The sections, each counted as it comes; NoPaperError as soon as they are too large.

    A heading repeats those above it, so that a small file can hold headings without end.
    """
    taken: list[Section] = []
    n_heading = n_text = 0
    for section in sections:
        n_heading += len(section.heading)
        n_text += len(section.text)
        if n_heading > MAX_HEADING_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"headings of more than {MAX_HEADING_CHARACTERS:,} characters")
        if n_text > MAX_RECORD_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"a text of more than {MAX_RECORD_CHARACTERS:,} characters")
        taken.append(section)
    return tuple(taken)


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

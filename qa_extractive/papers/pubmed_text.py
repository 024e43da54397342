"""What PubMed saves as "Abstract": numbered records of plain text, -> Papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from qa_extractive.papers.fragments import plain_text
from qa_extractive.papers.types import (
    LINE_WEIGHT,
    MAX_RECORD_CHARACTERS,
    TOO_LARGE,
    NoPaperError,
    Paper,
    bare_doi,
    first_title,
    one_line,
    unwrapped,
    without_stand_in,
    year_in,
)

_START = re.compile(r"(\d{1,6})[.:] \S")
_ID = re.compile(r"^(PMID|DOI|PMCID): *(\S+)", re.MULTILINE)
_CITATION = re.compile(r"\d+[.:] (?P<journal>[^.]+)\.(?P<rest>.*)", re.DOTALL)
_DOI_IN_CITATION = re.compile(r"\bdoi: ?(10\.\S+?)\.?(?:\s|$)")
_AUTHORS = re.compile(r"[^\W\d_][\w'\u2019. -]* [A-Z\u00c0-\u00de][\w-]{0,3}(?:\(\d[\d)(,]*\))*")
_MARKS = re.compile(r"\(\d+\)")
# Parts of a record that are neither its title, nor its authors, nor its abstract.
_BESIDE = re.compile(
    r"author information:|collaborators:|comment (?:in|on)\b|erratum (?:in|for)\b|update (?:in|of)\b"
    r"|republished (?:in|from)\b|retraction (?:in|of)\b|expression of concern|corrected and "
    r"|summary for patients|original report in|\[(?:article|no authors)|©|\(c\) |copyright"
    r"|conflict of interest|doi: |pmid: |pmcid: |publisher:|plain language summary:|free (?:pmc )?article",
    re.IGNORECASE,
)


def abstract_records(lines: Iterable[str]) -> Iterator[str]:
    """The text of each record, from its number to the next one's.

    Raises:
        NoPaperError: A record is too large; those before it stand.
    """
    record: list[str] = []
    number = weight = 0
    for line in lines:
        found = _START.match(line)
        if found and (not record or (int(found[1]) == number + 1 and _is_whole(record))):
            if record:
                yield "".join(record)
            record, number, weight = [], int(found[1]), 0
        weight += len(line) + LINE_WEIGHT
        if weight > MAX_RECORD_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"a record of more than {MAX_RECORD_CHARACTERS:,} characters")
        if record or found:
            record.append(line)
    if record:
        yield "".join(record)


def _is_whole(record: list[str]) -> bool:
    """Whether lines are a record to its end: an empty line last, after its PubMed id."""
    return not record[-1].strip() and any("PMID:" in line for line in record[-12:])


def paper_from_abstract_record(text: str) -> Paper:
    """The paper of a record; NoPaperError where it has no abstract."""
    blocks = [block.strip() for block in re.split(r"\n[ \t\r]*\n", text) if block.strip()]
    citation = _CITATION.match(blocks[0])
    ids = dict(_ID.findall(text))
    title, *others = blocks[1:] or [""]
    passages = [block for block in others if not _BESIDE.match(block)]
    authors = passages.pop(0) if passages and _are_authors(passages[0]) else ""
    in_citation = _DOI_IN_CITATION.search(one_line(blocks[0]))
    return Paper(
        title=first_title([plain_text(unwrapped(title))]),
        abstract=without_stand_in(plain_text(unwrapped("\n".join(passages)))),
        pmid=ids.get("PMID"),
        doi=bare_doi(ids.get("DOI") or (in_citation[1] if in_citation else "")),
        year=year_in(citation["rest"]) if citation else None,
        journal=one_line(citation["journal"]) if citation else None,
        authors=tuple(filter(None, map(one_line, _MARKS.sub("", authors).rstrip(".").split(",")))),
    )


def _are_authors(block: str) -> bool:
    """Whether a block is a list of names: ``Doe J(1), Roe R.``."""
    names = one_line(block).rstrip(".").split(", ")
    return sum(bool(_AUTHORS.fullmatch(name)) for name in names) > len(names) / 2

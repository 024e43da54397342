"""Records of EndNote's XML, in which runs of style part each text, -> Papers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from qa_extractive.papers.author_names import given_first
from qa_extractive.papers.markup import text_of
from qa_extractive.papers.passages import in_one_language, sections_of
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.types import Paper, bare_doi, bounded, first_title, joined, year_in

TAG = "record"
_TITLES = ("title", "translated-title", "short-title")
_JOURNALS = (("periodical", "full-title"), ("titles", "secondary-title"), ("alt-periodical", "full-title"))
_RAISED, _LOWERED = "superscript", "subscript"
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_PUBMED_ID = re.compile(r"\d{1,9}")


def papers_of_record(record: Element) -> Iterator[Callable[[], Paper]]:
    """How to make the paper of a record; calling it raises NoPaperError where it has no abstract."""
    yield partial(_paper, record)


def _paper(record: Element) -> Paper:
    titles = record.child("titles") or Element("titles", {})
    abstract = Element("abstract", {}, _content(record.child("abstract")))
    parts = in_one_language(bounded(sections_of(abstract)))
    return Paper(
        title=first_title(_text(titles.child(name)) for name in _TITLES),
        abstract=joined(parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=_pmid(record),
        doi=_doi(record),
        year=_year(record.child("dates")),
        journal=next(filter(None, (_text(record.child(*path)) for path in _JOURNALS)), None),
        authors=tuple(filter(None, _authors(record.child("contributors", "authors")))),
    )


def _content(element: Element | None) -> list[str | Element]:
    """What an element holds, with ``sup`` and ``sub`` for runs in such a style, ``span`` for others."""
    content = list[str | Element]()
    for part in element.content if element else ():
        if isinstance(part, str):
            content.append(part)
            continue
        face = part.attributes.get("face", "")
        tag = "sup" if _RAISED in face else "sub" if _LOWERED in face else "span"
        content.append(Element(tag, part.attributes, _content(part)))
    return content


def _text(element: Element | None) -> str:
    return text_of(Element("text", {}, _content(element)))


def _authors(listed: Element | None) -> Iterator[str]:
    return (given_first(_text(each)) for each in (listed.children("author") if listed else ()))


def _year(dates: Element | None) -> int | None:
    if dates is None:
        return None
    return year_in(_text(dates.child("year"))) or year_in(_text(dates.child("pub-dates")))


def _doi(record: Element) -> str | None:
    found = _DOI.fullmatch(bare_doi(_text(record.child("electronic-resource-num"))) or "")
    return found[0] if found else None


def _pmid(record: Element) -> str | None:
    """The accession number of a record that comes from PubMed."""
    source = _text(record.child("remote-database-name")) + _text(record.child("remote-database-provider"))
    number = _text(record.child("accession-num"))
    is_pubmed = re.search("pubmed|medline|nlm", source, re.IGNORECASE)
    return number if is_pubmed and _PUBMED_ID.fullmatch(number) else None

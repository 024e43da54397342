"""Records of flat XML (arXiv's Atom, Europe PMC's results, Dublin Core) -> Papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

from qa_extractive.papers.fragments import plain_sections, plain_text
from qa_extractive.papers.languages import english_texts
from qa_extractive.papers.markup import text_of
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.types import Paper, bare_doi, bounded, first_title, joined, year_in

TAGS = ("entry", "result", "dc")
_ABSTRACT = ("summary", "abstractText", "abstract", "description")
_YEAR = ("published", "pubYear", "date", "issued", "updated")


def papers_of_entry(record: Element) -> Iterator[Callable[[], Paper]]:
    """How to make the paper of a record; calling it raises NoPaperError where it has no abstract."""
    yield partial(_paper, record)


def _paper(record: Element) -> Paper:
    texts = english_texts(map(_markup, _first(record, _ABSTRACT)))
    parts = bounded(chain.from_iterable(map(plain_sections, texts)))
    names = map(text_of, _first(record, ("journalTitle", "journal_ref")))
    inside = text_of(record.child("journalInfo", "journal", "title"))
    return Paper(
        title=first_title(map(plain_text, english_texts(map(_markup, record.children("title"))))),
        abstract=joined(parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=next(filter(str.isdigit, map(text_of, record.children("pmid"))), None),
        doi=next(filter(None, (bare_doi(text_of(each)) for each in record.children("doi"))), None),
        year=next(filter(None, (year_in(text_of(each)) for each in _first(record, _YEAR))), None),
        journal=next(filter(None, [*names, inside]), None),
        authors=tuple(filter(None, _authors(record))),
    )


def _first(record: Element, tags: tuple[str, ...]) -> list[Element]:
    return next(filter(None, map(record.children, tags)), [])


def _markup(element: Element) -> str:
    """The text, in which tags may stand as text."""
    return text_of(element) if element.children() else "".join(map(str, element.content))


def _authors(record: Element) -> Iterator[str]:
    named = [text_of(each.child("name")) for each in record.children("author")]
    listed = text_of(record.child("authorString")).rstrip(".").split(", ")
    return iter(named or [text_of(each) for each in record.children("creator")] or listed)

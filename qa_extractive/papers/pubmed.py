"""Records of PubMed's own XML, of articles and of books, -> Papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from qa_extractive.papers.languages import english_first
from qa_extractive.papers.markup import text_of
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.types import (
    Paper,
    Section,
    bare_doi,
    bounded,
    first_title,
    joined,
    year_in,
)

ARTICLE_TAGS = ("PubmedArticle", "MedlineCitation")
BOOK_TAGS = ("PubmedBookArticle", "BookDocument")
SET_TAGS = ("PubmedArticleSet", "PubmedBookArticleSet", "MedlineCitationSet", "BookDocumentSet")


def papers_of_record(record: Element) -> Iterator[Callable[[], Paper]]:
    """How to make the paper of a record; calling it raises NoPaperError where it has no abstract."""
    yield partial(_book_paper if record.tag in BOOK_TAGS else _article_paper, record)


def _article_paper(record: Element) -> Paper:
    citation = record if record.tag == "MedlineCitation" else record.child("MedlineCitation") or record
    article = citation.child("Article") or Element("Article", {})
    parts = _abstract([*article.children("Abstract"), *citation.children("OtherAbstract")])
    date = article.child("Journal", "JournalIssue", "PubDate")
    titles = article.children("ArticleTitle", "VernacularTitle") + citation.children("VernacularTitle")
    return Paper(
        title=first_title(map(text_of, titles)),
        abstract=joined(parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=text_of(citation.child("PMID")) or None,
        doi=_doi([article, *record.children("PubmedData")]),
        year=_year(date),
        journal=text_of(article.child("Journal", "Title")) or None,
        authors=tuple(_authors(article)),
    )


def _book_paper(record: Element) -> Paper:
    """A chapter, or a book where the record is of all of it."""
    document = record if record.tag == "BookDocument" else record.child("BookDocument") or record
    book = document.child("Book") or Element("Book", {})
    parts = _abstract(document.children("Abstract", "OtherAbstract"))
    titles = document.children("ArticleTitle", "VernacularTitle") + book.children("BookTitle")
    authors = [*_authors(document)] or [*_authors(book)]
    return Paper(
        title=first_title(map(text_of, titles)),
        abstract=joined(parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=text_of(document.child("PMID")) or None,
        doi=_doi([document, book, *record.children("PubmedBookData")]),
        year=_year(book.child("PubDate")),
        journal=text_of(book.child("BookTitle")) or None,
        authors=tuple(authors),
    )


def _abstract(abstracts: list[Element]) -> tuple[Section, ...]:
    """The parts of the English abstract or, where there is none, of the first one.

    ``Abstract`` is English unless it says otherwise; ``OtherAbstract`` names its language, and may be for
    patients.
    """
    found = []
    for each in abstracts:
        parts = bounded(_parts(each))
        if joined(parts) and "plain" not in each.attributes.get("Type", ""):
            found.append((each.attributes.get("Language", "eng" if each.tag == "Abstract" else ""), parts))
    chosen = english_first([(code, joined(parts)) for code, parts in found])
    return found[chosen[0]][1] if found else ()


def _parts(abstract: Element) -> Iterator[Section]:
    for part in abstract.children("AbstractText"):
        text = text_of(part)
        if text:
            label = part.attributes.get("Label", "").strip()
            yield Section("" if label.upper() == "UNLABELLED" else label, text)


def _year(date: Element | None) -> int | None:
    return year_in(" ".join(map(text_of, date.children("Year", "MedlineDate")))) if date else None


def _doi(places: list[Element]) -> str | None:
    """The record's own; its references have ids, too, further down."""
    ids = []
    for place in places:
        listed = place.child("ArticleIdList") or Element("ArticleIdList", {})
        ids += [each for each in place.children("ELocationID") if each.attributes.get("EIdType") == "doi"]
        ids += [each for each in listed.children("ArticleId") if each.attributes.get("IdType") == "doi"]
    return next(filter(None, (bare_doi(text_of(each)) for each in ids)), None)


def _authors(place: Element) -> Iterator[str]:
    """Authors, and not the editors that a book has beside them."""
    for listed in place.children("AuthorList"):
        if listed.attributes.get("Type", "authors") == "authors":
            yield from filter(None, map(_author, listed.children("Author")))


def _author(author: Element) -> str:
    given = text_of(author.child("ForeName")) or text_of(author.child("Initials"))
    name = " ".join(filter(None, (given, text_of(author.child("LastName")))))
    return name or text_of(author.child("CollectiveName"))

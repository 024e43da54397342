"""Records of PubMed's own XML -> Papers."""

from __future__ import annotations

from collections.abc import Iterator

from qa_extractive.papers.markup import text_of
from qa_extractive.papers.records import Paper, Section, bare_doi, labelled, year_in
from qa_extractive.papers.safe_xml import Element

TAG = "PubmedArticle"


def paper_from_pubmed(record: Element) -> Paper:
    """The paper of a ``PubmedArticle``; NoPaperError where it has no abstract."""
    citation = record.child("MedlineCitation") or Element("MedlineCitation", {})
    article = citation.child("Article") or Element("Article", {})
    abstract = article.child("Abstract")
    parts = tuple(_parts(abstract)) if abstract else ()
    date = article.child("Journal", "JournalIssue", "PubDate")
    authors = article.child("AuthorList")
    return Paper(
        title=text_of(article.child("ArticleTitle")),
        abstract=" ".join(labelled(part.heading, part.text) for part in parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=text_of(citation.child("PMID")) or None,
        doi=_doi(record, article),
        year=year_in(" ".join(map(text_of, date.children("Year", "MedlineDate")))) if date else None,
        journal=text_of(article.child("Journal", "Title")) or None,
        authors=tuple(filter(None, map(_author, authors.children("Author")))) if authors else (),
    )


def _parts(abstract: Element) -> Iterator[Section]:
    for part in abstract.children("AbstractText"):
        text = text_of(part)
        if text:
            label = part.attributes.get("Label", "").strip()
            yield Section("" if label.upper() == "UNLABELLED" else label, text)


def _doi(record: Element, article: Element) -> str | None:
    """The record's own; its references have ids, too, further down."""
    ids = [each for each in article.children("ELocationID") if each.attributes.get("EIdType") == "doi"]
    listed = record.child("PubmedData", "ArticleIdList")
    if listed:
        ids += [each for each in listed.children("ArticleId") if each.attributes.get("IdType") == "doi"]
    return next(filter(None, (bare_doi(text_of(each)) for each in ids)), None)


def _author(author: Element) -> str:
    given = text_of(author.child("ForeName")) or text_of(author.child("Initials"))
    name = " ".join(filter(None, (given, text_of(author.child("LastName")))))
    return name or text_of(author.child("CollectiveName"))

"""Articles in JATS, as PubMed Central and most publishers give them, -> Papers."""

from __future__ import annotations

from collections.abc import Iterator

from qa_extractive.papers.markup import text_of
from qa_extractive.papers.records import Paper, Section, bare_doi, labelled, year_in
from qa_extractive.papers.safe_xml import Element

TAG = "article"
_PASSAGES = ("p", "list", "disp-quote", "disp-formula", "boxed-text")
# An abstract of these kinds is another text: a plain summary, highlights, a picture.
_MAIN_ABSTRACT = (None, "", "abstract", "section", "structured")


def paper_from_jats(article: Element) -> Paper:
    """The paper of an ``article``; NoPaperError where it has no text."""
    meta = article.child("front", "article-meta") or Element("article-meta", {})
    journal = article.child("front", "journal-meta") or Element("journal-meta", {})
    body = article.child("body")
    sections = tuple(_sections(body, ())) if body else ()
    abstract = _main_abstract(meta)
    parts = tuple(_sections(abstract, ())) if abstract else ()
    named = journal.child("journal-title-group", "journal-title") or journal.child("journal-title")
    return Paper(
        title=text_of(meta.child("title-group", "article-title")),
        abstract=" ".join(labelled(part.heading, part.text) for part in parts),
        sections=sections or tuple(part for part in parts if part.heading),
        pmid=_id(meta, "pmid"),
        doi=bare_doi(_id(meta, "doi") or ""),
        year=min(_years(meta), default=None),
        journal=text_of(named) or None,
        authors=tuple(filter(None, map(_author, _contributors(meta)))),
    )


def _main_abstract(meta: Element) -> Element | None:
    abstracts = meta.children("abstract")
    main = [each for each in abstracts if each.attributes.get("abstract-type") in _MAIN_ABSTRACT]
    return next(iter(main), None)


def _sections(element: Element, above: tuple[str, ...]) -> Iterator[Section]:
    """The element's own passages as a section, then those inside it, in order."""
    heading = " / ".join(above)
    passages = [text_of(passage) for passage in element.children(*_PASSAGES)]
    text = " ".join(filter(None, passages))
    if text:
        yield Section(heading, text)
    for inner in element.children("sec"):
        title = text_of(inner.child("title"))
        yield from _sections(inner, (*above, title) if title else above)


def _id(meta: Element, kind: str) -> str | None:
    found = [each for each in meta.children("article-id") if each.attributes.get("pub-id-type") == kind]
    return (text_of(found[0]) or None) if found else None


def _years(meta: Element) -> Iterator[int]:
    for date in meta.children("pub-date"):
        year = year_in(text_of(date.child("year")))
        if year is not None:
            yield year


def _contributors(meta: Element) -> Iterator[Element]:
    for group in meta.children("contrib-group"):
        for each in group.children("contrib"):
            if each.attributes.get("contrib-type", "author") == "author":
                yield each


def _author(contributor: Element) -> str:
    name = contributor.child("name") or contributor.child("name-alternatives", "name")
    if name is None:
        return text_of(contributor.child("collab") or contributor.child("string-name"))
    return " ".join(filter(None, (text_of(name.child("given-names")), text_of(name.child("surname")))))

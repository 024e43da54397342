"""Articles in JATS, as PubMed Central and most publishers give them, -> Papers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

from qa_extractive.papers.languages import english_first, is_english_code
from qa_extractive.papers.markup import text_of
from qa_extractive.papers.passages import in_one_language, sections_of
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.types import (
    NoPaperError,
    Paper,
    Section,
    bare_doi,
    bounded,
    first_title,
    joined,
    year_in,
)

TAG = "article"
_ARTICLES_INSIDE = ("sub-article", "response")
_BACK = ("app-group", "app", "sec", "ack", "notes", "glossary")
# Abstracts that are another text: a picture's, one for lay readers, highlights, a teaser.
_OTHER_ABSTRACT = re.compile(
    r"graphic|visual|video|plain|\blay|teaser|toc|key.?point|highlight|author.?summary|editor|precis|web|tweet"
    r"|social|significance|synopsis|executive|in.?brief|practice|what.?is.?known|key.?message|take.?home"
)
# Parts of an article that are no papers: what was written about it.
_ABOUT_IT = re.compile(r"report|letter|repl|response|comment|review|discussion|correction")
_LANGUAGE = "xml:lang"


def papers_of_article(article: Element) -> Iterator[Callable[[], Paper]]:
    """How to make each paper of an ``article``: of itself, then of the articles in it.

    A translation into English stands for an article in another language. A call raises NoPaperError where
    there is no text, or what was written about a paper and not a paper.
    """
    inside = list(_articles_in(article))
    english = None
    if not is_english_code(_language(article) or "en"):
        english = next((each for each in inside if _is_english_translation(each)), None)
    journal = article.child("front", "journal-meta") or Element("journal-meta", {})
    meta = _meta(article)
    if english is None:
        yield partial(_paper, article, meta, journal)
    else:
        yield partial(_paper, english, _completed(_meta(english), meta.children()), journal)
    dates = meta.children("pub-date")
    for each in inside:
        if each is not english:
            yield partial(_paper_inside, each, _completed(_meta(each), dates), journal)


def _articles_in(article: Element) -> Iterator[Element]:
    for each in article.children(*_ARTICLES_INSIDE):
        yield each
        yield from _articles_in(each)


def _is_english_translation(part: Element) -> bool:
    return part.attributes.get("article-type") == "translation" and is_english_code(_language(part))


def _completed(meta: Element, outer: list[Element]) -> Element:
    """Metadata with what others of the same article say beside them."""
    own = {part.tag for part in meta.children()}
    return Element(meta.tag, {}, [*meta.content, *(part for part in outer if part.tag not in own)])


def _paper_inside(part: Element, meta: Element, journal: Element) -> Paper:
    kind = part.attributes.get("article-type") or part.attributes.get("response-type") or part.tag
    if kind == "translation":
        language = _language(part) or "another language"
        raise NoPaperError("a translation", f"what stands before it, in the language {language}")
    if part.tag == "response" or _ABOUT_IT.search(kind):
        raise NoPaperError("no paper", f"of the kind {kind}: what was written about the paper before it")
    return _paper(part, meta, journal)


def _paper(article: Element, meta: Element, journal: Element) -> Paper:
    """The paper of an article or of one inside it; NoPaperError where it has no text."""
    language = _language(article)
    abstracts = [each for each in meta.children("abstract", "trans-abstract") if not _other_kind(each)]
    chosen = _chosen_abstracts(abstracts, language)
    parts = in_one_language(bounded(chain.from_iterable(map(sections_of, chosen))))
    body = bounded(_body(article))
    others = list(filter(None, map(_other_kind, meta.children("abstract", "trans-abstract"))))
    if others and not body and not parts:
        raise NoPaperError("no text", f"no body, and no abstract but of the kind {others[0]}")
    named = journal.child("journal-title-group", "journal-title") or journal.child("journal-title")
    return Paper(
        title=_title(meta, wants_english=_is_foreign(language) or _is_translated(chosen)),
        abstract=joined(parts),
        sections=body or tuple(part for part in parts if part.heading),
        pmid=_id(meta, "pmid"),
        doi=bare_doi(_id(meta, "doi") or ""),
        year=min(_years(meta), default=None),
        journal=text_of(named) or None,
        authors=tuple(filter(None, map(_author, _contributors(meta)))),
    )


def _meta(article: Element) -> Element:
    found = article.child("front", "article-meta") or article.child("front-stub") or article.child("front")
    return found or Element("article-meta", {})


def _language(element: Element) -> str:
    return element.attributes.get(_LANGUAGE, "")


def _is_foreign(language: str) -> bool:
    return bool(language) and not is_english_code(language)


def _other_kind(abstract: Element) -> str:
    """The kind of an abstract that is another text; empty for a paper's own."""
    kind = abstract.attributes.get("abstract-type", "").casefold()
    title = text_of(abstract.child("title")).casefold()
    is_titled = len(title) < 40 and _OTHER_ABSTRACT.match(title)
    return kind if _OTHER_ABSTRACT.search(kind) else title if is_titled else ""


def _chosen_abstracts(abstracts: list[Element], language: str) -> list[Element]:
    """The English abstract or, where there is none, the first one's language; in parts, all of them."""
    known = []
    for each in abstracts:
        inherited = language if each.tag == "abstract" and _is_foreign(language) else ""
        known.append((_language(each) or inherited, text_of(each) if len(abstracts) > 1 else ""))
    chosen = [abstracts[i] for i in english_first(known)]
    own = [each for each in chosen if each.tag == "abstract"]
    return own or chosen[:1]


def _is_translated(abstracts: list[Element]) -> bool:
    return any(each.tag == "trans-abstract" and is_english_code(_language(each)) for each in abstracts)


def _title(meta: Element, *, wants_english: bool) -> str:
    """The title with its subtitle; the English one of several."""
    group = meta.child("title-group") or Element("title-group", {})
    own = _with_subtitles(group, "article-title", "subtitle")
    translated = {}
    for each in [*group.children("trans-title-group"), group]:
        title = each.child("trans-title")
        if title is not None:
            code = _language(title) or _language(each)
            translated[code] = _with_subtitles(each, "trans-title", "trans-subtitle")
    english = [title for code, title in translated.items() if is_english_code(code)]
    titles = [*english, own] if wants_english else [own, *english]
    return first_title([*titles, *translated.values()])


def _with_subtitles(group: Element, title: str, subtitle: str) -> str:
    parts = [text_of(group.child(title)), *map(text_of, group.children(subtitle))]
    return ": ".join(filter(None, parts))


def _body(article: Element) -> Iterator[Section]:
    """What the body says, then appendices, notes and thanks."""
    body, back = article.child("body"), article.child("back")
    if body is not None:
        yield from sections_of(body)
    if back is not None:
        yield from sections_of(Element("back", {}, list(back.children(*_BACK))))


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

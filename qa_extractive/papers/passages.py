"""A marked-up abstract or body -> its sections, so that no passage is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qa_extractive.papers.inline import Line
from qa_extractive.papers.languages import without_translations
from qa_extractive.papers.markup import LEFT_OUT, finished, text_of, write_content
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.types import Section

_SECTIONS = frozenset(("sec", "app-group", "app", "ack", "notes", "glossary", "section", "div"))
_TITLES = frozenset(("title", "h1", "h2", "h3", "h4", "h5", "h6"))
_NO_PASSAGES = LEFT_OUT | {"sec-meta", "label"}
# Titles of abstracts that say no more than that.
_ABSTRACT = frozenset("abstract abstracts summary resumen resumo résumé zusammenfassung riassunto".split())


def sections_of(element: Element, above: tuple[str, ...] = ()) -> Iterator[Section]:
    """The passages of an element by heading, in order.

    A title stands over all that follows it up to the next title or section, whatever marks it up: paragraphs,
    lists, definitions, theorems, quotations, bare text. A title that stands over nothing is a passage itself.

    Args:
        element: An abstract, a body or a section.
        above: The titles that it stands under.
    """
    is_abstract = "abstract" in element.tag
    titles, passage = (*above, *_label(element)), list[str | Element]()
    is_bare = n_left_out = 0  # titles over nothing so far; what was left out below them
    for part in [*element.content, None]:
        tag = part.tag if isinstance(part, Element) else ""
        if tag in _NO_PASSAGES:
            n_left_out += tag != "label"
        elif isinstance(part, str) or (part is not None and tag not in _TITLES and tag not in _SECTIONS):
            passage.append(part)
        else:
            if is_abstract:
                passage = _in_one_language(passage)
            for section in _section(titles, passage):
                is_bare = 0
                yield section
            passage = []
            if part is not None and tag in _SECTIONS:
                is_bare = 0
                yield from sections_of(part, titles)
                continue
            if is_bare and not n_left_out:
                yield Section(" / ".join(above), titles[-1])
            title = text_of(part)
            says_nothing = not title or (is_abstract and title.strip(" .:").casefold() in _ABSTRACT)
            titles = above if says_nothing else (*above, title)
            is_bare, n_left_out = int(not says_nothing), 0


def in_one_language(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The parts of an abstract but those that say in another language what others say in English."""
    return tuple(sections[i] for i in without_translations([section.text for section in sections]))


def _in_one_language(passage: list[str | Element]) -> list[str | Element]:
    paragraphs = [part for part in passage if isinstance(part, Element) and part.tag == "p"]
    if len(paragraphs) < 2:
        return passage
    kept = without_translations(list(map(text_of, paragraphs)))
    left_out = {id(part) for i, part in enumerate(paragraphs) if i not in kept}
    return [part for part in passage if id(part) not in left_out]


def _label(element: Element) -> tuple[str, ...]:
    """The label of a section that has no title."""
    if element.tag not in _SECTIONS or element.children(*_TITLES):
        return ()
    return tuple(filter(None, [text_of(element.child("label"))]))


def _section(titles: Sequence[str], passage: Sequence[str | Element]) -> Iterator[Section]:
    line = Line()
    write_content(line, passage)
    text = finished(line)
    if text:
        yield Section(" / ".join(titles), text)

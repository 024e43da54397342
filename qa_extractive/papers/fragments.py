"""Texts with tags and entities in them -> plain ones."""

from __future__ import annotations

from qa_extractive.papers.markup import text_of
from qa_extractive.papers.passages import in_one_language, sections_of
from qa_extractive.papers.safe_xml import Element
from qa_extractive.papers.tags import element_of, unescaped
from qa_extractive.papers.tex import without_documents
from qa_extractive.papers.types import Section, one_line


def plain_text(text: str) -> str:
    """The text on one line, without its tags; exponents after ``^``."""
    element = element_of(text)
    return text_of(element) if element else one_line(without_documents(unescaped(text)))


def plain_sections(text: str) -> list[Section]:
    """The parts of an abstract, by the titles that tags mark in it; of two languages, the English ones."""
    element = element_of(text)
    return list(in_one_language(list(sections_of(element)))) if element else _one_section(text)


def plain_body(text: str) -> list[Section]:
    """The parts of a body, in the same way, but whole."""
    element = element_of(text)
    return list(sections_of(Element("body", {}, element.content))) if element else _one_section(text)


def _one_section(text: str) -> list[Section]:
    plain = plain_text(text)
    return [Section("", plain)] if plain else []

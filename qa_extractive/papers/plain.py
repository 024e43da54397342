"""Text -> Papers."""

from __future__ import annotations

import re

from qa_extractive.papers.author_names import names_in
from qa_extractive.papers.fragments import plain_text
from qa_extractive.papers.types import Paper, bare_doi, first_title, without_stand_in, year_in

_TITLE_CHARACTERS = 300
_TITLE = re.compile(r"title:[ \t]*(?=\S)", re.IGNORECASE)
_ABSTRACT = re.compile(r"(?:^[ \t]*|(?<=\s))abstract:\s*(?=\S)", re.IGNORECASE | re.MULTILINE)
_LABEL = re.compile(
    r"^[ \t]*(authors?|journal|source|year|date|doi|pmid|keywords?):[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE
)


def paper_from_text(text: str) -> Paper:
    """A text file: its first line is the title if a blank line follows it, the rest the abstract.

    A first line of more than 300 characters is no title. A text that begins with ``Title:`` and goes on with
    ``Abstract:`` is parted there; lines such as ``Year: 2020`` beside them say what they say.
    """
    if labelled := _labelled_paper(text):
        return labelled
    head, _, rest = text.strip().replace("\r\n", "\n").partition("\n")
    if rest.strip() and not rest.split("\n", 1)[0].strip() and len(head) <= _TITLE_CHARACTERS:
        return Paper(title=first_title([plain_text(head)]), abstract=without_stand_in(plain_text(rest)))
    return Paper(abstract=without_stand_in(plain_text(text)))


def _labelled_paper(text: str) -> Paper | None:
    """The paper of a text whose title and abstract are named, each once; None for any other."""
    text = text.strip("\ufeff \t\r\n").replace("\r\n", "\n")
    first, abstracts = _TITLE.match(text), list(_ABSTRACT.finditer(text))
    if first is None or len(abstracts) != 1:
        return None
    above, below = text[first.end() : abstracts[0].start()], text[abstracts[0].end() :]
    beside = {
        name.casefold().rstrip("s"): value.strip() for name, value in _LABEL.findall(f"{above}\n{below}")
    }
    title = _LABEL.sub("", above)
    if len(title) > _TITLE_CHARACTERS:
        return None
    pmid = re.fullmatch(r"\d{1,9}", beside.get("pmid", ""))
    return Paper(
        title=first_title([plain_text(title)]),
        abstract=without_stand_in(plain_text(_LABEL.sub("", below))),
        pmid=pmid[0] if pmid else None,
        doi=bare_doi(beside.get("doi", "")),
        year=year_in(beside.get("year") or beside.get("date")),
        journal=beside.get("journal") or beside.get("source") or None,
        authors=names_in(beside.get("author", "")),
    )

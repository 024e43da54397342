"""Text and JSON -> Papers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from qa_extractive.papers.records import NoPaperError, Paper, Section, bare_doi, labelled, one_line, year_in

_TITLE_CHARACTERS = 300
_LISTS = ("papers", "articles", "records", "documents", "data")
_BODY = ("sections", "body_text", "body", "full_text", "fulltext", "text")
_ABSTRACT = ("abstract", "context", "summary", "paper")
_HEADING = ("heading", "title", "section", "name", "label")
_TEXT = ("text", "content", "paragraphs", "body")
_YEAR = ("year", "publication_year", "pub_year", "publish_time", "pub_date", "publication_date", "date")
_JOURNAL = ("journal", "journal_title", "venue", "journal_name")


def paper_from_text(text: str) -> Paper:
    """A text file: its first line is the title if a blank line follows it, the rest the abstract.

    A first line of more than 300 characters is no title.
    """
    head, _, rest = text.strip().replace("\r\n", "\n").partition("\n")
    if rest.strip() and not rest.split("\n", 1)[0].strip() and len(head) <= _TITLE_CHARACTERS:
        return Paper(title=one_line(head), abstract=one_line(rest))
    return Paper(abstract=one_line(text))


def records_of_json(value: object) -> list[object]:
    """The records of a JSON file: a list, a list under a usual name, or the one object."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for name in _LISTS:
            if isinstance(value.get(name), list):
                return list(value[name])
    return [value]


def paper_from_json(record: object) -> Paper:
    """The paper of a JSON object, whose keys have usual names in any case.

    Title, abstract (a text, or a list of texts or of objects with a text), body (the same, or an object of
    texts by heading), ``pmid``, ``doi``, year or date, journal and authors; also below ``metadata``, as
    CORD-19 has them. Other keys are left out.

    Raises:
        NoPaperError: It is no object, or has no text.
    """
    if not isinstance(record, Mapping):
        raise NoPaperError("no paper", f"a JSON {type(record).__name__} where an object is needed")
    values = {str(key).casefold(): value for key, value in record.items()}
    further = values.get("metadata")
    if isinstance(further, Mapping):
        values = {str(key).casefold(): value for key, value in further.items()} | values
    abstract = tuple(_sections(_first(values, _ABSTRACT)))
    body = tuple(_sections(_first(values, _BODY)))
    return Paper(
        title=_text(values.get("title")),
        abstract=" ".join(labelled(part.heading, part.text) for part in abstract),
        sections=body or tuple(part for part in abstract if part.heading),
        pmid=_text(_first(values, ("pmid", "pubmed_id", "pubmedid"))) or None,
        doi=bare_doi(_text(values.get("doi"))),
        year=year_in(_text(_first(values, _YEAR))),
        journal=_text(_first(values, _JOURNAL)) or None,
        authors=tuple(_authors(values.get("authors") or values.get("author"))),
    )


def _first(values: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first value there is under these names."""
    return next((values[name] for name in names if values.get(name)), None)


def _text(value: object) -> str:
    """A text or a number on one line; empty for anything else."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return one_line(str(value))
    return ""


def _sections(value: object) -> Iterator[Section]:
    if isinstance(value, Mapping):
        parts: Iterable[object] = [{"heading": key, "text": text} for key, text in value.items()]
    else:
        parts = value if isinstance(value, list) else [value]
    for part in parts:
        section = _section(part)
        if section.text:
            yield section


def _section(part: object) -> Section:
    if not isinstance(part, Mapping):
        return Section("", _text(part))
    values = {str(key).casefold(): value for key, value in part.items()}
    text = _first(values, _TEXT)
    passages = text if isinstance(text, list) else [text]
    return Section(_text(_first(values, _HEADING)), " ".join(filter(None, map(_text, passages))))


def _authors(value: object) -> Iterator[str]:
    """Names, from texts (one text with ``;`` holds several) or objects with a name or its parts."""
    items = value.split(";") if isinstance(value, str) else value if isinstance(value, list) else []
    for item in items:
        name = _name(item) if isinstance(item, Mapping) else _text(item)
        if name:
            yield name


def _name(author: Mapping[str, Any]) -> str:
    values = {str(key).casefold(): value for key, value in author.items()}
    whole = _text(_first(values, ("name", "full_name", "fullname")))
    given = _text(_first(values, ("given", "first", "forename", "first_name", "firstname")))
    family = _text(_first(values, ("family", "last", "lastname", "last_name", "surname")))
    return whole or " ".join(filter(None, (given, family)))

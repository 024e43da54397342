"""JSON, as people and the interfaces of Crossref, Europe PMC, OpenAlex and others write it, -> Papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from qa_extractive.papers.fragments import plain_body, plain_sections, plain_text
from qa_extractive.papers.json_shapes import (
    ABSTRACT,
    BODY,
    INVERTED_ABSTRACT,
    TITLE,
    by_name,
    first,
    has_text,
    merged,
    records_inside,
)
from qa_extractive.papers.languages import english_first, english_texts, is_language_code
from qa_extractive.papers.passages import in_one_language
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

_HEADING = ("heading", "title", "section", "name", "label")
_TEXT = ("text", "content", "paragraphs", "body", "value", "description", "abstract", "$", "#text")
_BESIDE_TEXT = frozenset(("type", "descriptiontype", "format", "id", "provenance"))
_LANGUAGE = ("lang", "language", "xml:lang", "@lang", "@xml:lang", "languagecode")
_YEAR = (
    *("year", "publicationyear", "pubyear", "publishtime", "pubdate", "publicationdate", "date", "issued"),
    *("published", "publishedprint", "publishedonline", "firstpublicationdate", "coverdate"),
    "prism:coverdate",
)
_JOURNAL = (
    *("journal", "journaltitle", "venue", "journalname", "containertitle", "prism:publicationname"),
    *("publicationname", "sourcetitle", "journalinfo", "publicationtitle", "primarylocation"),
)
_NAME = ("name", "fullname", "displayname", "title")
_AUTHORS = ("authors", "author", "authorships", "authorlist", "creators", "creator", "dc:creator")
_N_KEYS = 5


def paper_from_json(record: object) -> Paper:
    """The paper of a JSON object, whose keys have usual names in any case.

    Title, abstract (a text, or a list of texts or of objects with a text), body (the same, or an object of
    texts by heading), ``pmid``, ``doi``, year or date, journal and authors; also below ``metadata``, as
    CORD-19 has them, and as the interfaces of Crossref, Europe PMC, OpenAlex, Semantic Scholar and DataCite
    name them. Texts may have HTML or JATS in them. Of texts by language, the English one. Other keys are left
    out.

    Raises:
        NoPaperError: It is no object, is of another shape, or has no text.
    """
    if not isinstance(record, Mapping):
        raise NoPaperError("no paper", f"a JSON {type(record).__name__} where an object is needed")
    values = merged(record)
    if not has_text(values):
        inside = records_inside(record)
        if len(inside) != 1 or not isinstance(inside[0], Mapping):
            raise NoPaperError("another shape", f"a JSON object of another shape ({_keys(record)})")
        values = merged(inside[0])
    values = _by_infons(values)
    parts = in_one_language(bounded(_abstract(values)))
    found = first(values, BODY)
    body = bounded(plain_body(found) if isinstance(found, str) else _sections(found))
    ids = {**by_name(_mapping(values.get("externalids"))), **by_name(_mapping(values.get("ids")))}
    return Paper(
        title=_title(values),
        abstract=joined(parts),
        sections=body or tuple(part for part in parts if part.heading),
        pmid=_pmid(first(values, ("pmid", "pubmedid")) or first(ids, ("pmid", "pubmed"))),
        doi=bare_doi(_text(first(values, ("doi", "prism:doi")) or ids.get("doi"))),
        year=year_in(str(first(values, _YEAR))[:200]),
        journal=next(filter(None, (_name_of(values[name]) for name in _JOURNAL if name in values)), None),
        authors=tuple(_authors(values)),
    )


def _by_infons(values: dict[str, Any]) -> dict[str, Any]:
    """A document of BioC with its passages sorted into title, abstract and body; others as given."""
    passages = values.get("passages")
    if not isinstance(passages, list) or not all(
        isinstance(p, Mapping) and _mapping(p.get("infons")) for p in passages
    ):
        return values
    sorted_out: dict[str, list[object]] = {"title": [], "abstract": [], "passages": []}
    for passage in passages:
        infons = passage["infons"]
        kind = _text(infons.get("section_type") or infons.get("type")).casefold()
        if kind in ("title", "front", "abstract"):
            sorted_out["abstract" if kind == "abstract" else "title"].append(passage.get("text"))
        elif kind not in ("ref", "table", "fig"):
            sorted_out["passages"].append(passage)
    return sorted_out | {name: each for name, each in values.items() if name != "passages"}


def _keys(record: Mapping[str, Any]) -> str:
    names = [str(key)[:30] for key in list(record)[: _N_KEYS + 1]]
    return "keys " + ", ".join(names[:_N_KEYS]) + (", ..." if len(names) > _N_KEYS else "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _title(values: Mapping[str, Any]) -> str:
    title = first_title(_text(values.get(name)) for name in TITLE)
    subtitle = _text(values.get("subtitle")) if isinstance(values.get("title"), list) else ""
    return ": ".join(filter(None, (title, subtitle)))  # Crossref has both apart, each in a list


def _abstract(values: Mapping[str, Any]) -> Iterator[Section]:
    found = first(values, ABSTRACT)
    index = values.get(INVERTED_ABSTRACT)
    if not found and isinstance(index, Mapping):
        places = [(place, word) for word, all_places in index.items() for place in _numbers(all_places)]
        found = " ".join(word for _, word in sorted(places))
    return _sections(found)


def _numbers(value: object) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """A text or a number on one line; of a list, its first text, in English if they name their languages."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return plain_text(str(value))
    if isinstance(value, list):
        return next(filter(None, map(_text, _in_english(value))), "")
    if isinstance(value, Mapping):
        if _is_by_language(value):
            return _text(_english_value(value))
        return _text(first(by_name(value), ("title", *_TEXT)))
    return ""


def _sections(value: object) -> Iterator[Section]:
    """The parts of an abstract or a body, those with a text."""
    if isinstance(value, str):
        yield from plain_sections(value)
    elif isinstance(value, Mapping) and _is_by_language(value):
        yield from _sections(_english_value(value))
    elif isinstance(value, Mapping) and not _is_part(value):
        for heading, text in value.items():
            yield from _section({"heading": heading, "text": text})
    else:
        for part in _in_english(value) if isinstance(value, list) else [value]:
            yield from _section(part)


def _section(part: object) -> Iterator[Section]:
    if not isinstance(part, Mapping):
        text, heading = _text(part), ""
    else:
        values = by_name(part)
        found = first(values, _TEXT)
        passages = found if isinstance(found, list) else [found]
        text, heading = " ".join(filter(None, map(_text, passages))), _text(first(values, _HEADING))
    if text:
        yield Section(heading, text)


def _is_part(value: Mapping[str, Any]) -> bool:
    """Whether an object is a text and what belongs to it, and not texts by heading."""
    names = by_name(value).keys()
    return not names.isdisjoint(_TEXT) and names <= {*_TEXT, *_HEADING, *_LANGUAGE, *_BESIDE_TEXT}


def _is_by_language(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(is_language_code(str(key)) for key in value)


def _english_value(value: Mapping[str, Any]) -> object:
    known = [(str(key), "") for key, each in value.items() if each]
    return value[known[english_first(known)[0]][0]] if known else None


def _in_english(parts: list[Any]) -> list[Any]:
    """Of parts that name their languages, or are texts in several, the English ones; else all.

    DataCite says of its descriptions which of them are abstracts.
    """
    named = [by_name(part) if isinstance(part, Mapping) else {} for part in parts]
    abstracts = [i for i, each in enumerate(named) if each.get("descriptiontype") == "Abstract"]
    if abstracts:
        parts, named = [parts[i] for i in abstracts], [named[i] for i in abstracts]
    codes = [str(first(each, _LANGUAGE) or "") for each in named]
    if any(codes):
        return [parts[i] for i in english_first([(code, "") for code in codes])]
    if parts and all(isinstance(part, str) for part in parts):
        return english_texts(parts)
    return parts


def _pmid(value: object) -> str | None:
    text = _text(value)
    number = re.search(r"(\d+)/?$", text)
    return number[1] if number else text or None


def _name_of(value: object) -> str:
    """A name, from a text, a list or an object with one, perhaps further inside."""
    if not isinstance(value, Mapping):
        return _text(value)
    values = by_name(value)
    named = _text(first(values, _NAME))
    inside = [
        values[name] for name in ("journal", "source", "author") if isinstance(values.get(name), Mapping)
    ]
    return named or next(filter(None, map(_name_of, inside)), "")


def _authors(values: Mapping[str, Any]) -> Iterator[str]:
    """Names, from texts (one text with ``;`` holds several) or objects with a name or its parts."""
    value = first(values, _AUTHORS)
    if isinstance(value, Mapping):
        value = first(by_name(value), ("author", "authors"))
    if not value and isinstance(values.get("authorstring"), str):
        value = values["authorstring"].rstrip(". ").split(", ")  # of Europe PMC: "Doe J, Roe R."
    items: Iterable[object] = (
        value.split(";") if isinstance(value, str) else value if isinstance(value, list) else ()
    )
    for item in items:
        name = _author(item) if isinstance(item, Mapping) else _text(item)
        if name:
            yield name


def _author(author: Mapping[str, Any]) -> str:
    values = by_name(author)
    given = _text(first(values, ("given", "first", "forename", "firstname", "givenname")))
    family = _text(first(values, ("family", "last", "lastname", "surname", "familyname")))
    return (
        _text(first(values, ("name", "fullname")))
        or " ".join(filter(None, (given, family)))
        or _name_of(author)
    )

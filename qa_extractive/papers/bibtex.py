"""BibTeX and BibLaTeX -> Papers, entry by entry, split by ``bibtexparser``."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Final

from qa_extractive.errors import DataError
from qa_extractive.papers.fragments import plain_sections, plain_text
from qa_extractive.papers.latex import text_of_latex
from qa_extractive.papers.passages import in_one_language
from qa_extractive.papers.types import (
    LINE_WEIGHT,
    MAX_RECORD_CHARACTERS,
    TOO_LARGE,
    NoPaperError,
    Paper,
    bounded,
    first_title,
    joined,
    one_line,
    year_in,
)

Fields = dict[str, str]

BROKEN: Final = "broken BibTeX"
_START = re.compile(r"\s*@\w+\s*[{(]")
_MACRO = re.compile(r"\s*@string\b", re.IGNORECASE)
_WITHOUT_KEY = re.compile(r"(\s*@\w+\s*[{(])(?=\s*\w+\s*=)")
_JOURNALS = ("journal", "journaltitle", "booktitle", "maintitle", "series")
_STRAY = re.compile(r"^[^%\n]*\b[A-Za-z]+\s*=\s*[{\"]", re.MULTILINE)  # a field outside any entry
_PART = re.compile(r'([^\s"#{}(),=\\]+)\s*')
_BRACES = re.compile(r'(?<!\\)[{}"]')
_AND = re.compile(r"[{}]| and ", re.IGNORECASE)
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\([_%&#$~{}])|[{}]")
_DOI = re.compile(r"10\.\d{4,9}/[^\s}]+")
_PUBMED_ID = re.compile(r"\d{1,9}")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MAX_MACROS, _MAX_MACRO_CHARACTERS = 5_000, 1_000_000  # of all together


def bibtex_papers(lines: Iterable[str]) -> Iterator[Callable[[], Paper]]:
    """How to make the paper of each entry; what stands between entries is left out.

    An entry that cannot be read is one failure, and ends where the next one begins on a line of its own.

    Raises:
        NoPaperError: An entry is too large; those before it stand.
        DataError: ``bibtexparser`` is missing.
    """
    library = _require_bibtexparser()
    macros = {month: month.capitalize() for month in _MONTHS}
    for chunk in _chunks(lines):
        yield from _attempts(library, chunk, macros)


def _require_bibtexparser() -> ModuleType:
    try:
        library = importlib.import_module("bibtexparser")
    except ImportError:
        raise DataError("BibTeX needs bibtexparser: pip install 'qa-extractive[papers]'") from None
    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it warns of is counted here
    return library


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    """The text from each line that begins an entry to the next such line."""
    chunk: list[str] = []
    weight = 0
    for line in lines:
        if _START.match(line):
            if chunk:
                yield "".join(chunk)
            chunk, weight = [line], 0
        elif chunk:
            chunk.append(line)
        weight += len(line) + LINE_WEIGHT
        if weight > MAX_RECORD_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"an entry of more than {MAX_RECORD_CHARACTERS:,} characters")
    if chunk:
        yield "".join(chunk)


def _attempts(library: ModuleType, chunk: str, macros: dict[str, str]) -> Iterator[Callable[[], Paper]]:
    model = library.model
    if not _MACRO.match(chunk):
        chunk = _WITHOUT_KEY.sub(r"\1,", chunk, count=1)
    blocks = library.parse_string(chunk, parse_stack=[]).blocks
    is_stray = any(isinstance(each, model.ImplicitComment) and _STRAY.search(each.comment) for each in blocks)
    for block in blocks:
        if isinstance(block, model.String):
            _define(block, macros)
            continue
        if isinstance(block, model.DuplicateFieldKeyBlock | model.DuplicateBlockKeyBlock):
            block = block.ignore_error_block
        if isinstance(block, model.Entry):
            reason = "a brace closes it before its last field" if is_stray else ""
            yield partial(_paper_of_entry, block, macros, reason)
        elif isinstance(block, model.ParsingFailedBlock):
            reason = getattr(block.error, "abort_reason", "") or str(block.error)
            yield partial(_fail, f"{_where(block.raw)}: {reason}")


def _define(block: Any, macros: dict[str, str]) -> None:
    """Take what ``@string`` defines; what cannot be read, or is without end, stays undefined."""
    try:
        value = _value(block.value, macros)
    except ValueError:
        return
    if len(macros) < _MAX_MACROS and len(value) + sum(map(len, macros.values())) < _MAX_MACRO_CHARACTERS:
        macros[block.key.casefold()] = value


def _where(raw: str | None) -> str:
    return repr(" ".join((raw or "").split())[:40])


def _fail(reason: str) -> Paper:
    raise NoPaperError(BROKEN, " ".join(reason.split()))


def _paper_of_entry(entry: Any, macros: Mapping[str, str], reason: str) -> Paper:
    fields: Fields = {}
    try:
        for field in entry.fields:
            value = _value(field.value, macros).strip()
            name = field.key.casefold()
            fields[name] = fields.get(name) or value  # of a field that is there twice, the first with content
    except ValueError as error:
        reason = str(error)
    return _fail(f"entry {entry.key[:40]!r}: {reason}") if reason else _paper(fields)


def _value(raw: str, macros: Mapping[str, str]) -> str:
    """A value without what encloses it; its parts, with ``#`` between them, in one.

    Raises:
        ValueError: It goes on after its end, as where a comma is missing.
    """
    parts, at, n_characters = list[str](), _after_space(raw, 0), 0
    while at < len(raw):
        part, at = _part(raw, at, macros)
        parts.append(part)
        n_characters += len(part)
        if n_characters > MAX_RECORD_CHARACTERS:
            raise ValueError(f"a value of more than {MAX_RECORD_CHARACTERS:,} characters")
        if at < len(raw) and raw[at] != "#":
            raise ValueError(f"no comma before {one_line(raw[at : at + 60])[:30]!r}")
        at = _after_space(raw, at + 1)
    return "".join(parts)


def _after_space(raw: str, at: int) -> int:
    found = _SPACE.match(raw, at)
    return found.end() if found else at


def _part(raw: str, at: int, macros: Mapping[str, str]) -> tuple[str, int]:
    """The part of a value at an index, and the index after it and its spaces."""
    if raw[at] in '{"':
        end = _end_of_group(raw, at)
        return raw[at + 1 : end], _after_space(raw, end + 1)
    found = _PART.match(raw, at)
    if found is None:
        raise ValueError(f"a value that begins with {raw[at : at + 20]!r}")
    return macros.get(found[1].casefold(), found[1]), found.end()


def _end_of_group(raw: str, start: int) -> int:
    """The index of what closes the brace or quote at an index."""
    depth, closing = 0, raw[start]
    for found in _BRACES.finditer(raw, start + 1):
        mark = found[0]
        if mark == "{":
            depth += 1
        elif mark == "}" and depth:
            depth -= 1
        elif (mark == "}" and closing == "{") or (mark == '"' == closing and not depth):
            return found.start()
    raise ValueError("a value that never ends")


def _paper(fields: Fields) -> Paper:
    parts = in_one_language(bounded(plain_sections(text_of_latex(fields.get("abstract", "")))))
    return Paper(
        title=_title(fields),
        abstract=joined(parts),
        sections=tuple(part for part in parts if part.heading),
        pmid=_pmid(fields),
        doi=_doi(fields),
        year=year_in(_plain(fields, "year")) or year_in(_plain(fields, "date")),
        journal=next(filter(None, (_plain(fields, name) for name in _JOURNALS)), None),
        authors=tuple(filter(None, map(_author, _names(fields.get("author", ""))))),
    )


def _plain(fields: Fields, name: str) -> str:
    return plain_text(text_of_latex(fields.get(name, "")))


def _title(fields: Fields) -> str:
    title, subtitle = first_title([_plain(fields, "title")]), _plain(fields, "subtitle")
    return ": ".join(filter(None, (title, subtitle)))


def _names(listed: str) -> Iterator[str]:
    """Names, as they stand between ``and`` outside braces."""
    listed = one_line(listed)
    depth = start = 0
    for found in _AND.finditer(listed):
        if found[0] in "{}":
            depth += 1 if found[0] == "{" else -1
        elif depth <= 0:
            yield listed[start : found.start()]
            start = found.end()
    yield listed[start:]


def _author(name: str) -> str:
    """A name, given name first; what stands in braces is one name."""
    bare = name.strip()
    if bare == "others":
        return ""
    if bare.startswith("{") and bare.endswith("}"):
        return plain_text(text_of_latex(bare))
    family, *others = [plain_text(text_of_latex(part)) for part in bare.split(",")]
    if len(others) > 1:  # "Doe, Jr, Jane"
        return " ".join(filter(None, (others[-1], family, others[0])))
    return " ".join(filter(None, (*others, family)))


def _bare(fields: Fields, name: str) -> str:
    """The value of a field that holds no text, without escapes and braces."""
    return _ESCAPE.sub(lambda found: found[1] or "", fields.get(name, "")).strip()


def _doi(fields: Fields) -> str | None:
    found = _DOI.search(_bare(fields, "doi"))
    if found is None and "doi.org/" in fields.get("url", ""):
        found = _DOI.search(_bare(fields, "url"))
    return found[0] if found else None


def _pmid(fields: Fields) -> str | None:
    is_pubmed = _bare(fields, "eprinttype").casefold() in ("pubmed", "pmid")
    number = _bare(fields, "pmid") or (_bare(fields, "eprint") if is_pubmed else "")
    return number if _PUBMED_ID.fullmatch(number) else None

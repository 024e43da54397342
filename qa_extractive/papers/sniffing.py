"""What a file holds, told by how it begins: sites save exports of many kinds as ``.txt``."""

from __future__ import annotations

import json
import re
from typing import Literal

from qa_extractive.papers.table_columns import Columns, columns_of

Kind = Literal[
    "text", "xml", "json", "jsonl", "medline", "ris", "web of science", "web of science table", "endnote",
    "cochrane", "pubmed abstracts", "html", "rtf", "pdf", "bibtex", "table", "several records", "numbers",
    "endnote xml", "field rows",
]  # fmt: skip
HEAD_BYTES = 1 << 16

_ROOTS = (
    "article|articles|PubmedArticle\\w*|PubmedBookArticle\\w*|MedlineCitation\\w*|BookDocument\\w*|pmc-articleset"
    "|feed|responseWrapper|OAI-PMH|collection|TEI|dc"
)
_BEGINNINGS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("pdf", re.compile(r"%PDF-")),
    ("rtf", re.compile(r"\{\\rtf")),
    ("html", re.compile(r"(?i)<!doctype html|<html[\s>]")),
    (
        "endnote xml",
        re.compile(
            r"(?:<\?xml[^>]*\?>\s*)?(?:<!DOCTYPE[^>\[]*>\s*)?(?:<xml>\s*<records[\s/>]|<records>\s*<record[\s>])"
        ),
    ),
    ("xml", re.compile(rf"<\?xml|<!DOCTYPE|<(?:\w+:)?(?:{_ROOTS})[\s>]")),
    ("json", re.compile(r'\{\s*["}]|\[\s*[\[{"\]]')),
    ("medline", re.compile(r"(?:(?:PMC|OWN) ?- ?.*\n)*PMID- ?\d")),
    (
        "ris",
        re.compile(
            r"(?:.{0,200}\n){0,5}?TY {1,2}- ?\w+[^\n]*\n(?:[^\n]*\n){0,3}?[A-Z][A-Z0-9] {1,2}-(?: |$)", re.M
        ),
    ),
    ("web of science", re.compile(r"FN .*\r?\nVR |PT [JBCPS]\r?\n(?:[A-Z][A-Z0-9]|  ) ")),
    ("web of science table", re.compile(r"PT\t(?:[A-Z][A-Z0-9]\t)+")),
    ("endnote", re.compile(r"%0 \w.*\r?\n%")),
    ("cochrane", re.compile(r"Record #\d+ of \d+\r?\nID: ")),
    (
        "bibtex",
        re.compile(
            r"(?:[^\n@]{0,200}\n){0,50}?\s*@(?:[A-Za-z]+\s*[{(]\s*[^\s,{}=]*\s*,|(?:string|comment|preamble)\s*[{(])",
            re.I,
        ),
    ),
    ("pubmed abstracts", re.compile(r"\d+[.:] (?:[^\n]+\n){0,8}?[^\n]*?\b(?:1[5-9]|20)\d\d\b")),
    # RefWorks, PubTator, and tags as RIS and MEDLINE have them but in no known order.
    ("several records", re.compile(r"RT \w.*\n[A-Z][A-Z0-9] |\d+\|t\|.*\n+\d+\|a\|")),
    ("field rows", re.compile(r'(?:"[A-Z][A-Z /-]{1,40}",".*\n){2}')),
    (
        "several records",
        re.compile(r"(?:[A-Z][A-Z0-9] ?- .*\n(?: .*\n)*){3}"),
    ),
    ("numbers", re.compile(r"(?:(?:PMC)?\d{4,9}\s+)+(?:PMC)?\d{4,9}\s*\Z")),
)
_COLUMNS = frozenset("abstract title pmid doi authors author year journal context question".split())
_NUMBERED = re.compile(
    r"^(?:(?:record|document|citation)\s*[:#]?\s*\d+(?:\s+of\s+\d+)?|<\d+>)\s*$", re.M | re.I
)
_TITLES = re.compile(r"^(?:article )?(?:title|ti)\s*[:=]", re.M | re.I)
_ABSTRACTS = re.compile(r"^(?:abstract|ab)\b\s*[:=]", re.M | re.I)
_SCOPUS = re.compile(r"^SOURCE: Scopus|^EXPORT DATE:", re.M)


def kind_of(head: str) -> Kind:
    """What a file holds that begins so; "text" where it is none of the others."""
    head = head.lstrip("\ufeff \t\r\n")
    for kind, beginning in _BEGINNINGS:
        if beginning.match(head):
            if kind == "pubmed abstracts" and not re.search(r"\bPMID: ?\d", head):
                continue
            return "jsonl" if kind == "json" and is_jsonl(head) else kind
    if _is_table(head):
        return "table"
    return "several records" if _has_several(head) else "text"


def is_pdf(head: str) -> bool:
    """Whether a PDF begins, other bytes before it or not."""
    return "%PDF-" in head[:1024]


def is_jsonl(head: str) -> bool:
    """Whether the first line of several is JSON by itself."""
    line, _, rest = head.strip("\ufeff \t\r\n").partition("\n")
    if not rest.strip():
        return False
    try:
        json.loads(line, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def is_in_lines(head: str) -> bool:
    """Whether one JSON value goes over several lines, its first one holding brackets alone."""
    line, _, rest = head.strip("\ufeff \t\r\n").partition("\n")
    return bool(rest.strip()) and not line.strip("[{ \t\r")


def outermost(head: str) -> str:
    """The name of the outermost element of an XML document; empty where it cannot be told."""
    found = re.search(r"<([A-Za-z_][\w:.-]{0,60})", head)
    return found[1] if found else ""


def _is_table(head: str) -> bool:
    """Whether the first line names columns, as that of a CSV does."""
    line = head.partition("\n")[0].strip()
    for delimiter in ",\t;|":
        names = [cell.strip(" \"'").casefold() for cell in line.split(delimiter)]
        columns = columns_of(names)
        if len(names) > 1 and (len(_COLUMNS.intersection(names)) > 1 or _names_papers(columns)):
            return True
    return False


def _names_papers(columns: Columns) -> bool:
    return columns.is_header and columns.n_known > 2


def _has_several(head: str) -> bool:
    """Whether a text holds records, each with its title and abstract named or with a number over it."""
    has_labels = len(_TITLES.findall(head)) > 1 and len(_ABSTRACTS.findall(head)) > 1
    return has_labels or len(_NUMBERED.findall(head)) > 1 or bool(_SCOPUS.search(head))

"""What stands before a paper's body: title, authors, abstract; and its DOI and year."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa_extractive.papers.pdf.headings import HEADING_LINE, is_caption
from qa_extractive.papers.pdf.paragraphs import Measures, Paragraph
from qa_extractive.papers.types import one_line, year_in

_MAX_TITLE = 400
_LOOKED_AT = 40  # paragraphs of the first page
_KIND = re.compile(
    r"(?i)(?:original |research |review |full |regular )*"
    r"(?:articles?|papers?|research|reports?|reviews?|letters?|communications?|investigations?)"
    r"|open access|check for updates|case reports?|systematic reviews?|meta-analysis|editorial|perspectives?"
)
_NO_TITLE = re.compile(
    r"(?i)untitled|microsoft word.*|.*\.(?:docx?|pdf|tex|indd|dvi|qxd|fm)|\S*|(?:pii:|doi:).*|slide \d+"
    r"|title|manuscript.*"
)
_DOI = re.compile(r"(?i)\b10\.\d{4,9}/[^\s\"<>]+")
_PUBLISHED = (
    re.compile(r"(?i)\bpublished\b[^.;\n]{0,40}?\b((?:19|20)\d\d)\b"),
    re.compile(r"(?i)(?:\u00a9|\(c\)|copyright)[^.;\n]{0,40}?\b((?:19|20)\d\d)\b"),
    re.compile(r"(?i)\baccepted\b[^.;\n]{0,40}?\b((?:19|20)\d\d)\b"),
)
_ADDRESS = re.compile(r"(?i)@|\bdepartment\b|\buniversity\b|\binstitut|\bhospital,|\bcorresponding author")
_MIN_ABSTRACT, _MIN_PROSE = 200, 60  # characters
_SENTENCE = re.compile(r"[^\W\d_]{2}[.!?](?:\s|$)")


def title_index(paragraphs: Sequence[Paragraph], measures: Measures, metadata: str) -> int | None:
    """Which paragraph is the title: what the metadata say, or the largest type of the first page."""
    first = [
        i for i, each in enumerate(paragraphs[:_LOOKED_AT]) if each.first.page == paragraphs[0].first.page
    ]
    able = [i for i in first if _may_be_title(paragraphs[i].text) and not is_caption(paragraphs[i])]
    wanted = _plain(metadata)
    named = next((i for i in able if wanted and _plain(paragraphs[i].text) == wanted), None)
    if named is not None:
        return named
    largest = max((paragraphs[i].first.size for i in able), default=0.0)
    if largest < 1.1 * measures.body:
        return next(
            (i for i in able[:3] if paragraphs[i].first.bold and len(paragraphs[i].text.split()) > 3), None
        )
    return next(i for i in able if paragraphs[i].first.size > 0.98 * largest)


def metadata_title(title: str) -> str:
    """The title of the metadata, on one line; empty where it is that of a file."""
    line = one_line(title)
    return "" if _NO_TITLE.fullmatch(line) or len(line) > _MAX_TITLE else line


def _may_be_title(text: str) -> bool:
    enough = len(text.split()) > 1 and sum(map(str.isalpha, text)) >= 8 and len(text) <= _MAX_TITLE
    return enough and not _KIND.fullmatch(text) and not HEADING_LINE.fullmatch(text)


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def is_abstract_text(paragraph: Paragraph) -> bool:
    """Whether a paragraph before the body may be an abstract without a heading: sentences, no addresses."""
    text = paragraph.text
    return len(text) >= _MIN_ABSTRACT and len(_SENTENCE.findall(text)) > 1 and not _ADDRESS.search(text)


def is_prose(paragraph: Paragraph) -> bool:
    """Whether a paragraph before the body is text that must not be lost: sentences, no addresses."""
    text = paragraph.text
    return len(text) >= _MIN_PROSE and bool(_SENTENCE.search(text)) and not _ADDRESS.search(text)


def doi_in(texts: Sequence[str]) -> str | None:
    """The first DOI that is printed."""
    for text in texts:
        if found := _DOI.search(text):
            doi = found[0].rstrip(".,;:'\u2019\u201d")
            return doi.removesuffix(")") if doi.count(")") > doi.count("(") else doi
    return None


def printed_year(texts: Sequence[str], others: Sequence[str]) -> int | None:
    """The year of publication: what is said to be one, or that of a running head.

    Args:
        texts: Of the first page, with its head and foot.
        others: The heads and feet of all pages, and the first lines of the first page.
    """
    text = "\n".join(texts)
    for pattern in _PUBLISHED:
        if found := pattern.search(text):
            return int(found[1])
    return next(filter(None, map(year_in, others)), None)

"""Which paragraphs of a PDF are headings, captions and notes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from qa_extractive.papers.pdf.paragraphs import CAPTION, NOTE, Measures, Paragraph

_MAX_CHARACTERS, _MAX_LINES = 150, 3
_LARGER, _SMALLEST, _SMALLEST_BOLD = 1.07, 0.9, 0.8  # of the body's size
_NUMBERED = re.compile(r"((?:\d{1,2}\.)*\d{1,2}\.?|[IVX]{1,4}\.|[A-Z]\.)\s+(?=[^\W\d_])")
_NAMES = (
    "abstract|summary|introduction|background|(?:materials?|patients?|participants?|subjects?) and methods?"
    "|methods?(?: and materials?)?|methodology|results?|findings|(?:results? and )?discussions?"
    "|discussion and conclusions?|conclusions?|concluding remarks|interpretation"
)
_PARTS = "limitations|objectives?|aims?|purpose|study design|statistical analys[ie]s"  # of sections
_LEFT_OUT = (
    "references?(?: and notes)?|bibliography|literature(?: cited)?|works cited|notes and references"
    "|acknowledge?ments?(?: and .{1,40})?|funding(?: .{1,40})?|sources? of (?:funding|support)"
    "|financial (?:support|disclosures?)|(?:declarations? of )?(?:conflicts?|competing) of interests?"
    "|(?:declaration of )?competing (?:financial )?interests?"
    "|(?:conflict of interest|disclosure) statements?|disclosures?|declarations?(?: of .{1,40})?"
    "|authors?['\u2019]{0,2}s? contributions?(?: statement)?|contributors?|credit authorship .{1,40}"
    "|(?:data|code)(?: and \\w+)? availability(?: statement)?|availability of data.{0,40}"
    "|data sharing(?: statement)?|ethics (?:statement|approval)(?: and .{1,40})?|consent for publication"
    "|abbreviations|orcid.{0,20}|author information|authors?['\u2019]? affiliations?"
    "|supplementary (?:materials?|data|information)|supporting information|supplemental .{1,30}"
    "|publisher['\u2019]?s note|additional (?:information|files?)|key ?words?|index terms"
    "|(?:table of )?contents"
)
_BEFORE = r"(?:(?:\d{1,2}(?:\.\d{1,2})*|[IVX]{1,4})\.?\s+)?"
HEADING_LINE: Final = re.compile(rf"(?i){_BEFORE}(?:{_NAMES}|{_PARTS}|{_LEFT_OUT})\s*[:.]?")
"""A line that is a heading by its words alone."""

_NAMED, _OUT = re.compile(rf"(?i){_NAMES}"), re.compile(rf"(?i){_LEFT_OUT}")
_OPENING = re.compile(r"(?i)introduction|background")
_SENTENCE_END = re.compile(r"[.,;]$")
_SPACED_OUT = re.compile(r"(?:\w ){3,}\w")
LABELS: Final = frozenset(
    (
        "background|introduction|context|importance|objective|objectives|aim|aims|purpose|design|study design"
        "|setting|participants|patients|subjects|population|interventions|intervention|exposure|exposures"
        "|measurements|main outcome measures|main outcomes and measures|methods|method|materials and methods"
        "|patients and methods|results|findings|interpretation|discussion|conclusion|conclusions"
        "|conclusions and relevance|limitations|significance|trial registration|registration"
    ).split("|")
)
"""What the parts of an abstract are called, in small letters."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What a paragraph that is a heading says.

    Attributes:
        name: Its words in small letters, without a number.
        start: Where they begin in its text.
        end: Where they end.
        depth: By its number: 1 for ``2``, 2 for ``2.1``; 0 without one.
        look: Size, weight, slant and whether it is in capitals: alike for headings of a level.
    """

    name: str
    start: int
    end: int
    depth: int
    look: tuple[float, bool, bool, bool]

    @property
    def is_left_out(self) -> bool:
        """Whether what follows is no text of the paper: references, thanks, funding."""
        return bool(_OUT.fullmatch(self.name))

    @property
    def is_known(self) -> bool:
        """Whether papers have a section of that name."""
        return bool(_NAMED.fullmatch(self.name))

    @property
    def is_opening(self) -> bool:
        """Whether the body begins here."""
        return bool(_OPENING.fullmatch(self.name)) or self.depth == 1

    @property
    def is_abstract(self) -> bool:
        """Whether the abstract follows."""
        return self.name in ("abstract", "summary")


def heading_of(paragraph: Paragraph, measures: Measures) -> Heading | None:
    """The heading that a paragraph is; None where it is text."""
    text = paragraph.text
    if len(text) > _MAX_CHARACTERS or len(paragraph.lines) > _MAX_LINES or is_caption(paragraph):
        return None
    number = _NUMBERED.match(text)
    start = number.end() if number else 0
    end = len(text.rstrip(" :."))
    name = _together(text[start:end]).casefold()
    line = paragraph.first
    look = (round(line.size * 2) / 2, line.bold, line.italic, text.isupper())
    heading = Heading(name, start, max(start, end), _depth(number), look)
    if _NAMED.fullmatch(name) or _OUT.fullmatch(name) or _looks_like_one(paragraph, bool(number), measures):
        return heading
    return None


def _looks_like_one(paragraph: Paragraph, is_numbered: bool, measures: Measures) -> bool:
    text, line = paragraph.text, paragraph.first
    least = (_SMALLEST_BOLD if line.bold else _SMALLEST) * measures.body
    if _SENTENCE_END.search(text) or not re.search(r"[^\W\d_]{3}", text) or line.size < least:
        return False
    if line.size >= _LARGER * measures.body or line.bold:
        return True
    stands_out = line.italic or text.isupper()
    return stands_out and len(paragraph.lines) == 1 and (is_numbered or text[0].isupper())


def _depth(number: re.Match[str] | None) -> int:
    if number is None:
        return 0
    return number[1].strip(".").count(".") + 1 if number[1][0].isdigit() else 1 + (number[1][0] not in "IVX")


def _together(text: str) -> str:
    """A word that is spaced out (``A B S T R A C T``) in one."""
    return text.replace(" ", "") if _SPACED_OUT.fullmatch(text) else text


def is_caption(paragraph: Paragraph) -> bool:
    """Whether a paragraph is what stands under a figure or over a table."""
    return bool(CAPTION.match(paragraph.text)) and not re.match(r"\S+ \S+ [a-z]", paragraph.text)


def is_note(paragraph: Paragraph, measures: Measures) -> bool:
    """Whether a paragraph begins as a footnote does, in smaller type."""
    first = paragraph.first
    return first.size < 0.95 * measures.body and not first.bold and bool(NOTE.match(paragraph.text))


def is_text(paragraph: Paragraph) -> bool:
    """Whether a paragraph has words: the numbers of a figure's axis are none."""
    return bool(re.search(r"[^\W\d_]{2}", paragraph.text))

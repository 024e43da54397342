"""Paragraphs -> a paper, each character of its text with the glyph that it comes from."""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from qa_extractive.papers.pdf import front
from qa_extractive.papers.pdf.headings import LABELS, Heading, heading_of, is_caption, is_note, is_text
from qa_extractive.papers.pdf.paragraphs import Measures, Paragraph, Vocabulary, alike, joined
from qa_extractive.papers.pdf.trace import NO_GLYPH, Glyphs, Traced, concatenated, untraced
from qa_extractive.papers.types import Paper, Section

_ABSTRACT = re.compile(r"(?i)(abstract|summary)\s*[:.\u2014\u2013-]+\s*|(?-i:(ABSTRACT|SUMMARY))\s+")
_KEYWORDS = re.compile(r"(?i)(?:key ?-?words?|index terms)\b.{0,3}")
_ABSTRACT_HEADING, _NOTES = "Abstract", "Footnotes"  # as the text has them, however they are printed
_FAR = 30  # paragraphs of other kinds that may stand within one


@dataclass(frozen=True, slots=True)
class Front:
    """What is known of a paper beside its paragraphs.

    Attributes:
        title: Of the metadata.
        furniture: Running heads and feet.
        n_pages: How many pages it has.
    """

    title: str
    furniture: Sequence[str]
    n_pages: int


@dataclass(frozen=True, slots=True)
class TracedPaper:
    """A paper and where its text comes from.

    Attributes:
        paper: The paper.
        text: ``paper.text``, traced.
    """

    paper: Paper
    text: Traced


@dataclass(slots=True)
class _Part:
    """A section as it is read."""

    heading: Traced = field(default_factory=Traced)
    paragraphs: list[Traced] = field(default_factory=list)

    def traced(self) -> Traced:
        return concatenated([part for part in self.paragraphs if part.text], "\n")


@dataclass(slots=True)
class _Body:
    """The parts of a paper as they are read."""

    title: Traced = field(default_factory=Traced)
    abstract_heading: Traced = field(default_factory=lambda: untraced(_ABSTRACT_HEADING))
    abstract: list[Traced] = field(default_factory=list)
    parts: list[_Part] = field(default_factory=lambda: [_Part()])
    notes: list[Traced] = field(default_factory=list)


def traced_paper(
    paragraphs: Sequence[Paragraph], measures: Measures, vocabulary: Vocabulary, known: Front, glyphs: Glyphs
) -> TracedPaper:
    """The paper that the paragraphs of a document make; NoPaperError where they hold no text."""
    whole = _rejoined(paragraphs, measures)
    for each in whole:
        each.traced = joined(each.lines, vocabulary)
    body = _Body()
    rest = _front(whole, measures, known, body)
    _sections(rest, measures, body)
    return _assembled(body, [each.text for each in whole[:_N_FIRST]], known, glyphs)


_N_FIRST = 40  # paragraphs in which DOI and year are looked for


def _rejoined(paragraphs: Sequence[Paragraph], measures: Measures) -> list[Paragraph]:
    """The paragraphs, those whole again that a figure, a note or a page's end parts."""
    found: list[Paragraph] = []
    waiting = deque(paragraphs)
    while waiting:
        paragraph = waiting.popleft()
        n_between = _rest_of(paragraph, list(islice(waiting, _FAR)), measures)
        if n_between is None:
            found.append(paragraph)
            continue
        between = [waiting.popleft() for _ in range(n_between)]
        whole = Paragraph([*paragraph.lines, *waiting.popleft().lines])
        page = paragraph.first.page  # what stands on it comes before, so that pages do not mix
        found += [each for each in between if each.first.page == page]
        waiting.extendleft([*(each for each in reversed(between) if each.first.page != page), whole])
    return found


def _rest_of(paragraph: Paragraph, following: Sequence[Paragraph], measures: Measures) -> int | None:
    """Which of the following paragraphs goes on in the middle of its sentence, others standing between."""
    last = paragraph.last
    is_body = abs(last.size - measures.body) < 0.06 * measures.body and len(last.text) > 20
    if not is_body or last.bold or not paragraph.is_open:
        return None
    for i, each in enumerate(following):
        if alike(last, each.first) and not _is_caption(each):
            return i if i and each.first.text[0].islower() else None
    return None


def _is_caption(paragraph: Paragraph) -> bool:
    """Whether its first line begins a caption."""
    return is_caption(Paragraph(paragraph.lines, paragraph.first.traced))


def _front(paragraphs: Sequence[Paragraph], measures: Measures, known: Front, body: _Body) -> list[Paragraph]:
    """Take the title and the abstract; the paragraphs that are left."""
    if not paragraphs:
        return []
    index = front.title_index(paragraphs, measures, known.title)
    if index is not None:
        body.title = paragraphs[index].traced
    after = [each for i, each in enumerate(paragraphs) if index is None or i != index]
    headings = [heading_of(each, measures) for each in after]
    begin = next((i for i, each in enumerate(after) if _begins_abstract(each, headings[i])), None)
    opening = next(
        (i for i, h in enumerate(headings) if h is not None and (h.is_opening or h.is_known)), None
    )
    if begin is not None and (opening is None or begin <= opening or headings[opening] is headings[begin]):
        body.abstract_heading = _printed_heading(after[begin].traced)
        end = _take_abstract(after, headings, begin, body)
        before = [each for each in after[:begin] if front.is_prose(each)]
        return [*before, *after[end:]]
    if opening is None or after[opening].first.page > 2:
        return after
    return _unlabelled(after, headings, opening, body)


def _printed_heading(traced: Traced) -> Traced:
    """The heading of the abstract, traced where it is printed with this word: ``A B S T R A C T``."""
    glyphs = [glyph for each, glyph in zip(traced.text, traced.glyphs, strict=True) if each.isalpha()]
    letters = "".join(filter(str.isalpha, traced.text)).casefold()
    n = len(_ABSTRACT_HEADING)
    if letters.startswith(_ABSTRACT_HEADING.casefold()):
        return Traced(_ABSTRACT_HEADING, array("l", glyphs[:n]))
    return untraced(_ABSTRACT_HEADING)


def _unlabelled(
    after: Sequence[Paragraph], headings: Sequence[Heading | None], opening: int, body: _Body
) -> list[Paragraph]:
    """Take what stands before the body as its abstract, if it is text."""
    texts = [each for each in after[:opening] if front.is_prose(each)]
    first = next(filter(front.is_abstract_text, texts), None)
    heading = headings[opening]
    if first is not None and heading is not None and heading.is_opening:
        same = [each for each in texts if alike(each.first, first.first)]
        body.abstract += [each.traced for each in same]
        texts = [each for each in texts if each not in same]
    return [*texts, *after[opening:]]


def _begins_abstract(paragraph: Paragraph, heading: Heading | None) -> bool:
    return heading.is_abstract if heading is not None else bool(_ABSTRACT.match(paragraph.text))


def _take_abstract(
    paragraphs: Sequence[Paragraph], headings: Sequence[Heading | None], begin: int, body: _Body
) -> int:
    """Take the abstract that begins there; where it ends."""
    label: Traced | None = None
    first = None
    for i in range(begin, len(paragraphs)):
        each, heading = paragraphs[i], headings[i]
        if i == begin:
            traced = _without_name(each, heading)
        elif heading is not None and heading.name in LABELS and _is_label(headings, i):
            label = concatenated([each.traced[heading.start : heading.end], untraced(": ")])
            continue
        elif heading is not None or _KEYWORDS.match(each.text):
            return i
        else:
            traced = each.traced
        if not traced.text:
            continue
        if first is not None and not alike(first, each.first):
            return i
        first = first or each.first
        body.abstract.append(concatenated([label, traced]) if label is not None else traced)
        label = None
    return len(paragraphs)


def _without_name(paragraph: Paragraph, heading: Heading | None) -> Traced:
    """What stands behind the word "Abstract" in its own paragraph."""
    found = _ABSTRACT.match(paragraph.text)
    if heading is not None or found is None:
        return Traced()
    return paragraph.traced.stripped(found.end())


def _is_label(headings: Sequence[Heading | None], i: int) -> bool:
    """Whether a heading is of a part of the abstract: the paper itself begins, or has the same, later."""
    heading = headings[i]
    later = [each for each in headings[i + 1 :] if each is not None]
    return heading is not None and any(each.name in (heading.name, "introduction") for each in later)


def _sections(paragraphs: Sequence[Paragraph], measures: Measures, body: _Body) -> None:
    """Take the sections of the body; those of references, thanks and the like are left out."""
    headings = [heading_of(each, measures) for each in paragraphs]
    tops = _top_looks(headings)
    above: Traced | None = None
    out: Heading | None = None
    for paragraph, heading in zip(paragraphs, headings, strict=True):
        if heading is not None:
            is_top = _is_top(heading, tops)
            out = heading if heading.is_left_out else _still_out(out, heading, is_top)
            if out is None:
                own = paragraph.traced[heading.start : heading.end]
                is_below = not is_top and above is not None and above.text
                body.parts.append(_Part(_under(above, own) if is_below and above is not None else own))
                above = own if is_top else above
        elif out is None and is_text(paragraph) and not _KEYWORDS.match(paragraph.text):
            is_last = is_note(paragraph, measures) and not is_caption(paragraph)
            (body.notes if is_last else body.parts[-1].paragraphs).append(paragraph.traced)


def _top_looks(headings: Sequence[Heading | None]) -> set[tuple[float, bool, bool, bool]]:
    """How the headings of whole sections look: those whose names papers have, and those numbered so."""
    return {
        each.look
        for each in headings
        if each is not None and each.depth < 2 and (each.is_known or each.depth)
    }


def _is_top(heading: Heading, tops: set[tuple[float, bool, bool, bool]]) -> bool:
    if heading.depth:
        return heading.depth == 1
    return not tops or heading.look in tops or heading.is_left_out


def _still_out(out: Heading | None, heading: Heading, is_top: bool) -> Heading | None:
    """What is left out after a heading: in a list of references, bold words begin no section."""
    if out is None:
        return None
    is_end = heading.is_known or (heading.look == out.look and is_top)
    return None if is_end else out


def _under(above: Traced, own: Traced) -> Traced:
    return concatenated([untraced(above.text), own], " / ")


def _assembled(body: _Body, texts: Sequence[str], known: Front, glyphs: Glyphs) -> TracedPaper:
    abstract = concatenated(body.abstract, " ")
    parts = [(part.heading, part.traced()) for part in _with_bare(body.parts)]
    if body.notes:
        parts.append((untraced(_NOTES), concatenated(body.notes, "\n")))
    sections = tuple(Section(heading.text, text.text) for heading, text in parts if text.text)
    traced = [(heading, text) for heading, text in parts if text.text]
    if abstract.text and sections:
        traced.insert(0, (body.abstract_heading, abstract))
    text = concatenated(map(_block, traced), "\n\n") if sections else abstract
    n_notes = len(concatenated(body.notes, "\n").text)
    paper = Paper(
        title=body.title.text or known.title,
        abstract=abstract.text,
        sections=sections,
        doi=front.doi_in([*known.furniture, *texts]),
        year=front.printed_year([*texts, *known.furniture], known.furniture),
        pages=_pages(text.glyphs[: len(text.text) - n_notes], known.n_pages, glyphs),
    )
    return TracedPaper(paper, _checked(text, paper))


def _checked(text: Traced, paper: Paper) -> Traced:
    if text.text != paper.text:  # as where sections repeat the abstract
        return Traced()
    return text


def _with_bare(parts: Sequence[_Part]) -> Iterator[_Part]:
    """The parts; a heading over nothing is a passage itself."""
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        has_below = following is not None and following.heading.text.startswith(f"{part.heading.text} / ")
        if part.traced().text or not part.heading.text or has_below:
            yield part
        else:
            yield _Part(paragraphs=[part.heading])


def _block(part: tuple[Traced, Traced]) -> Traced:
    heading, text = part
    return concatenated([heading, text], "\n") if heading.text else text


def _pages(text_glyphs: Sequence[int], n_pages: int, glyphs: Glyphs) -> tuple[int, ...]:
    """Where in the text each page begins."""
    begins, at = [0], list[int]()
    for offset, glyph in enumerate(text_glyphs):
        page = glyphs.pages[glyph] if glyph != NO_GLYPH else 0
        while page > len(begins):
            begins.append(offset)
    at = begins + [len(text_glyphs)] * (n_pages - len(begins))
    return tuple(at)

"""One sentence splitter with offsets, for labels, baselines and answers."""

from __future__ import annotations

import re
from functools import lru_cache

from qa_extractive.records import Span

_BOUNDARY = re.compile(
    r"(?<![.!?…。！？])[.!?…。！？]+[\"'”’)\]]*(?=\s|$)|\n\s*\n|\n(?=[A-Z][A-Za-z /&]{2,40}:)|[。！？]|"
    r"\.(?=[A-Z][A-Z /&]{2,40}:)"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|cf|vs|etc|al|approx|ca|fig|figs|eq|ref|refs|vol|dr|mr|mrs|ms|prof|st|"
    r"resp|inc|ltd|spp|sp|var|subsp|u\.s|u\.k)\.$",
    re.IGNORECASE,
)
_TERMINAL_ABBREVIATION = re.compile(r"(?:^|[\s(\[])(?:etc|al|u\.s|u\.k)\.$", re.IGNORECASE)
_NUMBER_ABBREVIATION = re.compile(r"(?:^|[\s(\[])nos?\.$", re.IGNORECASE)
_INITIAL = re.compile(r"(?:(?:^|[\s(\[])[A-Z][\w'’.-]*\s+|^\W*)[A-Z]\.$")
_STARTS_SENTENCE = re.compile(
    r"(?:The|This|These|Those|That|There|Their|They|It|Its|In|On|At|By|For|From|To|With|We|Our|A|An|As|If|All|Both|"
    r"However|Thus|Therefore|Moreover|Although|While|When|After|Conclusions?|Results?|Methods?)\b"
)
_LOOK_BACK = 16
_NAME_LOOK_BACK = 40
_N_KEPT = 256
_KEPT_CHARACTERS = 10_000


def split_sentences(text: str) -> list[Span]:
    """The sentences of a text, in order, as spans without surrounding white space.

    A full stop inside a number, after an abbreviation or an initial, or before a lower-case letter
    ends none; a blank line, a section label on a new line and one in capitals right after a full
    stop do. Every character that is not white space lies in exactly one sentence. Linear in the
    length of the text.
    """
    return list(_recent(text) if len(text) <= _KEPT_CHARACTERS else _split(text))


def _split(text: str) -> tuple[Span, ...]:
    sentences: list[Span] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if _is_boundary(text, match):
            _append(sentences, text, start, match.end())
            start = match.end()
    _append(sentences, text, start, len(text))
    return tuple(sentences)


_recent = lru_cache(_N_KEPT)(_split)  # a context is split for its windows, and again for its answer


def sentence_at(text: str, start: int, end: int) -> Span:
    """The sentence, or the run of sentences, of ``text`` that holds ``text[start:end]``."""
    touched = [s for s in split_sentences(text) if s.start < end and start < s.end]
    if not touched:
        return Span.cut(text, start, end)
    return Span.cut(text, min(start, touched[0].start), max(end, touched[-1].end))


def _is_boundary(text: str, match: re.Match[str]) -> bool:
    if not match.group().startswith("."):
        return True
    following = text[match.end() : match.end() + 8].lstrip()
    if following[:1].islower():
        return False
    before = text[max(0, match.start() - _LOOK_BACK) : match.start() + 1]
    if _TERMINAL_ABBREVIATION.search(before):
        return following[:1].isupper()
    if _NUMBER_ABBREVIATION.search(before):
        return not following[:1].isdigit()
    return _ABBREVIATION.search(before) is None and not _is_initial(text, match.start(), following)


def _is_initial(text: str, stop: int, following: str) -> bool:
    """Whether the full stop at ``stop`` belongs to a name ("Michael J. Fox") and not to "vitamin C."."""
    if not text[stop - 1 : stop].isupper() or _STARTS_SENTENCE.match(following):
        return False
    before = text[max(0, stop - _NAME_LOOK_BACK) : stop + 1]
    return following[:1].isupper() and (following[1:2] == "." or _INITIAL.search(before) is not None)


def _append(sentences: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    if left < right:
        sentences.append(Span.cut(text, left, right))

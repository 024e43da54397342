"""Phrases of a text that a question could be asked about, found by rule: names, numbers, noun phrases.

English, without a tagger: a name is a run of capitalised words, a noun phrase what stands between an
article and the next function word. Some are wrong; the round trip through a teacher drops most of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qa_extractive.alignment.content_overlap import STOP_WORDS
from qa_extractive.inference.decoding import whole_words
from qa_extractive.types import Span

DATE, NUMBER, NAME, NOUNS = "date", "number", "name", "nouns"
KINDS = (DATE, NUMBER, NAME, NOUNS)

_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = re.compile(
    rf"\b(?:{_MONTH}\s+\d{{1,2}},\s+\d{{4}}|\d{{1,2}}\s+{_MONTH}\s+\d{{4}}|{_MONTH}\s+\d{{4}}|(?:1[5-9]|20)\d\d)\b"
)
_NUMBER = re.compile(
    r"(?<![\w.,])(?:[-−±]\s?)?\d[\d,]*(?:\.\d+)?(?:\s?%|\s(?:percent|million|billion)\b|"
    r"\s?(?:mg|kg|mm|cm|km|mmHg|ms|h|seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b)?(?![\w])"
)
_NAME = re.compile(
    r"\b[A-Z][\w'’&.-]*[\w](?:[ \t]+(?:(?:of|the|de|von|van|la)[ \t]+){0,2}[A-Z0-9][\w'’&.-]*[\w])*"
)
_NOUNS = re.compile(r"\b(?:[Tt]he|[Aa]n?)\s+((?:[a-z][\w’'-]+\s+){1,3}[a-z][\w’'-]+)")
_NOT_A_NAME = frozenset(
    "i the a an in on at by for from to of it he she they we you this that these those his her its their our "
    "there here when while after before during since although however thus both all some many most one two "
    "background methods results conclusion conclusions objective".split()
)
_THIRD_PERSON = re.compile(r"[a-rt-z]s$")
_ARTICLE = re.compile(r"(?:The|An?)\s+(?=\S)")
_MAX_WORDS = 8
_LOWER_WORD = re.compile(r"[ \t]([a-z][\w'’-]*)")
_VERB_LIKE = re.compile(r"(?:ed|ly|was|were|is|are|has|had|have|will|can|may)$")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of a sentence that may be an answer.

    Attributes:
        kind: One of ``KINDS``.
        start: Where it starts in the text that the sentence is of.
        end: Where it ends there.
    """

    kind: str
    start: int
    end: int


def phrases(context: str, sentence: Span) -> list[Phrase]:
    """The phrases of a sentence, none overlapping another; dates before numbers, names before nouns."""
    found: list[Phrase] = []
    for phrase in _candidates(sentence.text):
        start, end = whole_words(context, sentence.start + phrase.start, sentence.start + phrase.end)
        is_whole = sentence.start <= start and end <= sentence.end
        if not is_whole or _goes_on(phrase.kind, context, end, sentence.end):
            continue
        if not any(start < other.end and other.start < end for other in found):
            found.append(Phrase(phrase.kind, start, end))
    return sorted(found, key=lambda phrase: phrase.start)


def _candidates(text: str) -> Iterator[Phrase]:
    for kind, pattern in ((DATE, _DATE), (NAME, _NAME), (NUMBER, _NUMBER)):
        for match in pattern.finditer(text):
            start = match.start() + _article_length(match.group()) if kind == NAME else match.start()
            if kind != NAME or _is_name(text[start : match.end()], start == 0):
                yield Phrase(kind, start, match.end())
    for match in _NOUNS.finditer(text):
        length = _noun_length(match.group(1))
        if length:
            yield Phrase(NOUNS, match.start(1), match.start(1) + length)


def _goes_on(kind: str, context: str, end: int, stop: int) -> bool:
    """Whether a name is only the beginning of one ("Jr.") or tells the kind of what follows."""
    if kind != NAME:
        return False
    if context[end : end + 1] == "." and end + 1 < stop:
        return True
    following = _LOWER_WORD.match(context, end, stop)
    if following is None:
        return False
    word = following.group(1)
    is_verb = _VERB_LIKE.search(word) or _THIRD_PERSON.search(word)
    return word not in STOP_WORDS and not is_verb


def _article_length(name: str) -> int:
    """Characters of an article and the blank after it that a name begins with."""
    article = _ARTICLE.match(name)
    return article.end() if article else 0


def _is_name(text: str, is_main_process: bool) -> bool:
    """Whether capitalised words name something; one that begins a sentence says little."""
    words = text.split()
    if len(words) > _MAX_WORDS or words[0].lower() in _NOT_A_NAME:
        return False
    return not is_main_process or len(words) > 1


def _noun_length(text: str) -> int:
    """Characters of the run of words before the first function word or verb; 0 for fewer than two words."""
    kept = []
    for word in text.split():
        if word in STOP_WORDS or _VERB_LIKE.search(word):
            break
        kept.append(word)
    return len(" ".join(kept)) if len(kept) > 1 and text.startswith(" ".join(kept)) else 0

"""Questions for texts that nobody has asked any of, by rule and offline: clozes, templates and claims.

    cloze     the sentence with a phrase of it replaced by what asks for it: "The race was won by whom?"
    template  "Who ..." for a name that is the subject, "What is X?" for "X is a ..."
    claim     a sentence that states a finding, asked for by ``training.questions.from_claim``

Cloze questions for training a reader go back to Lewis et al. 2019 (arXiv 1906.04980).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.alignment.sentence_roles import FINDING_GAIN, role_gain
from qa_extractive.data.contexts import Context
from qa_extractive.finetune.phrases import DATE, NAME, NOUNS, NUMBER, Phrase, phrases
from qa_extractive.training.questions import from_claim
from qa_extractive.types import Question, Span

CLOZE, TEMPLATE, CLAIM = "cloze", "template", "claim"

_MIN_WORDS, _MAX_WORDS = 6, 45
_ASKS = {NAME: "who or what", NOUNS: "what"}
_TIME = re.compile(r"\d\s*(?:h|ms|seconds?|minutes?|hours?|days?|weeks?|months?|years?)$")
_STARTS_WITH_PRONOUN = re.compile(
    r"(?:It|He|She|They|We|This|These|That|Those|His|Her|Its|Their|Our|There|However|Thus)\b"
)
_COPULA = re.compile(r"\s*(?:\([^()]*\)\s*)?(is|are|was|were)\s+(an?|the)\s+(?=\w)")
_CLAUSE_END = re.compile(r"[,;:]\s|\s(?:who|which|that|where|and|but)\s|[.!?]")
_REPORTED = re.compile(
    r"^(?:[\w ]{0,30}[,:]\s+)?(?:we|(?:our|the|these) (?:results|findings|data)|(?:this|our|the) study)\s+"
    r"(?:\w+\s+)?(?:found|find|shows?|showed|demonstrates?|demonstrated|suggests?|suggested|indicates?|"
    r"indicated|reveals?|revealed|conclude|concluded|observed)\s+that\s+",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(?:\S+[ \t]+){0,9}\S*[^\s.!?:,;][ \t]*\n\s*(?=[A-Z0-9\"“'‘(])")
_BEFORE_DATE = re.compile(r"\b(?:in|on|since|until|from|to|between|by|and)\s+$")


@dataclass(frozen=True, slots=True)
class MadeQuestion:
    """A question made for a text.

    Attributes:
        kind: How it was made: "cloze", "template", "claim", or what a teacher calls it.
        question: The question and its text.
        expected: The piece of the text it was made for; None where it was asked by someone else.
    """

    kind: str
    question: Question
    expected: Span | None


def make_questions(context: Context, n_questions: int, rng: random.Random) -> list[MadeQuestion]:
    """At most ``n_questions`` questions for a text, of different sentences as far as there are such.

    A text that comes with a question gets that one and no other.
    """
    if context.question is not None:
        return [MadeQuestion("given", Question(context.question, context.text, context.title), None)]
    sentences = [_without_heading(context.text, sentence) for sentence in split_sentences(context.text)]
    by_sentence = [made for sentence in sentences if (made := _of_sentence(context, sentence))]
    for own in by_sentence:
        rng.shuffle(own)
    rng.shuffle(by_sentence)
    chosen: list[MadeQuestion] = []
    for turn in range(max(map(len, by_sentence), default=0)):
        chosen += [own[turn] for own in by_sentence if turn < len(own)]
    return _distinct(chosen)[:n_questions]


def _without_heading(context: str, sentence: Span) -> Span:
    """The sentence without short lines before it that end in no full stop: a title is not part of it."""
    start = sentence.start
    while heading := _HEADING.match(context, start, sentence.end):
        start = heading.end()
    return Span.cut(context, start, sentence.end)


def _distinct(made: Sequence[MadeQuestion]) -> list[MadeQuestion]:
    return list({each.question.question.casefold(): each for each in reversed(made)}.values())[::-1]


def _of_sentence(context: Context, sentence: Span) -> list[MadeQuestion]:
    """What can be asked about one sentence; of one that begins with a pronoun, only its claim."""
    text = sentence.text
    if not _MIN_WORDS <= len(text.split()) <= _MAX_WORDS:
        return []
    found: list[tuple[str, str, int, int]] = []
    if not _STARTS_WITH_PRONOUN.match(text):
        own = phrases(context.text, sentence)
        found += [
            (CLOZE, asked, phrase.start, phrase.end)
            for phrase in own
            if (asked := _cloze(context.text, sentence, phrase)) is not None
        ]
        found += _templates(context.text, sentence, own)
    if role_gain(text) >= FINDING_GAIN:
        claim = from_claim(_REPORTED.sub("", text), random.Random(text))
        found.append((CLAIM, _asked(claim), sentence.start, sentence.end))
    return [
        MadeQuestion(kind, Question(asked, context.text, context.title), Span.cut(context.text, start, end))
        for kind, asked, start, end in found
    ]


def _cloze(context: str, sentence: Span, phrase: Phrase) -> str | None:
    """The sentence with the phrase asked for; None of a date that no preposition leads to."""
    before, after = context[sentence.start : phrase.start], context[phrase.end : sentence.end]
    text = context[phrase.start : phrase.end]
    if phrase.kind == DATE:
        if not _BEFORE_DATE.search(before):
            return None
        asks = "what year" if text.isdigit() else "what date"
    elif phrase.kind == NUMBER:
        asks = _ask_number(text, after)
    else:
        asks = _ASKS[phrase.kind]
    return _asked(f"{before}{asks}{after}")


def _ask_number(text: str, after: str) -> str:
    if _TIME.search(text):
        return "how long"
    if not text[-1:].isdigit():
        return "how much"
    return "how many" if re.match(r"\s+[a-z]", after) else "what number"


def _templates(context: str, sentence: Span, own: Sequence[Phrase]) -> list[tuple[str, str, int, int]]:
    """A subject asked for by what is said of it, and the other way round."""
    found = []
    for name in (phrase for phrase in own if phrase.kind == NAME and phrase.start == sentence.start):
        rest = context[name.end : sentence.end]
        copula = _COPULA.match(rest)
        if copula is None:
            continue
        start = name.end + copula.end()
        stop = _CLAUSE_END.search(context, start, sentence.end)
        end = stop.start() if stop else sentence.end
        subject = context[name.start : name.end]
        if end > start:
            found.append((TEMPLATE, f"What {copula.group(1)} {subject}?", start, end))
        said = context[name.end + copula.start(1) : sentence.end]
        found.append((TEMPLATE, _asked(f"Who or what {said}"), name.start, name.end))
    return found


def _asked(text: str) -> str:
    """The text on one line as a question."""
    return " ".join(text.split()).rstrip(" .!?;:,") + "?"

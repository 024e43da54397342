"""The tiers of the alignment, strictest first; each gives the spans it would label, best first.

A tier that finds nothing gives an empty list. ``benchmarks/results/NOTES-alignment.md`` explains and
measures them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from qa_extractive.alignment.content_overlap import Overlap, overlap, stem
from qa_extractive.alignment.forms import ContextForms, ReferenceForms
from qa_extractive.alignment.sentence_roles import is_question_like, role_gain
from qa_extractive.alignment.text_forms import tokenize
from qa_extractive.alignment.token_search import Window, best_windows
from qa_extractive.metrics.text import rouge_l
from qa_extractive.types import Span

MAX_CANDIDATES = 8
MIN_WINDOW_F1 = 0.7
SENTENCE_PENALTY = 0.1

_NORMALISED_CONFIDENCE = 0.95
_WINDOW_CONFIDENCE = 0.95
_SENTENCE_CONFIDENCE = 0.9
_NEVER_FIRST = frozenset("and or but of than that which".split())
_NEVER_LAST = _NEVER_FIRST | frozenset(
    "a an the in on at by for from to with into as is are was were be been has have we our its their this "
    "these".split()
)
_ASKS = 0.5
_SHORT_CHARACTERS = 3
_SHORT_CONFIDENCE = 0.8
_PHRASE_TOKENS = 3
_MIN_SENTENCE_STEMS = 3
_TIE = 0.02
_RUN_GAIN = 0.15
_MAX_RUN = 3


def exact_spans(reference: ReferenceForms, context: ContextForms, question: str = "") -> list[Span]:
    """The reference verbatim, at word edges; inside words only if it is a phrase, then widened to them."""
    for text in dict.fromkeys((reference.text, reference.body)):
        places = _places(text, context.text)
        whole = [(p, p + len(text)) for p in places if _has_clean_edges(context, p, p + len(text))]
        if not whole and len(text.split()) >= _PHRASE_TOKENS:
            whole = [context.widen(p, p + len(text)) for p in places]
        if whole:
            return _occurrences(whole, reference, context, question, 1.0)
    return []


def normalised_spans(reference: ReferenceForms, context: ContextForms, question: str = "") -> list[Span]:
    """The reference's folded tokens in a row, with or without its leading article."""
    for words in dict.fromkeys((reference.body_words, reference.words)):
        places = _runs(words, reference, context)
        if places:
            return _occurrences(places, reference, context, question, _NORMALISED_CONFIDENCE)
    return []


def window_spans(reference: ReferenceForms, context: ContextForms) -> list[Span]:
    """The windows of best token F1; ties go to the higher ROUGE-L, and what ties still is all kept.

    Not for a single word: where the tiers before this one refused it, half a match is none.
    """
    if len(reference.words) < 2:
        return []
    windows = best_windows(
        reference.words,
        context.tokens.words,
        groups=context.sentence_of,
        n_groups=reference.n_sentences,
        penalty=SENTENCE_PENALTY,
    )
    scored = [(_window_confidence(w, reference, context), w) for w in windows if w.f1 >= MIN_WINDOW_F1]
    spans = [context.cut(*_trimmed(w, reference, context), score) for score, w in scored if score > 0]
    rouges = [rouge_l(span.text, reference.body) for span in spans]
    best = [span for span, rouge in zip(spans, rouges, strict=True) if rouge >= max(rouges) - 1e-9]
    return _without_overlaps(best)


def sentence_spans(reference: ReferenceForms, context: ContextForms) -> list[Span]:
    """The sentences that hold most of the reference's content, where they share at least two stems.

    A sentence that asks or states an aim repeats the words of an answer without giving it: it is
    passed over. One that reports a finding gains a little, one that describes a method loses a little.
    """
    if len(reference.stems) < _MIN_SENTENCE_STEMS:
        return []
    n = len(context.sentences)
    ranked = sorted((_rank_sentence(i, reference, context) for i in range(n)), reverse=True)
    if not ranked or ranked[0][0] <= 0:
        return []
    kept = [run for run in ranked if run[0] >= ranked[0][0] - _TIE]
    longer = _longer_run(ranked[0], reference, context)
    return [_run_span(run, reference, context) for run in ([longer] if longer else kept[:MAX_CANDIDATES])]


def _places(text: str, context: str) -> list[int]:
    found, at = [], context.find(text) if text else -1
    while at >= 0:
        found.append(at)
        at = context.find(text, at + len(text))
    return found


def _has_clean_edges(context: ContextForms, start: int, end: int) -> bool:
    return all(context.is_token_edge(p) and not _joins_letter_to_digit(context.text, p) for p in (start, end))


def _joins_letter_to_digit(text: str, place: int) -> bool:
    around = text[max(0, place - 1) : place + 1]
    return len(around) == 2 and place > 0 and around.isascii() and around.isalnum()


def _runs(words: Sequence[str], reference: ReferenceForms, context: ContextForms) -> list[tuple[int, int]]:
    """Where the tokens stand in a row, crossing no more sentence ends than the reference does."""
    n = len(words)
    found, n_sentences = context.tokens.find_all(words), reference.n_sentences
    spans = [context.cut(i, i + n, 1.0) for i in found if context.n_sentences_in(i, i + n) <= n_sentences]
    if reference.is_acronym:
        spans = [s for s in spans if not s.text.islower()]
    if n == 1:  # "6" is not the 6 of "IL6", but it is that of "6mg"
        spans = [s for s in spans if not _joins_letter_to_digit(context.text, s.start)]
    return [(s.start, s.end) for s in spans]


def _occurrences(
    places: Sequence[tuple[int, int]],
    reference: ReferenceForms,
    context: ContextForms,
    question: str,
    base: float,
) -> list[Span]:
    """Spans of all places, those near the question's words first.

    The shorter the reference, the less each of many is believed.
    """
    if not places:
        return []
    shortness = min(1.0, max(0.0, (4 - reference.n_words) / 3))
    relevance = _relevance([start for start, _ in places], reference, context, question)
    believed = base * (_SHORT_CONFIDENCE if len(reference.body) < _SHORT_CHARACTERS else 1.0)
    n_effective = sum(r * r for r in relevance)
    scores = [believed * n_effective ** (-shortness / 3) * r**shortness for r in relevance]
    spans = [Span.cut(context.text, a, b, min(1.0, s)) for (a, b), s in zip(places, scores, strict=True)]
    return sorted(spans, key=lambda s: (-s.score, s.start))[:MAX_CANDIDATES]


def _relevance(
    starts: Sequence[int], reference: ReferenceForms, context: ContextForms, question: str
) -> list[float]:
    """For each place how much of the question its sentence holds, relative to the best; in (0, 1]."""
    asked = {stem(word) for word in tokenize(question).words} - reference.stems - {""}
    if len(starts) == 1 or not asked:
        return [1.0] * len(starts)
    held = {i: _held(asked, i, context) for i in {context.sentence_index(start) for start in starts}}
    best = max(held.values())
    return [(1 + held[context.sentence_index(start)]) / (1 + best) for start in starts]


def _held(asked: set[str], sentence: int, context: ContextForms) -> float:
    first, end = context.bounds[sentence], context.bounds[sentence + 1]
    return context.weights.total(asked.intersection(context.stems[first:end]))


def _window_confidence(window: Window, reference: ReferenceForms, context: ContextForms) -> float:
    met = overlap(reference.words, context.words_of(window.first, window.end), context.weights)
    if not met.n_shared:
        return 0.0
    asks = is_question_like(context.sentences[context.sentence_of[window.first]].text)
    content = (0.3 + 0.7 * met.recall) * _agreement(met)
    return _WINDOW_CONFIDENCE * window.f1 * content * (_ASKS if asks else 1.0)


def _trimmed(window: Window, reference: ReferenceForms, context: ContextForms) -> tuple[int, int]:
    """The window without the words that dangle at its edges, then widened to whole compounds."""
    words, first, end = context.tokens.words, window.first, window.end
    while end - first > 1 and words[end - 1] in _NEVER_LAST and words[end - 1] != reference.words[-1]:
        end -= 1
    while end - first > 1 and words[first] in _NEVER_FIRST and words[first] != reference.words[0]:
        first += 1
    while end < len(words) and context.is_compound(end):
        end += 1
    while first > 0 and context.is_compound(first):
        first -= 1
    return first, end


def _agreement(met: Overlap) -> float:
    """A factor in (0, 1]: halved by numbers that are missing, and again by a negation on one side only."""
    return (0.5 + 0.5 * met.number_recall) * (1.0 if met.negation_agrees else 0.6)


def _without_overlaps(spans: Sequence[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (-s.score, s.start)):
        if len(kept) < MAX_CANDIDATES and not any(span.overlaps(other) for other in kept):
            kept.append(span)
    return kept


Run = tuple[float, int, int]  # (rank score, first sentence, sentence after the last)


def _rank_sentence(index: int, reference: ReferenceForms, context: ContextForms) -> Run:
    met = _met(index, index + 1, reference, context)
    if met.n_shared < 2 or is_question_like(context.sentences[index].text):
        return (0.0, index, index + 1)
    return (met.recall + _role_gain(index, index + 1, context), index, index + 1)


def _role_gain(first: int, end: int, context: ContextForms) -> float:
    """The least gain of the sentences ``[first, end)``."""
    n_early = len(context.sentences) / 3
    return min(role_gain(context.sentences[i].text, is_early=i < n_early - 1) for i in range(first, end))


def _met(first: int, end: int, reference: ReferenceForms, context: ContextForms) -> Overlap:
    words = context.words_of(context.bounds[first], context.bounds[end])
    return overlap(reference.words, words, context.weights)


def _longer_run(best: Run, reference: ReferenceForms, context: ContextForms) -> Run | None:
    """The shortest run around the best sentence that holds clearly more of a reference of several."""
    _, first, _ = best
    found: Run | None = None
    gained = _met(first, first + 1, reference, context).recall + _RUN_GAIN
    for length in range(2, min(_MAX_RUN, reference.n_sentences) + 1):
        for start in range(max(0, first - length + 1), min(first, len(context.sentences) - length) + 1):
            recall = _met(start, start + length, reference, context).recall
            if recall >= gained and _may_be_joined(start, start + length, context):
                found, gained = (recall, start, start + length), recall + _RUN_GAIN
    return found


def _may_be_joined(first: int, end: int, context: ContextForms) -> bool:
    asks = any(is_question_like(sentence.text) for sentence in context.sentences[first:end])
    return not asks and _role_gain(first, end, context) >= 0


def _run_span(run: Run, reference: ReferenceForms, context: ContextForms) -> Span:
    _, first, end = run
    met = _met(first, end, reference, context)
    right = 1 / (1 + math.exp(3.1 - 6.3 * (met.recall + _role_gain(first, end, context))))
    score = min(_SENTENCE_CONFIDENCE, right) * _agreement(met)
    start, stop = context.sentences[first].start, context.sentences[end - 1].end
    return Span.cut(context.text, start, stop, score)

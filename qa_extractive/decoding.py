"""Logits -> ranked, non-overlapping spans and the signals that calibration reads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qa_extractive.backend import DROPPED, WindowLogits
from qa_extractive.config import DecodeConfig
from qa_extractive.records import Question
from qa_extractive.windows import Window

_MAX_GAP = 20.0
_MAX_WIDENING = 64
_MAX_MARKS = 8
_JOINER = "\u200d"
# Thai and Lao; Burmese; Khmer; Chinese and Japanese; Hangul
_WIDE = (
    ("\u0e00", "\u0eff"),
    ("\u1000", "\u109f"),
    ("\u1780", "\u17ff"),
    ("\u2e80", "\u9fff"),
    ("\uac00", "\ud7a3"),
)
_INSIDE_NUMBER = re.compile(r"\d[.,]\d|\d\^[-−\d]|\^[-−]?\d|(?<![\w.,)\]])[-−]\d")
_NUMBER_SIGNS = frozenset(".,^-−")
_UNIT_SIGNS = frozenset("%‰°")
_UNIT = (
    r"(?:[nµμmkcd]?(?:g|l|L|m|mol|M|s|J|Hz|W|V|Pa|U|IU|cal)|mcg|mmHg|min|h|hr|hour|day|d|week|wk|month|mo|"
    r"year|yr|cells?|kat|kDa)"
)
_RATIO_OF_UNITS = re.compile(rf"(?<![^\W\d_]){_UNIT}[²³23]?(?:/{_UNIT}[²³23]?)+(?!\w)")
_LONGEST_RATIO = 24


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A span of the context with its logit (start + end, unbounded), not yet calibrated."""

    span_logit: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model made of one question.

    Attributes:
        candidates: Best first, none overlapping another; empty where the context holds no token.
        null_logit: Logit of "no span", start + end at position 0; the least over the windows.
        answerability_logit: Logit of the answerability head, the largest over the windows; None
            where the model has no such head.
    """

    candidates: tuple[Candidate, ...]
    null_logit: float
    answerability_logit: float | None

    @property
    def margin(self) -> float:
        """Best span logit over the null logit; unbounded."""
        return self.candidates[0].span_logit - self.null_logit

    @property
    def gap(self) -> float:
        """Best span logit over the second best, in [0, 20]."""
        if len(self.candidates) < 2:
            return _MAX_GAP
        return min(_MAX_GAP, self.candidates[0].span_logit - self.candidates[1].span_logit)

    def features(self) -> npt.NDArray[np.float64]:
        """What calibration reads: answerability logit (or the margin), margin, gap, length; shape (4,).

        The length is log(1 + characters of the best span): a sentence is more often the answer than a
        word of the same logits is.
        """
        answerability = self.margin if self.answerability_logit is None else self.answerability_logit
        best = self.candidates[0]
        return np.array([answerability, self.margin, self.gap, np.log1p(best.end - best.start)])


EMPTY_READING = Reading(candidates=(), null_logit=0.0, answerability_logit=None)


def decode(
    questions: Sequence[Question],
    windows: Sequence[Window],
    logits: Sequence[WindowLogits],
    config: DecodeConfig,
    *,
    top_k: int = 5,
) -> list[Reading]:
    """A reading for each question, in order, from its windows' logits.

    Args:
        questions: The questions as given to ``Windower.windows``.
        windows: All their windows.
        logits: One for each window.
        config: Span length and beam.
        top_k: Candidates to keep for each question.
    """
    grouped: list[list[int]] = [[] for _ in questions]
    for i, window in enumerate(windows):
        grouped[window.question_index].append(i)
    return [
        _merge(question.context, [windows[i] for i in own], [logits[i] for i in own], config, top_k)
        for question, own in zip(questions, grouped, strict=True)
    ]


def _merge(
    context: str, windows: list[Window], logits: list[WindowLogits], config: DecodeConfig, top_k: int
) -> Reading:
    candidates = [c for w, s in zip(windows, logits, strict=True) for c in _window_candidates(w, s, config)]
    if not candidates:
        return EMPTY_READING
    heads = [s.answerability for s in logits if s.answerability is not None]
    return Reading(
        candidates=_non_overlapping(context, sorted(candidates, key=_rank), top_k),
        null_logit=min(float(s.start[0]) + float(s.end[0]) for s in logits),
        answerability_logit=max(heads) if heads else None,
    )


def _rank(candidate: Candidate) -> tuple[float, int, int]:
    return (-candidate.span_logit, candidate.start, candidate.end)


def _window_candidates(window: Window, logits: WindowLogits, config: DecodeConfig) -> list[Candidate]:
    """The best spans of one window; linear in its length."""
    n_tokens = window.n_context_tokens
    if not n_tokens:
        return []
    stop = window.first + n_tokens
    start, end = logits.start[window.first : stop], logits.end[window.first : stop]
    firsts, lasts = _largest(start, config.n_best), _largest(end, config.n_best)
    length = lasts[None, :] - firsts[:, None]
    rows, columns = np.nonzero((length >= 0) & (length < config.max_answer_tokens))
    if not len(rows):
        rows, columns = np.array([0]), np.array([0])
        lasts = firsts[:1]
    chosen_first, chosen_last = firsts[rows], lasts[columns]
    sums = start[chosen_first].astype(np.float64) + end[chosen_last]
    best = np.argsort(-sums, kind="stable")[: 2 * config.n_best]
    best = best[sums[best] > DROPPED / 2]
    starts = window.offsets[chosen_first[best], 0].tolist()
    ends = window.offsets[chosen_last[best], 1].tolist()
    return [*map(Candidate, sums[best].tolist(), starts, ends)]


def _largest(values: npt.NDArray[np.float32], n: int) -> npt.NDArray[np.intp]:
    """Positions of the n largest values, ties broken by position."""
    if len(values) > n:
        bound = np.partition(values, len(values) - n)[len(values) - n]
        kept = np.flatnonzero(values >= bound)
        return kept[np.argsort(-values[kept], kind="stable")][:n]
    return np.argsort(-values, kind="stable")


def _non_overlapping(context: str, ranked: Iterable[Candidate], top_k: int) -> tuple[Candidate, ...]:
    kept: list[Candidate] = []
    for candidate in ranked:
        # Most overlap as they are: widening shrinks none, and no kept one ends in white space.
        if _overlaps_any(kept, candidate.start, candidate.end):
            continue
        start, end = whole_words(context, candidate.start, candidate.end)
        if start >= end or _overlaps_any(kept, start, end):
            continue
        kept.append(Candidate(candidate.span_logit, start, end))
        if len(kept) == top_k:
            break
    return tuple(kept)


def _overlaps_any(kept: Sequence[Candidate], start: int, end: int) -> bool:
    for each in kept:  # noqa: SIM110  (any() of a generator takes three times as long)
        if start < each.end and each.start < end:
            return True
    return False


def whole_words(context: str, start: int, end: int) -> tuple[int, int]:
    """The span without outer white space, widened so that it cuts no word, number or unit in half."""
    while start < end and context[start].isspace():
        start += 1
    while end > start and context[end - 1].isspace():
        end -= 1
    if start >= end:
        return start, start
    left, right = start, end
    while left > 0 and start - left < _MAX_WIDENING and _joined(context, left):
        left -= 1
    while right < len(context) and right - end < _MAX_WIDENING and _joined(context, right):
        right += 1
    return (
        start if start - left == _MAX_WIDENING else left,
        end if right - end == _MAX_WIDENING else right,
    )


def _joined(context: str, index: int) -> bool:
    """Whether the characters before and at ``index`` belong to one word, number or unit."""
    before, at = context[index - 1], context[index]
    if _is_mark(at) or before == _JOINER:
        return not (before.isspace() or at.isspace())
    before = _base(context, index - 1)
    if before.isalnum() and at.isalnum():
        return not (_is_wide(before) or _is_wide(at))
    if before == "/" or at == "/":
        return _is_in_ratio(context, index)
    if at in _UNIT_SIGNS:
        return before.isdigit()
    if before == "°":
        return at.isalpha()
    if before in _NUMBER_SIGNS or at in _NUMBER_SIGNS:
        return any(
            m.start() < index < m.end()
            for begin in range(max(0, index - 2), index)
            if (m := _INSIDE_NUMBER.match(context, begin, index + 2))
        )
    return False


def _is_in_ratio(context: str, index: int) -> bool:
    """Whether ``index`` lies inside a ratio of units such as mg/kg/day."""
    begin, end = max(0, index - _LONGEST_RATIO), index + _LONGEST_RATIO
    return any(m.start() < index < m.end() for m in _RATIO_OF_UNITS.finditer(context, begin, end))


def _base(context: str, index: int) -> str:
    """The character at ``index``, or the one that it is a mark of."""
    for i in range(index, max(-1, index - _MAX_MARKS), -1):
        if not _is_mark(context[i]):
            return context[i]
    return context[index]


def _is_wide(character: str) -> bool:
    """Scripts written without spaces, where every character may end a word."""
    return any(first <= character <= last for first, last in _WIDE)


def _is_mark(character: str) -> bool:
    """Whether it belongs to the character before it: an accent, a vowel sign, a joiner, a selector."""
    return character == _JOINER or unicodedata.category(character)[0] == "M"

"""Logits -> ranked, non-overlapping spans and the signals that calibration reads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qa_extractive.config import DecodeConfig
from qa_extractive.inference.backend import DROPPED, WindowLogits
from qa_extractive.inference.windows import Window
from qa_extractive.types import Question

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
_UNIT = (
    r"(?:[fpnµμmkcdMG]?(?:g|l|L|m|mol|M|s|J|Hz|W|V|Pa|U|IU|cal|Eq|Osm|Gy|Sv|Bq|N|A)|mcg|mmHg|min|h|hr|hour|day|d|"
    r"week|wk|month|mo|year|yr|cells?|kat|kDa|K|t|ha)"
)
_RAISED = r"(?:[²³]|\^?[23](?!\d)|⁻[¹²³]|\^?[-−–][123](?!\d)|\([-−–]?[123]\))"
_SURFACE = r"1[.]73(?:\s?m(?:\^?2|²|\(2\))?)"
_COUNTED_PER = (
    r"(?:[mµμdcn]?[lL]|min(?:ute)?|h|hr|hour|day|d|week|wk|month|mo|year|yr|kg|mg|µg|[mc]?m(?:\^?[23]|[²³]|\([23]\))|"
    rf"dL|HPF|ha|(?:1[0,]{{2,7}}\s)?(?:person|patient)[- ]?(?:years?|days?)|{_SURFACE})"
)
# A number with what changes its value: a bound or a sign before it ("<18", "> 24", "~6", "−0.5", "US$5"),
# powers, ratio or fraction ("3 × 10−5", "10^6", "1:1", "2/3"), and per cent, scale or currency after it.
_BOUND = (
    r"(?:(?:(?<![-–—])[<>]{1,2}=?|(?<![-–=])=[<>]|[<>](?:/|\s?or\s?)=|[≤≥⩽⩾≦≧≮≯≠≲≳≪≫＜＞~˜～∼≈≃≅≒±∓]|\+/[-−–]|"
    r"&(?:lt|gt|le|ge|ne|plusmn|sim|asymp|ap|#(?:60|62|177|8764|8776|8800|8804|8805|"
    r"x(?:3[ceCE]|[bB]1|223[cC]|2248|226[045])));=?)\s?)"
)
_SIGN = (
    r"(?:(?<![\w.,)\]%])(?<!\d\s)[-−–‑﹣－+](?=[\d.$€£¥])|(?:(?<=[=(\[:])|(?<=[=(\[:,]\s))[-−–]\s(?=[\d.]))"
)
_CODE = r"(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|ZAR|BRL|KRW|SGD|HKD|MXN|THB|PLN|TRY)"
_FORMULA = r"\$[^$\n]{1,60}\$(?!\d)"  # of LaTeX
_CURRENCY = (
    rf"(?:(?<![A-Za-z])(?:(?:US|AU|CA|NZ|HK|NT|Int|[ACSRI])?(?!{_FORMULA})[$€£¥₹₩₽₺₦฿¢]|{_CODE}|Rs\.?)\s?)"
)
_DIGITS = (
    r"(?:(?<![\d.,])0\s?\.\s\d+|\d{1,3}(?:[\u2009\u202f\u00a0]\d{3})+(?:\.\d+)?|\d{1,3}(?: \d{3})* 000(?!\d)|"
    r"\d{1,3}\s(?:[½⅓⅔¼¾⅛]|[1-9]/[2-9](?![\d/])(?=\s(?:h|hours?|days?|weeks?|months?|years?|times|cups?)\b))|"
    r"\d+(?:[.,·’']\d+)*|(?<![\w.)\]%\"”’])\.\d+)"
)
_POWER = (
    r"(?:\s?[×✕∙·*xX]\s?10(?:\s?\^\s?\(?[-−–+]?\d{1,3}\)?|\s?[-−–]\s?\d{1,2}(?![\d.])|\([-−–+]?\d{1,2}\)|"
    r"\+?\d{1,2}|[⁻⁺]?[⁰¹²³⁴-⁹]+)?|\^\(?[-−–+]?\d{1,3}\)?|[⁻⁺]?[⁰¹²³⁴-⁹]+|(?<=(?<!\d)10)\([-−–+]?\d{1,2}\)|"
    r"[eE][-−+]\d{1,3}(?!\d))"
)
_AFTER = (
    r"(?:(?<![^\W\d_]\d)(?<![^\W\d_]\d\d)\+(?![\w+])|[\s-](?:hundred|thousand|million|billion|trillion)(?!\w)|"
    rf"\s?[%‰€£¥₹¢]|\s(?:percent|per\scent)(?!\w)|-?fold(?!\w)|\s?{_CODE}(?!\w))"
)
_NUMBER = re.compile(
    rf"(?=[^\sa-z(),;\[\]]){_BOUND}{{0,2}}{_SIGN}?(?:{_CURRENCY}[-−–]?(?=[\d.]))?(?<!\d){_DIGITS}"
    rf"{_POWER}?(?:[:∶/]{_DIGITS}){{0,3}}{_AFTER}{{0,2}}(?:/{_COUNTED_PER}(?!\w))?"
)
_LONE_NUMBER = re.compile(rf"{_BOUND}?[-−–‑+]?\d[\d.,]*\s?%?")
_DIGIT = re.compile(r"\d")
_RATIO_SIGN = re.compile(r"[/·⋅∙⁻]|[-−–^][123]")
_RANGE_SIGN = re.compile(r"[\d%]\s?[-–—]\s?[-−+]?\d|%\s?(?:C|confidence)")
_TAG_END = re.compile(r"</?[A-Za-z][^<>]{0,40}$")
_LONE_SIGNS = frozenset("<>=≤≥⩽⩾≦≧≮≯≠≲≳≪≫＜＞~˜～∼≈≃≅≒±∓+-−–×·^$€£¥%‰ ")

_UNITS = re.compile(
    rf"(?<![^\W\d_]){_UNIT}{_RAISED}?(?:\s?/\s?{_UNIT}{_RAISED}?)+(?:\s?/\s?{_SURFACE})?(?!\w)"
    rf"|(?<!\w)(?:[^\W\d_]{{3,16}}|%)(?:/{_COUNTED_PER})+(?!\w)|(?<=\d)/{_COUNTED_PER}(?!\w)"
    rf"|(?<![^\W\d_]){_UNIT}(?:(?:[·⋅∙]|\s){_UNIT}(?:⁻[¹²³]|\^?[-−–][123](?!\d)))+"
    rf"|(?<![^\W\d_]){_UNIT}{_RAISED}(?!\w)"
)
# Both ends of a range with their unit, and of an interval; years are no quantities.
_END = r"[-−+]?\d+(?:[.,·]\d+)*"
_RANGE = re.compile(
    rf"(?<![\w.,])(?!\d{{4}}\s?[-–—]\s?\d{{4}})(?:{_END}\s?%?\s?[-–—]\s?{_END}\s?(?:[%‰]|°\s?[CF]|"
    rf"(?:{_UNIT}s?|minutes?|seconds?|points?|times|fold)(?!\w))"
    rf"|\d\d(?:\.\d)?\s?%\s?(?:CI|CrI|confidence interval)[\s:,=]{{0,2}}[(\[]?{_END}%?\s?"
    rf"(?:[-–—,;]|to)\s?{_END})"
)
# Brackets that close behind nothing but numbers: of an interval, or right there.
_REST = r"(?:[\d\s.,;:·%<>≤≥=±+–—−-]|\bto\b|\band\b|\bCI\b){0,40}"
_CLOSERS = (("(", ")", re.compile(rf"{_REST}\)")), ("[", "]", re.compile(rf"{_REST}\]")))
_DASH_OF_RANGE = re.compile(r"[\d%][-−–—]\d")
_LONGEST_GROUP = 48
_NEAR = 16  # characters to the first digit or sign that makes a group worth looking for
_MAX_STEPS = 8


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A span of the context with its logit (start + end, unbounded), not yet calibrated."""

    span_logit: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RawPrediction:
    """What the model made of one question.

    Attributes:
        candidates: Best first, none overlapping another; empty where the context holds no token.
        null_logit: Logit of "no span", start + end at position 0; the least over the windows.
        answerability_logit: Logit of the answerability head, the largest over the windows; None
            where the model has no such head.
        verdict_logits: Of ``VERDICT_CLASSES``, of the window that holds the best span, (4,); None where the
            model has no such head.
    """

    candidates: tuple[Candidate, ...]
    null_logit: float
    answerability_logit: float | None
    verdict_logits: tuple[float, ...] | None = None

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


EMPTY_PREDICTION = RawPrediction(candidates=(), null_logit=0.0, answerability_logit=None)


def decode(
    questions: Sequence[Question],
    windows: Sequence[Window],
    logits: Sequence[WindowLogits],
    config: DecodeConfig,
    *,
    top_k: int = 5,
) -> list[RawPrediction]:
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
) -> RawPrediction:
    by_window = [_window_candidates(w, s, config) for w, s in zip(windows, logits, strict=True)]
    candidates = [candidate for own in by_window for candidate in own]
    if not candidates:
        return EMPTY_PREDICTION
    best = min((i for i, own in enumerate(by_window) if own), key=lambda i: min(map(_rank, by_window[i])))
    verdict = logits[best].verdict
    heads = [s.answerability for s in logits if s.answerability is not None]
    return RawPrediction(
        candidates=_non_overlapping(context, sorted(candidates, key=_rank), top_k),
        null_logit=min(float(s.start[0]) + float(s.end[0]) for s in logits),
        answerability_logit=max(heads) if heads else None,
        verdict_logits=None if verdict is None else tuple(map(float, verdict)),
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
        if start >= end or _overlaps_any(kept, start, end) or _LONE_SIGNS.issuperset(context[start:end]):
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
    """The span without outer white space, widened so that it cuts no word, number or unit in half.

    A number is whole with the bound, sign, leading point, power, fraction, per cent, scale ("million") and
    currency that change its value: "18" in "<18 years" becomes "<18". A quantity with its unit has both
    ends of its range: "18 months" becomes "12–18 months". An interval has the bracket that closes it. What
    stands apart is not drawn in: the unit after a blank, the other end of a range beside a number alone, the
    equals sign of "p = 0.03", the hyphen of "IL-6". No span starts with the dash of a range, since "–18"
    would be a negative number.
    """
    while start < end and context[start].isspace():
        start += 1
    while end > start and context[end - 1].isspace():
        end -= 1
    if start >= end:
        return start, start
    for _ in range(_MAX_STEPS):
        if _starts_with_dash_of_range(context, start):
            start -= 1
        left, right = _whole_words(context, start, end)
        left, right = _group_at(context, left)[0], _group_at(context, right)[1]
        left, right = _whole_range(context, left, right)
        right = _end_of_bracket(context, left, right)
        if (left, right) == (start, end):
            break
        start, end = left, right
    return start, end


def _whole_words(context: str, start: int, end: int) -> tuple[int, int]:
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
    """Whether the characters before and at ``index`` belong to one word."""
    before, at = context[index - 1], context[index]
    if _is_mark(at) or before == _JOINER:
        return not (before.isspace() or at.isspace())
    before = _base(context, index - 1)
    if before.isalnum() and at.isalnum():
        return not (_is_wide(before) or _is_wide(at))
    if before == "°":
        return at.isalpha()
    return at == "°" and before.isdigit()


def _group_at(context: str, index: int) -> tuple[int, int]:
    """The number or the ratio of units that ``index`` would cut; ``(index, index)`` where it cuts none."""
    if not 0 < index < len(context):
        return index, index
    begin, end = max(0, index - _LONGEST_GROUP), index + _LONGEST_GROUP
    for hint, pattern in ((_DIGIT, _NUMBER), (_RATIO_SIGN, _UNITS)):
        if hint.search(context, max(begin, index - _NEAR), index + _NEAR):
            for match in pattern.finditer(context, begin, end):
                if match.start() < index < match.end():
                    return _without_tag(context, match.start()), match.end()
    return index, index


def _whole_range(context: str, start: int, end: int) -> tuple[int, int]:
    """The span widened to a range with a unit that it cuts; one that is a number alone stays as it is."""
    for edge in (start, end):
        begin, stop = max(0, edge - _LONGEST_GROUP), edge + _LONGEST_GROUP
        if _RANGE_SIGN.search(context, begin, stop) is None:
            continue
        for match in _RANGE.finditer(context, begin, stop):
            if match.start() < edge < match.end() and not _LONE_NUMBER.fullmatch(context, start, end):
                return min(start, match.start()), max(end, match.end())
    return start, end


def _end_of_bracket(context: str, start: int, end: int) -> int:
    """The end of a span that opens a bracket with numbers: of "0.71 (0.6" in "0.71 (0.6–0.8)"."""
    for opening, closing, rest in _CLOSERS:
        if context.count(opening, start, end) > context.count(closing, start, end):
            match = rest.match(context, end)
            end = match.end() if match else end
    return end


def _starts_with_dash_of_range(context: str, start: int) -> bool:
    return start > 0 and _DASH_OF_RANGE.match(context, start - 1) is not None


def _without_tag(context: str, start: int) -> int:
    """The start of a number without the end of a tag before it: in "<b>5" there is no bound."""
    is_tag = context[start] == ">" and _TAG_END.search(context, max(0, start - _LONGEST_GROUP), start)
    return start + 1 if is_tag else start


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

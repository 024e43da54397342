"""Decoding: the best span there is, whole words, no overlap, the same every time."""

from __future__ import annotations

import math
import time
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.config import DecodeConfig
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.decoding import (
    EMPTY_PREDICTION,
    Candidate,
    RawPrediction,
    _non_overlapping,
    decode,
    whole_words,
)
from qa_extractive.inference.windows import Window
from qa_extractive.types import Question

SEEDED = settings(max_examples=200, deadline=None, derandomize=True, database=None)
FIRST = 3  # context tokens stand after [CLS] question [SEP]


def _window(offsets: list[tuple[int, int]], question_index: int = 0) -> Window:
    n_tokens = FIRST + len(offsets) + 1
    ids = np.arange(n_tokens)
    return Window(
        question_index, ids, np.zeros_like(ids), FIRST, np.array(offsets, dtype=np.int64).reshape(-1, 2)
    )


def _words(n: int) -> tuple[str, list[tuple[int, int]]]:
    """A text of n one-letter words and their offsets."""
    return " ".join("abcdefghijklmnopqrstuvwxyz"[i % 26] for i in range(n)), [
        (2 * i, 2 * i + 1) for i in range(n)
    ]


def _logits(
    start: list[float], end: list[float], null: float = 0.0, head: float | None = None
) -> WindowLogits:
    """Logits of context tokens; the question's and the last [SEP]'s are high and must not matter."""
    lead = [null / 2, 99.0, 99.0]
    return WindowLogits(
        np.array([*lead, *start, 99.0], dtype=np.float32),
        np.array([*lead, *end, 99.0], dtype=np.float32),
        head,
    )


def _random(n: int, rng: np.random.Generator) -> WindowLogits:
    return _logits(rng.normal(size=n).tolist(), rng.normal(size=n).tolist())


def _read(
    context: str, windows: list[Window], logits: list[WindowLogits], top_k: int = 5, **config: int
) -> RawPrediction:
    (reading,) = decode([Question("what", context)], windows, logits, DecodeConfig(**config), top_k=top_k)
    return reading


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("max_answer_tokens", [1, 4, 100])
def test_the_best_span_is_the_best_of_all_pairs(seed: int, max_answer_tokens: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    context, offsets = _words(n)
    logits = _random(n, rng)
    start, end = (each[FIRST:-1].astype(np.float64) for each in (logits.start, logits.end))
    pairs = [(i, j) for i in range(n) for j in range(i, min(n, i + max_answer_tokens))]
    i, j = max(pairs, key=lambda pair: start[pair[0]] + end[pair[1]])
    reading = _read(context, [_window(offsets)], [logits], n_best=n, max_answer_tokens=max_answer_tokens)
    assert reading.candidates[0] == Candidate(start[i] + end[j], offsets[i][0], offsets[j][1])


@pytest.mark.parametrize("seed", range(10))
def test_candidates_are_ranked_short_enough_and_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    context, offsets = _words(40)
    reading = _read(context, [_window(offsets)], [_random(40, rng)], top_k=6, n_best=40, max_answer_tokens=3)
    assert 2 <= len(reading.candidates) <= 6
    assert all((c.end - c.start + 1) // 2 <= 3 for c in reading.candidates)
    assert all(a.span_logit >= b.span_logit for a, b in pairwise(reading.candidates))
    by_place = sorted(reading.candidates, key=lambda c: c.start)
    assert all(a.end <= b.start for a, b in pairwise(by_place))


def test_a_narrow_beam_without_a_pair_still_gives_a_span() -> None:
    context, offsets = _words(4)
    reading = _read(context, [_window(offsets)], [_logits([0, 0, 9, 0], [9, 0, 0, 0])], n_best=1)
    assert reading.candidates == (Candidate(9.0, 4, 5),), "the only start is after the only end"


def test_a_full_beam_keeps_the_best_among_many_equals() -> None:
    context, offsets = _words(5)
    flat_but_last = [1.0, 1.0, 1.0, 1.0, 9.0]
    reading = _read(context, [_window(offsets)], [_logits(flat_but_last, flat_but_last)], n_best=2)
    assert reading.candidates[0] == Candidate(18.0, 8, 9)


def test_top_k_counts_spans_that_differ_after_widening() -> None:
    context, offsets = "mortality fell", [(0, 4), (4, 9), (10, 14)]
    reading = _read(context, [_window(offsets)], [_logits([5, 4, 3], [5, 4, 3])], top_k=2, n_best=3)
    assert [context[c.start : c.end] for c in reading.candidates] == ["mortality", "fell"]


@SEEDED
@given(
    context=st.text("ab 1.,\u0301\n", min_size=1, max_size=30),
    pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=25),
    top_k=st.integers(1, 6),
)
def test_what_overlaps_before_widening_overlaps_after(
    context: str, pairs: list[tuple[int, int]], top_k: int
) -> None:
    """Spans that begin or end in white space too: what is skipped early would be skipped anyway."""
    places = [sorted((min(a, len(context)), min(b, len(context)))) for a, b in pairs]
    ranked = [Candidate(-float(i), start, end) for i, (start, end) in enumerate(places)]
    kept: list[Candidate] = []
    for each in ranked:
        start, end = whole_words(context, each.start, each.end)
        if start < end and not any(start < k.end and k.start < end for k in kept):
            kept.append(Candidate(each.span_logit, start, end))
    assert _non_overlapping(context, ranked, top_k) == tuple(kept[:top_k])


def test_windows_merge_by_the_weakest_null_and_the_strongest_head() -> None:
    context, offsets = _words(6)
    windows = [_window(offsets[:3]), _window(offsets[3:])]
    logits = [
        _logits([1, 0, 0], [1, 0, 0], null=-4.0, head=-2.0),
        _logits([0, 3, 0], [0, 3, 0], null=5.0, head=1.5),
    ]
    reading = _read(context, windows, logits, n_best=3)
    assert reading.candidates[0] == Candidate(6.0, 8, 9)
    assert (reading.null_logit, reading.answerability_logit) == (-4.0, 1.5)
    assert reading.margin == 10.0
    headless = _read(context, windows, [WindowLogits(x.start, x.end, None) for x in logits], n_best=3)
    assert headless.answerability_logit is None
    assert headless.features()[0] == headless.margin
    assert reading.features().tolist() == [1.5, 10.0, reading.gap, pytest.approx(math.log(2))]


def test_the_gap_is_that_of_the_two_best_and_bounded() -> None:
    def gap(*logits: float) -> float:
        return RawPrediction(
            tuple(Candidate(x, 2 * i, 2 * i + 1) for i, x in enumerate(logits)), 0.0, None
        ).gap

    assert gap(3.0, 1.0, 0.5) == 2.0
    assert gap(90.0, 1.0) == gap(90.0) == 20.0


def test_the_same_span_of_two_windows_counts_once() -> None:
    context, offsets = _words(3)
    logits = [_logits([1, 0, 0], [1, 0, 0]), _logits([2, 0, 0], [2, 0, 0])]
    reading = _read(context, [_window(offsets), _window(offsets)], logits, n_best=1)
    assert reading.candidates == (Candidate(4.0, 0, 1),)


def test_ties_go_to_the_earlier_and_shorter_span() -> None:
    context, offsets = _words(30)
    flat = _logits([0.0] * 30, [0.0] * 30)
    config = {"n_best": 7, "top_k": 3, "max_answer_tokens": 5}
    reading = _read(context, [_window(offsets)], [flat], **config)
    assert [(c.start, c.end) for c in reading.candidates] == [(0, 1), (2, 3), (4, 5)]
    twice = _read(
        context,
        [_window(offsets[15:]), _window(offsets[:15])],
        [_logits([0.0] * 15, [0.0] * 15)] * 2,
        **config,
    )
    assert twice.candidates == reading.candidates, "the order of windows does not break ties"


def test_readings_keep_the_order_of_questions_and_are_empty_without_tokens() -> None:
    context, offsets = _words(3)
    questions = [
        Question("what", context),
        Question("what", ""),
        Question("what", "\0"),
        Question("what", context),
    ]
    windows = [_window(offsets[:1], 3), _window([], 2), _window(offsets[2:], 0)]
    logits = [_logits([1], [1]), _logits([], []), _logits([2], [2])]
    first, blank, tokenless, last = decode(questions, windows, logits, DecodeConfig())
    assert blank == tokenless == EMPTY_PREDICTION
    assert (first.candidates, last.candidates) == ((Candidate(4.0, 4, 5),), (Candidate(2.0, 0, 1),))


@pytest.mark.parametrize(
    ("context", "part", "whole"),
    [
        ("the mortality fell", "ortal", "mortality"),
        ("the mortality fell", " mortality ", "mortality"),
        ("by 3.5 mg", "3", "3.5"),
        ("by 3.5 mg", "5", "3.5"),
        ("of 95,000 people", "000", "95,000"),
        ("of 95,000 people", "95,0", "95,000"),
        ("of 1,234.56 g", "234", "1,234.56"),
        ("of 12.", "12", "12"),
        ("groups 1, 2", "1", "1"),
        ("the IL-6 level", "6", "6"),
        ("x² falls", "x", "x²"),
        ("(p<0.05)", "05", "<0.05"),
        ("rose 12.5% more", "12.5", "12.5%"),
        ("at 37 °C then", "37", "37"),
        ("at 37°C then", "37", "37°C"),
        ("fell by -0.5 points", "0", "-0.5"),
        ("fell (−3 to 2)", "3", "−3"),
        ("aged 10-20 years", "20", "20"),
        ("aged 10-20 years", "10", "10"),
        ("about 10^6 cells", "10", "10^6"),
        ("about 10^-6 M", "6", "10^-6"),
        ("about 10^-6 M", "10", "10^-6"),
        ("at 5 mg/kg daily", "5 mg", "5 mg/kg"),
        ("at 5 mg/kg/day.", "5 mg", "5 mg/kg/day"),
        ("at 5 mg/kg/day.", "kg", "mg/kg/day"),
        ("in kg/m² units", "m²", "kg/m²"),
        ("men and/or women", "men and", "men and"),
        ("the IL/STAT axis", "STAT", "STAT"),
        ("mg/s", "s", "mg/s"),
        ("e\u0301te\u0301 fin", "e\u0301", "e\u0301te\u0301"),
        ("e\u0301te\u0301 fin", "te", "e\u0301te\u0301"),
        ("हिन्दी में", "ह", "हिन्दी"),
        ("مُحَمَّد قال", "ح", "مُحَمَّد"),
        ("a \u0301b", "\u0301b", "\u0301b"),
        ("\U0001f469\u200d\U0001f52c works", "\U0001f469", "\U0001f469\u200d\U0001f52c"),
        ("\U0001f469\u200d\U0001f52c works", "\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("❤\ufe0fword", "❤\ufe0f", "❤\ufe0f"),
        ("我们治疗了患者", "治疗", "治疗"),
        ("か\u3099くせい", "か\u3099", "か\u3099"),
        ("か\u3099くせい", "か", "か\u3099"),
        ("환자에서 감소", "환자", "환자"),
        ("ผู้ป่วยลดลง", "ผู้ป่วย", "ผู้ป่วย"),
    ],
    ids=ascii,
)
def test_whole_words_by_hand(context: str, part: str, whole: str) -> None:
    at = context.index(part)
    start, end = whole_words(context, at, at + len(part))
    assert context[start:end] == whole


WORDY = st.text(st.sampled_from("abZ39.,  -\n\u0301中é(\u200d\0\ud800"), min_size=1, max_size=24)


@SEEDED
@given(context=WORDY, data=st.data())
def test_whole_words_cuts_no_word_no_number_and_no_mark(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start, len(context)))
    left, right = whole_words(context, start, end)
    if not context[start:end].strip():
        assert left == right, "nothing is left of white space"
        return
    text = context[left:right]
    assert text.strip() in (text, text.strip())
    assert text == text.strip()
    assert left <= start + len(context[start:end]) - len(context[start:end].lstrip())
    assert whole_words(context, left, right) == (left, right), "widening twice is widening once"
    for i in (left, right):
        if 0 < i < len(context):
            before, at = context[i - 1], context[i]
            assert not (before + at).isascii() or not (before.isalnum() and at.isalnum())
            assert not unicodedata.combining(at) or before.isspace()
            number = context[max(0, i - 2) : i + 2]
            assert not any(
                number[k].isdigit() and number[k + 1] in ".," and number[k + 2 : k + 3].isdigit()
                for k in range(len(number) - 2)
                if before in ".,0123456789" and at in ".,0123456789"
            )


def test_a_word_of_a_million_characters_stays_as_it_is_and_takes_no_time() -> None:
    context = "a" * 1_000_000
    began = time.process_time()
    assert whole_words(context, 500_000, 500_010) == (500_000, 500_010)
    assert whole_words("e" + "\u0301" * 1_000_000, 500_000, 500_010) == (500_000, 500_010)
    assert time.process_time() - began < 1.0
    assert whole_words("a" * 60, 20, 30) == (0, 60)

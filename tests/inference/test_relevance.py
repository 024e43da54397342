"""The sentences worth keeping: probabilities that add up, and a rule that does what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from qa_extractive import ModelError, Predictor, Question, Span
from qa_extractive._utils.sentences import split_sentences
from qa_extractive.inference.backend import DROPPED, WindowLogits
from qa_extractive.inference.relevance import KeepRule, scored_sentences
from qa_extractive.inference.windows import Window

ASKED = "By how much did systolic pressure fall?"
TEXT = (
    "🧂 We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5). "
    "Potassium did not change."
)
OTHER = "The bridge was painted green. It is 40 m long."


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(n_threads=1)


def spans(*scores: float) -> list[Span]:
    return [Span("x" * 10, 20 * i, 20 * i + 10, score) for i, score in enumerate(scores)]


# ---------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (KeepRule(), [0, 2, 3]),
        (KeepRule(0.0), [0, 1, 2, 3]),
        (KeepRule(0.4), [2]),
        (KeepRule(0.6), []),
        (KeepRule(0.0, 2), [0, 2]),
        (KeepRule(0.0, None, 0.75), [0, 2, 3]),
        (KeepRule(0.0, None, 0.74), [0, 2]),
        (KeepRule(0.0, None, 0.01), [2]),
        (KeepRule(0.6, None, 0.01), []),
        (KeepRule(0.0, 3, 0.5), [0, 2]),
    ],
)
def test_the_most_probable_are_kept_in_document_order(rule: KeepRule, kept: list[int]) -> None:
    sentences = spans(0.3, 0.01, 0.5, 0.1)
    assert rule.kept(sentences) == [sentences[i] for i in kept]


def test_of_equals_the_first_is_kept() -> None:
    assert [each.start for each in KeepRule(0.0, 2).kept(spans(0.2, 0.2, 0.2))] == [0, 20]


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"max_sentences": 0},
        {"max_sentences": True},
        {"max_share": 0.0},
        {"max_share": 1.5},
        {"max_share": "a half"},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        KeepRule(**wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- probabilities


def test_they_sum_to_answerable_and_the_texts_are_verbatim(predictor: Predictor) -> None:
    kept = predictor.relevant_sentences(ASKED, TEXT, threshold=0)
    assert [(each.start, each.end) for each in kept] == [(s.start, s.end) for s in split_sentences(TEXT)]
    assert all(TEXT[each.start : each.end] == each.text for each in kept)
    assert sum(each.score for each in kept) == pytest.approx(predictor.answer(ASKED, TEXT).answerable)
    (only,) = predictor.relevant_sentences(ASKED, TEXT)
    assert only == max(kept, key=lambda each: each.score)
    assert "3.3 mmHg" in only.text


def test_a_text_that_does_not_answer_may_keep_nothing(predictor: Predictor) -> None:
    assert predictor.relevant_sentences(ASKED, OTHER, threshold=0.2) == []
    assert predictor.relevant_sentences(ASKED, " \n") == []


def test_many_are_each_alone(predictor: Predictor) -> None:
    asked = [
        Question(ASKED, TEXT),
        Question(ASKED, " "),
        Question("How long is the bridge?", OTHER, "A bridge"),
    ]
    alone = [predictor.relevant_sentences(q.question, q.context, q.title, max_sentences=1) for q in asked]
    assert predictor.relevant_sentences_batch(asked, max_sentences=1) == alone
    assert [len(each) for each in alone] == [1, 0, 1]


def test_windows_of_a_long_text_compete(predictor: Predictor) -> None:
    filler = "Nurses kept a diary of their sleep in every one of the wards. " * 120
    text = filler + "Systolic pressure fell by 3.3 mmHg. " + filler
    scored = predictor.relevant_sentences(ASKED, text, threshold=0)
    best = max(scored, key=lambda each: each.score)
    assert best.text == "Systolic pressure fell by 3.3 mmHg."
    assert sum(each.score for each in scored) == pytest.approx(predictor.answer(ASKED, text).answerable)
    assert best.score > 0.5


def test_sentences_that_were_skimmed_over_have_no_probability() -> None:
    fast = Predictor(effort="fast", n_threads=1)
    kept = fast.relevant_sentences(ASKED, TEXT + " " + OTHER * 3, threshold=0)
    assert min(each.score for each in kept) == 0.0
    assert "3.3 mmHg" in max(kept, key=lambda each: each.score).text


def test_a_share_is_that_of_the_spans_inside_a_sentence(predictor: Predictor) -> None:
    """Two sentences of two tokens each, by hand; a token that was left out counts for nothing."""
    question = Question("Why?", "Ab cd. Ef gh.")
    offsets = np.array([[0, 2], [3, 6], [7, 9], [10, 13]])
    window = Window(0, np.arange(6), np.zeros(6, dtype=np.int64), 1, offsets)

    def shares(start: Sequence[float], end: Sequence[float]) -> list[float]:
        logits = WindowLogits(np.array([0, *start, 0], np.float32), np.array([0, *end, 0], np.float32), 0.0)
        (raw,) = predictor.read_batch([question])
        sure = replace(raw, answerability_logit=1e9)
        (found,) = scored_sentences([question], [window], [logits], [sure], predictor.calibration)
        total = sum(each.score for each in found)
        return [each.score / total for each in found]

    assert shares([0, 0, 0, 0], [0, 0, 0, 0]) == pytest.approx([0.5, 0.5])
    # spans of the first: e^1 e^0 + e^1 e^0 + e^0 e^0, of the second: 3 times e^0, logits being halved
    assert shares([2, 0, 0, 0], [0, 0, 0, 0]) == pytest.approx(
        [(2 * np.e + 1) / (2 * np.e + 4), 3 / (2 * np.e + 4)]
    )
    # only a span that would cross from one to the other
    assert shares([0, DROPPED, DROPPED, DROPPED], [0, DROPPED, DROPPED, 0]) == pytest.approx([1.0, 0.0])

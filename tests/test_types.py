"""Records refuse what cannot be, and cut verbatim."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.errors import DataError
from qa_extractive.types import UNSURE_FROM, Answer, Example, Question, Span, documents_of

SEEDED = settings(deadline=None, derandomize=True, database=None)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
QUESTION = Question("What fell?", "The risk fell.")


@SEEDED
@given(ANY_TEXT, st.integers(-3, 23), st.integers(-3, 23))
def test_cut_gives_the_slice_or_refuses(context: str, start: int, end: int) -> None:
    if 0 <= start < end <= len(context):
        span = Span.cut(context, start, end, 0.25)
        assert (span.text, span.start, span.end, span.score) == (context[start:end], start, end, 0.25)
    else:
        with pytest.raises(DataError, match="outside its context"):
            Span.cut(context, start, end)


@SEEDED
@given(*[st.integers(0, 6)] * 4)
def test_overlap_is_a_shared_character(a: int, b: int, c: int, d: int) -> None:
    left, right = (Span("x" * abs(p - q), min(p, q), max(p, q)) for p, q in ((a, b), (c, d)))
    shared = set(range(left.start, left.end)) & set(range(right.start, right.end))
    if left.text and right.text:
        assert left.overlaps(right) == right.overlaps(left) == bool(shared)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("risk", 4, 7), "does not fit its text of 4"),
        (("risk", -1, 3), "does not fit"),
        (("risk", 4, 8, 1.01), "score must lie in"),
        (("risk", 4, 8, -0.01), "score must lie in"),
        (("risk", 4, 8, float("nan")), "score must lie in"),
    ],
)
def test_a_span_that_cannot_be_is_refused(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Span(*values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("", "context"), "question is empty"),
        ((" \t\u00a0\u2003", "context"), "question is empty"),
        ((None, "context"), "question must be a string, not NoneType"),
        (("What?", b"context"), "context must be a string, not bytes"),
        (("What?", "context", 3), "title must be a string, not int"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Question(*values)


def test_an_empty_context_and_any_unicode_can_be_asked_of() -> None:
    assert Question("?", "", "").context == ""
    assert Question("\ud800\0", "\udfff").question == "\ud800\0"


@pytest.mark.parametrize(
    "span",
    [Span("risk", 5, 9), Span("RISK", 4, 8), Span("fell.\n", 9, 15)],
    ids=["shifted", "another case", "past the end"],
)
def test_an_example_holds_only_verbatim_spans(span: Span) -> None:
    with pytest.raises(DataError, match="e1: the context at"):
        Example("e1", QUESTION, spans=(span,))


def test_an_example_cannot_be_unanswerable_and_hold_an_answer() -> None:
    with pytest.raises(DataError, match="e1: has labelled spans"):
        Example("e1", QUESTION, spans=(Span("risk", 4, 8),), answerable=False)


@pytest.mark.parametrize(
    ("spans", "answerable", "labelled"),
    [
        ((Span("risk", 4, 8),), True, True),
        ((Span("risk", 4, 8),), None, True),
        ((), False, True),
        ((), True, False),
        ((), None, False),
    ],
)
def test_what_counts_as_labelled(spans: tuple[Span, ...], answerable: bool | None, labelled: bool) -> None:
    assert Example("e1", QUESTION, spans=spans, answerable=answerable).is_labelled is labelled


def test_records_are_frozen_and_hashable_whatever_their_fields() -> None:
    example = Example("e1", QUESTION, fields={"year": [2020]})
    assert example == Example("e1", QUESTION, fields={"year": 1}), "fields do not tell examples apart"
    assert len({example, Example("e1", QUESTION), Example("e2", QUESTION)}) == 2
    for record in (example, QUESTION, Span("risk", 4, 8)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, "other")


@pytest.mark.parametrize(
    "values",
    [
        {"text": "risk", "start": 4, "end": 9},
        {"text": "risk", "start": -4, "end": 0},
        {"text": "risk", "start": 4, "end": 8, "abstained": True},
        {"text": "", "start": 4, "end": 4, "abstained": True},
    ],
)
def test_an_answer_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="answer"):
        Answer(**{"score": 0.5, "answerable": 0.5, "abstained": False, **values})


def test_an_answer_as_plain_values() -> None:
    sentence, other = Span("The risk fell.", 0, 14, 0.7), Span("fell", 9, 13, 0.1)
    answer = Answer("risk", 4, 8, 0.7, 0.9, False, sentence, (Span("risk", 4, 8, 0.7), other))
    values = json.loads(json.dumps(answer.to_dict()))
    assert values == {
        "text": "risk",
        "start": 4,
        "end": 8,
        "score": 0.7,
        "answerable": 0.9,
        "abstained": False,
        "status": "answered",
        "sentence": {"text": "The risk fell.", "start": 0, "end": 14, "score": 0.7},
        "candidates": [
            {"text": "risk", "start": 4, "end": 8, "score": 0.7},
            {"text": "fell", "start": 9, "end": 13, "score": 0.1},
        ],
        "verdict": None,
        "verdict_score": None,
        "verdict_probs": None,
    }
    assert Answer("", 0, 0, 0.1, 0.2, True, None, (other,)).to_dict()["sentence"] is None


def test_documents_come_once_in_order_of_appearance() -> None:
    examples = [Example(str(i), QUESTION, document=d) for i, d in enumerate("bacab")]
    assert documents_of(examples) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("answerable", "candidates", "status"),
    [
        (UNSURE_FROM, (Span("risk", 4, 8, 0.1),), "unsure"),
        (UNSURE_FROM - 1e-9, (Span("risk", 4, 8, 0.1),), "not_reported"),
        (0.9, (), "not_reported"),
    ],
)
def test_an_abstention_is_unsure_or_says_that_the_context_does_not_say(
    answerable: float, candidates: tuple[Span, ...], status: str
) -> None:
    answer = Answer("", 0, 0, 0.1, answerable, abstained=True, candidates=candidates)
    assert answer.status == status
    assert answer.best == next(iter(candidates), None)

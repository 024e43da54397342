"""Baselines: whole sentences, verbatim, one for each question, and nothing where there is no sentence."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.errors import QAError
from qa_extractive.evaluation.baselines import BASELINES, Baseline, open_baseline
from qa_extractive.evaluation.systems import open_system
from qa_extractive.types import Example, Question, Span

CONTEXT = "We asked 12 nurses. Sleep fell by two hours. Coffee did not help."


def example(context: str, *references: str, question: str = "Q?", answerable: bool | None = None) -> Example:
    known = bool(references) if answerable is None else answerable
    return Example("x", Question(question, context), references=references, answerable=known)


def answers(kind: str, question: str, context: str, data: tuple[Example, ...] = ()) -> list[str]:
    system = open_baseline(kind, data or (example(context),))
    return [span.text for span in system.answer_batch([Question(question, context)])[0].candidates]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("first", "We asked 12 nurses."),
        ("last", "Coffee did not help."),
        ("tfidf", "Sleep fell by two hours."),
    ],
)
def test_each_answers_with_its_sentence(kind: str, expected: str) -> None:
    question = Question("By how many hours fell sleep?", CONTEXT)
    answer = open_baseline(kind, [example(CONTEXT)]).answer_batch([question])[0]
    start = CONTEXT.index(expected)
    assert (answer.text, answer.start, answer.end) == (expected, start, start + len(expected))
    assert (answer.abstained, answer.answerable) == (False, 1.0)
    assert answer.sentence is not None
    assert answer.sentence.text == expected


def test_tfidf_weighs_rare_words_more() -> None:
    context = "The drug was safe. The drug was cheap. The drug cured scurvy."
    assert answers("tfidf", "Was scurvy the drug?", context)[0] == "The drug cured scurvy."


def test_tfidf_ranks_all_sentences_and_takes_the_first_of_equals() -> None:
    found = answers("tfidf", "sleep", CONTEXT)
    assert found == ["Sleep fell by two hours.", "We asked 12 nurses.", "Coffee did not help."]
    assert answers("tfidf", "zebra", CONTEXT)[0] == "We asked 12 nurses."


def test_tfidf_scores_are_cosines() -> None:
    system = open_baseline("tfidf", [example(CONTEXT)])
    same, other = system.answer_batch([Question("Coffee did not help", CONTEXT), Question("zebra", CONTEXT)])
    assert same.score == pytest.approx(1.0)
    assert (other.score, [span.score for span in other.candidates]) == (0.0, [0.0, 0.0, 0.0])


def test_tfidf_takes_word_counts_from_the_data_not_from_the_batch() -> None:
    data = [example(CONTEXT), example("Nurses sleep. Nurses work. Sleep heals.")]
    questions = [Question("Do nurses sleep?", each.question.context) for each in data]
    system = open_baseline("tfidf", data)
    assert system.answer_batch(questions) == [system.answer_batch([each])[0] for each in questions]
    assert open_baseline("tfidf", data * 2).answer_batch(questions) == system.answer_batch(questions)


@pytest.mark.parametrize("context", ["?!", "a b c"])
def test_tfidf_of_data_without_words(context: str) -> None:
    assert answers("tfidf", "a?", context) == [context]


def test_abstain_says_nothing() -> None:
    answer = open_baseline("abstain", []).answer_batch([Question("Q?", CONTEXT)])[0]
    assert (answer.abstained, answer.answerable, answer.candidates) == (True, 0.0, ())


def test_majority_answers_at_the_commonest_place() -> None:
    data = [
        example("One. Two. Three.", "Two."),
        example("One. Two.", "One."),
        example("One. Two. Three. Four.", "Three."),
        example("One."),
    ]
    system = open_baseline("majority", data)
    texts = [a.text for a in system.answer_batch([e.question for e in data])]
    assert texts == ["Two.", "One.", "Three.", "One."]  # the second from the end, the nearest there is
    assert system.answer_batch([data[0].question])[0].answerable == 0.75


def test_majority_reads_labelled_spans_before_references() -> None:
    span = Span.cut(CONTEXT, 0, 8)
    data = [Example("x", Question("Q?", CONTEXT), ("Coffee did not help.",), (span,), answerable=True)]
    assert answers("majority", "Q?", CONTEXT, tuple(data)) == ["We asked 12 nurses."]


def test_majority_abstains_where_most_rows_have_no_answer() -> None:
    data = [example("One. Two.", "Two."), example("One. Two."), example("One. Two.")]
    answer = open_baseline("majority", data).answer_batch([data[0].question])[0]
    assert (answer.abstained, answer.text) == (True, "")
    assert answer.answerable == pytest.approx(1 / 3)
    assert answer.candidates[0].text == "Two."


def test_majority_without_labels_is_the_last_sentence() -> None:
    data = (Example("x", Question("Q?", CONTEXT)),)
    assert answers("majority", "Q?", CONTEXT, data) == ["Coffee did not help."]


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("context", ["", " \n\t "])
def test_a_blank_context_has_no_answer(kind: str, context: str) -> None:
    answer = open_baseline(kind, [example(context)]).answer_batch([Question("Q?", context)])[0]
    assert (answer.abstained, answer.candidates, answer.answerable) == (True, (), 0.0)


@pytest.mark.parametrize("kind", BASELINES)
def test_no_questions_no_answers(kind: str) -> None:
    assert open_baseline(kind, []).answer_batch([]) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("ab .?!\n\u00e9\u4e2d\u3002\U0001f600"), max_size=60), min_size=1, max_size=4
    )
)
def test_every_span_is_verbatim(contexts: list[str]) -> None:
    data = [example(context) for context in contexts]
    questions = [Question("a b?", context) for context in contexts]
    systems: list[Baseline] = [open_baseline(kind, data) for kind in BASELINES]
    for system in systems:
        given_answers = system.answer_batch(questions)
        for context, answer in zip(contexts, given_answers, strict=True):
            assert context[answer.start : answer.end] == answer.text
            assert all(context[s.start : s.end] == s.text for s in answer.candidates)


# ------------------------------------------------------------------------------------- names of systems


@pytest.mark.parametrize("kind", BASELINES)
def test_a_baseline_is_named_as_it_was_asked_for(kind: str) -> None:
    assert open_system(f"baseline:{kind}", []).name == f"baseline:{kind}"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("baseline:", r"no baseline ''.*first\|last\|tfidf\|majority\|abstain"),
        ("baseline:middle", "no baseline 'middle'"),
    ],
)
def test_baselines_that_there_are_not(model: str, message: str) -> None:
    with pytest.raises(QAError, match=message) as caught:
        open_system(model, [])
    assert "\n" not in str(caught.value)


def test_without_scikit_learn_tfidf_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(QAError, match=r"pip install 'qa-extractive\[train\]'"):
        open_baseline("tfidf", [])

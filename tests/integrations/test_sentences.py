"""Which sentences of a text answer a question: needs none of the libraries."""

from __future__ import annotations

import json
import re

import pytest

from qa_extractive import Answer, DataError, Predictor, Span
from qa_extractive.integrations.sentences import answering_sentences, keep_answering
from tests.integration_page import sections

FALL = "By how much did systolic pressure fall?"
TRIAL = (
    "We gave 212 adults the salt substitute. They lived in four villages. "
    "Systolic pressure fell by 3.3 mmHg. Nobody left the trial."
)
SLEEP = "Forty nurses kept a diary. Each night shift cost them 1.4 hours of sleep."


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


def test_the_sentence_of_the_answer_is_kept(predictor: Predictor) -> None:
    trial, sleep = keep_answering(predictor, FALL, [TRIAL, SLEEP])
    assert trial.text == "Systolic pressure fell by 3.3 mmHg."
    assert trial.answer == predictor.answer(FALL, TRIAL)
    (sentence,) = trial.sentences
    assert TRIAL[sentence.start : sentence.end] == trial.text
    assert sentence.score >= trial.answer.score
    assert (sleep.text, sleep.sentences, sleep.answer.abstained) == ("", (), True)


def answer_with(text: str, **scores: float) -> Answer:
    spans = [Span.cut(text, text.index(word), text.index(word) + len(word), p) for word, p in scores.items()]
    best = spans[0]
    return Answer(best.text, best.start, best.end, best.score, 0.9, abstained=False, candidates=tuple(spans))


def test_sentences_with_enough_of_the_probability_are_kept_in_order() -> None:
    text = "It fell in Lund and Malmo. It rose in Turku. It stayed in Bergen."
    kept = answering_sentences(text, answer_with(text, Turku=0.6, Lund=0.07, Malmo=0.06, Bergen=0.09))
    assert [each.text for each in kept] == ["It fell in Lund and Malmo.", "It rose in Turku."]
    assert [each.score for each in kept] == pytest.approx([0.13, 0.6])
    unsure = answering_sentences(text, answer_with(text, Bergen=0.02, Turku=0.01))
    assert [each.text for each in unsure] == ["It stayed in Bergen."]


def test_a_span_over_several_sentences_keeps_all_of_them() -> None:
    text = "First. It fell. Then it rose. Last."
    kept = answering_sentences(text, answer_with(text, **{"fell. Then it": 0.5}))
    assert [each.text for each in kept] == ["It fell.", "Then it rose."]


def test_a_threshold_of_zero_keeps_the_best_sentence(predictor: Predictor) -> None:
    (kept,) = keep_answering(predictor, FALL, [SLEEP], threshold=0)
    assert kept.answer.text
    assert kept.answer.text in kept.text


def test_the_metadata_is_plain_and_points_into_the_text(predictor: Predictor) -> None:
    (kept,) = keep_answering(predictor, FALL, [TRIAL])
    read = json.loads(json.dumps(kept.metadata()))
    assert TRIAL[read["start"] : read["end"]] == read["answer"] == "3.3 mmHg"
    assert [TRIAL[start:end] for start, end in read["sentences"]] == [kept.text]
    assert read["answerable"] == kept.answer.answerable


def test_no_texts_and_blank_texts_keep_nothing(predictor: Predictor) -> None:
    assert keep_answering(predictor, FALL, []) == []
    assert keep_answering(predictor, FALL, [" "])[0].sentences == ()
    with pytest.raises(DataError, match="question is empty"):
        keep_answering(predictor, " ", [TRIAL])


def test_the_page_has_an_example_of_each_library() -> None:
    page = sections()
    assert list(page) == ["Haystack", "LangChain", "LlamaIndex", "spaCy"]
    for heading, blocks in page.items():
        (language, code), (_, said) = blocks
        assert language == "python"
        assert re.search(r"^print|^    print|^        print", code, re.MULTILINE), heading
        assert said.strip(), heading
        compile(code, heading, "exec")

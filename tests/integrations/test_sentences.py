"""Which sentences of a text answer a question: needs none of the libraries."""

from __future__ import annotations

import json
import re

import pytest

from qa_extractive import DataError, Predictor
from qa_extractive.integrations.sentences import keep_answering
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
    assert "Systolic pressure fell by 3.3 mmHg." in trial.text
    assert trial.answer == predictor.answer(FALL, TRIAL)
    assert list(trial.sentences) == predictor.relevant_sentences(FALL, TRIAL)
    assert all(TRIAL[each.start : each.end] == each.text for each in trial.sentences)
    assert (sleep.text, sleep.sentences, sleep.answer.abstained) == ("", (), True)


def test_a_threshold_of_zero_keeps_the_best_sentence(predictor: Predictor) -> None:
    (kept,) = keep_answering(predictor, FALL, [SLEEP], threshold=0)
    assert kept.answer.text
    (sentence,) = kept.sentences
    assert kept.answer.text in sentence.text


def test_the_metadata_is_plain_and_points_into_the_text(predictor: Predictor) -> None:
    (kept,) = keep_answering(predictor, FALL, [TRIAL])
    read = json.loads(json.dumps(kept.metadata()))
    assert TRIAL[read["start"] : read["end"]] == read["answer"] == "3.3 mmHg"
    assert [TRIAL[start:end] for start, end in read["sentences"]] == [each.text for each in kept.sentences]
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

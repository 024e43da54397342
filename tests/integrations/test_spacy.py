"""The spaCy component in real pipelines: blank English ones, written to disk and read again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

spacy = pytest.importorskip("spacy", reason="the extra [spacy] is not installed")

from spacy.tokens import Doc, DocBin, Span  # noqa: E402

from qa_extractive import DataError, ModelError, Predictor  # noqa: E402
from qa_extractive.integrations.spacy import ask  # noqa: E402
from tests.integration_page import check_example  # noqa: E402

FALL = "By how much did systolic pressure fall?"
COST = "How much did the substitute cost?"
QUESTIONS = {"FALL": FALL, "COST": COST}
TRIAL = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg. Nobody left the trial."
SECOND = "The trial ended in May. In Turku systolic pressure fell by 5 mmHg after a year."
SLEEP = "Forty nurses kept a diary. Each night shift cost them 1.4 hours of sleep."


def make_pipeline(**settings: Any) -> Any:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("qa_extractive", config={"questions": QUESTIONS, **settings})
    return nlp


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope="module")
def nlp() -> Any:
    return make_pipeline()


def spans_of(doc: Doc) -> list[tuple[str, int, int, str]]:
    return [(span.label_, span.start, span.end, span.text) for span in doc.spans["answers"]]


def test_a_document_has_a_span_for_each_answer(nlp: Any, predictor: Predictor) -> None:
    doc = nlp(TRIAL)
    (span,) = doc.spans["answers"]
    assert isinstance(span, Span)
    assert (span.label_, span.text, span.sent.text) == (
        "FALL",
        "3.3 mmHg",
        "Systolic pressure fell by 3.3 mmHg.",
    )
    for label, question in QUESTIONS.items():
        assert doc._.answers[label] == predictor.answer(question, TRIAL).to_dict()
    assert span._.answer is doc._.answers["FALL"]
    assert doc._.answers["COST"]["status"] == "not_reported"


def test_many_documents_are_answered_as_each_by_itself(nlp: Any) -> None:
    texts = [TRIAL, SLEEP, "", SECOND] * 3
    for n in (1, 5, 100):
        docs = list(nlp.pipe(texts, batch_size=n))
        assert [doc.text for doc in docs] == texts
        for doc in docs:
            alone = nlp(doc.text)
            assert doc._.answers == alone._.answers
            assert spans_of(doc) == spans_of(alone)


def test_documents_of_several_processes(nlp: Any) -> None:
    docs = list(nlp.pipe([TRIAL, SECOND], n_process=2, batch_size=1))
    assert [doc.spans["answers"][0]._.answer["text"] for doc in docs] == ["3.3 mmHg", "5 mmHg"]


def test_a_span_reaches_to_whole_tokens(predictor: Predictor) -> None:
    text = "Pressure fell by (3.3)mmHg."
    doc = Doc(
        spacy.blank("en").vocab, words=["Pressure", "fell", "by", "(3.3)mmHg."], spaces=[True] * 3 + [False]
    )
    assert doc.text == text
    span = ask(doc, "By how much did pressure fall?", predictor=predictor)
    assert span is not None
    assert span.text == "(3.3)mmHg."
    answer = span._.answer
    assert answer["text"] == text[answer["start"] : answer["end"]]
    assert answer["text"] in span.text
    assert len(answer["text"]) < len(span.text)


def test_asking_a_document_by_itself(predictor: Predictor) -> None:
    doc = spacy.blank("en")(TRIAL)
    span = doc._.ask("How many adults took part?")
    assert (span.text, span.start, span.label_) == ("212", 2, "How many adults took part?")
    assert doc._.ask(COST) is None
    assert doc._.ask(FALL, label="FALL", predictor=predictor).text == "3.3 mmHg"
    assert [label for label, *_ in spans_of(doc)] == ["How many adults took part?", "FALL"]
    assert set(doc._.answers) == {"How many adults took part?", COST, "FALL"}


def test_asking_again_replaces_what_was_noted(predictor: Predictor) -> None:
    doc = spacy.blank("en")(TRIAL)
    ask(doc, "How many adults took part?", label="X", predictor=predictor)
    ask(doc, FALL, label="X", predictor=predictor)
    assert spans_of(doc) == [("X", 12, 14, "3.3 mmHg")]
    assert ask(doc, COST, label="X", predictor=predictor) is None
    assert spans_of(doc) == []
    assert doc._.answers["X"]["abstained"]


def test_two_questions_with_one_span_keep_their_own_answers(predictor: Predictor) -> None:
    doc = spacy.blank("en")(TRIAL)
    first = ask(doc, FALL, predictor=predictor)
    second = ask(doc, "What was the fall in systolic pressure?", predictor=predictor)
    assert first is not None
    assert second is not None
    assert (first.start, first.end) == (second.start, second.end)
    assert first._.answer["answerable"] != second._.answer["answerable"]


def test_a_pipeline_is_written_and_found_again_without_an_import(nlp: Any, tmp_path: Path) -> None:
    nlp.to_disk(tmp_path / "nlp")
    code = (
        "import sys, spacy\n"
        "doc = spacy.load(sys.argv[1])(sys.argv[2])\n"
        "print([(s.label_, s.text) for s in doc.spans['answers']])"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "nlp"), TRIAL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[('FALL', '3.3 mmHg')]\n"


def test_documents_are_stored_with_their_answers(nlp: Any) -> None:
    stored = DocBin(store_user_data=True, docs=[nlp(TRIAL)]).to_bytes()
    (doc,) = DocBin(store_user_data=True).from_bytes(stored).get_docs(nlp.vocab)
    assert spans_of(doc) == spans_of(nlp(TRIAL))
    assert json.dumps(doc._.answers) == json.dumps(nlp(TRIAL)._.answers)  # lists come back as tuples


def test_settings_of_the_component(predictor: Predictor, tmp_path: Path) -> None:
    assert spans_of(make_pipeline(threshold=1.0)(TRIAL)) == []
    assert len(spans_of(make_pipeline(threshold=0.0, model=str(predictor.folder))(TRIAL))) == 2
    with pytest.raises(ModelError):
        make_pipeline(model=str(tmp_path))
    with pytest.raises(DataError, match="question is empty"):
        make_pipeline(questions={"X": " "})(TRIAL)


def test_the_example_of_the_page() -> None:
    check_example("spaCy")

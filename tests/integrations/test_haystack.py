"""The Haystack component in real pipelines: BM25 in front of it, written to YAML and read again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

haystack = pytest.importorskip("haystack", reason="the extra [haystack] is not installed")

from haystack import Document, Pipeline  # noqa: E402
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever  # noqa: E402
from haystack.core.errors import DeserializationError  # noqa: E402
from haystack.dataclasses import ExtractedAnswer  # noqa: E402
from haystack.document_stores.in_memory import InMemoryDocumentStore  # noqa: E402

from qa_extractive import DataError, ModelError, Predictor  # noqa: E402
from qa_extractive.integrations.haystack import ExtractiveReader  # noqa: E402
from tests.integration_page import check_example  # noqa: E402

MODULE = "qa_extractive.integrations.haystack"
FALL = "By how much did systolic pressure fall?"
TRIAL = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg."
SECOND = "In Turku systolic pressure fell by 5 mmHg after a year. The trial ended in May."
SLEEP = "Forty nurses noted how much they slept. Each night shift cost them 1.4 hours of sleep."


def make_pipeline(**settings: Any) -> Any:
    store = InMemoryDocumentStore()
    store.write_documents(
        [Document(content=text, meta={"from": text[:3]}) for text in (TRIAL, SECOND, SLEEP)]
    )
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store))
    pipeline.add_component("reader", ExtractiveReader(**settings))
    pipeline.connect("retriever", "reader")
    return pipeline


def ask(pipeline: Any, query: str, **settings: Any) -> list[ExtractedAnswer]:
    run = pipeline.run({"retriever": {"query": query}, "reader": {"query": query, **settings}})
    answers: list[ExtractedAnswer] = run["reader"]["answers"]
    return answers


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return make_pipeline()


def test_the_answers_are_those_of_the_predictor(pipeline: Any) -> None:
    *answers, none = ask(pipeline, FALL)
    predictor = Predictor()
    given = {text: predictor.answer(FALL, text) for text in (TRIAL, SECOND, SLEEP)}
    expected = sorted((a for a in given.values() if not a.abstained), key=lambda a: -a.score)
    assert len(expected) == 2
    assert [(a.data, a.score) for a in answers] == [(a.text, a.score) for a in expected]
    for answer in answers:
        assert answer.query == FALL
        text, place, within = answer.document.content, answer.document_offset, answer.context_offset
        assert text[place.start : place.end] == answer.data
        assert answer.context[within.start : within.end] == answer.data
        sentence = given[text].sentence
        assert sentence is not None
        assert answer.context == sentence.text
        assert answer.document.meta == {"from": text[:3]}
        assert answer.meta["answerable"] == given[text].answerable
    assert (none.data, none.document, none.context) == (None, None, None)
    product = 1.0
    for each in given.values():
        product *= 1.0 - each.answerable
    assert none.score == pytest.approx(product)


def test_where_no_document_answers_only_that_is_said(pipeline: Any) -> None:
    (none,) = ask(pipeline, "Which vaccine was given?")
    assert none.data is None
    assert 0.5 < none.score <= 1.0
    assert ask(make_pipeline(no_answer=False), "Which vaccine was given?") == []


def test_settings_of_a_run(pipeline: Any) -> None:
    assert [a.data is None for a in ask(pipeline, FALL, top_k=1)] == [False, True]
    assert len([a for a in ask(pipeline, FALL, threshold=0.0) if a.data]) == 3
    with pytest.raises(Exception, match="threshold") as raised:
        ask(pipeline, FALL, threshold=2.0)
    assert isinstance(raised.value, ModelError) or isinstance(raised.value.__cause__, ModelError)


def test_several_answers_of_a_document() -> None:
    reader = ExtractiveReader(answers_per_document=3, no_answer=False)
    both = f"{TRIAL} {SECOND}"
    answers = reader.run(FALL, [Document(content=both)])["answers"]
    assert {answer.data for answer in answers} == {"3.3 mmHg", "5 mmHg"}
    assert answers == sorted(answers, key=lambda answer: -answer.score)


def test_a_pipeline_in_yaml_answers_alike() -> None:
    pipeline = make_pipeline(threshold=0.05, answers_per_document=2, title_field="title")
    text = pipeline.dumps()
    with pytest.raises(DeserializationError, match="allow"):
        Pipeline.loads(text)
    again = Pipeline.loads(text, allowed_modules=[MODULE])
    assert again.dumps() == text
    # The store is in memory and shared by its index's name: both pipelines read the same documents.
    assert ask(again, FALL) == ask(pipeline, FALL)


def test_a_component_as_a_dict() -> None:
    settings: dict[str, Any] = {
        "model": None,
        "top_k": 4,
        "answers_per_document": 2,
        "no_answer": False,
        "title_field": "title",
        "threshold": None,
        "max_risk": 0.3,
        "effort": "fast",
        "precision": "exact",
        "n_threads": 1,
    }
    written = ExtractiveReader(**settings).to_dict()
    assert written == {"type": f"{MODULE}.ExtractiveReader", "init_parameters": settings}
    again = ExtractiveReader.from_dict(written)
    assert again.to_dict() == written
    again.warm_up()
    assert again._predictor is not None
    assert (again._predictor.effort, again._predictor.precision, again._predictor.top_k) == (
        "fast",
        "exact",
        2,
    )
    assert again._predictor.threshold == Predictor(max_risk=0.3, effort="fast").threshold


def test_a_model_that_is_none_fails_when_it_is_loaded(tmp_path: Any) -> None:
    reader = ExtractiveReader(str(tmp_path))
    with pytest.raises(ModelError):
        reader.warm_up()


def test_answers_can_be_stored() -> None:
    answers = ExtractiveReader().run(FALL, [Document(content=TRIAL)])["answers"]
    assert [ExtractedAnswer.from_dict(answer.to_dict()) for answer in answers] == answers


def test_titles_are_read_pages_counted_and_documents_without_text_left_out() -> None:
    question = "By how much did pressure fall in Lund?"
    text = "Some words come first.\fPressure fell by 3 mmHg."
    plain, titled = (ExtractiveReader(title_field=field, threshold=0.0) for field in (None, "title"))
    documents = [
        Document(content=text, meta={"title": "Salt in Lund", "page_number": 4}),
        Document(content=None),
        Document(content=""),
    ]
    (answer,) = (a for a in titled.run(question, documents)["answers"] if a.data)
    (other,) = (a for a in plain.run(question, documents)["answers"] if a.data)
    assert answer.meta["answer_page_number"] == 5
    assert answer.meta["answerable"] == Predictor().answer(question, text, "Salt in Lund").answerable
    assert answer.meta["answerable"] != other.meta["answerable"]
    (none,) = titled.run(question, [])["answers"]
    assert (none.data, none.score) == (None, 1.0)
    with pytest.raises(DataError, match="question is empty"):
        titled.run(" ", documents)


def test_the_verdict_of_a_yes_no_question_is_kept() -> None:
    question = "Did systolic pressure fall?"
    answer = ExtractiveReader(no_answer=False).run(question, [Document(content=TRIAL)])["answers"][0]
    given = Predictor().answer(question, TRIAL)
    assert given.verdict is not None
    assert (answer.meta["verdict"], answer.meta["verdict_score"]) == (given.verdict, given.verdict_score)


def test_an_asynchronous_pipeline(pipeline: Any) -> None:
    inputs = {"retriever": {"query": FALL}, "reader": {"query": FALL}}
    run = asyncio.run(pipeline.run_async(inputs))
    assert run["reader"]["answers"] == ask(pipeline, FALL)


def test_the_example_of_the_page() -> None:
    check_example("Haystack")

"""The LlamaIndex postprocessor in real query engines, over an index in memory; no language model is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("llama_index.core", reason="the extra [llama-index] is not installed")

from llama_index.core import Settings, SummaryIndex
from llama_index.core.llms import MockLLM
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

from qa_extractive import DataError, ModelError, Predictor
from qa_extractive.integrations.llama_index import AnsweringSentences
from tests.integration_page import check_example

FALL = "By how much did systolic pressure fall?"
TRIAL = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg. Nobody left the trial."
SECOND = "The trial ended in May. In Turku systolic pressure fell by 5 mmHg after a year."
SLEEP = "Forty nurses kept a diary. Each night shift cost them 1.4 hours of sleep."


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope="module")
def index() -> Iterator[Any]:
    before = Settings._llm
    Settings.llm = MockLLM()  # an engine wants one, though these modes of response never ask it
    nodes = [TextNode(id_=text[:3], text=text, metadata={"year": 2020}) for text in (SLEEP, SECOND, TRIAL)]
    yield SummaryIndex(nodes)
    Settings._llm = before


def test_a_query_engine_sees_only_the_sentences_that_answer(predictor: Predictor, index: Any) -> None:
    engine = index.as_query_engine(
        response_mode="context_only", node_postprocessors=[AnsweringSentences(predictor)]
    )
    response = engine.query(FALL)
    answers = {text[:3]: predictor.answer(FALL, text) for text in (TRIAL, SECOND)}
    order = sorted(answers, key=lambda name: -answers[name].answerable)
    sentences = {
        TRIAL[:3]: "Systolic pressure fell by 3.3 mmHg.",
        SECOND[:3]: "In Turku systolic pressure fell by 5 mmHg after a year.",
    }
    assert [node.node_id for node in response.source_nodes] == order
    assert [node.text for node in response.source_nodes] == [sentences[name] for name in order]
    for name in order:
        assert sentences[name] in str(response)
    for left_out in ("substitute", "ended in May", "nurses", "answerable"):
        assert left_out not in str(response)
    assert [node.score for node in response.source_nodes] == [answers[name].answerable for name in order]
    assert str(asyncio.run(engine.aquery(FALL))) == str(response)


def test_nothing_is_left_where_no_node_answers(predictor: Predictor, index: Any) -> None:
    engine = index.as_query_engine(
        response_mode="no_text", node_postprocessors=[AnsweringSentences(predictor)]
    )
    assert engine.query("What did the substitute cost?").source_nodes == []


def test_the_index_keeps_its_own_nodes(predictor: Predictor, index: Any) -> None:
    def stored() -> dict[str, Any]:
        return {name: node.to_dict() for name, node in index.docstore.docs.items()}

    before = json.loads(json.dumps(stored()))
    index.as_query_engine(response_mode="no_text", node_postprocessors=[AnsweringSentences(predictor)]).query(
        FALL
    )
    assert json.loads(json.dumps(stored())) == before


def test_the_metadata_points_into_the_whole_text_and_stays_out_of_prompts(predictor: Predictor) -> None:
    given = NodeWithScore(node=TextNode(text=TRIAL, metadata={"year": 2020}), score=0.2)
    (found,) = AnsweringSentences(predictor).postprocess_nodes([given], query_str=FALL)
    noted = found.node.metadata["extractive"]
    assert TRIAL[noted["start"] : noted["end"]] == noted["answer"] == "3.3 mmHg"
    assert [TRIAL[start:end] for start, end in noted["sentences"]] == [found.text]
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert found.node.get_content(mode) == f"year: 2020\n\n{found.text}"
    assert (given.score, given.text) == (0.2, TRIAL)


def test_settings_are_written_and_read() -> None:
    written = AnsweringSentences(threshold=0.9, top_k=2).to_dict()
    assert {name: written[name] for name in ("model", "threshold", "top_k")} == {
        "model": None,
        "threshold": 0.9,
        "top_k": 2,
    }
    again = AnsweringSentences.from_dict(written)
    assert again.to_dict() == written
    assert (again._predictor.threshold, again._predictor.top_k) == (0.9, 2)


def test_the_threshold_holds_for_a_shared_predictor(predictor: Predictor) -> None:
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in (TRIAL, SLEEP)]
    kept = [
        AnsweringSentences(predictor, threshold=threshold).postprocess_nodes(nodes, query_str=FALL)
        for threshold in (None, 0.0, 1.0)
    ]
    assert [len(each) for each in kept] == [1, 2, 0]
    assert predictor.threshold == Predictor().threshold


def test_what_is_wrong_is_said(predictor: Predictor, tmp_path: Any) -> None:
    nodes = [NodeWithScore(node=TextNode(text=TRIAL))]
    with pytest.raises(ValueError, match="needs a query"):
        AnsweringSentences(predictor).postprocess_nodes(nodes)
    with pytest.raises(DataError, match="question is empty"):
        AnsweringSentences(predictor).postprocess_nodes(nodes, query_str=" ")
    with pytest.raises(ModelError):
        AnsweringSentences(model=str(tmp_path))


def test_the_example_of_the_page(index: Any) -> None:
    check_example("LlamaIndex")

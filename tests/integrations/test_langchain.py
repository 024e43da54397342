"""The LangChain components in real chains: a vector store in memory, a compression retriever, a runnable."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="the extra [langchain] is not installed")
compression = pytest.importorskip(
    "langchain_classic.retrievers.contextual_compression", reason="langchain-classic is not installed"
)

from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402
from langchain_core.prompts import PromptTemplate  # noqa: E402
from langchain_core.runnables import RunnablePassthrough  # noqa: E402
from langchain_core.vectorstores import InMemoryVectorStore  # noqa: E402

from qa_extractive import DataError, Predictor  # noqa: E402
from qa_extractive.integrations.langchain import AnsweringSentences, answering  # noqa: E402
from tests.integration_page import check_example  # noqa: E402

FALL = "By how much did systolic pressure fall?"
TRIAL = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg. Nobody left the trial."
SECOND = "The trial ended in May. In Turku systolic pressure fell by 5 mmHg after a year."
SLEEP = "Forty nurses kept a diary. Each night shift cost them 1.4 hours of sleep."


class HashedWords(Embeddings):
    """Bags of words: enough for a vector store to search by, and nothing to download."""

    def embed_query(self, text: str) -> list[float]:
        counts = [0.01] * 512
        for word in text.lower().replace(".", " ").replace("?", " ").split():
            counts[zlib.crc32(word.encode()) % 512] += 1.0
        return counts

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope="module")
def retriever() -> Any:
    store = InMemoryVectorStore(HashedWords())
    store.add_documents(
        [
            Document(id=text[:3], page_content=text, metadata={"from": text[:3]})
            for text in (SLEEP, SECOND, TRIAL)
        ]
    )
    return store.as_retriever(search_kwargs={"k": 3})


def test_a_compression_retriever_keeps_the_sentences_that_answer(
    predictor: Predictor, retriever: Any
) -> None:
    found = compression.ContextualCompressionRetriever(
        base_compressor=AnsweringSentences(predictor=predictor), base_retriever=retriever
    )
    documents = found.invoke(FALL)
    assert {document.page_content for document in documents} == {
        "Systolic pressure fell by 3.3 mmHg.",
        "In Turku systolic pressure fell by 5 mmHg after a year.",
    }
    whole = {document.id: document for document in retriever.invoke(FALL)}
    assert [d.id for d in documents] == [name for name in whole if name != SLEEP[:3]]
    for document in documents:
        original, noted = whole[document.id], document.metadata["extractive"]
        answer = predictor.answer(FALL, original.page_content)
        assert original.page_content[noted["start"] : noted["end"]] == noted["answer"] == answer.text
        assert noted["answerable"] == answer.answerable
        assert document.metadata["from"] == original.metadata["from"]
        assert "extractive" not in original.metadata
    json.dumps([document.metadata for document in documents])
    assert asyncio.run(found.ainvoke(FALL)) == documents
    assert found.invoke("What did the substitute cost?") == []


def test_the_threshold_of_a_compressor(predictor: Predictor) -> None:
    documents = [Document(page_content=TRIAL), Document(page_content=SLEEP)]
    kept = [
        AnsweringSentences(predictor=predictor, threshold=threshold).compress_documents(documents, FALL)
        for threshold in (None, 0.0, 1.0)
    ]
    assert [len(each) for each in kept] == [1, 2, 0]
    with pytest.raises(DataError, match="question is empty"):
        AnsweringSentences(predictor=predictor).compress_documents(documents, "")


def test_a_chain_from_a_retriever_to_answers(predictor: Predictor, retriever: Any) -> None:
    chain = {"question": RunnablePassthrough(), "context": retriever} | answering(predictor)
    answers = chain.invoke(FALL)
    assert {answer["document"].page_content for answer in answers} == {TRIAL, SECOND, SLEEP}
    assert [answer["text"] for answer in answers][2] == ""
    assert [answer["status"] for answer in answers] == ["answered", "answered", "not_reported"]
    probabilities = [answer["answerable"] for answer in answers]
    assert probabilities == sorted(probabilities, reverse=True)
    for answer in answers:
        document = answer.pop("document")
        assert answer == predictor.answer(FALL, document.page_content).to_dict()
        json.dumps(answer)
    (first, second) = chain.batch([FALL, "How long was a night shift's loss of sleep?"])
    assert first[0]["text"] in ("3.3 mmHg", "5 mmHg")
    assert second[0]["document"].page_content == SLEEP
    assert asyncio.run(chain.ainvoke(FALL))[0]["text"] == first[0]["text"]


def test_its_answers_go_on_into_a_prompt(predictor: Predictor) -> None:
    prompt = PromptTemplate.from_template("Quote: {quote}")
    chain = answering(predictor) | (lambda answers: {"quote": answers[0]["text"]}) | prompt
    assert chain.invoke({"question": FALL, "context": TRIAL}).to_string() == "Quote: 3.3 mmHg"


def test_contexts_of_each_kind(predictor: Predictor) -> None:
    runnable = answering(predictor)
    document = Document(page_content=TRIAL)
    for context in (TRIAL, document, [TRIAL], (document,)):
        (answer,) = runnable.invoke({"question": FALL, "context": context})
        assert (answer["text"], answer["document"].page_content) == ("3.3 mmHg", TRIAL)
    assert runnable.invoke({"question": FALL, "context": []}) == []
    (never,) = answering(predictor, threshold=1.0).invoke({"question": FALL, "context": TRIAL})
    assert never["abstained"]
    with pytest.raises(DataError, match="question is empty"):
        runnable.invoke({"question": " ", "context": TRIAL})


def test_the_example_of_the_page() -> None:
    check_example("LangChain")

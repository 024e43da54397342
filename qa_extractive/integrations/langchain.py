"""LangChain: a compressor that keeps the sentences that answer, and a runnable that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableLambda
from pydantic import ConfigDict, Field

from qa_extractive.integrations.sentences import keep_answering
from qa_extractive.predictor import Predictor
from qa_extractive.types import Question


class AnsweringSentences(BaseDocumentCompressor):
    """Keeps of each document the sentences that answer the query, and drops documents that do not.

    The order of the documents stays. ``metadata["extractive"]`` of what is kept holds the ``answer``, its
    ``start``, ``end``, ``score`` and ``answerable``, and the ``sentences`` as pairs of offsets, all in the
    document as it was.

    Attributes:
        predictor: Its ``top_k`` candidates tell the sentences; by default, one with the embedded model.
        threshold: Drop a document below this answerable probability, in [0, 1]; None for the predictor's own.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    predictor: Predictor = Field(default_factory=Predictor)
    threshold: float | None = None

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """New documents of the sentences that answer. Raises DataError if the query is empty or too long."""
        texts = [document.page_content for document in documents]
        kept = keep_answering(self.predictor, query, texts, self.threshold)
        return [
            document.model_copy(
                update={
                    "page_content": each.text,
                    "metadata": {**document.metadata, "extractive": each.metadata()},
                }
            )
            for document, each in zip(documents, kept, strict=True)
            if each.sentences
        ]


def answering(
    predictor: Predictor | None = None, *, threshold: float | None = None
) -> RunnableLambda[Any, list[dict[str, Any]]]:
    """A runnable that answers a question from its context.

    It takes a dict of ``question`` and ``context``: a text, a ``Document``, or a list of them, as a
    retriever gives. It returns a dict for each text, highest answerable probability first: what
    ``Answer.to_dict`` holds, and the ``document``.

    Args:
        predictor: None for one with the embedded model.
        threshold: Abstain below this answerable probability, in [0, 1]; None for the predictor's own.
    """
    reader = predictor or Predictor()

    def answer(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        documents = _documents(asked["context"])
        questions = [Question(asked["question"], document.page_content) for document in documents]
        given = reader.answer_batch(questions, threshold=threshold)
        found = [{**one.to_dict(), "document": its} for one, its in zip(given, documents, strict=True)]
        return sorted(found, key=lambda each: -each["answerable"])

    return RunnableLambda(answer, name="extractive_answers")


def _documents(context: str | Document | Sequence[str | Document]) -> list[Document]:
    texts = [context] if isinstance(context, (str, Document)) else context
    return [Document(page_content=each) if isinstance(each, str) else each for each in texts]

"""LlamaIndex: a node postprocessor that keeps the sentences that answer."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from qa_extractive.integrations.sentences import Kept, keep_answering
from qa_extractive.predictor import Predictor

KEY = "extractive"


class AnsweringSentences(BaseNodePostprocessor):
    """Keeps of each node the sentences that answer the query, and drops nodes that do not.

    The nodes come back by their answerable probability, which is their score, highest first.
    ``metadata["extractive"]`` holds the ``answer``, its ``start``, ``end``, ``score`` and ``answerable``, and
    the ``sentences`` as pairs of offsets, all in the node's text as it was; no prompt or embedding shows it.
    """

    model: str | None = Field(default=None, description="Folder or file of a model; None for the embedded.")
    threshold: float | None = Field(
        default=None, description="Drop a node below this answerable probability."
    )
    top_k: int = Field(default=5, description="Spans of each node that tell its sentences.")
    _predictor: Predictor = PrivateAttr()

    def __init__(self, predictor: Predictor | None = None, **settings: Any) -> None:
        """Load the model, or share a predictor. Raises ModelError if it cannot be used."""
        super().__init__(**settings)
        self._predictor = predictor or Predictor(self.model, threshold=self.threshold, top_k=self.top_k)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex writes it."""
        return "ExtractiveAnsweringSentences"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("AnsweringSentences needs a query: pass query_str or query_bundle")
        texts = [each.node.get_content(metadata_mode=MetadataMode.NONE) for each in nodes]
        kept = keep_answering(self._predictor, query_bundle.query_str, texts, self.threshold)
        shorter = [_shorter(node, each) for node, each in zip(nodes, kept, strict=True) if each.sentences]
        return sorted(shorter, key=lambda node: -(node.score or 0.0))


def _shorter(node: NodeWithScore, kept: Kept) -> NodeWithScore:
    """A copy of a node that holds the kept sentences; the index keeps its own."""
    copy: TextNode = node.node.model_copy(deep=True)
    copy.set_content(kept.text)
    copy.metadata[KEY] = kept.metadata()
    copy.excluded_llm_metadata_keys = [*copy.excluded_llm_metadata_keys, KEY]
    copy.excluded_embed_metadata_keys = [*copy.excluded_embed_metadata_keys, KEY]
    return NodeWithScore(node=copy, score=kept.answer.answerable)

"""Haystack: a reader that quotes documents, where Haystack 2 had its ``ExtractiveReader``."""

from __future__ import annotations

import math
from typing import Any

from haystack import component, default_from_dict, default_to_dict
from haystack.dataclasses import Document, ExtractedAnswer

from qa_extractive._utils.sentences import sentence_at
from qa_extractive.predictor import Predictor
from qa_extractive.settings import NATIVE
from qa_extractive.types import Answer, Question, Span


@component
class ExtractiveReader:
    """Answers a query with verbatim spans of documents, and with the probability that none answers it."""

    def __init__(
        self,
        model: str | None = None,
        *,
        top_k: int = 10,
        answers_per_document: int = 1,
        no_answer: bool = True,
        title_field: str | None = None,
        threshold: float | None = None,
        max_risk: float | None = None,
        effort: str = "full",
        precision: str = NATIVE,
        n_threads: int | None = None,
    ) -> None:
        """Keep the settings; the model is loaded by ``warm_up``.

        Args:
            model: Folder or file, as text, so that it can be written; None for the embedded model.
            top_k: Answers in all, beside "no answer".
            answers_per_document: Spans of each document at most; they do not overlap.
            no_answer: Whether to add an answer whose ``data`` is None. Its score is the product of the
                probabilities that each document does not answer, as if they were independent.
            title_field: Name in ``meta`` of the title, which is read but never quoted.
            threshold: As of ``Predictor``, like those below.
            max_risk: Instead of a threshold.
            effort: "full", "fast" or "cached".
            precision: "native" or "exact".
            n_threads: Windows run at once.
        """
        self._settings: dict[str, Any] = {
            "model": model,
            "top_k": top_k,
            "answers_per_document": answers_per_document,
            "no_answer": no_answer,
            "title_field": title_field,
            "threshold": threshold,
            "max_risk": max_risk,
            "effort": effort,
            "precision": precision,
            "n_threads": n_threads,
        }
        self.top_k, self.no_answer, self.title_field = top_k, no_answer, title_field
        self._predictor: Predictor | None = None

    def to_dict(self) -> dict[str, Any]:
        """The settings, as ``Pipeline.dumps`` writes them."""
        return dict(default_to_dict(self, **self._settings))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExtractiveReader:
        """The component that ``to_dict`` described."""
        reader: ExtractiveReader = default_from_dict(cls, data)
        return reader

    def warm_up(self) -> None:
        """Load the model, once. Raises ModelError if it cannot be used, or a setting is out of its range."""
        if self._predictor is None:
            named = ("model", "threshold", "max_risk", "effort", "precision", "n_threads")
            chosen = {name: self._settings[name] for name in named}
            self._predictor = Predictor(**chosen, top_k=self._settings["answers_per_document"])

    @component.output_types(answers=list[ExtractedAnswer])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None, threshold: float | None = None
    ) -> dict[str, list[ExtractedAnswer]]:
        """The ``answers``, those most probably right first.

        Args:
            query: The question.
            documents: Those without text are left out.
            top_k: For this run; None for the component's own. The same goes for ``threshold``.
            threshold: A document whose answerable probability is below it gives no answer.

        Raises:
            DataError: The query is empty or too long.
            ModelError: ``threshold`` is out of its range.
        """
        self.warm_up()
        assert self._predictor is not None
        documents = [each for each in documents if each.content]
        asked = [Question(query, each.content, self._title(each)) for each in documents]
        given = self._predictor.answer_batch(asked, threshold=threshold)
        found = [
            _extracted(query, document, answer, span)
            for document, answer in zip(documents, given, strict=True)
            for span in (() if answer.abstained else answer.candidates)
        ]
        found = _ranked(found)[: self.top_k if top_k is None else top_k]
        if self.no_answer:
            none = math.prod(1.0 - answer.answerable for answer in given)
            found = _ranked([*found, ExtractedAnswer(query=query, score=none)])
        return {"answers": found}

    def _title(self, document: Document) -> str | None:
        title = None if self.title_field is None else document.meta.get(self.title_field)
        return None if title is None else str(title)


def _ranked(answers: list[ExtractedAnswer]) -> list[ExtractedAnswer]:
    return sorted(answers, key=lambda answer: -answer.score)


def _extracted(query: str, document: Document, answer: Answer, span: Span) -> ExtractedAnswer:
    """A span with its sentence as ``context``, and what is known of its document in ``meta``."""
    sentence = sentence_at(document.content, span.start, span.end)
    meta: dict[str, Any] = {"answerable": answer.answerable}
    if answer.verdict is not None:
        meta |= {"verdict": answer.verdict, "verdict_score": answer.verdict_score}
    if isinstance(page := document.meta.get("page_number"), int):
        meta["answer_page_number"] = page + document.content.count("\f", 0, span.start)
    return ExtractedAnswer(
        query=query,
        score=span.score,
        data=span.text,
        document=document,
        context=sentence.text,
        document_offset=ExtractedAnswer.Span(span.start, span.end),
        context_offset=ExtractedAnswer.Span(span.start - sentence.start, span.end - sentence.start),
        meta=meta,
    )

"""spaCy: a pipeline component that answers questions over a ``Doc``, and ``doc._.ask``.

Importing this registers the factory "qa_extractive" and the extensions. With the package installed, spaCy
finds the factory by its entry point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import minibatch

from qa_extractive.predictor import Predictor
from qa_extractive.types import Answer, Question

SPANS = "answers"


class AnswerComponent:
    """Asks every ``Doc`` the same questions.

    ``doc._.answers`` holds what ``Answer.to_dict`` does, by the question's label, and
    ``doc.spans["answers"]`` a span for each that was answered, with its label; ``span._.answer`` is its dict.
    A span reaches to whole tokens; the verbatim answer and its offsets are in the dict.
    """

    def __init__(self, predictor: Predictor, questions: Mapping[str, str]) -> None:
        """Ask ``questions``, a question for each label."""
        self.predictor, self.questions = predictor, dict(questions)

    def __call__(self, doc: Doc) -> Doc:
        """Answer for one document. Raises DataError if a question is empty or too long."""
        return next(self.pipe([doc]))

    def pipe(self, docs: Iterable[Doc], *, batch_size: int = 32) -> Iterator[Doc]:
        """Answer for many; the documents of a batch are read side by side."""
        for batch in minibatch(docs, batch_size):
            asked = [Question(q, doc.text) for doc in batch for q in self.questions.values()]
            answers = iter(self.predictor.answer_batch(asked))
            for doc in batch:
                for label in self.questions:
                    _note(doc, label, next(answers))
                yield doc


@Language.factory("qa_extractive", default_config={"questions": {}, "model": None, "threshold": None})
def make_component(
    nlp: Language, name: str, questions: dict[str, str], model: str | None, threshold: float | None
) -> AnswerComponent:
    """The component of a config. Raises ModelError if the model or the threshold cannot be used."""
    return AnswerComponent(Predictor(model, threshold=threshold), questions)


def ask(
    doc: Doc, question: str, *, label: str | None = None, predictor: Predictor | None = None
) -> Span | None:
    """The answer's span, noted as the component does; None if the document does not answer.

    Args:
        doc: What is asked; it needs no pipeline.
        question: The question.
        label: None for the question itself.
        predictor: None for one with the embedded model, which is loaded once.
    """
    answer = (predictor or _embedded()).answer(question, doc.text)
    return _note(doc, label or question, answer)


_embedded = lru_cache(1)(Predictor)


def _note(doc: Doc, label: str, answer: Answer) -> Span | None:
    spans = [span for span in doc.spans.get(SPANS, ()) if span.label_ != label]
    found = None
    if not answer.abstained:
        found = doc.char_span(answer.start, answer.end, label=label, alignment_mode="expand")
        spans.append(found)
    doc._.answers = {**doc._.answers, label: answer.to_dict()}
    doc.spans[SPANS] = spans
    return found


def _answer_of(span: Span) -> dict[str, Any] | None:
    answer: dict[str, Any] | None = span.doc._.answers.get(span.label_)
    return answer


Doc.set_extension("answers", default={}, force=True)
Doc.set_extension("ask", method=ask, force=True)
Span.set_extension("answer", getter=_answer_of, force=True)

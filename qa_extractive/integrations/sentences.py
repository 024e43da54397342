"""What the components that shorten texts share: which sentences of a text answer a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.predictor import Predictor
from qa_extractive.types import Answer, Question, Span

LEAST_SHARE = 0.1
"""The least probability of a sentence beside that of the best span. Chosen by hand; not measured."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a text answers a question.

    Attributes:
        answer: The answer; its offsets count in the whole text.
        sentences: Those that answer, in the order of the text; none if ``answer`` is abstained. A score is
            the probability that the right span lies in the sentence, as far as it is among the candidates.
    """

    answer: Answer
    sentences: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The sentences, joined by a space."""
        return " ".join(sentence.text for sentence in self.sentences)

    def metadata(self) -> dict[str, Any]:
        """The answer and the sentences' places as plain values that ``json`` can write."""
        return {
            "answer": self.answer.text,
            "start": self.answer.start,
            "end": self.answer.end,
            "score": self.answer.score,
            "answerable": self.answer.answerable,
            "sentences": [[each.start, each.end] for each in self.sentences],
        }


def keep_answering(
    predictor: Predictor, question: str, texts: Sequence[str], threshold: float | None = None
) -> list[Kept]:
    """What of each text answers the question, in the order of the texts.

    Args:
        predictor: Its ``top_k`` candidates tell the sentences.
        question: What is asked of each text.
        texts: Each is read by itself.
        threshold: Abstain below this answerable probability, in [0, 1]; None for the predictor's own.

    Raises:
        DataError: The question is empty or too long.
        ModelError: ``threshold`` is out of its range.
    """
    answers = predictor.answer_batch([Question(question, text) for text in texts], threshold=threshold)
    return [
        Kept(answer, answering_sentences(text, answer)) for text, answer in zip(texts, answers, strict=True)
    ]


def answering_sentences(text: str, answer: Answer) -> tuple[Span, ...]:
    """The sentences that hold the best span, or ``LEAST_SHARE`` of the probability; see ``Kept``."""
    if answer.abstained or answer.best is None:
        return ()
    kept = []
    for sentence in split_sentences(text):
        share = sum(span.score for span in answer.candidates if span.overlaps(sentence))
        if share >= LEAST_SHARE or answer.best.overlaps(sentence):
            kept.append(replace(sentence, score=min(1.0, share)))
    return tuple(kept)

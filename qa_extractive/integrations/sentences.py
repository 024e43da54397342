"""What the components that shorten texts share: which sentences of a text answer a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qa_extractive.predictor import Predictor
from qa_extractive.types import Answer, Question, Span


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a text answers a question.

    Attributes:
        answer: The answer; its offsets count in the whole text.
        sentences: Those that ``Predictor.relevant_sentences`` keeps; none if ``answer`` is abstained.
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
        predictor: It reads each text, and those that answer once more.
        question: What is asked of each text.
        texts: Each is read by itself.
        threshold: Abstain below this answerable probability, in [0, 1]; None for the predictor's own.

    Raises:
        DataError: The question is empty or too long.
        ModelError: ``threshold`` is out of its range.
    """
    questions = [Question(question, text) for text in texts]
    answers = predictor.answer_batch(questions, threshold=threshold)
    answered = [i for i, answer in enumerate(answers) if not answer.abstained and answer.best is not None]
    found = _sentences(predictor, [questions[i] for i in answered])
    kept = dict(zip(answered, found, strict=True))
    return [Kept(answer, tuple(kept.get(i, ()))) for i, answer in enumerate(answers)]


def _sentences(predictor: Predictor, questions: Sequence[Question]) -> list[list[Span]]:
    """The relevant sentences of each context, or the most relevant where none of them is likely."""
    found = predictor.relevant_sentences_batch(questions)
    empty = [i for i, each in enumerate(found) if not each]
    likeliest = predictor.relevant_sentences_batch(
        [questions[i] for i in empty], threshold=0.0, max_sentences=1
    )
    for i, each in zip(empty, likeliest, strict=True):
        found[i] = each
    return found

"""What a reader must beat at sorting papers: counted words and a logistic regression. Needs scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_extractive.records import Answer, Example, Question

NAME = "TF-IDF + logistic regression"
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
_MIN_OF_EACH = 5

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WordCounts:
    """A ``System`` that says yes or no by words and pairs of words; its answers have no spans.

    A question with at least five training rows of each kind has a regression of its own, on title and
    text; all others share one that reads the question too.

    Attributes:
        own: The regressions by question.
        shared: That of the others.
        name: What it is reported under.
    """

    own: dict[str, Any]
    shared: Any
    name: str = NAME

    @classmethod
    def fit(cls, examples: Sequence[Example], folds: Sequence[Sequence[int]]) -> WordCounts:
        """Fit on rows of both kinds, the strength of the penalty by cross-validated cross-entropy.

        Args:
            examples: To learn from.
            folds: The rows held out in turn.
        """
        labels = np.array([bool(example.answerable) for example in examples])
        questions = [example.question for example in examples]
        own = {}
        for asked in dict.fromkeys(question.question for question in questions):
            chosen = [i for i, question in enumerate(questions) if question.question == asked]
            if min(_counts(labels[chosen])) >= _MIN_OF_EACH:
                own[asked] = _fitted(list(map(_text, questions)), labels, chosen, folds)
        everything = list(range(len(examples)))
        return cls(own, _fitted(list(map(_whole_text, questions)), labels, everything, folds))

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """Its probabilities as answers without spans."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        model = self.own.get(question.question)
        text = _whole_text(question) if model is None else _text(question)
        prob = float((model or self.shared).predict_proba([text])[0, 1])
        return Answer("", 0, 0, 0.0, prob, abstained=prob < 0.5)


def _fitted(
    texts: Sequence[str], labels: Bools, chosen: Sequence[int], folds: Sequence[Sequence[int]]
) -> Any:
    losses = {strength: _loss(texts, labels, chosen, folds, strength) for strength in STRENGTHS}
    best = min(losses, key=lambda strength: losses[strength])
    return _model(best).fit([texts[i] for i in chosen], labels[list(chosen)])


def _loss(
    texts: Sequence[str],
    labels: Bools,
    chosen: Sequence[int],
    folds: Sequence[Sequence[int]],
    strength: float,
) -> float:
    """Summed cross-entropy of the folds whose other rows are of both kinds."""
    total = 0.0
    for fold in folds:
        out = [i for i in chosen if i in set(fold)]
        kept = [i for i in chosen if i not in set(fold)]
        if out and all(_counts(labels[kept])):
            model = _model(strength).fit([texts[i] for i in kept], labels[kept])
            probs = model.predict_proba([texts[i] for i in out])[:, 1]
            total -= float(np.log(np.where(labels[out], probs, 1.0 - probs)).sum())
    return total


def _model(strength: float) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
    return make_pipeline(words, LogisticRegression(C=strength, max_iter=2000))


def _counts(labels: Bools) -> tuple[int, int]:
    counted = Counter(labels.tolist())
    return counted[False], counted[True]


def _text(question: Question) -> str:
    return f"{question.title or ''}\n{question.context}"


def _whole_text(question: Question) -> str:
    return f"{question.question}\n{_text(question)}"

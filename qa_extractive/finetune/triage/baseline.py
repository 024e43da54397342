"""What a reader must beat at sorting papers: counted words and a logistic regression. Needs scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_extractive.types import Answer, Example, Question

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
    from sklearn.pipeline import make_pipeline

    losses = _losses(texts, labels, chosen, folds)
    best = min(losses, key=lambda strength: losses[strength])
    model = make_pipeline(_words(), _regression(best))
    return model.fit([texts[i] for i in chosen], labels[list(chosen)])


def _losses(
    texts: Sequence[str], labels: Bools, chosen: Sequence[int], folds: Sequence[Sequence[int]]
) -> dict[float, float]:
    """Summed cross-entropy of the folds whose other rows are of both kinds, for each strength."""
    totals = dict.fromkeys(STRENGTHS, 0.0)
    for fold in map(set, folds):
        out, kept = [i for i in chosen if i in fold], [i for i in chosen if i not in fold]
        if not (out and all(_counts(labels[kept]))):
            continue
        words = _words()
        known = words.fit_transform([texts[i] for i in kept])
        asked = words.transform([texts[i] for i in out])
        for strength in STRENGTHS:
            probs = _regression(strength).fit(known, labels[kept]).predict_proba(asked)[:, 1]
            totals[strength] -= float(np.log(np.where(labels[out], probs, 1.0 - probs)).sum())
    return totals


def _words() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")


def _regression(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000)


def _counts(labels: Bools) -> tuple[int, int]:
    counted = Counter(labels.tolist())
    return counted[False], counted[True]


def _text(question: Question) -> str:
    return f"{question.title or ''}\n{question.context}"


def _whole_text(question: Question) -> str:
    return f"{question.question}\n{_text(question)}"

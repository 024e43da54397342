"""Readers that know no language: what a model must beat.

Each answers with whole sentences of ``sentences.split_sentences``, so their answers are verbatim too. Their
probabilities are what they promise by answering (1.0, or 0.0 for abstaining), not calibrated ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.errors import QAError
from qa_extractive.metrics.columns import Floats
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.types import Answer, Example, Question, Span

_TOP_K = 5
_THRESHOLD = 0.5
_ABSTAINED = Answer("", 0, 0, 0.0, 0.0, abstained=True)


class Baseline(Protocol):
    """A named reader without a model."""

    @property
    def name(self) -> str:
        """As given to ``--model``: ``baseline:first``."""
        ...

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers in the order of the questions; none depends on the others."""
        ...


@dataclass(frozen=True, slots=True)
class FirstSentence:
    """Answers with the first sentence of the context."""

    name: str = "baseline:first"

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The first sentences; an abstention where the context is blank."""
        return [_answer(split_sentences(question.context)[:1]) for question in questions]


@dataclass(frozen=True, slots=True)
class LastSentence:
    """Answers with the last sentence of the context: strong on abstracts, which end with a conclusion."""

    name: str = "baseline:last"

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The last sentences; an abstention where the context is blank."""
        return [_answer(split_sentences(question.context)[-1:]) for question in questions]


@dataclass(frozen=True, slots=True)
class Abstaining:
    """Never answers: right wherever the context does not answer the question."""

    name: str = "baseline:abstain"

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """An abstention for each question, without candidates."""
        return [_ABSTAINED for _ in questions]


class TfidfSentence:
    """Answers with the sentence nearest to the question by TF-IDF cosine; of equals, the first.

    Needs the [train] extra (scikit-learn). The score of a sentence is its cosine.
    """

    name = "baseline:tfidf"

    def __init__(self, contexts: Iterable[str]) -> None:
        """Count in how many sentences of the contexts each word stands; a repeated context counts once."""
        sentences = [s.text for context in dict.fromkeys(contexts) for s in split_sentences(context)]
        self._vectorizer = _fitted_vectorizer(sentences)

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The nearest sentences; an abstention where the context is blank."""
        sentences = [split_sentences(question.context) for question in questions]
        cosines = self._cosines([question.question for question in questions], sentences)
        return [_answer(_ranked(own, scores)) for own, scores in zip(sentences, cosines, strict=True)]

    def _cosines(self, questions: list[str], sentences: list[list[Span]]) -> list[Floats]:
        """Cosine of each question with each of its sentences, in [0, 1]."""
        texts = [sentence.text for own in sentences for sentence in own]
        if self._vectorizer is None or not texts:
            return [np.zeros(len(own)) for own in sentences]
        asked, said = self._vectorizer.transform(questions), self._vectorizer.transform(texts)
        cosines = np.clip((said @ asked.T).toarray(), 0.0, 1.0)
        ends = np.cumsum([len(own) for own in sentences])
        return [
            cosines[end - len(own) : end, i] for i, (own, end) in enumerate(zip(sentences, ends, strict=True))
        ]


class MajorityPosition:
    """Says the same of every row: what is most common in the labels of the very data it answers.

    Its sentence stands at the place, counted from the start or from the end, that most often holds the
    answer; ``answerable`` is the share of answerable rows, and below 0.5 it abstains. No reader that
    looks at neither words nor rows does better, and none could know this much beforehand.
    """

    name = "baseline:majority"

    def __init__(self, examples: Sequence[Example]) -> None:
        """Count the labels; without any, it is the last sentence, and always given."""
        known = [e.answerable for e in examples if e.answerable is not None]
        self.position = _majority_position(examples)
        self.answerable = sum(known) / len(known) if known else 1.0

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The sentences at that place, or the nearest there is; an abstention where the context is blank."""
        return [
            _answer(_at(split_sentences(question.context), self.position), self.answerable)
            for question in questions
        ]


def open_baseline(kind: str, examples: Sequence[Example]) -> Baseline:
    """The baseline of a name such as ``first``.

    Args:
        kind: One of ``BASELINES``.
        examples: The data it is going to answer: "tfidf" takes its word counts from the contexts and
            "majority" everything from the labels.

    Raises:
        QAError: There is no such baseline, or scikit-learn is missing.
    """
    if kind not in BASELINES:
        raise QAError(f"there is no baseline {kind!r}: give baseline:{'|'.join(BASELINES)}")
    return BASELINES[kind](examples)


BASELINES: dict[str, Callable[[Sequence[Example]], Baseline]] = {
    "first": lambda _: FirstSentence(),
    "last": lambda _: LastSentence(),
    "tfidf": lambda examples: TfidfSentence(example.question.context for example in examples),
    "majority": MajorityPosition,
    "abstain": lambda _: Abstaining(),
}


def _answer(ranked: Sequence[Span], answerable: float = 1.0) -> Answer:
    """The first of the sentences as the answer, or an abstention."""
    if not ranked:
        return _ABSTAINED
    best = ranked[0]
    if answerable < _THRESHOLD:
        return Answer("", 0, 0, best.score, answerable, abstained=True, candidates=tuple(ranked))
    return Answer(best.text, best.start, best.end, best.score, answerable, False, best, tuple(ranked))


def _ranked(sentences: list[Span], scores: Floats) -> list[Span]:
    order = np.argsort(-scores, kind="stable")[:_TOP_K]
    return [Span(sentences[i].text, sentences[i].start, sentences[i].end, float(scores[i])) for i in order]


def _fitted_vectorizer(sentences: list[str]) -> Any:
    """A TF-IDF vectorizer; None where the sentences hold no word."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise QAError("baseline:tfidf needs scikit-learn: pip install 'qa-extractive[train]'") from error
    vectorizer = TfidfVectorizer()
    analyze = vectorizer.build_analyzer()
    return vectorizer.fit(sentences) if any(analyze(text) for text in sentences) else None


def _at(sentences: list[Span], position: int) -> list[Span]:
    if not sentences:
        return []
    return [sentences[max(-len(sentences), min(position, len(sentences) - 1))]]


def _majority_position(examples: Iterable[Example]) -> int:
    """Index of a sentence, negative if from the end; of equals, the one nearer to the end or start."""
    counts: Counter[int] = Counter()
    for example in examples:
        sentences = split_sentences(example.question.context)
        index = _answering(sentences, example)
        if index is not None:
            counts.update((index, index - len(sentences)))
    return max(counts, key=lambda position: (counts[position], -abs(position)), default=-1)


def _answering(sentences: list[Span], example: Example) -> int | None:
    """The sentence that holds the best labelled span or, without one, most of a reference."""
    if not sentences or example.answerable is False or not (example.spans or example.references):
        return None
    if example.spans:
        label = example.spans[0]
        shared = [min(s.end, label.end) - max(s.start, label.start) for s in sentences]
        return int(np.argmax(shared))
    return int(np.argmax([best_token_f1(s.text, example.references) for s in sentences]))

"""An Example and what a system said of it -> how well the two match."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qa_extractive._utils.sentences import sentence_at
from qa_extractive.errors import QAError
from qa_extractive.metrics.numbers import best_numbers_match
from qa_extractive.metrics.spans import broken_invariants, is_evidence_hit, stands_in
from qa_extractive.metrics.text import best_exact_match, best_token_f1, rouge_l
from qa_extractive.types import Answer, Example, Span


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A row, what the system said of it and how well its best span matches.

    The best span is the answer or, where the system abstained, its best candidate. Where no right
    answer is known (``is_scored``) the scores mean nothing.

    Attributes:
        example: The question and what is known of the answer.
        outcome: What the system said, or why it failed.
        em: Exact match of the best span by the rule of SQuAD 2.0.
        f1: Token F1 of it by that rule.
        rouge_l: ROUGE-L of it; 0 without references.
        numbers_match: Whether its numbers are those of a reference (``metrics.numbers``), 1 or 0; None where
            no reference holds a number.
        is_hit: Whether its sentence and a labelled span share more than half of the shorter of the two:
            so a short span in the sentence is hit, and a long one by a sentence inside it.
    """

    example: Example
    outcome: Answer | QAError
    em: float
    f1: float
    rouge_l: float
    is_hit: bool
    numbers_match: float | None = None

    @classmethod
    def of(cls, example: Example, outcome: Answer | QAError) -> ScoredRow:
        """Match what a system said of an example."""
        references = references_of(example)
        best = _best(outcome)
        text = "" if best is None else best.text
        return cls(
            example,
            outcome,
            em=best_exact_match(text, references),
            f1=best_token_f1(text, references),
            rouge_l=_best_rouge_l(text, references),
            is_hit=_is_hit(example, outcome, best),
            numbers_match=best_numbers_match(text, references),
        )

    @property
    def answer(self) -> Answer | None:
        """What the system said; None where it failed."""
        return self.outcome if isinstance(self.outcome, Answer) else None

    @property
    def has_span(self) -> bool:
        """Whether the system gave any span, be it as a candidate."""
        return _best(self.outcome) is not None

    @property
    def text(self) -> str:
        """The text of the best span; empty where there is none."""
        best = _best(self.outcome)
        return "" if best is None else best.text

    @property
    def is_answered(self) -> bool:
        """Whether the system answered: it neither failed nor abstained."""
        return self.answer is not None and not self.answer.abstained

    @property
    def answerable_prob(self) -> float:
        """The probability of an answer; 0 where the system failed."""
        return 0.0 if self.answer is None else self.answer.answerable

    @property
    def verdict(self) -> str | None:
        """What the system said to a yes/no question; None where it said neither yes, no nor mixed."""
        return None if self.answer is None else self.answer.verdict

    @property
    def verdict_score(self) -> float | None:
        """Its probability; None where there is no verdict."""
        return None if self.answer is None else self.answer.verdict_score

    @property
    def references(self) -> tuple[str, ...]:
        """The right answers; none where there is no answer, or none is known."""
        return references_of(self.example)

    @property
    def answerable(self) -> bool | None:
        """Whether the context answers the question; None if not known."""
        known = self.example.answerable
        return True if known is None and self.references else known

    @property
    def is_scored(self) -> bool:
        """Whether it is known what a right answer is."""
        return self.answerable is False or bool(self.references)

    @property
    def broken(self) -> tuple[str, ...]:
        """What the answer promises and does not keep (``metrics.broken_invariants``); none if it failed."""
        return () if self.answer is None else broken_invariants(self.example.question.context, self.answer)


def references_of(example: Example) -> tuple[str, ...]:
    """The distinct right answers of an example: its references or, without any, its labelled spans."""
    if example.answerable is False:
        return ()
    return tuple(dict.fromkeys(example.references or (span.text for span in example.spans)))


def _best(outcome: Answer | QAError) -> Answer | Span | None:
    """The answer or, where the system abstained, its best candidate."""
    if isinstance(outcome, QAError):
        return None
    return next(iter(outcome.candidates), None) if outcome.abstained else outcome


def _best_rouge_l(text: str, references: Iterable[str]) -> float:
    # It is symmetric and loops over the tokens of its first text, so the shorter goes first.
    pairs = (sorted((text, reference), key=len) for reference in references)
    return max((rouge_l(shorter, longer) for shorter, longer in pairs), default=0.0)


def _is_hit(example: Example, outcome: Answer | QAError, best: Answer | Span | None) -> bool:
    context = example.question.context
    if isinstance(outcome, QAError) or best is None or not example.spans or not stands_in(context, best):
        return False
    sentence = outcome.sentence or sentence_at(context, best.start, best.end)
    return is_evidence_hit(sentence, example.spans)

"""A question and papers to the questions of each, and their answers to what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from qa_extractive.data.question_forms import is_yes_no
from qa_extractive.errors import DataError
from qa_extractive.evidence.tally import ALLOWED_ERROR, Tally, tally_of
from qa_extractive.evidence.types import Evidence, PaperAnswer, PaperText, Texts
from qa_extractive.evidence.values import values_of
from qa_extractive.types import Answer, Question

LIMITS_OF_TALLY = (
    "This counts what these papers say, each as one vote, and does not know whether they are right, well "
    "done, about the same patients or all that there are; the intervals hold where the probabilities are at "
    f"most {ALLOWED_ERROR:g} off and the papers are independent."
)
LIMITS_OF_VALUES = (
    "These are the papers' own words: nothing is converted or pooled, and it is not known whether the values "
    "measure the same thing, or whether they are right."
)


def texts_of(papers: Iterable[Texts]) -> list[PaperText]:
    """The papers as ``PaperText.of`` makes them; DataError, with its index, where one is none."""
    if isinstance(papers, (str, PaperText, Mapping)) or not isinstance(papers, Iterable):
        raise DataError(f"papers must be a list of papers, not {type(papers).__name__}")
    found = []
    for i, paper in enumerate(papers):
        try:
            found.append(PaperText.of(paper))
        except DataError as error:
            raise DataError(f"papers[{i}]: {error}") from None
    return found


def questions_of(
    question: str, papers: Sequence[PaperText], check: Callable[[Question], None]
) -> list[Question]:
    """The question to each paper.

    Args:
        question: What is asked.
        papers: All of them.
        check: Raises DataError for a question that cannot be answered.

    Raises:
        DataError: The question cannot be answered, or, with its index, a paper.
    """
    check(Question(question, ""))
    asked = [Question(question, paper.text, paper.title) for paper in papers]
    for i, each in enumerate(asked):
        try:
            check(each)
        except DataError as error:
            raise DataError(f"papers[{i}]: {error}") from None
    return asked


def paper_answer(index: int, paper: PaperText, question: str, answer: Answer) -> PaperAnswer:
    """What one paper says, and where."""
    start = answer.best.start if answer.best else None
    return PaperAnswer(
        index,
        paper.id,
        paper.title,
        answer,
        section=None if start is None else paper.section_at(start),
        page=None if start is None else paper.page_at(start),
        vote_probs=answer.vote_probs if is_yes_no(question) else None,
    )


def evidence_of(question: str, papers: Sequence[PaperText], answers: Sequence[Answer]) -> Evidence:
    """What the papers say together.

    Args:
        question: What was asked.
        papers: All of them.
        answers: One for each paper, in the same order.
    """
    said = [
        paper_answer(i, paper, question, answer)
        for i, (paper, answer) in enumerate(zip(papers, answers, strict=True))
    ]
    return together(question, papers, said)


def together(question: str, papers: Sequence[PaperText], said: Sequence[PaperAnswer]) -> Evidence:
    """As ``evidence_of``, of what each paper says."""
    if is_yes_no(question):
        return Evidence(question, tuple(said), _tally(said), (), LIMITS_OF_TALLY)
    texts, answers = [paper.text for paper in papers], [each.answer for each in said]
    return Evidence(question, tuple(said), None, values_of(question, texts, answers), LIMITS_OF_VALUES)


def _tally(said: Sequence[PaperAnswer]) -> Tally | None:
    """None where some paper has no probabilities: the model has no verdict head."""
    probs = [each.vote_probs for each in said if each.vote_probs is not None]
    votes = [each.vote for each in said if each.vote is not None]
    return tally_of(votes, probs) if said and len(probs) == len(said) else None

"""A raw prediction to an answer: probabilities, abstention, candidates and the sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qa_extractive._utils.sentences import sentence_at
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.decoding import Candidate, RawPrediction
from qa_extractive.settings import AnswerSettings
from qa_extractive.types import Answer, Question, Span, VoteProbs


def to_answer(
    question: Question, prediction: RawPrediction, calibration: Calibration, settings: AnswerSettings
) -> Answer:
    """The answer that a raw prediction amounts to, once it is calibrated.

    Args:
        question: What was asked.
        prediction: What the model found, ``settings.n_decoded`` candidates where there are so many:
            they share the probability that the best one leaves.
        calibration: Of the model that read it.
        settings: Its threshold and number of candidates count.
    """
    answerable, right = calibration.probs(prediction)
    scores = candidate_scores(prediction.candidates, right)[: settings.top_k]
    context = question.context
    spans = tuple(
        Span.cut(context, c.start, c.end, s) for c, s in zip(prediction.candidates, scores, strict=False)
    )
    votes = vote_probs(prediction, calibration, answerable)
    if not spans or answerable < settings.threshold:
        return Answer("", 0, 0, right, answerable, abstained=True, candidates=spans, vote_probs=votes)
    best = spans[0]
    around = sentence_at(context, best.start, best.end)
    sentence = Span.cut(context, around.start, around.end, right)
    said, probs = calibration.verdict_of(prediction)
    return Answer(
        best.text, best.start, best.end, right, answerable, False, sentence, spans, said, probs, votes
    )


def vote_probs(prediction: RawPrediction, calibration: Calibration, answerable: float) -> VoteProbs | None:
    """``Answer.vote_probs``: the verdicts share ``answerable``, that the text does not say has the rest."""
    if calibration.verdict is None:
        return None
    if prediction.verdict_logits is None:  # a context without a token; or, of a plain checkpoint, no head
        return None if prediction.candidates else (0.0, 0.0, 0.0, 1.0)
    yes, no, mixed = (answerable * p for p in calibration.verdict.verdict_probs(prediction.verdict_logits))
    return yes, no, mixed, 1.0 - answerable


def candidate_scores(candidates: Sequence[Candidate], right: float) -> list[float]:
    """A score for each candidate, not rising, of a sum of at most 1.

    The best one's is ``right``, the calibrated probability that it is right. Its rivals, of which at
    most one can be right, share the rest by their softmax weights; none exceeds a better one.
    """
    weights = [math.exp(c.span_logit - candidates[0].span_logit) for c in candidates[1:]]
    total = sum(weights)
    unit = min(right, (1.0 - right) / total) if total > 0.0 else 0.0
    return [right, *(unit * w for w in weights)] if candidates else []

"""Raw predictions of held-out examples -> Calibration. Needs the [train] extra (scikit-learn, scipy)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qa_extractive.data.documents import document_of
from qa_extractive.errors import DataError
from qa_extractive.inference.calibration import (
    N_FEATURES,
    RISK_CONFIDENCE,
    Calibration,
    Logistic,
    RiskPoint,
    VerdictCalibration,
    uncalibrated,
)
from qa_extractive.inference.decoding import RawPrediction
from qa_extractive.metrics.text import RIGHT_F1, best_token_f1
from qa_extractive.metrics.thresholds import answer_gains, best_cut
from qa_extractive.types import VERDICT_CLASSES, VERDICTS, Example

logger = logging.getLogger(__name__)

_MIN_ANSWERED = 20
_N_THRESHOLDS = 200
MIN_EXAMPLES = 20
_OPERATING_POINT = "highest mean F1 on the calibration examples, a right abstention counting 1"
_LEAST_VERDICT_GAIN = 0.10
_MIN_VERDICTS = 50
_KEPT = "; kept from "

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FitRows:
    """What a calibration is fitted to, a row for each example whose answerability is known.

    Attributes:
        features: As ``RawPrediction.features`` has them, (n, 4).
        answerable: Whether the context answers the question, (n,).
        f1: Token F1 of the best span, (n,); 0 where the context does not answer.
        documents: What a split must keep together, (n,).
    """

    features: FloatArray
    answerable: BoolArray
    f1: FloatArray
    documents: npt.NDArray[np.str_]

    @classmethod
    def of(cls, predictions: Sequence[RawPrediction], examples: Sequence[Example]) -> FitRows:
        """The rows of predictions that hold a span; DataError where the two differ in length."""
        if len(predictions) != len(examples):
            raise DataError(f"{len(predictions)} predictions do not match {len(examples)} examples")
        kept = [
            (r, e)
            for r, e in zip(predictions, examples, strict=True)
            if r.candidates and e.answerable is not None
        ]
        return cls(
            features=np.array([r.features() for r, _ in kept], dtype=np.float64).reshape(
                len(kept), N_FEATURES
            ),
            answerable=np.array([bool(e.answerable) for _, e in kept], dtype=bool),
            f1=np.array([_f1(r, e) for r, e in kept], dtype=np.float64),
            documents=np.array([document_of(e) for _, e in kept], dtype=np.str_),
        )

    def __len__(self) -> int:
        """How many there are."""
        return len(self.f1)

    @property
    def right(self) -> BoolArray:
        """Whether the best span is right, (n,)."""
        return np.asarray(self.f1 >= RIGHT_F1)

    @property
    def can_fit(self) -> bool:
        """Whether there are enough of them, and of both kinds."""
        return _are_enough(self.answerable.tolist())

    def where(self, chosen: BoolArray) -> FitRows:
        """The rows where ``chosen``, (n,), holds."""
        return FitRows(
            self.features[chosen], self.answerable[chosen], self.f1[chosen], self.documents[chosen]
        )


def can_calibrate(examples: Sequence[Example]) -> bool:
    """Whether examples are enough, and of both kinds, to fit a calibration to."""
    return _are_enough([e.answerable for e in examples if e.answerable is not None])


def _are_enough(answerable: Sequence[bool]) -> bool:
    return len(answerable) >= MIN_EXAMPLES and any(answerable) and not all(answerable)


def fit(
    predictions: Sequence[RawPrediction],
    examples: Sequence[Example],
    *,
    fitted_on: str,
    fallback: Calibration | None = None,
    answerable_share: float | None = None,
) -> Calibration:
    """Fit both probabilities, choose the threshold and tabulate the risk.

    The threshold maximises the mean F1 over the calibration examples, an abstention counting 1 on
    an unanswerable and 0 on an answerable one (the SQuAD 2.0 operating point). Where examples are
    too few or of one kind only, ``fallback`` stays, without its risk table, and ``fitted_on`` says so.

    Args:
        predictions: Uncalibrated predictions of the model that is to be shipped.
        examples: What is known of each; those whose answerability is not known are left out.
        fitted_on: In words: which logits, which data.
        fallback: That of the model started from; None for the plain logistic of the margin.
        answerable_share: As of ``fit_rows``.

    Raises:
        DataError: The two differ in length.
    """
    rows = FitRows.of(predictions, examples)
    if not rows.can_fit:
        return _too_few(len(rows), fitted_on, fallback)
    verdict = fit_verdict(predictions, examples, None if fallback is None else fallback.verdict)
    return replace(fit_rows(rows, fitted_on, answerable_share), verdict=verdict)


def fit_verdict(
    predictions: Sequence[RawPrediction],
    examples: Sequence[Example],
    fallback: VerdictCalibration | None = None,
) -> VerdictCalibration | None:
    """Fit the probabilities of verdicts by maximum likelihood.

    Args:
        predictions: Of the model that is to be shipped.
        examples: What is known of each; those without a known verdict are left out.
        fallback: What to return where fewer than 50 are left, or some class has none.

    Returns:
        None where the model has no verdict head, or one that is right on these examples hardly more often
        than whoever always says the most frequent verdict: 10 points more are asked for, since a verdict that
        is a guess misleads.
    """
    from scipy.optimize import minimize

    kept = [
        (r.verdict_logits, VERDICT_CLASSES.index(e.verdict))
        for r, e in zip(predictions, examples, strict=True)
        if r.verdict_logits is not None and e.verdict is not None
    ]
    if all(r.verdict_logits is None for r in predictions):
        return None
    classes = np.array([label for _, label in kept], dtype=np.int64)
    if len(kept) < _MIN_VERDICTS or len(set(classes.tolist())) < len(VERDICT_CLASSES):
        return fallback or VerdictCalibration(1.0, (0.0,) * len(VERDICT_CLASSES))
    logits = np.array([each for each, _ in kept])

    def loss(parameters: FloatArray) -> float:
        fitted = VerdictCalibration(float(np.exp(parameters[0])), tuple(parameters[1:]))
        likelihoods = fitted.probs(logits)[np.arange(len(classes)), classes]
        return float(-np.log(np.maximum(likelihoods, 1e-12)).mean() + 1e-4 * np.square(parameters[1:]).sum())

    found = minimize(loss, np.zeros(1 + len(VERDICT_CLASSES)), method="L-BFGS-B").x
    fitted = VerdictCalibration(float(np.exp(found[0])), tuple(float(b) for b in found[1:]))
    return fitted if _tells_verdicts(fitted.probs(logits), classes) else None


def _tells_verdicts(probs: FloatArray, classes: npt.NDArray[np.int64]) -> bool:
    """Whether the verdicts of yes/no questions are clearly better than always the most frequent one."""
    asked = classes < len(VERDICTS)  # the last class is of other questions
    right = probs[asked, : len(VERDICTS)].argmax(axis=1) == classes[asked]
    always = np.bincount(classes[asked]).max() / asked.sum()
    if right.mean() >= always + _LEAST_VERDICT_GAIN:
        return True
    logger.warning(
        "no verdicts: they are right in %.0f %% of %d yes/no questions, always the same one in %.0f %%",
        *(100 * right.mean(), asked.sum(), 100 * always),
    )
    return False


def fit_yes_no(logits: FloatArray, yes: BoolArray, *, fitted_on: str) -> Calibration:
    """The calibration of a model whose answerability head says yes or no; of its spans nothing is known.

    ``answerable`` is P(yes), by the head's logit alone, with the threshold at 0.5; the risk is the share of
    noes among what is taken for a yes. ``score`` is the logistic of the span's margin, not calibrated.

    Args:
        logits: Of rows that the head was not trained on, (n,).
        yes: Whether each is a yes, (n,); both kinds.
        fitted_on: In words: which logits, which data.
    """
    features = logits[:, None]
    fitted = logistic_of(features, yes)
    probs = fitted.prob(features)
    return replace(
        uncalibrated(),
        answerable=fitted,
        threshold=0.5,
        operating_point="yes where it is the more probable; answerable means yes",
        n_examples=len(probs),
        answerable_share=float(yes.mean()),
        risk_table=risk_table(probs, yes),
        fitted_on=f"{fitted_on}; score is the logistic of the span margin, not calibrated",
    )


def _too_few(n_examples: int, fitted_on: str, fallback: Calibration | None) -> Calibration:
    kept = uncalibrated() if fallback is None else fallback
    source = kept.fitted_on.rpartition(_KEPT)[2]
    why = f"{n_examples} usable examples of {fitted_on} are too few or of one kind"
    return replace(
        kept,
        n_examples=n_examples,
        answerable_share=0.0,
        risk_table=(),
        fitted_on=f"not fitted: {why}{_KEPT}{source}",
    )


def fit_rows(rows: FitRows, fitted_on: str, answerable_share: float | None = None) -> Calibration:
    """As ``fit``, of rows of both kinds.

    Args:
        rows: What the fit is made on.
        fitted_on: As of ``fit``.
        answerable_share: Share of answerable questions, in (0, 1), that the threshold is chosen for; None for
            that of the rows. The probabilities are those of the rows as they are.
    """
    features, answerable, right = rows.features, rows.answerable, rows.right
    answerable_fit = logistic_of(features, answerable)
    right_fit = logistic_of(features, right) if right.any() and not right.all() else answerable_fit
    probs = answerable_fit.prob(features)
    threshold = best_threshold(probs, answerable, rows.f1, answerable_share)
    return Calibration(
        answerable=answerable_fit,
        right=right_fit,
        threshold=threshold,
        operating_point=_OPERATING_POINT if answerable_share is None else _of_share(answerable_share),
        n_examples=len(probs),
        answerable_share=float(answerable.mean()),
        risk_table=risk_table(probs, right),
        fitted_on=fitted_on,
    )


def _of_share(answerable_share: float) -> str:
    return f"{_OPERATING_POINT}, weighted as if {100 * answerable_share:g} % of them were answerable"


def _f1(prediction: RawPrediction, example: Example) -> float:
    """Token F1 of the best span; 0 on an unanswerable example."""
    if not example.answerable or not example.references:
        return 0.0
    best = prediction.candidates[0]
    return best_token_f1(example.question.context[best.start : best.end], example.references)


def logistic_of(features: FloatArray, labels: BoolArray) -> Logistic:
    """A logistic regression of labels of both kinds, (n,), on features, (n, n_features)."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    model = LogisticRegression(C=1.0, max_iter=1000).fit((features - mean) / scale, labels)
    weights = model.coef_[0] / scale
    return Logistic(tuple(float(w) for w in weights), float(model.intercept_[0] - weights @ mean))


def best_threshold(
    probs: FloatArray, answerable: BoolArray, f1: FloatArray, answerable_share: float | None = None
) -> float:
    """The threshold of highest mean F1; in the middle of the gap where it lies, in [0, 1].

    Args:
        probs: That the rows are answerable, (n_rows,).
        answerable: Whether they are, (n_rows,).
        f1: Of the answers, (n_rows,), in [0, 1].
        answerable_share: As of ``fit_rows``.
    """
    gains = answer_gains(f1, answerable)
    if answerable_share is not None:
        own = answerable.mean()
        gains = gains * np.where(answerable, answerable_share / own, (1 - answerable_share) / (1 - own))
    best = best_cut(probs, gains)
    above = 1.0 if best.above is None else best.above
    below = 0.0 if best.below is None else best.below
    return (above + below) / 2


def risk_table(probs: FloatArray, right: BoolArray) -> tuple[RiskPoint, ...]:
    """Risk and its upper bound at up to 200 thresholds, from the highest down."""
    from scipy.stats import beta

    thresholds = np.unique(np.quantile(probs, np.linspace(0.0, 1.0, _N_THRESHOLDS)))[::-1]
    points = []
    for threshold in thresholds:
        answered = probs >= threshold
        n, wrong = int(answered.sum()), int((answered & ~right).sum())
        if n >= min(_MIN_ANSWERED, len(probs)):
            bound = 1.0 if wrong == n else float(beta.ppf(RISK_CONFIDENCE, wrong + 1, n - wrong))
            points.append(RiskPoint(float(threshold), n / len(probs), wrong / n, bound))
    return tuple(points)

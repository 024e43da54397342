"""Raw predictions -> calibrated probabilities, thresholds and risk bounds; applied with numpy alone.

A calibration belongs to one set of weights: it is fitted (``calibration_fit``) on the logits of the
model it is saved with, on examples that model was not trained on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_extractive.config import read_json
from qa_extractive.errors import ModelError, shortened
from qa_extractive.inference.decoding import RawPrediction
from qa_extractive.settings import CACHED, FAST, FULL
from qa_extractive.types import VERDICT_CLASSES, VERDICTS

CALIBRATION_FILE = "calibration.json"
CALIBRATION_FILES = {
    FULL: CALIBRATION_FILE,
    FAST: "calibration_fast.json",
    CACHED: "calibration_cached.json",
}
N_FEATURES = 4  # of ``RawPrediction.features``
_MOST_WEIGHT = 1e12  # a fit divides by deviations of at least 1e-9; products of larger ones might overflow
_MOST_POINTS = 10_000
_NO_QUESTION_FROM = 0.5  # probability of the fourth class from which there is no verdict
_START_COVERAGES = (0.05, 0.2, 0.4, 0.7)
# What a confidence of 95 % leaves is shared among the sequences of tests that begin at these coverages.
RISK_CONFIDENCE = 1 - 0.05 / len(_START_COVERAGES)


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic regression on the features of a prediction.

    Attributes:
        weights: One for each of the first features of ``RawPrediction.features``; a calibration of an earlier
            version has three and does without the rest.
        bias: The intercept.
    """

    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        """Raise ModelError unless there is a weight for some features and all are numbers of use."""
        if not 1 <= len(self.weights) <= N_FEATURES:
            raise ModelError(f"{len(self.weights)} weights, where there are {N_FEATURES} features")
        for value in (*self.weights, self.bias):
            if not abs(value) <= _MOST_WEIGHT:
                raise ModelError(f"a weight of {value:g} is out of range")

    def prob(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities in [0, 1], (n,), of features of shape (n, at least n_weights)."""
        read = features[:, : len(self.weights)]
        logits = np.clip(read @ np.asarray(self.weights) + self.bias, -40.0, 40.0)
        return np.asarray(1.0 / (1.0 + np.exp(-logits)))


@dataclass(frozen=True, slots=True)
class VerdictCalibration:
    """Verdict logits -> probabilities: their softmax, scaled and shifted.

    Attributes:
        scale: Factor on the logits, the inverse of a temperature.
        biases: One for each of ``VERDICT_CLASSES``.
    """

    scale: float
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ModelError unless there is a bias for each class and all are numbers of use."""
        if len(self.biases) != len(VERDICT_CLASSES):
            raise ModelError(
                f"{len(self.biases)} biases, where there are {len(VERDICT_CLASSES)} verdict classes"
            )
        for value in (self.scale, *self.biases):
            if not abs(value) <= _MOST_WEIGHT:
                raise ModelError(f"a verdict's number of {value:g} is out of range")

    def probs(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Probabilities of ``VERDICT_CLASSES``, of the shape of the logits, (..., 4)."""
        return _softmax(self._shifted(logits))

    def verdict(self, logits: Sequence[float]) -> tuple[str, tuple[float, float, float]] | None:
        """The verdict and the probabilities of ``VERDICTS``; None where it is likely no yes/no question."""
        *said, other = (float(p) for p in self.probs(logits))
        if other >= _NO_QUESTION_FROM:
            return None
        total = sum(said)
        yes, no, mixed = (p / total for p in said)
        return VERDICTS[int(np.argmax(said))], (yes, no, mixed)

    def verdict_probs(self, logits: Sequence[float]) -> tuple[float, float, float]:
        """The probabilities of ``VERDICTS``, of sum 1, where it is known to be a yes/no question."""
        yes, no, mixed = (float(p) for p in _softmax(self._shifted(logits)[: len(VERDICTS)]))
        return yes, no, mixed

    def _shifted(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.asarray(self.scale * np.asarray(logits, dtype=np.float64) + np.asarray(self.biases))


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """One line of the risk table: what abstaining below ``threshold`` risks.

    Attributes:
        threshold: On the answerable probability, in [0, 1].
        coverage: Share of the calibration questions answered.
        risk: Share of given answers that were not right (token F1 < 0.5, or unanswerable).
        risk_bound: Upper confidence bound of that risk at ``RISK_CONFIDENCE`` (Clopper-Pearson, one-sided).
    """

    threshold: float
    coverage: float
    risk: float
    risk_bound: float

    def __post_init__(self) -> None:
        """Raise ModelError unless all four lie in [0, 1]."""
        for name in ("threshold", "coverage", "risk", "risk_bound"):
            _check_share(getattr(self, name), f"a {name} of risk_table")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a model's logits into probabilities, and its default operating point.

    Attributes:
        answerable: P(the context answers the question).
        right: P(the best span is right, token F1 >= 0.5 against a reference).
        threshold: Default abstention threshold on the answerable probability.
        operating_point: In words, what the threshold was chosen for.
        n_examples: Calibration examples.
        answerable_share: Share of them that are answerable: the prior that the probabilities assume.
        risk_table: From the highest threshold to the lowest.
        fitted_on: In words, the logits and the data it was fitted on.
        verdict: Of the verdict head; None where the model has none, and no verdict is given.
    """

    answerable: Logistic
    right: Logistic
    threshold: float
    operating_point: str = ""
    n_examples: int = 0
    answerable_share: float = 0.0
    risk_table: tuple[RiskPoint, ...] = field(default_factory=tuple)
    fitted_on: str = ""
    verdict: VerdictCalibration | None = None

    def __post_init__(self) -> None:
        """Raise ModelError for a number out of its range, or a risk table that is not in its order."""
        _check_share(self.threshold, "threshold")
        _check_share(self.answerable_share, "answerable_share")
        count = self.n_examples
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 1 << 40:
            raise ModelError(f"n_examples must be a count, got {shortened(count)}")
        for name in ("operating_point", "fitted_on"):
            if not isinstance(getattr(self, name), str):
                raise ModelError(f"{name} must be a text, got {shortened(getattr(self, name))}")
        if len(self.risk_table) > _MOST_POINTS:
            raise ModelError(f"risk_table has {len(self.risk_table):,} points, more than {_MOST_POINTS:,}")
        for above, below in pairwise(self.risk_table):
            if above.threshold < below.threshold or above.coverage > below.coverage:
                raise ModelError("risk_table must go from the highest threshold and lowest coverage down")

    def probs(self, prediction: RawPrediction) -> tuple[float, float]:
        """``(answerable, right)`` of one prediction; zeros where the context holds no token."""
        if not prediction.candidates:
            return 0.0, 0.0
        features = prediction.features()[None, :]
        return float(self.answerable.prob(features)[0]), float(self.right.prob(features)[0])

    def verdict_of(
        self, prediction: RawPrediction
    ) -> tuple[str, tuple[float, float, float]] | tuple[None, None]:
        """The verdict of a prediction and the probabilities of ``VERDICTS``; Nones where there is none."""
        if self.verdict is None or prediction.verdict_logits is None:
            return None, None
        return self.verdict.verdict(prediction.verdict_logits) or (None, None)

    def threshold_for_risk(self, max_risk: float) -> float:
        """The lowest threshold whose risk is at most ``max_risk`` with 95 % confidence.

        Fixed-sequence testing with several starts (Learn then Test, Angelopoulos et al. 2021, arXiv
        2110.01052): from the threshold that answers 5 % of the questions down, until the first whose
        bound exceeds ``max_risk``; the same from those that answer 20, 40 and 70 %, so that a few wrong
        answers among the surest do not end the search. Each sequence takes a fourth of the 5 % doubt.
        Holds if the questions to come are exchangeable with the calibration data.

        Raises:
            ModelError: ``max_risk`` is outside (0, 1), or no threshold meets it.
        """
        if not 0.0 < max_risk < 1.0:
            raise ModelError(f"max_risk must lie between 0 and 1, got {max_risk}")
        chosen: float | None = None
        for start in _START_COVERAGES:
            sequence = (point for point in self.risk_table if point.coverage >= start)
            for point in takewhile(lambda point: point.risk_bound <= max_risk, sequence):
                chosen = point.threshold if chosen is None else min(chosen, point.threshold)
        if chosen is None:
            raise ModelError(
                f"no threshold of this model keeps the risk under {max_risk} with 95 % confidence "
                f"on its {self.n_examples} calibration examples: allow more risk"
            )
        return chosen

    def save(self, folder: Path, name: str = CALIBRATION_FILE) -> None:
        """Write ``calibration.json``, or a file of another name, into a folder."""
        values = asdict(self)
        if self.verdict is None:
            del values["verdict"]
        text = json.dumps(values, indent=1)
        (folder / name).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str = CALIBRATION_FILE) -> Calibration:
        """Read ``calibration.json`` or another file; ModelError if it is missing or not understood."""
        path = folder / name
        values: dict[str, Any] = read_json(path)
        try:
            return cls(
                answerable=_logistic(values.pop("answerable")),
                right=_logistic(values.pop("right")),
                threshold=_number(values.pop("threshold")),
                verdict=_verdict(values.pop("verdict", None)),
                risk_table=tuple(_risk_point(point) for point in values.pop("risk_table")),
                **values,
            )
        except (AttributeError, KeyError, ModelError, OverflowError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is not a calibration: {error}; export the model again") from None


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _check_share(value: object, name: str) -> None:
    """Raise ModelError unless a value is a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise ModelError(f"{name} must lie in [0, 1], got {shortened(value)}")


def _logistic(values: dict[str, Any]) -> Logistic:
    weights = tuple(_number(each) for each in values["weights"])
    return Logistic(weights, bias=_number(values["bias"]))


def _verdict(values: dict[str, Any] | None) -> VerdictCalibration | None:
    if values is None:
        return None
    return VerdictCalibration(_number(values["scale"]), tuple(_number(each) for each in values["biases"]))


def _risk_point(values: dict[str, Any]) -> RiskPoint:
    return RiskPoint(**{name: _number(value) for name, value in values.items()})


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{shortened(value)} is not a number")
    return value


def uncalibrated() -> Calibration:
    """The plain logistic of the logits: what a checkpoint without calibration data gets."""
    return Calibration(
        answerable=Logistic((0.0, 1.0), 0.0),
        right=Logistic((0.0, 1.0), 0.0),
        threshold=0.5,
        operating_point="the null score: answered where a span beats 'no span'",
        fitted_on="nothing: probabilities are the logistic of the span margin, not calibrated",
    )

"""Applying a calibration: probabilities, thresholds for a risk, and its file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive.calibration import CALIBRATION_FILE, Calibration, Logistic, RiskPoint, uncalibrated
from qa_extractive.decoding import EMPTY_READING, Candidate, Reading
from qa_extractive.errors import ModelError

READING = Reading((Candidate(3.0, 0, 4), Candidate(1.0, 5, 9)), null_logit=2.5, answerability_logit=-0.4)


def _with_table(*points: tuple[float, int, float], n_examples: int = 1000) -> Calibration:
    """Of (threshold, answered, bound); the risk itself plays no part in choosing."""
    table = tuple(RiskPoint(t, n / n_examples, 0.0, bound) for t, n, bound in points)
    return replace(uncalibrated(), risk_table=table, n_examples=n_examples)


def test_probabilities_by_hand() -> None:
    calibration = replace(
        uncalibrated(), answerable=Logistic((1.0, 2.0, 3.0), -4.0), right=Logistic((0.0, 0.0, 0.5), 0.0)
    )
    answerable, right = calibration.probs(READING)  # features: -0.4, margin 0.5, gap 2
    assert answerable == pytest.approx(1 / (1 + math.exp(-(-0.4 + 1.0 + 6.0 - 4.0))))
    assert right == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert calibration.probs(EMPTY_READING) == (0.0, 0.0)


def test_extreme_logits_stay_probabilities_without_overflow() -> None:
    features = np.array([[1e30, 0, 0], [-1e30, 0, 0], [0, 0, 0]], dtype=np.float64)
    probs = Logistic((1.0, 0.0, 0.0), 0.0).prob(features)
    assert probs.tolist() == pytest.approx([1.0, 0.0, 0.5], abs=1e-12)


def test_uncalibrated_answers_where_a_span_beats_the_null() -> None:
    plain = uncalibrated()
    for null, answered in ((2.9, True), (3.1, False)):
        assert (plain.probs(replace(READING, null_logit=null))[0] >= plain.threshold) is answered
    assert "not calibrated" in plain.fitted_on


def test_the_threshold_for_a_risk_is_the_last_before_the_first_failure() -> None:
    calibration = _with_table((0.9, 100, 0.05), (0.7, 300, 0.10), (0.5, 500, 0.21), (0.3, 800, 0.02))
    assert calibration.threshold_for_risk(0.2) == 0.7, "0.3 looks safe but lies behind a failure"
    assert calibration.threshold_for_risk(0.10) == 0.7, "a bound of exactly the risk is within it"
    assert calibration.threshold_for_risk(0.07) == 0.9
    assert calibration.threshold_for_risk(0.25) == 0.3


def test_a_first_failure_leaves_no_threshold() -> None:
    calibration = _with_table((0.9, 100, 0.3), (0.7, 300, 0.01))
    with pytest.raises(ModelError, match=r"keeps the risk under 0\.2 .* 1000 calibration examples"):
        calibration.threshold_for_risk(0.2)
    with pytest.raises(ModelError, match="no threshold"):
        uncalibrated().threshold_for_risk(0.5)


def test_too_few_answers_to_prove_a_low_risk_are_no_failure() -> None:
    # None wrong of 20 still has a bound of 0.139: testing that would forbid every lower risk for ever.
    points = [(0.9, 20, 0.139), (0.8, 28, 0.1015), (0.7, 29, 0.098), (0.6, 400, 0.06), (0.5, 500, 0.11)]
    calibration = _with_table(*points)
    assert calibration.threshold_for_risk(0.1) == 0.6
    wrong_at_29 = [*points[:2], (0.7, 29, 0.154), *points[3:]]
    with pytest.raises(ModelError, match="no threshold"):
        _with_table(*wrong_at_29).threshold_for_risk(0.1)


@pytest.mark.parametrize("risk", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_risk_is_a_share(risk: float) -> None:
    with pytest.raises(ModelError, match="between 0 and 1"):
        _with_table((0.9, 100, 0.05)).threshold_for_risk(risk)


def test_a_calibration_comes_back_as_saved(tmp_path: Path) -> None:
    calibration = Calibration(
        answerable=Logistic((1 / 3, -1e-17, 2.5e300), 0.1 + 0.2),
        right=Logistic((0.0, 1.0, 2.0), -3.0),
        threshold=0.123456789012345678,
        operating_point="é",
        n_examples=7,
        answerable_share=2 / 7,
        risk_table=(RiskPoint(0.9, 0.1, 0.0, 1 / 3), RiskPoint(0.2, 1.0, 0.4, 0.5)),
        fitted_on="中文",
    )
    calibration.save(tmp_path)
    assert Calibration.load(tmp_path) == calibration


@pytest.mark.parametrize(
    "change",
    [
        {"answerable": None},
        {"right": {"weights": [1, 2, 3]}},
        {"risk_table": [{"threshold": 0.5}]},
        {"risk_table": 3},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_file_that_is_no_calibration_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    uncalibrated().save(tmp_path)
    path = tmp_path / CALIBRATION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=r"calibration\.json is not a calibration"):
        Calibration.load(tmp_path)


def test_a_missing_calibration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"calibration\.json is missing"):
        Calibration.load(tmp_path)

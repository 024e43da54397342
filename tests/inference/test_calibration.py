"""Applying a calibration: probabilities, thresholds for a risk, and its file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive.errors import ModelError
from qa_extractive.inference.calibration import (
    CALIBRATION_FILE,
    Calibration,
    Logistic,
    RiskPoint,
    uncalibrated,
)
from qa_extractive.inference.decoding import EMPTY_PREDICTION, Candidate, RawPrediction

READING = RawPrediction(
    (Candidate(3.0, 0, 4), Candidate(1.0, 5, 9)), null_logit=2.5, answerability_logit=-0.4
)


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
    assert calibration.probs(EMPTY_PREDICTION) == (0.0, 0.0)
    by_length = replace(calibration, right=Logistic((0.0, 0.0, 0.0, 2.0), -3.0))
    assert by_length.probs(READING)[1] == pytest.approx(1 / (1 + math.exp(3.0 - 2.0 * math.log(5))))


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
    calibration = _with_table((0.9, 410, 0.05), (0.7, 500, 0.10), (0.5, 600, 0.21), (0.3, 690, 0.02))
    assert calibration.threshold_for_risk(0.2) == 0.7, "0.3 looks safe but lies behind a failure"
    assert calibration.threshold_for_risk(0.10) == 0.7, "a bound of exactly the risk is within it"
    assert calibration.threshold_for_risk(0.07) == 0.9
    assert calibration.threshold_for_risk(0.25) == 0.3


def test_a_failure_everywhere_leaves_no_threshold() -> None:
    calibration = _with_table((0.9, 100, 0.3), (0.7, 300, 0.25))
    with pytest.raises(ModelError, match=r"keeps the risk under 0\.2 .* 1000 calibration examples"):
        calibration.threshold_for_risk(0.2)
    with pytest.raises(ModelError, match="no threshold"):
        uncalibrated().threshold_for_risk(0.5)


def test_a_few_wrong_answers_among_the_surest_do_not_end_the_search() -> None:
    points = [
        (0.95, 20, 0.01),
        (0.9, 60, 0.3),
        (0.8, 150, 0.05),
        (0.7, 210, 0.09),
        (0.6, 390, 0.2),
        (0.5, 800, 0.1),
    ]
    calibration = _with_table(*points)
    assert calibration.threshold_for_risk(0.25) == 0.5
    assert calibration.threshold_for_risk(0.1) == 0.5, "the sequence from a coverage of 0.7 begins with it"
    assert calibration.threshold_for_risk(0.095) == 0.7, "that from 0.2 goes no further"
    with pytest.raises(ModelError, match="no threshold"):
        calibration.threshold_for_risk(0.05)  # 0.95 and 0.8 are no starts


@pytest.mark.parametrize("risk", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_risk_is_a_share(risk: float) -> None:
    with pytest.raises(ModelError, match="between 0 and 1"):
        _with_table((0.9, 100, 0.05)).threshold_for_risk(risk)


def test_a_calibration_comes_back_as_saved(tmp_path: Path) -> None:
    calibration = Calibration(
        answerable=Logistic((1 / 3, -1e-17, 2.5e11), 0.1 + 0.2),
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

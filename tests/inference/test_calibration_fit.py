"""Fitting a calibration: known probabilities are found, the threshold is the best, the risk promise holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

from qa_extractive.errors import DataError, ModelError
from qa_extractive.inference.calibration import (
    RISK_CONFIDENCE,
    Calibration,
    Logistic,
    RiskPoint,
    uncalibrated,
)
from qa_extractive.inference.calibration_fit import best_threshold, fit, risk_table
from qa_extractive.inference.decoding import EMPTY_PREDICTION, Candidate, RawPrediction
from qa_extractive.types import Example, Question

CONTEXT = "alpha beta gamma delta"


def _prediction(head: float, margin: float, gap: float = 1.0) -> RawPrediction:
    """The best span is "alpha"."""
    return RawPrediction((Candidate(margin, 0, 5), Candidate(margin - gap, 6, 10)), 0.0, head)


def _example(answerable: bool | None, reference: str = "alpha") -> Example:
    references = (reference,) if answerable else ()
    return Example("e", Question("what", CONTEXT), references=references, answerable=answerable)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def test_known_probabilities_are_recovered() -> None:
    rng = np.random.default_rng(5)
    n = 4000
    head, margin, gap = rng.normal(0, 2, n), rng.normal(3, 4, n), rng.uniform(0, 5, n)
    answerable_prob = _sigmoid(0.5 + 1.2 * head - 0.3 * margin)
    right_given_answerable = _sigmoid(0.8 * gap - 1.0)
    answerable = rng.random(n) < answerable_prob
    right = answerable & (rng.random(n) < right_given_answerable)
    predictions = [_prediction(h, m, g) for h, m, g in zip(head, margin, gap, strict=True)]
    examples = [_example(bool(a), "alpha" if r else "delta") for a, r in zip(answerable, right, strict=True)]
    calibration = fit(predictions, examples, fitted_on="made-up logits")
    found = np.array([calibration.probs(r) for r in predictions])
    assert np.abs(found[:, 0] - answerable_prob).mean() < 0.02
    assert np.abs(found[:, 0] - answerable_prob).max() < 0.08
    # P(right) is a product of logistics and not one itself: right on average, high where it is high.
    assert found[:, 1].mean() == pytest.approx(right.mean(), abs=0.01)
    assert np.corrcoef(found[:, 1], answerable_prob * right_given_answerable)[0, 1] > 0.9
    assert calibration.n_examples == n
    assert calibration.answerable_share == pytest.approx(answerable.mean())
    assert calibration.fitted_on == "made-up logits"
    assert calibration.risk_table[-1].risk == pytest.approx(1 - right.mean())


def test_the_length_of_the_span_counts() -> None:
    rng = np.random.default_rng(6)
    is_long = rng.random(2000) < 0.5
    answerable = rng.random(2000) < np.where(is_long, 0.9, 0.2)
    predictions = [RawPrediction((Candidate(1.0, 0, 29 if long else 5),), 0.0, 0.0) for long in is_long]
    calibration = fit(predictions, [_example(bool(a)) for a in answerable], fitted_on="made-up logits")
    long, short = (
        calibration.probs(predictions[is_long.argmax()]),
        calibration.probs(predictions[is_long.argmin()]),
    )
    assert long[0] == pytest.approx(answerable[is_long].mean(), abs=0.01)
    assert short[0] == pytest.approx(answerable[~is_long].mean(), abs=0.01)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_threshold_for_another_share_is_that_of_rows_in_this_share(share: float) -> None:
    rng = np.random.default_rng(8)
    answerable = np.repeat([True, False], [300, 100])
    probs, f1 = np.clip(rng.normal(0.4 + 0.3 * answerable, 0.25), 0.0, 1.0), answerable * rng.random(400)
    copies = np.where(answerable, round(100 * share), 3 * round(100 * (1 - share)))
    repeated = best_threshold(np.repeat(probs, copies), np.repeat(answerable, copies), np.repeat(f1, copies))
    assert best_threshold(probs, answerable, f1, share) == pytest.approx(repeated, abs=1e-12)
    assert best_threshold(probs, answerable, f1, 0.75) == best_threshold(probs, answerable, f1)


def test_the_fit_says_for_which_share_its_threshold_is() -> None:
    rng = np.random.default_rng(9)
    answerable = rng.random(400) < 0.7
    predictions = [_prediction(h, 0.0) for h in rng.normal(2.0 * answerable, 1.5)]
    examples = [_example(bool(a)) for a in answerable]
    own = fit(predictions, examples, fitted_on="made up")
    half = fit(predictions, examples, fitted_on="made up", answerable_share=0.5)
    assert half.answerable == own.answerable, "the probabilities are those of the rows"
    assert half.threshold > own.threshold
    assert half.operating_point == f"{own.operating_point}, weighted as if 50 % of them were answerable"


def test_the_best_threshold_by_hand() -> None:
    probs = np.array([0.1, 0.9, 0.4, 0.8, 0.6])
    answerable = np.array([False, True, True, True, False])
    f1 = np.array([0.0, 1.0, 0.9, 0.5, 0.0])
    # Answered from the top: 1.0, 1.5, 0.5 (0.6 is unanswerable), 1.4, 0.4: best with two.
    assert best_threshold(probs, answerable, f1) == pytest.approx((0.8 + 0.6) / 2)


@pytest.mark.parametrize("seed", range(30))
def test_no_other_threshold_has_a_higher_mean_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    probs = rng.choice([0.1, 0.2, 0.5, 0.7, 0.9], n)  # many of them equal
    answerable = rng.random(n) < 0.6
    f1 = np.where(answerable, rng.random(n).round(1), 0.0)

    def mean_f1(threshold: float) -> float:
        return float(np.where(probs >= threshold, f1, ~answerable).mean())

    chosen = best_threshold(probs, answerable, f1)
    assert 0.0 <= chosen <= 1.0
    assert mean_f1(chosen) == pytest.approx(max(mean_f1(t) for t in [*probs, 1.01]))


def test_the_risk_bound_is_clopper_pearsons() -> None:
    from scipy.stats import binomtest

    probs = np.linspace(0.01, 0.99, 50)
    right = np.ones(50, dtype=bool)
    right[[49, 40, 12, 3]] = False
    table = risk_table(probs, right)
    for point in table:
        answered = probs >= point.threshold
        n, wrong = int(answered.sum()), int((answered & ~right).sum())
        bound = binomtest(wrong, n, alternative="less").proportion_ci(RISK_CONFIDENCE, method="exact").high
        assert (point.coverage, point.risk) == (n / 50, wrong / n)
        assert point.risk_bound == pytest.approx(bound)
    n_answered = [round(p.coverage * 50) for p in table]
    assert n_answered == sorted(n_answered), "from the highest threshold down"
    assert set(n_answered) == set(range(20, 51)), "fewer than 20 answers prove nothing"


def test_nothing_right_is_a_risk_of_one() -> None:
    table = risk_table(np.linspace(0, 1, 30), np.zeros(30, dtype=bool))
    assert {(p.risk, p.risk_bound) for p in table} == {(1.0, 1.0)}


def test_equal_probabilities_are_answered_together() -> None:
    (point,) = risk_table(np.full(40, 0.7), np.arange(40) < 30)
    assert (point.threshold, point.coverage, point.risk) == (0.7, 1.0, 0.25)


@pytest.mark.parametrize(("risk", "least_chosen"), [(0.2, 100), (0.1, 60)])
def test_the_risk_promise_holds(risk: float, least_chosen: int) -> None:
    """Over 200 calibration sets the true risk at the chosen threshold keeps the promise (95 %) in 90 %."""
    levels = np.linspace(0.05, 1.0, 20)  # few distinct probabilities, so that the table is short
    right_prob = 1 - 0.75 * (1 - levels) ** 1.2 - 0.005
    true_risk = {t: 1 - right_prob[levels >= t].mean() for t in levels}
    rng = np.random.default_rng(11)
    picks = rng.integers(0, len(levels), (200, 600))
    right = rng.random(picks.shape) < right_prob[picks]
    kept = chosen = 0
    for pick, own in zip(picks, right, strict=True):
        table = risk_table(levels[pick], own)
        try:
            threshold = replace(uncalibrated(), risk_table=table, n_examples=600).threshold_for_risk(risk)
        except ModelError:
            continue
        chosen += 1
        kept += min(true_risk.items(), key=lambda item: abs(item[0] - threshold))[1] <= risk
    assert chosen >= least_chosen, "a promise never made is no promise"
    assert kept / chosen >= 0.9
    assert min(true_risk.values()) < risk < max(true_risk.values()), "the promise can be broken"


@pytest.mark.parametrize(
    ("examples", "n_usable"),
    [
        ([_example(i % 2 == 0) for i in range(19)], 19),
        ([_example(True)] * 40, 40),
        ([_example(False)] * 40, 40),
        ([_example(None)] * 30 + [_example(i % 2 == 0) for i in range(10)], 10),
        ([], 0),
    ],
    ids=["19", "all answerable", "none answerable", "few known", "none at all"],
)
def test_too_few_or_of_one_kind_stay_the_plain_logistic_and_say_so(
    examples: list[Example], n_usable: int
) -> None:
    predictions = [_prediction(i / 10, i % 7 - 3.0) for i in range(len(examples))]
    calibration = fit(predictions, examples, fitted_on="logits")
    plain = uncalibrated()
    assert (calibration.answerable, calibration.right, calibration.threshold) == (
        plain.answerable,
        plain.right,
        plain.threshold,
    )
    assert calibration.fitted_on.startswith(f"not fitted: {n_usable} usable examples of logits")
    assert calibration.n_examples == n_usable
    assert not calibration.risk_table


def test_readings_without_a_span_are_left_out() -> None:
    predictions = [_prediction(i % 5 - 2.0, i % 3 - 1.0) for i in range(30)]
    examples = [_example(i % 2 == 0) for i in range(30)]
    calibration = fit([*predictions, EMPTY_PREDICTION], [*examples, _example(False)], fitted_on="logits")
    assert calibration == fit(predictions, examples, fitted_on="logits")
    assert calibration.n_examples == 30


def test_all_wrong_spans_do_not_stop_the_fit() -> None:
    predictions = [_prediction(i % 5 - 2.0, i % 3 - 1.0) for i in range(30)]
    calibration = fit(predictions, [_example(i % 2 == 0, "delta") for i in range(30)], fitted_on="logits")
    assert calibration.n_examples == 30
    with pytest.raises(ModelError, match="no threshold"):
        calibration.threshold_for_risk(0.5)


def test_a_reading_for_each_example() -> None:
    with pytest.raises(DataError, match="1 predictions do not match 2 examples"):
        fit([_prediction(0, 0)], [_example(True)] * 2, fitted_on="logits")


def test_too_few_examples_keep_the_calibration_of_the_model_started_from() -> None:
    base = Calibration(
        answerable=Logistic((0.5, 0.1, 0.0), -0.2),
        right=Logistic((0.3, 0.2, 0.1), -1.0),
        threshold=0.61,
        n_examples=900,
        risk_table=(RiskPoint(0.9, 0.1, 0.0, 0.1),),
        fitted_on="the base's data",
    )
    once = fit([], [], fitted_on="few", fallback=base)
    assert (once.answerable, once.right, once.threshold) == (base.answerable, base.right, base.threshold)
    assert once.risk_table == ()  # its promise does not hold for other weights
    assert once.n_examples == 0
    twice = fit([], [], fitted_on="few again", fallback=once)
    assert twice.fitted_on.endswith("; kept from the base's data")
    assert twice.fitted_on.count("kept from") == 1

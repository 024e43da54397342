"""Set-level figures: hand-computed values, independent implementations, degenerate columns."""

from __future__ import annotations

import dataclasses
import itertools
import random
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.errors import DataError, QAError
from qa_extractive.metrics.bootstrap import (
    PairedDifference,
    bootstrap_interval,
    bootstrap_statistic_interval,
    paired_bootstrap,
    paired_bootstrap_statistic,
)
from qa_extractive.metrics.risk_coverage import risk_coverage
from qa_extractive.metrics.scores import (
    answerability_auroc,
    answerability_average_precision,
    answerability_f1,
    brier_score,
    calibration_bins,
    calibration_error,
    squad_rows,
    squad_scores,
)
from qa_extractive.metrics.spans import broken_invariants, evidence_hit_rate, is_evidence_hit
from qa_extractive.metrics.speed import LatencyPercentiles, cost_per_million, latency_percentiles, rate
from qa_extractive.types import Answer, Span

Labelled = list[tuple[float, bool]]
Metric = Callable[[Sequence[float], Sequence[bool]], float | None]
T = TypeVar("T")


def present(value: T | None) -> T:
    assert value is not None
    return value


# ------------------------------------------------------------------------------------------------ SQuAD


def test_scores_by_hand() -> None:
    scores = squad_scores(["The cat", "black cat", "", "x"], [("cat",), ("cat", "dog"), (), ()])
    assert (scores.n, scores.n_has_ans, scores.n_no_ans) == (4, 2, 2)
    assert (scores.em, scores.has_ans_em, scores.no_ans_em) == (0.5, 0.5, 0.5)
    assert scores.f1 == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert scores.has_ans_f1 == pytest.approx(5 / 6)
    assert scores.no_ans_f1 == 0.5
    assert (scores.best_em, scores.best_em_threshold, scores.best_f1, scores.best_f1_threshold) == (None,) * 4


def test_version_1_gives_no_f1_to_an_empty_answer() -> None:
    one, two = (squad_scores(["", "cat"], [("The",), ("cat",)], version=v) for v in ("1.1", "2.0"))
    assert (one.em, one.f1) == (1.0, 0.5)
    assert (two.em, two.f1) == (1.0, 1.0)
    assert (one.has_ans_em, one.no_ans_em) == (1.0, None)


def test_best_threshold_by_hand() -> None:
    # From 2 (all abstained), by probability: +1 (right), -1 (answered in vain), +2/3, +0 (empty).
    scores = squad_scores(
        ["cat", "x", "black cat", ""],
        [("cat",), (), ("cat",), ()],
        no_answer_probs=[0.1, 0.2, 0.3, 0.4],
    )
    assert (scores.best_em, scores.best_em_threshold) == (0.75, 0.1)
    assert (scores.best_f1, scores.best_f1_threshold) == (0.75, 0.1)


def test_best_may_be_to_abstain_everywhere() -> None:
    scores = squad_scores(["x", "y"], [(), ("z",)], no_answer_probs=[0.2, 0.9])
    assert (scores.best_em, scores.best_em_threshold) == (0.5, 0.0)


def test_no_rows_give_none() -> None:
    scores = squad_scores([], [], no_answer_probs=[])
    assert scores == squad_scores([], [], version="1.1")
    assert (scores.n, scores.em, scores.f1, scores.has_ans_em, scores.best_em) == (0, None, None, None, None)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["x"], []), {}, "1 predictions, 0 references"),
        ((["x"], [("x",)]), {"no_answer_probs": []}, "0 no_answer_probs"),
        ((["x"], [("x",)]), {"no_answer_probs": [1.5]}, r"row 0 is 1\.5"),
        ((["x"], [("x",)]), {"no_answer_probs": [float("nan")]}, "row 0 is nan"),
        ((["x"], [("x",)]), {"no_answer_probs": [0.5], "version": "1.1"}, "no-answer threshold"),
        ((["x"], [()]), {"version": "1.1"}, "without references"),
        ((["x"], [("x",)]), {"version": "3"}, "unknown SQuAD version '3'"),
    ],
)
def test_columns_that_do_not_fit_are_data_errors(
    arguments: tuple[Any, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        squad_scores(*arguments, **options)


def test_scores_check_themselves() -> None:
    scores = squad_scores(["x"], [("x",)])
    with pytest.raises(DataError, match="are not 2"):
        dataclasses.replace(scores, n=2)
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        dataclasses.replace(scores, f1=100.0)


def test_rows_are_kept_in_order() -> None:
    rows = squad_rows(["cat sat", "", "x"], [("cat",), (), ()])
    assert rows.em.tolist() == [0.0, 1.0, 0.0]
    assert rows.f1.tolist() == pytest.approx([2 / 3, 1.0, 0.0])
    assert rows.answerable.tolist() == [True, False, False]


# ---------------------------------------------------------------------------------------- answerability

PROBS = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
LABELLED = st.lists(st.tuples(PROBS, st.booleans()), min_size=1, max_size=20)


def columns(rows: Labelled) -> tuple[list[float], list[bool]]:
    return [value for value, _ in rows], [label for _, label in rows]


def test_auroc_and_average_precision_by_hand() -> None:
    pytest.importorskip("sklearn")
    probs, answerable = [0.9, 0.8, 0.7], [True, False, True]
    assert answerability_auroc(probs, answerable) == pytest.approx(1 / 2)
    assert answerability_average_precision(probs, answerable) == pytest.approx((1 + 2 / 3) / 2)
    assert answerability_auroc([0.5, 0.5], [1, 0]) == pytest.approx(0.5)


@settings(deadline=None)
@given(LABELLED)
def test_auroc_counts_pairs_in_order(rows: Labelled) -> None:
    pytest.importorskip("sklearn")
    positive, negative = [p for p, label in rows if label], [p for p, label in rows if not label]
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    expected = pytest.approx(statistics.fmean(pairs), abs=1e-12) if pairs else None
    assert answerability_auroc(*columns(rows)) == expected


def test_f1_of_answering_by_hand() -> None:
    # Answered are 0.9 and 0.5, and of those 0.9 is answerable: precision 1/2, recall 1/2.
    probs, answerable = [0.9, 0.5, 0.4, 0.1], [True, False, True, False]
    assert answerability_f1(probs, answerable, threshold=0.5) == 0.5
    assert answerability_f1(probs, answerable, threshold=0.4) == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert answerability_f1(probs, answerable, threshold=0.0) == pytest.approx(2 * 0.5 / 1.5)
    assert answerability_f1(probs, answerable, threshold=1.0) == 0.0
    assert answerability_f1([0.9], [False], threshold=0.5) is None
    assert answerability_f1([], [], threshold=0.5) is None


@settings(deadline=None)
@given(LABELLED, PROBS)
def test_f1_of_answering_equals_scikit_learn(rows: Labelled, threshold: float) -> None:
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    probs, labels = columns(rows)
    expected = f1_score(labels, [p >= threshold for p in probs], zero_division=0.0) if any(labels) else None
    assert answerability_f1(probs, labels, threshold=threshold) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [answerability_auroc, answerability_average_precision])
@pytest.mark.parametrize(("probs", "labels"), [([], []), ([0.5], [True]), ([0.2, 0.4], [False, False])])
def test_one_class_has_no_ranking(metric: Metric, probs: list[float], labels: list[bool]) -> None:
    assert metric(probs, labels) is None


@pytest.mark.parametrize("metric", [answerability_auroc, answerability_average_precision])
def test_without_scikit_learn_the_pip_command_is_named(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(QAError, match="pip install"):
        metric([0.1, 0.9], [False, True])


@pytest.mark.parametrize("metric", [answerability_auroc, brier_score, calibration_error, risk_coverage])
def test_unusable_columns_are_data_errors(metric: Callable[[Any, Any], object]) -> None:
    with pytest.raises(DataError, match="row 1 is neither"):
        metric([0.5, 0.5], [True, None])  # an unknown label is not False
    with pytest.raises(DataError, match="row 0 is nan"):
        metric([float("nan"), 0.5], [True, False])
    with pytest.raises(DataError, match="2 values, 1 labels"):
        metric([0.1, 0.5], [True])
    with pytest.raises(DataError, match="shape"):
        metric([[0.1, 0.5]], [True])


# ------------------------------------------------------------------------------------------ calibration


def test_brier_score_by_hand() -> None:
    assert brier_score([1.0, 0.5, 0.2], [True, False, False]) == pytest.approx((0 + 0.25 + 0.04) / 3)
    assert brier_score([0.5, 0.5], [True, False]) == 0.25
    assert brier_score([], []) is None


def test_calibration_error_by_hand() -> None:
    probs, outcomes = [0.1, 0.2, 0.8, 1.0], [False, True, True, True]
    assert calibration_error(probs, outcomes, n_bins=2) == pytest.approx((0.35 + 0.1) / 2)
    assert calibration_error(probs, outcomes, n_bins=1) == pytest.approx(0.75 - 0.525)
    assert calibration_error(probs, outcomes, n_bins=15) == pytest.approx((0.1 + 0.8 + 0.2 + 0.0) / 4)


def test_calibration_bins_hold_equal_mass() -> None:
    bins = calibration_bins(np.linspace(0, 1, 60), np.arange(60) % 2 == 0, n_bins=15)
    assert bins.n_rows.tolist() == [4] * 15
    assert bins.rates.tolist() == [0.5] * 15
    assert np.all(np.diff(bins.mean_probs) > 0)


def test_calibration_error_of_fifteen_bins_by_hand() -> None:
    """Thirty rows, two a bin: 0, 1/30, ... with one of each two true promise (4 b + 1) / 60 and hold 1/2."""
    probs = [i / 30 for i in range(30)]
    gaps = [abs((4 * b + 1) / 60 - 0.5) for b in range(15)]
    assert calibration_error(probs, [i % 2 == 0 for i in range(30)]) == pytest.approx(statistics.fmean(gaps))
    bins = calibration_bins(probs, [i % 2 == 0 for i in range(30)])
    assert bins.mean_probs.tolist() == pytest.approx([(4 * b + 1) / 60 for b in range(15)])
    assert (bins.rates.tolist(), bins.n_rows.tolist()) == ([0.5] * 15, [2] * 15)


def test_equal_probabilities_share_a_bin() -> None:
    assert calibration_error([0.5] * 4, [False, False, True, True], n_bins=2) == 0.0
    assert calibration_bins([0.5] * 4, [False, False, True, True]).n_rows.tolist() == [4]
    # A run of ties goes where its middle lies.
    assert calibration_bins([0.1, *[0.5] * 4], [True] * 5, n_bins=2).n_rows.tolist() == [1, 4]


@settings(deadline=None)
@given(LABELLED, st.integers(1, 20), st.randoms())
def test_calibration_error_knows_no_row_order(rows: Labelled, n_bins: int, shuffler: random.Random) -> None:
    shuffled = shuffler.sample(rows, len(rows))
    error = present(calibration_error(*columns(rows), n_bins=n_bins))
    assert error == pytest.approx(calibration_error(*columns(shuffled), n_bins=n_bins), abs=1e-12)
    assert 0.0 <= error <= 1.0
    assert calibration_bins(*columns(rows), n_bins=n_bins).n_rows.sum() == len(rows)


def test_degenerate_calibration() -> None:
    assert calibration_error([], []) is None
    assert calibration_error([0.3], [True]) == pytest.approx(0.7)
    with pytest.raises(DataError, match="n_bins"):
        calibration_error([0.3], [True], n_bins=0)
    with pytest.raises(DataError, match=r"row 0 is -0\.1"):
        brier_score([-0.1], [True])


# ---------------------------------------------------------------------------------------- risk, coverage


def test_risk_coverage_by_hand() -> None:
    curve = risk_coverage([0.6, 0.9, 0.7, 0.8], [True, True, True, False])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverages.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risks.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert curve.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert curve.augrc == pytest.approx((1 / 8 * (0 + 0 + 0 + 1 + 1 + 1 + 1 + 1)) / 4)
    assert [curve.coverage_at(p) for p in (0.5, 0.75, 0.76, 1.0)] == [1.0, 1.0, 0.25, 0.25]


def test_the_five_answers_of_the_documentation() -> None:
    """docs/EVALUATE.md computes these by hand."""
    curve = risk_coverage([0.95, 0.9, 0.7, 0.6, 0.3], [True, True, False, True, False])
    assert curve.coverages.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.risks.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])
    assert curve.aurc == pytest.approx(59 / 300)
    assert curve.augrc == pytest.approx(0.12)
    assert [curve.coverage_at(p) for p in (0.75, 0.8, 0.9)] == [0.8, 0.4, 0.4]
    assert answerability_auroc([0.95, 0.9, 0.7, 0.6, 0.3], [1, 1, 0, 1, 0]) == pytest.approx(5 / 6)
    backwards = risk_coverage([0.3, 0.6, 0.7, 0.9, 0.95], [True, True, False, True, False])
    assert backwards.aurc == pytest.approx((1 + 1 / 2 + 2 / 3 + 2 / 4 + 2 / 5) / 5)
    assert calibration_error([0.95, 0.9, 0.7, 0.6, 0.3], [1, 1, 0, 1, 0]) == pytest.approx(0.31)
    assert brier_score([0.95, 0.9, 0.7, 0.6, 0.3], [1, 1, 0, 1, 0]) == pytest.approx(0.1505)


def test_no_threshold_reaches_the_precision() -> None:
    assert risk_coverage([0.5, 0.5], [True, False]).coverage_at(0.9) == 0.0


@pytest.mark.parametrize(("right", "aurc", "augrc"), [(True, 0.0, 0.0), (False, 1.0, 0.5)])
def test_all_right_or_all_wrong(right: bool, aurc: float, augrc: float) -> None:
    for n in (1, 5):
        curve = risk_coverage(np.arange(n), [right] * n)
        assert curve.aurc == pytest.approx(aurc)
        assert curve.augrc == pytest.approx(augrc)


def test_no_rows_have_no_curve() -> None:
    curve = risk_coverage([], [])
    assert (curve.aurc, curve.augrc, curve.coverage_at(0.9)) == (None, None, None)
    assert curve.coverages.size == curve.risks.size == 0


TIED = st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6)


@settings(deadline=None)
@given(TIED)
def test_areas_are_means_over_the_orders_of_ties(rows: Labelled) -> None:
    orders = [o for o in itertools.permutations(rows) if all(a[0] >= b[0] for a, b in itertools.pairwise(o))]
    n, aurcs, augrcs = len(rows), [], []
    for order in orders:
        wrong = [0, *itertools.accumulate(not right for _, right in order)]
        aurcs.append(sum(wrong[k] / k for k in range(1, n + 1)) / n)
        augrcs.append(sum(a + b for a, b in itertools.pairwise(wrong)) / 2 / n**2)
    curve = risk_coverage(*columns(rows))
    assert curve.aurc == pytest.approx(statistics.fmean(aurcs))
    assert curve.augrc == pytest.approx(statistics.fmean(augrcs))


@settings(deadline=None)
@given(LABELLED)
def test_augrc_is_what_the_paper_derives_from_auroc(rows: Labelled) -> None:
    pytest.importorskip("sklearn")
    error_rate = statistics.fmean(not right for _, right in rows)
    misranked = 1 - (answerability_auroc(*columns(rows)) or 0.0)
    expected = misranked * error_rate * (1 - error_rate) + error_rate**2 / 2
    assert risk_coverage(*columns(rows)).augrc == pytest.approx(expected, abs=1e-12)


# -------------------------------------------------------------------------------------------- bootstrap


def test_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = present(bootstrap_interval(values, seed=1))
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_interval_is_seeded_and_widens_with_the_level() -> None:
    values = [0.0, 0.2, 0.4, 1.0, 1.0]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    inner, outer = (present(bootstrap_interval(values, seed=3, level=level)) for level in (0.5, 0.99))
    assert outer[0] < inner[0] < inner[1] < outer[1]
    assert bootstrap_interval([0.25, 0.25, 0.25], seed=0) == (0.25, 0.25)


def test_interval_of_any_statistic() -> None:
    values = np.array([0.0, 0.2, 0.4, 1.0])
    of_mean = bootstrap_statistic_interval(lambda rows: float(values[rows].mean()), 4, seed=5)
    assert of_mean == bootstrap_interval(values, seed=5)
    assert bootstrap_statistic_interval(lambda rows: float(rows.size), 7, seed=0, n_resamples=3) == (7.0, 7.0)


def test_undefined_resamples_are_left_out() -> None:
    drawn = bootstrap_statistic_interval(lambda rows: 0.5 if rows[0] else None, 2, seed=0)
    assert drawn == (0.5, 0.5)
    assert bootstrap_statistic_interval(lambda rows: None, 2, seed=0, n_resamples=5) is None


def test_fewer_than_two_rows_have_no_interval() -> None:
    assert bootstrap_interval([], seed=0) is None
    assert bootstrap_interval([0.7], seed=0) is None


@pytest.mark.parametrize("options", [{"n_resamples": 0}, {"level": 1.0}, {"level": 0.0}])
def test_impossible_settings_are_data_errors(options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="n_resamples must be positive"):
        bootstrap_interval([0.0, 1.0], seed=0, **options)


# ------------------------------------------------------------------------------------- paired bootstrap


def all_resamples(n: int) -> Iterable[tuple[int, ...]]:
    """Every resample of n rows, each as likely as the next."""
    return itertools.product(range(n), repeat=n)


def test_paired_bootstrap_by_hand() -> None:
    # Differences 0.5, 0, -0.2: of the 27 resamples of three rows, counted one by one below.
    a, b = [1.0, 0.5, 0.3], [0.5, 0.5, 0.5]
    drawn = [sum((0.5, 0.0, -0.2)[i] for i in rows) / 3 for rows in all_resamples(3)]
    better = sum(d > 1e-12 for d in drawn) / 27 + sum(abs(d) < 1e-12 for d in drawn) / 54
    assert better == pytest.approx(19 / 27 + 1 / 54)
    result = present(paired_bootstrap(a, b, seed=1, n_resamples=20_000))
    assert result.difference == pytest.approx(0.1)
    assert result.better_share == pytest.approx(better, abs=0.015)
    assert result.interval == pytest.approx((-0.2, 0.5))  # 1/27 of the resamples lie at either end
    assert (result.n_resamples, result.is_clear) == (20_000, False)


def test_a_small_but_steady_difference_is_clear_though_the_intervals_overlap() -> None:
    rng = np.random.default_rng(0)
    b = rng.random(200)
    a = b + rng.uniform(0.0, 0.02, 200)
    result = present(paired_bootstrap(a, b, seed=2))
    (_, high_of_b), (low_of_a, _) = (present(bootstrap_interval(each, seed=2)) for each in (b, a))
    assert low_of_a < high_of_b
    assert (result.is_clear, result.better_share) == (True, 1.0)
    other_way = present(paired_bootstrap(b, a, seed=2))
    assert other_way.difference == pytest.approx(-result.difference)
    assert other_way.interval == pytest.approx((-result.interval[1], -result.interval[0]))
    assert (other_way.is_clear, other_way.better_share) == (True, 0.0)


def test_a_system_is_not_better_than_itself() -> None:
    result = present(paired_bootstrap([0.1, 0.9, 0.4], [0.1, 0.9, 0.4], seed=0))
    assert (result.difference, result.interval, result.better_share) == (0.0, (0.0, 0.0), 0.5)
    assert not result.is_clear


def test_a_paired_interval_is_that_of_the_row_differences() -> None:
    a, b = [1.0, 0.4, 0.0, 0.9], [0.2, 0.5, 0.0, 0.1]
    differences = [x - y for x, y in zip(a, b, strict=True)]
    assert present(paired_bootstrap(a, b, seed=9)).interval == pytest.approx(
        bootstrap_interval(differences, seed=9)
    )


def test_rows_of_a_document_are_drawn_together() -> None:
    """Two documents, of differences +1 (three rows) and -1 (one row): only four resamples."""
    a, b = [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]
    result = present(paired_bootstrap(a, b, units=["x", "x", "x", "y"], seed=4, n_resamples=4000))
    assert (result.difference, result.interval) == (0.5, (-1.0, 1.0))
    assert result.better_share == pytest.approx(3 / 4, abs=0.03)  # (x, x), (x, y), (y, x): 1, 1/2, 1/2
    assert paired_bootstrap(a, b, units=["x"] * 4, seed=4) is None


def test_paired_bootstrap_of_any_statistic() -> None:
    pytest.importorskip("sklearn")
    labels = np.array([1, 0, 1, 0, 1, 0, 1, 0])
    a, b = np.array([9, 1, 8, 2, 7, 3, 6, 4]), np.array([9, 1, 2, 8, 7, 3, 4, 6])
    of_a, of_b = (lambda rows, p=p: answerability_auroc(p[rows], labels[rows]) for p in (a, b))
    result = present(paired_bootstrap_statistic(of_a, of_b, 8, seed=3, n_resamples=300))
    assert result.difference == pytest.approx(1.0 - 10 / 16)
    assert result.n_resamples <= 300  # those that drew both classes
    assert result.better_share > 0.9
    mean_a, mean_b = (lambda rows, v=v: float(v[rows].mean()) for v in (a, b))
    paired = present(paired_bootstrap_statistic(mean_a, mean_b, 8, seed=3))
    assert paired.interval == pytest.approx(present(paired_bootstrap(a, b, seed=3)).interval)


def test_degenerate_pairs() -> None:
    assert paired_bootstrap([], [], seed=0) is None
    assert paired_bootstrap([0.3], [0.4], seed=0) is None
    assert paired_bootstrap_statistic(lambda rows: None, lambda rows: 1.0, 4, seed=0) is None
    with pytest.raises(DataError, match="2 values_a, 1 values_b"):
        paired_bootstrap([0.1, 0.2], [0.1], seed=0)
    with pytest.raises(DataError, match="1 units"):
        paired_bootstrap([0.1, 0.2], [0.1, 0.3], units=["x"], seed=0)
    with pytest.raises(DataError, match="row 1 is nan"):
        paired_bootstrap([0.1, float("nan")], [0.1, 0.3], seed=0)
    with pytest.raises(DataError, match="n_resamples"):
        paired_bootstrap([0.1, 0.2], [0.1, 0.3], seed=0, n_resamples=0)
    with pytest.raises(DataError, match="no difference"):
        PairedDifference(0.1, (0.2, 0.1), 0.5, 10)


# -------------------------------------------------------------------------------------- spans, evidence

TEXT = "Aspirin halved the risk. It was safe in adults."
SENTENCE = Span.cut(TEXT, 25, 47)


def sound(**changes: Any) -> Answer:
    """An answer that keeps its promises, but for the changes."""
    start = TEXT.index("safe")
    found = Span.cut(TEXT, start, start + 4, 0.7)
    other = Span.cut(TEXT, 0, 7, 0.2)
    return dataclasses.replace(
        Answer("safe", start, start + 4, 0.7, 0.9, False, SENTENCE, (found, other)), **changes
    )


ABSTAINED = {"text": "", "start": 0, "end": 0, "sentence": None, "abstained": True}


def test_sound_answers_break_nothing() -> None:
    assert broken_invariants(TEXT, sound()) == ()
    assert broken_invariants(TEXT, sound(**ABSTAINED)) == ()
    assert broken_invariants("", Answer("", 0, 0, 0.0, 0.0, abstained=True)) == ()
    accents = "a\u0301 🙂 β-catenin"  # offsets count code points
    assert broken_invariants(accents, Answer("β-catenin", 5, 14, 0.5, 0.5, False)) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "Safe"}, "the answer is not the context at [32:36]: 'Safe'"),  # the case is not verbatim
        ({"start": 31, "end": 35}, "the answer is not the context at [31:35]: 'safe'"),
        ({"start": 132, "end": 136}, "the answer is not the context at [132:136]: 'safe'"),
        ({"text": "", "start": 32, "end": 32}, "the answer is not the context at [32:32]: ''"),
        ({"sentence": Span("It was sage in adults.", 25, 47)}, "the sentence is not the context at [25:47]"),
        ({"sentence": Span.cut(TEXT, 0, 24)}, "the sentence does not hold the answer at [32:36]"),
        ({"candidates": (Span("sane", 32, 36),)}, "candidate 0 is not the context at [32:36]: 'sane'"),
        ({"candidates": (Span.cut(TEXT, 25, 36), Span.cut(TEXT, 32, 46))}, "candidates overlap"),
        ({"score": 1.2}, "score 1.2 lies outside [0, 1]"),
        ({"answerable": float("nan")}, "answerable nan lies outside [0, 1]"),
        (ABSTAINED | {"candidates": (Span("sane", 32, 36),)}, "candidate 0 is not the context at [32:36]"),
    ],
)
def test_each_broken_promise_is_named(changes: dict[str, Any], message: str) -> None:
    broken = broken_invariants(TEXT, sound(**changes))
    assert any(message in line for line in broken), broken


def test_the_same_answer_to_another_text_is_broken() -> None:
    assert len(broken_invariants(TEXT.replace("s", "z"), sound())) >= 3


@pytest.mark.parametrize(
    ("label", "hit"),
    [
        ("safe", True),
        (TEXT, True),  # it holds the sentence
        ("risk. It was safe", True),  # 11 of its 17 characters lie in the sentence
        ("the risk. It was", False),  # 6 of its 16 do
        ("risk. It was s", True),  # 8 of its 14 do
        ("isk. It w", False),  # 4 of its 9 do
        ("Aspirin", False),
    ],
)
def test_evidence_hits_by_hand(label: str, hit: bool) -> None:
    start = TEXT.index(label)
    span = Span.cut(TEXT, start, start + len(label))
    assert is_evidence_hit(SENTENCE, [span]) is hit
    assert is_evidence_hit(SENTENCE, [Span.cut(TEXT, 0, 7), span]) is hit


def test_evidence_hit_rate_by_hand() -> None:
    labels = [[Span.cut(TEXT, 32, 36)], [Span.cut(TEXT, 0, 7)], [Span.cut(TEXT, 32, 36)], []]
    assert evidence_hit_rate([SENTENCE, SENTENCE, None, SENTENCE], labels) == pytest.approx(1 / 3)
    assert evidence_hit_rate([SENTENCE], [[]]) is None
    assert evidence_hit_rate([], []) is None
    with pytest.raises(DataError, match="1 sentences, 2 labels"):
        evidence_hit_rate([None], [[], []])


# ------------------------------------------------------------------------------------------------ speed


def test_latency_percentiles_by_hand() -> None:
    # Of 1 ... 101 s the q-th percentile is the (q + 1)-th value.
    percentiles = latency_percentiles(range(101, 0, -1))
    assert percentiles == LatencyPercentiles(p50_s=51.0, p95_s=96.0, p99_s=100.0)
    # Between two batches: 1 + 0.5 (2 - 1), 1 + 0.95, 1 + 0.99.
    assert latency_percentiles([2.0, 1.0]) == LatencyPercentiles(1.5, 1.95, 1.99)
    assert latency_percentiles([0.7]) == LatencyPercentiles(0.7, 0.7, 0.7)
    assert latency_percentiles([]) is None
    with pytest.raises(DataError, match="batch 1 is -1"):
        latency_percentiles([1.0, -1.0])


def test_rates_and_costs_by_hand() -> None:
    assert rate(40, 1.6) == 25.0
    assert rate(0, 0.0) is None
    # 20 rows a second: a million in 50,000 s, which is 13.9 hours, at 0.36 an hour.
    assert cost_per_million(20.0, 0.36) == pytest.approx(5.0)
    assert cost_per_million(20.0, 0.0) == 0.0


@pytest.mark.parametrize("bad", [(-1, 1.0), (1, -1.0), (1, float("nan")), (1, float("inf"))])
def test_impossible_rates_are_data_errors(bad: tuple[Any, float]) -> None:
    with pytest.raises(DataError, match="a rate needs"):
        rate(*bad)


@pytest.mark.parametrize("bad", [(0.0, 1.0), (float("inf"), 1.0), (1.0, -1.0), (1.0, float("nan"))])
def test_impossible_costs_are_data_errors(bad: tuple[Any, float]) -> None:
    with pytest.raises(DataError, match=r"a cost needs|the price an hour"):
        cost_per_million(*bad)

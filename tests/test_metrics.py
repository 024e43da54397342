"""Set-level figures: hand-computed values, independent implementations, degenerate columns."""

import dataclasses
import itertools
import re
import statistics
import string
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qa_extractive.errors import DataError, QAError
from qa_extractive.metrics.bootstrap import bootstrap_interval, bootstrap_statistic_interval
from qa_extractive.metrics.risk_coverage import risk_coverage
from qa_extractive.metrics.scores import (
    answerability_auroc,
    answerability_average_precision,
    brier_score,
    calibration_bins,
    calibration_error,
    squad_rows,
    squad_scores,
)

# ------------------------------------------------------------------------------------------------ SQuAD


def test_scores_by_hand():
    scores = squad_scores(["The cat", "black cat", "", "x"], [("cat",), ("cat", "dog"), (), ()])
    assert (scores.n, scores.n_has_ans, scores.n_no_ans) == (4, 2, 2)
    assert (scores.em, scores.has_ans_em, scores.no_ans_em) == (0.5, 0.5, 0.5)
    assert scores.f1 == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert (scores.has_ans_f1, scores.no_ans_f1) == (pytest.approx(5 / 6), 0.5)
    assert (scores.best_em, scores.best_em_threshold, scores.best_f1, scores.best_f1_threshold) == (None,) * 4


def test_the_example_of_the_official_metric_card():
    scores = squad_scores(["1976"], [("1976",)], no_answer_probs=[0.0])
    assert (scores.em, scores.f1, scores.best_em, scores.best_f1) == (1.0, 1.0, 1.0, 1.0)
    assert (scores.best_em_threshold, scores.best_f1_threshold) == (0.0, 0.0)
    assert (scores.has_ans_em, scores.no_ans_em, scores.n_no_ans) == (1.0, None, 0)


def test_version_1_gives_no_f1_to_an_empty_answer():
    one, two = (squad_scores(["", "cat"], [("The",), ("cat",)], version=v) for v in ("1.1", "2.0"))
    assert (one.em, one.f1) == (1.0, 0.5)
    assert (two.em, two.f1) == (1.0, 1.0)
    assert (one.has_ans_em, one.no_ans_em) == (1.0, None)


def test_best_threshold_by_hand():
    # From 2 (all abstained), by probability: +1 (right), -1 (answered in vain), +2/3, +0 (empty).
    scores = squad_scores(
        ["cat", "x", "black cat", ""],
        [("cat",), (), ("cat",), ()],
        no_answer_probs=[0.1, 0.2, 0.3, 0.4],
    )
    assert (scores.best_em, scores.best_em_threshold) == (0.75, 0.1)
    assert (scores.best_f1, scores.best_f1_threshold) == (0.75, 0.1)


def test_best_may_be_to_abstain_everywhere():
    scores = squad_scores(["x", "y"], [(), ("z",)], no_answer_probs=[0.2, 0.9])
    assert (scores.best_em, scores.best_em_threshold) == (0.5, 0.0)


def test_no_rows_give_none():
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
def test_columns_that_do_not_fit_are_data_errors(arguments, options, message):
    with pytest.raises(DataError, match=message):
        squad_scores(*arguments, **options)


def test_scores_check_themselves():
    scores = squad_scores(["x"], [("x",)])
    with pytest.raises(DataError, match="are not 2"):
        dataclasses.replace(scores, n=2)
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        dataclasses.replace(scores, f1=100.0)


def test_rows_are_kept_in_order():
    rows = squad_rows(["cat sat", "", "x"], [("cat",), (), ()])
    assert rows.em.tolist() == [0.0, 1.0, 0.0]
    assert rows.f1.tolist() == pytest.approx([2 / 3, 1.0, 0.0])
    assert rows.answerable.tolist() == [True, False, False]


# A second implementation, after the text of the official scripts' definitions and nothing of ours.


def plain_tokens(text):
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def plain_f1(prediction, reference, version):
    left, right = plain_tokens(prediction), plain_tokens(reference)
    if version == "2.0" and (not left or not right):
        return float(left == right)
    rest, shared = list(right), 0
    for token in left:
        if token in rest:
            rest.remove(token)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(left), shared / len(right)
    return 2 * precision * recall / (precision + recall)


def plain_row(prediction, references, version):
    gold = references if version == "1.1" else ([r for r in references if plain_tokens(r)] or [""])
    em = max(float(plain_tokens(prediction) == plain_tokens(r)) for r in gold)
    return em, max(plain_f1(prediction, r, version) for r in gold)


def plain_best(scores, predictions, references, probs):
    current = best = sum(not r for r in references)
    threshold = 0.0
    for i in sorted(range(len(probs)), key=probs.__getitem__):
        if references[i]:
            current += scores[i]
        elif predictions[i]:
            current -= 1
        if current > best:
            best, threshold = current, probs[i]
    return best / len(scores), threshold


def plain_mean(values):
    return pytest.approx(statistics.fmean(values), abs=1e-12) if values else None


WORDS = st.sampled_from(
    ["the", "A", "an", "cat", "Cat,", "dog", "...", "β-catenin", "É", "a\u0301", "5%", "\u00a0"]
)
TEXTS = st.one_of(st.lists(WORDS, max_size=5).map(" ".join), st.text(max_size=12))
PROBS = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
ROWS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=3).map(tuple), PROBS), min_size=1, max_size=12)


@settings(deadline=None)
@given(ROWS)
@example([("the", (), 0.5), ("", ("the", "..."), 0.5), ("a cat", ("cat",), 0.5)])
def test_version_2_equals_a_second_implementation(rows):
    predictions, references, probs = (list(column) for column in zip(*rows, strict=True))
    plain = [plain_row(p, r, "2.0") for p, r in zip(predictions, references, strict=True)]
    ems, f1s = [em for em, _ in plain], [f1 for _, f1 in plain]
    has, lacks = [i for i, r in enumerate(references) if r], [i for i, r in enumerate(references) if not r]
    best_em, best_f1 = (plain_best(column, predictions, references, probs) for column in (ems, f1s))
    scores = squad_scores(predictions, references, no_answer_probs=probs)
    assert (scores.n, scores.n_has_ans, scores.n_no_ans) == (len(rows), len(has), len(lacks))
    assert (scores.em, scores.f1) == (plain_mean(ems), plain_mean(f1s))
    assert scores.has_ans_em == plain_mean([ems[i] for i in has])
    assert scores.has_ans_f1 == plain_mean([f1s[i] for i in has])
    assert scores.no_ans_em == plain_mean([ems[i] for i in lacks])
    assert scores.no_ans_f1 == plain_mean([f1s[i] for i in lacks])
    assert (scores.best_em, scores.best_em_threshold) == best_em
    assert (scores.best_f1, scores.best_f1_threshold) == best_f1


@settings(deadline=None)
@given(
    st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3).map(tuple)), min_size=1, max_size=12)
)
def test_version_1_equals_a_second_implementation(rows):
    predictions, references = (list(column) for column in zip(*rows, strict=True))
    plain = [plain_row(p, r, "1.1") for p, r in rows]
    scores = squad_scores(predictions, references, version="1.1")
    assert (scores.em, scores.f1) == (
        plain_mean([em for em, _ in plain]),
        plain_mean([f1 for _, f1 in plain]),
    )


# ---------------------------------------------------------------------------------------- answerability

LABELLED = st.lists(st.tuples(PROBS, st.booleans()), min_size=1, max_size=20)


def columns(rows):
    return [value for value, _ in rows], [label for _, label in rows]


def test_auroc_and_average_precision_by_hand():
    pytest.importorskip("sklearn")
    probs, answerable = [0.9, 0.8, 0.7], [True, False, True]
    assert answerability_auroc(probs, answerable) == pytest.approx(1 / 2)
    assert answerability_average_precision(probs, answerable) == pytest.approx((1 + 2 / 3) / 2)
    assert answerability_auroc([0.5, 0.5], [1, 0]) == pytest.approx(0.5)


@settings(deadline=None)
@given(LABELLED)
def test_auroc_counts_pairs_in_order(rows):
    pytest.importorskip("sklearn")
    positive, negative = [p for p, label in rows if label], [p for p, label in rows if not label]
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert answerability_auroc(*columns(rows)) == plain_mean(pairs)


@pytest.mark.parametrize("metric", [answerability_auroc, answerability_average_precision])
@pytest.mark.parametrize(("probs", "labels"), [([], []), ([0.5], [True]), ([0.2, 0.4], [False, False])])
def test_one_class_has_no_ranking(metric, probs, labels):
    assert metric(probs, labels) is None


@pytest.mark.parametrize("metric", [answerability_auroc, answerability_average_precision])
def test_without_scikit_learn_the_pip_command_is_named(metric, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(QAError, match="pip install"):
        metric([0.1, 0.9], [False, True])


@pytest.mark.parametrize("metric", [answerability_auroc, brier_score, calibration_error, risk_coverage])
def test_unusable_columns_are_data_errors(metric):
    with pytest.raises(DataError, match="row 1 is neither"):
        metric([0.5, 0.5], [True, None])  # an unknown label is not False
    with pytest.raises(DataError, match="row 0 is nan"):
        metric([float("nan"), 0.5], [True, False])
    with pytest.raises(DataError, match="2 values, 1 labels"):
        metric([0.1, 0.5], [True])
    with pytest.raises(DataError, match="shape"):
        metric([[0.1, 0.5]], [True])


# ------------------------------------------------------------------------------------------ calibration


def test_brier_score_by_hand():
    assert brier_score([1.0, 0.5, 0.2], [True, False, False]) == pytest.approx((0 + 0.25 + 0.04) / 3)
    assert brier_score([0.5, 0.5], [True, False]) == 0.25
    assert brier_score([], []) is None


def test_calibration_error_by_hand():
    probs, outcomes = [0.1, 0.2, 0.8, 1.0], [False, True, True, True]
    assert calibration_error(probs, outcomes, n_bins=2) == pytest.approx((0.35 + 0.1) / 2)
    assert calibration_error(probs, outcomes, n_bins=1) == pytest.approx(0.75 - 0.525)
    assert calibration_error(probs, outcomes, n_bins=15) == pytest.approx((0.1 + 0.8 + 0.2 + 0.0) / 4)


def test_calibration_bins_hold_equal_mass():
    bins = calibration_bins(np.linspace(0, 1, 60), np.arange(60) % 2 == 0, n_bins=15)
    assert bins.n_rows.tolist() == [4] * 15
    assert bins.rates.tolist() == [0.5] * 15
    assert np.all(np.diff(bins.mean_probs) > 0)


def test_equal_probabilities_share_a_bin():
    assert calibration_error([0.5] * 4, [False, False, True, True], n_bins=2) == 0.0
    assert calibration_bins([0.5] * 4, [False, False, True, True]).n_rows.tolist() == [4]
    # A run of ties goes where its middle lies.
    assert calibration_bins([0.1, *[0.5] * 4], [True] * 5, n_bins=2).n_rows.tolist() == [1, 4]


@settings(deadline=None)
@given(LABELLED, st.integers(1, 20), st.randoms())
def test_calibration_error_knows_no_row_order(rows, n_bins, random):
    shuffled = random.sample(rows, len(rows))
    error = calibration_error(*columns(rows), n_bins=n_bins)
    assert error == pytest.approx(calibration_error(*columns(shuffled), n_bins=n_bins), abs=1e-12)
    assert 0.0 <= error <= 1.0
    assert calibration_bins(*columns(rows), n_bins=n_bins).n_rows.sum() == len(rows)


def test_degenerate_calibration():
    assert calibration_error([], []) is None
    assert calibration_error([0.3], [True]) == pytest.approx(0.7)
    with pytest.raises(DataError, match="n_bins"):
        calibration_error([0.3], [True], n_bins=0)
    with pytest.raises(DataError, match=r"row 0 is -0\.1"):
        brier_score([-0.1], [True])


# ---------------------------------------------------------------------------------------- risk, coverage


def test_risk_coverage_by_hand():
    curve = risk_coverage([0.6, 0.9, 0.7, 0.8], [True, True, True, False])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverages.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risks.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert curve.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert curve.augrc == pytest.approx((1 / 8 * (0 + 0 + 0 + 1 + 1 + 1 + 1 + 1)) / 4)
    assert [curve.coverage_at(p) for p in (0.5, 0.75, 0.76, 1.0)] == [1.0, 1.0, 0.25, 0.25]


def test_no_threshold_reaches_the_precision():
    assert risk_coverage([0.5, 0.5], [True, False]).coverage_at(0.9) == 0.0


@pytest.mark.parametrize(("right", "aurc", "augrc"), [(True, 0.0, 0.0), (False, 1.0, 0.5)])
def test_all_right_or_all_wrong(right, aurc, augrc):
    for n in (1, 5):
        curve = risk_coverage(np.arange(n), [right] * n)
        assert (curve.aurc, curve.augrc) == (pytest.approx(aurc), pytest.approx(augrc))


def test_no_rows_have_no_curve():
    curve = risk_coverage([], [])
    assert (curve.aurc, curve.augrc, curve.coverage_at(0.9)) == (None, None, None)
    assert curve.coverages.size == curve.risks.size == 0


TIED = st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6)


@settings(deadline=None)
@given(TIED)
def test_areas_are_means_over_the_orders_of_ties(rows):
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
def test_augrc_is_what_the_paper_derives_from_auroc(rows):
    pytest.importorskip("sklearn")
    error_rate = statistics.fmean(not right for _, right in rows)
    misranked = 1 - (answerability_auroc(*columns(rows)) or 0.0)
    expected = misranked * error_rate * (1 - error_rate) + error_rate**2 / 2
    assert risk_coverage(*columns(rows)).augrc == pytest.approx(expected, abs=1e-12)


# -------------------------------------------------------------------------------------------- bootstrap


def test_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(values, seed=1)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_interval_is_seeded_and_widens_with_the_level():
    values = [0.0, 0.2, 0.4, 1.0, 1.0]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    inner, outer = (bootstrap_interval(values, seed=3, level=level) for level in (0.5, 0.99))
    assert outer[0] < inner[0] < inner[1] < outer[1]
    assert bootstrap_interval([0.25, 0.25, 0.25], seed=0) == (0.25, 0.25)


def test_interval_of_any_statistic():
    values = np.array([0.0, 0.2, 0.4, 1.0])
    of_mean = bootstrap_statistic_interval(lambda rows: float(values[rows].mean()), 4, seed=5)
    assert of_mean == bootstrap_interval(values, seed=5)
    assert bootstrap_statistic_interval(lambda rows: float(rows.size), 7, seed=0, n_resamples=3) == (7.0, 7.0)


def test_undefined_resamples_are_left_out():
    drawn = bootstrap_statistic_interval(lambda rows: 0.5 if rows[0] else None, 2, seed=0)
    assert drawn == (0.5, 0.5)
    assert bootstrap_statistic_interval(lambda rows: None, 2, seed=0, n_resamples=5) is None


def test_fewer_than_two_rows_have_no_interval():
    assert bootstrap_interval([], seed=0) is None
    assert bootstrap_interval([0.7], seed=0) is None


@pytest.mark.parametrize("options", [{"n_resamples": 0}, {"level": 1.0}, {"level": 0.0}])
def test_impossible_settings_are_data_errors(options):
    with pytest.raises(DataError, match="n_resamples must be positive"):
        bootstrap_interval([0.0, 1.0], seed=0, **options)

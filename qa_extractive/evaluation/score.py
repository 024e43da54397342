"""A system and labelled Examples -> its scored rows (``running``) -> its figures (``score``).

What holds throughout: a figure that is not defined (no such rows, one class only) is None; a row that
the system failed on counts as an empty answer to every figure of texts and is left out of every figure
of probabilities; a row of which no right answer is known counts for speed, abstention and offsets only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from qa_extractive.data.question_forms import is_yes_no
from qa_extractive.evaluation.figures import (
    Answering,
    BestThreshold,
    Evaluation,
    Footprint,
    Latency,
    Ranking,
    Reliability,
    Selective,
    SpanScores,
)
from qa_extractive.evaluation.resampling import Resampling
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Batch, Progress, Results, run_system
from qa_extractive.evaluation.systems import System
from qa_extractive.evaluation.verdicts import verdicts_of
from qa_extractive.metrics.columns import Bools, Floats, mean_or_none
from qa_extractive.metrics.risk_coverage import risk_coverage
from qa_extractive.metrics.scores import (
    RowScores,
    answerability_auroc,
    answerability_average_precision,
    answerability_f1,
    brier_score,
    calibration_bins,
    squad_means,
    squad_rows,
)
from qa_extractive.metrics.speed import latency_percentiles, rate
from qa_extractive.metrics.text import RIGHT_F1, SquadVersion, normalize_answer
from qa_extractive.metrics.thresholds import answer_gains, best_cut
from qa_extractive.types import Example

N_CALIBRATION_BINS = 15
PRECISIONS = (80, 90, 95)
_N_CURVE_POINTS = 200

_log = logging.getLogger(__name__)


def evaluate(
    system: System,
    examples: Sequence[Example],
    *,
    n_bootstrap: int = 1000,
    seed: int = 17,
    progress: Progress | None = None,
) -> Evaluation:
    """Run a system over the examples and score it (``run_system``, ``score``); its problems are logged."""
    evaluation = score(run_system(system, examples, progress=progress), n_bootstrap=n_bootstrap, seed=seed)
    for problem in evaluation.problems:
        _log.error("%s: %s", system.name, problem)
    return evaluation


def score(
    results: Results,
    *,
    n_bootstrap: int = 1000,
    seed: int = 17,
    price_per_hour: float | None = None,
    footprint: Footprint | None = None,
) -> Evaluation:
    """The figures of scored rows.

    Args:
        results: What a system made of the rows.
        n_bootstrap: Resamples of whole documents for the intervals; 0 for no intervals.
        seed: Of the resampling. Two systems with the same seed and examples see the same resamples.
        price_per_hour: Of the machine, in any currency; None for no cost.
        footprint: What its model needs of a machine, if it was measured.
    """
    rows = results.rows
    resampling = Resampling.of(rows, n_bootstrap, seed)
    scored = scored_rows(rows)
    known = known_rows(rows)
    answers = [row.answer for row in rows if row.answer is not None]
    checked = [row for row in rows if row.has_span]
    n_sound = sum(not row.broken for row in checked)
    latency = latency_of(results.batches, results.n_cores)
    return Evaluation(
        system=results.system,
        n=len(rows),
        n_failed=len(rows) - len(answers),
        n_documents=resampling.n_units,
        shipped=_shipped(scored, resampling),
        forced=_forced(scored, resampling),
        best_em=_best_threshold(scored, _floats(row.em for row in scored)),
        best_f1=_best_threshold(scored, _floats(row.f1 for row in scored)),
        answering=_answering(known, resampling),
        abstained_share=mean_or_none(_floats(answer.abstained for answer in answers)),
        answerable_reliability=_reliability(*answerable_columns(known)),
        score_reliability=_reliability(*right_columns([row for row in scored if row.answer is not None])),
        selective=_selective(scored, resampling),
        verbatim_share=n_sound / len(checked) if checked else None,
        latency=latency,
        cost_per_million=None if price_per_hour is None else latency.cost_per_million(price_per_hour),
        footprint=footprint,
        usage=None if results.usage is None else results.usage.to_dict(),
        yes_no=_ranking([row for row in known if is_yes_no(row.example.question.question)], resampling),
        wh=_ranking([row for row in known if not is_yes_no(row.example.question.question)], resampling),
        verdicts=verdicts_of(rows, resampling),
        problems=tuple(_problems(rows)),
    )


def latency_of(batches: Sequence[Batch], n_cores: int | None = None) -> Latency:
    """The percentiles over the largest batches there are, and the rates over all."""
    batch_rows = max((batch.n_rows for batch in batches), default=0)
    seconds = _floats(batch.seconds for batch in batches if batch.n_rows == batch_rows)
    percentiles = latency_percentiles(seconds)
    total = sum(batch.seconds for batch in batches)
    if percentiles is None:
        return Latency(batch_rows, n_cores=n_cores)
    tokens_per_s = rate(sum(batch.n_tokens for batch in batches), total)
    return Latency(
        batch_rows=batch_rows,
        p50_s=percentiles.p50_s,
        p95_s=percentiles.p95_s,
        p99_s=percentiles.p99_s,
        max_s=float(seconds.max()),
        rows_per_s=rate(sum(batch.n_rows for batch in batches), total),
        tokens_per_s_per_core=tokens_per_s / n_cores if tokens_per_s and n_cores else None,
        n_cores=n_cores,
    )


def scored_rows(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Those of which a right answer is known."""
    return [row for row in rows if row.is_scored]


def known_rows(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Those that did not fail and of which it is known whether they have an answer."""
    return [row for row in rows if row.answer is not None and row.answerable is not None]


def shipped_columns(rows: Sequence[ScoredRow]) -> tuple[Floats, Floats]:
    """Exact match and token F1 of scored rows as answered, (n_rows,) each.

    Abstentions are scored as empty answers, which are right where nothing else is.
    """
    answered = _bools(row.is_answered for row in rows)
    blank = _floats(not any(map(normalize_answer, row.references)) for row in rows)
    em, f1 = (np.where(answered, column, blank) for column in _columns(rows))
    return em, f1


def answerable_columns(rows: Sequence[ScoredRow]) -> tuple[Floats, Bools]:
    """``answerable`` and whether there is an answer, of known rows, (n_rows,) each."""
    return _floats(row.answerable_prob for row in rows), _bools(row.answerable for row in rows)


def right_columns(rows: Sequence[ScoredRow]) -> tuple[Floats, Bools]:
    """``score`` (0 where the system failed) and whether the best span is right, of scored rows."""
    right = _bools(bool(row.answerable) and row.f1 >= RIGHT_F1 for row in rows)
    return _floats(0.0 if row.answer is None else row.answer.score for row in rows), right


def _shipped(rows: Sequence[ScoredRow], resampling: Resampling) -> SpanScores:
    answered = _bools(row.is_answered for row in rows)
    return _span_scores(rows, *shipped_columns(rows), "2.0", answered, resampling)


def _forced(rows: Sequence[ScoredRow], resampling: Resampling) -> SpanScores:
    """The best spans, by the rule that the official script has for such rows."""
    everywhere = np.ones(len(rows), dtype=np.bool_)
    if not rows or not all(row.answerable for row in rows):
        return _span_scores(rows, *_columns(rows), "2.0", everywhere, resampling)
    scores = squad_rows([row.text for row in rows], [row.references for row in rows], version="1.1")
    return _span_scores(rows, scores.em, scores.f1, "1.1", everywhere, resampling)


def _span_scores(
    rows: Sequence[ScoredRow],
    em: Floats,
    f1: Floats,
    version: SquadVersion,
    answered: Bools,
    resampling: Resampling,
) -> SpanScores:
    has_ans, has_spans = _bools(row.answerable for row in rows), _bools(bool(r.example.spans) for r in rows)
    numbered = [
        (row, given) for row, given in zip(rows, answered, strict=True) if row.numbers_match is not None
    ]
    exact = _floats((row.numbers_match or 0.0) * given for row, given in numbered)
    rouge, hits = _floats(row.rouge_l for row in rows) * answered, _floats(r.is_hit for r in rows) * answered
    return SpanScores(
        version=version,
        squad=squad_means(RowScores(em, f1, has_ans)),
        em_interval=resampling.interval(resampling.mean(em, rows)),
        f1_interval=resampling.interval(resampling.mean(f1, rows)),
        rouge_l=mean_or_none(rouge[has_ans]),
        evidence_hit_rate=mean_or_none(hits[has_spans]),
        n_with_numbers=len(numbered),
        numbers_exact=mean_or_none(exact),
        numbers_exact_interval=resampling.interval(resampling.mean(exact, [row for row, _ in numbered])),
    )


def _best_threshold(rows: Sequence[ScoredRow], scores: Floats) -> BestThreshold:
    """Of the scores of the best spans; an abstention is right where there is no answer."""
    if not rows:
        return BestThreshold(None, None)
    no_ans = ~_bools(row.answerable for row in rows)
    gains = answer_gains(scores, ~no_ans, _bools(bool(row.text) for row in rows))
    thresholds, groups = np.unique(_floats(row.answerable_prob for row in rows), return_inverse=True)
    best = best_cut(thresholds, np.bincount(groups, weights=gains))
    return BestThreshold(float(no_ans.sum() + best.total) / len(rows), best.above)


def _answering(rows: Sequence[ScoredRow], resampling: Resampling) -> Answering:
    probs, labels = answerable_columns(rows)
    if labels.all() or not labels.any():
        return Answering(None, None, None, None)
    return Answering(
        auroc=answerability_auroc(probs, labels),
        auroc_interval=resampling.interval(resampling.auroc(probs, labels, rows)),
        average_precision=answerability_average_precision(probs, labels),
        f1=answerability_f1(_floats(row.is_answered for row in rows), labels, threshold=1.0),
    )


def _ranking(rows: Sequence[ScoredRow], resampling: Resampling) -> Ranking:
    found = _answering(rows, resampling)
    return Ranking(len(rows), found.auroc, found.auroc_interval)


def _reliability(probs: Floats, outcomes: Bools) -> Reliability:
    """Of probabilities; a calibration error only of two outcomes, since a constant would forecast one."""
    bins = calibration_bins(probs, outcomes, n_bins=N_CALIBRATION_BINS)
    return Reliability(
        brier=brier_score(probs, outcomes),
        calibration_error=bins.error if outcomes.any() and not outcomes.all() else None,
        mean_probs=tuple(bins.mean_probs.tolist()),
        rates=tuple(bins.rates.tolist()),
        n_rows=tuple(bins.n_rows.tolist()),
    )


def _selective(rows: Sequence[ScoredRow], resampling: Resampling) -> Selective:
    confidences, right = right_columns(rows)
    curve = risk_coverage(confidences, right)
    kept = np.unique(np.linspace(0, curve.n_answered.size - 1, _N_CURVE_POINTS).round().astype(np.int64))
    points = kept if rows else kept[:0]
    return Selective(
        aurc=curve.aurc,
        aurc_interval=resampling.interval(resampling.aurc(confidences, right, rows)) if rows else None,
        augrc=curve.augrc,
        coverage_at={p: curve.coverage_at(p / 100) for p in PRECISIONS},
        coverages=tuple(curve.coverages[points].tolist()),
        risks=tuple(curve.risks[points].tolist()),
        thresholds=tuple(curve.thresholds[points].tolist()),
    )


def _problems(rows: Sequence[ScoredRow]) -> Iterator[str]:
    failed = [(row.example.id, row.outcome) for row in rows if row.answer is None]
    if failed:
        first, error = failed[0]
        yield f"failed on {len(failed):,} of {len(rows):,} rows, first on {first}: {error}"
    broken = [(row.example.id, row.broken) for row in rows if row.broken]
    if broken:
        first, reasons = broken[0]
        yield f"{len(broken):,} answers are NOT what they promise, first that to {first}: {reasons[0]}"


def _columns(rows: Sequence[ScoredRow]) -> tuple[Floats, Floats]:
    return _floats(row.em for row in rows), _floats(row.f1 for row in rows)


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _bools(values: Iterable[bool | None]) -> Bools:
    return np.fromiter(values, dtype=np.bool_)

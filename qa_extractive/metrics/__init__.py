"""What is measured of answers, as pure functions; a figure that is not defined is None."""

from __future__ import annotations

from qa_extractive.metrics.bootstrap import (
    PairedDifference,
    bootstrap_interval,
    bootstrap_statistic_interval,
    paired_bootstrap,
    paired_bootstrap_statistic,
)
from qa_extractive.metrics.extractive_qa import evaluate_module_path
from qa_extractive.metrics.numbers import best_numbers_match, numbers_of
from qa_extractive.metrics.risk_coverage import RiskCoverage, risk_coverage
from qa_extractive.metrics.scores import (
    CalibrationBins,
    RowScores,
    SquadScores,
    answerability_auroc,
    answerability_average_precision,
    answerability_f1,
    brier_score,
    calibration_bins,
    calibration_error,
    squad_means,
    squad_rows,
    squad_scores,
)
from qa_extractive.metrics.spans import broken_invariants, evidence_hit_rate, is_evidence_hit
from qa_extractive.metrics.speed import LatencyPercentiles, cost_per_million, latency_percentiles, rate
from qa_extractive.metrics.text import (
    RIGHT_F1,
    best_exact_match,
    best_rouge_l,
    best_token_f1,
    exact_match,
    normalize_answer,
    rouge_l,
    token_f1,
)

__all__ = [
    "RIGHT_F1",
    "CalibrationBins",
    "LatencyPercentiles",
    "PairedDifference",
    "RiskCoverage",
    "RowScores",
    "SquadScores",
    "answerability_auroc",
    "answerability_average_precision",
    "answerability_f1",
    "best_exact_match",
    "best_numbers_match",
    "best_rouge_l",
    "best_token_f1",
    "bootstrap_interval",
    "bootstrap_statistic_interval",
    "brier_score",
    "broken_invariants",
    "calibration_bins",
    "calibration_error",
    "cost_per_million",
    "evaluate_module_path",
    "evidence_hit_rate",
    "exact_match",
    "is_evidence_hit",
    "latency_percentiles",
    "normalize_answer",
    "numbers_of",
    "paired_bootstrap",
    "paired_bootstrap_statistic",
    "rate",
    "risk_coverage",
    "rouge_l",
    "squad_means",
    "squad_rows",
    "squad_scores",
    "token_f1",
]

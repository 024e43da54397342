"""The figures of a system, as records that ``json`` can write; None where a figure is not defined."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from qa_extractive.metrics.bootstrap import Interval
from qa_extractive.metrics.scores import SquadScores
from qa_extractive.metrics.text import SquadVersion


@dataclass(frozen=True, slots=True)
class SpanScores:
    """How well answers match the references.

    Attributes:
        version: The rule of the official script that was followed.
        squad: Exact match and token F1, of all rows, the answerable and the unanswerable ones.
        em_interval: 95 % bootstrap interval of the exact match; None where there are no two documents.
        f1_interval: The same of the token F1.
        rouge_l: Mean ROUGE-L of the rows with references.
        evidence_hit_rate: Share of the rows with labelled spans whose answer stands in the right
            sentence (``ScoredRow.is_hit``).
    """

    version: SquadVersion
    squad: SquadScores
    em_interval: Interval | None
    f1_interval: Interval | None
    rouge_l: float | None
    evidence_hit_rate: float | None

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that ``json`` can write, shares in [0, 1]."""
        squad = self.squad
        return {
            "squad_version": self.version,
            "n_scored": squad.n,
            "em": squad.em,
            "em_interval": self.em_interval,
            "f1": squad.f1,
            "f1_interval": self.f1_interval,
            "n_has_ans": squad.n_has_ans,
            "has_ans_em": squad.has_ans_em,
            "has_ans_f1": squad.has_ans_f1,
            "n_no_ans": squad.n_no_ans,
            "no_ans_em": squad.no_ans_em,
            "no_ans_f1": squad.no_ans_f1,
            "rouge_l": self.rouge_l,
            "evidence_hit_rate": self.evidence_hit_rate,
        }


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """The highest score that any one abstention threshold reaches on these rows (SQuAD 2.0's ``best_*``).

    Where rows are equally probable the official script may count a part of them; this does not.

    Attributes:
        score: The mean score there; None without rows.
        threshold: On ``answerable``, for ``--threshold``; None where abstaining from all rows is best.
    """

    score: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall-clock time, questions in, answers out.

    Attributes:
        batch_rows: Rows of the batches that the seconds are about: 20, or fewer where there were fewer.
        p50_s: Median of their seconds.
        p95_s: 95th percentile, interpolated.
        max_s: The slowest.
        rows_per_s: Rows over seconds, of all batches.
    """

    batch_rows: int
    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    rows_per_s: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one system on one set of rows.

    Attributes:
        system: Its name.
        n: Rows.
        n_failed: Rows it raised an error on.
        n_documents: Distinct documents, over which intervals are drawn; a row without one is its own.
        shipped: The answers as given: abstention at the system's own threshold, by the rule of 2.0.
        forced: Never abstaining: the best candidate instead of an abstention; by the rule of 1.1 where
            every scored row is answerable, else by that of 2.0.
        best_em: Exact match at the best threshold.
        best_f1: Token F1 at the best threshold.
        auroc: How often ``answerable`` ranks an answerable row above an unanswerable one.
        auroc_interval: 95 % bootstrap interval of it.
        abstained_share: Share of the rows it did not fail on that it abstained from.
        answerable_calibration_error: Of ``answerable``, over 15 bins of equal mass.
        score_calibration_error: Of ``score`` as the probability that the best span is right (token F1 of
            at least 0.5), over 15 bins of equal mass.
        verbatim_share: Share of the answers whose text, sentence and candidates all stand in the
            context at their offsets; anything but 1.0 is a bug of the system. None without answers.
        latency: Its time.
        problems: What is wrong with its answers, a line each: rows it failed on, offsets that lie.
    """

    system: str
    n: int
    n_failed: int
    n_documents: int
    shipped: SpanScores
    forced: SpanScores
    best_em: BestThreshold
    best_f1: BestThreshold
    auroc: float | None
    auroc_interval: Interval | None
    abstained_share: float | None
    answerable_calibration_error: float | None
    score_calibration_error: float | None
    verbatim_share: float | None
    latency: Latency
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write: ``f1`` and its like as shipped, shares in [0, 1]."""
        return {
            "n_rows": self.n,
            "n_failed": self.n_failed,
            "n_documents": self.n_documents,
            **self.shipped.to_dict(),
            "never_abstaining": self.forced.to_dict(),
            "best_em": self.best_em.score,
            "best_em_threshold": self.best_em.threshold,
            "best_f1": self.best_f1.score,
            "best_f1_threshold": self.best_f1.threshold,
            "auroc": self.auroc,
            "auroc_interval": self.auroc_interval,
            "abstained_share": self.abstained_share,
            "answerable_calibration_error": self.answerable_calibration_error,
            "score_calibration_error": self.score_calibration_error,
            "verbatim_share": self.verbatim_share,
            "latency": dataclasses.asdict(self.latency),
        }

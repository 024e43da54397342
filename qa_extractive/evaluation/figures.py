"""The figures of a system, as records that ``json`` can write; None where a figure is not defined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qa_extractive.evaluation.verdicts import Verdicts
from qa_extractive.metrics.bootstrap import Interval
from qa_extractive.metrics.scores import SquadScores
from qa_extractive.metrics.speed import cost_per_million
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
        n_with_numbers: Rows of which a reference holds a number.
        numbers_exact: Share of these whose answer has the very numbers of a reference, signs, bounds and
            units included; an abstention has none.
        numbers_exact_interval: 95 % bootstrap interval of it.
    """

    version: SquadVersion
    squad: SquadScores
    em_interval: Interval | None
    f1_interval: Interval | None
    rouge_l: float | None
    evidence_hit_rate: float | None
    n_with_numbers: int
    numbers_exact: float | None
    numbers_exact_interval: Interval | None

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
            "n_with_numbers": self.n_with_numbers,
            "numbers_exact": self.numbers_exact,
            "numbers_exact_interval": self.numbers_exact_interval,
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
class Answering:
    """How well the system, as shipped, finds the rows that have an answer.

    None where only one kind of row is present: answering all, or none, would then be perfect.

    Attributes:
        auroc: How often ``answerable`` ranks an answerable row above an unanswerable one.
        auroc_interval: 95 % bootstrap interval of it.
        average_precision: Of finding the answerable rows by ``answerable``; chance is their share.
        f1: Harmonic mean of the precision and recall of "answered" for "answerable", at the threshold
            of the system; 0 where it answers nothing.
    """

    auroc: float | None
    auroc_interval: Interval | None
    average_precision: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well ``answerable`` ranks the rows of one form of question; None where one kind only is present.

    Attributes:
        n: Rows of this form.
        auroc: As of ``Answering``.
        auroc_interval: 95 % bootstrap interval of it.
    """

    n: int = 0
    auroc: float | None = None
    auroc_interval: Interval | None = None

    def to_dict(self, form: str) -> dict[str, Any]:
        """The figures by names that tell the form of question."""
        return {
            f"n_{form}": self.n,
            f"auroc_{form}": self.auroc,
            f"auroc_{form}_interval": self.auroc_interval,
        }


@dataclass(frozen=True, slots=True)
class Reliability:
    """A probability and what came true of it, in at most 15 bins of equal mass, ascending.

    Attributes:
        brier: Mean squared difference between the two; None without rows.
        calibration_error: Mean distance over the bins; None where only one outcome is present.
        mean_probs: Mean probability of each bin, (n_bins,).
        rates: Share that came true, (n_bins,).
        n_rows: Rows, (n_bins,).
    """

    brier: float | None
    calibration_error: float | None
    mean_probs: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    n_rows: tuple[int, ...] = ()

    def bins(self) -> dict[str, Any]:
        """The bins as plain columns."""
        return {"mean_prob": self.mean_probs, "rate": self.rates, "n_rows": self.n_rows}


@dataclass(frozen=True, slots=True)
class Selective:
    """What giving only the surest answers costs in coverage and saves in risk.

    Rows are ordered by ``score``. An answer is right with token F1 of at least 0.5, on an unanswerable row
    never; a row that the system failed on counts as a wrong answer of score 0.

    Attributes:
        aurc: Area under the risk-coverage curve; lower is better. None without rows.
        aurc_interval: 95 % bootstrap interval of it.
        augrc: Area under the generalised risk over coverage, in [0, 0.5]; lower is better.
        coverage_at: The largest share of the rows that can be answered with a precision of at least 0.8,
            0.9 and 0.95, by that precision in percent; 0 where none can.
        coverages: Of the points of the curve, (n_points,) of at most 200, ascending.
        risks: Share of the answers given that are wrong, (n_points,).
        thresholds: The scores at or above which answers are given, (n_points,), descending.
    """

    aurc: float | None
    aurc_interval: Interval | None
    augrc: float | None
    coverage_at: dict[int, float | None]
    coverages: tuple[float, ...] = ()
    risks: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    def curve(self) -> dict[str, Any]:
        """The curve as plain columns."""
        return {"coverage": self.coverages, "risk": self.risks, "threshold": self.thresholds}


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall-clock time, questions in, answers out.

    Attributes:
        batch_rows: Rows of the batches that the seconds are about: 20, or fewer where there were fewer.
        p50_s: Median of their seconds.
        p95_s: 95th percentile, interpolated.
        p99_s: 99th percentile, interpolated.
        max_s: The slowest.
        rows_per_s: Rows over seconds, of all batches.
        tokens_per_s_per_core: Tokens of question, title and context over seconds and CPUs; None where
            tokens were not counted, or the work is done on another machine.
        n_cores: CPUs that the system may use; None where the work is done on another machine.
    """

    batch_rows: int
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    max_s: float | None = None
    rows_per_s: float | None = None
    tokens_per_s_per_core: float | None = None
    n_cores: int | None = None

    @property
    def s_per_1000(self) -> float | None:
        """Seconds for 1,000 questions."""
        return None if self.rows_per_s is None else 1000.0 / self.rows_per_s

    def cost_per_million(self, price_per_hour: float) -> float | None:
        """What a million questions cost on a machine of this price an hour that does nothing else.

        None where the work is done on another machine, whose price this is not.
        """
        if self.rows_per_s is None or self.n_cores is None:
            return None
        return cost_per_million(self.rows_per_s, price_per_hour)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model needs of a machine; None where it could not be measured.

    Attributes:
        cold_start_s: Start of a process to its first answer: median of three processes.
        peak_memory_bytes: Largest resident set of a process that answers a batch of 20.
        size_bytes: All files of the model's folder.
    """

    cold_start_s: float | None
    peak_memory_bytes: int | None
    size_bytes: int | None


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
        answering: How well it finds the answerable rows.
        abstained_share: Share of the rows it did not fail on that it abstained from.
        answerable_reliability: Of ``answerable`` as the probability of an answer.
        score_reliability: Of ``score`` as the probability that the best span is right (token F1 of at
            least 0.5; never, on an unanswerable row).
        selective: What giving only the surest answers saves.
        verbatim_share: Share of the answers that keep what an extractive answer promises
            (``metrics.broken_invariants``); anything but 1.0 is a bug of the system. None without answers.
        latency: Its time.
        cost_per_million: What a million questions cost, in the currency of ``--price-per-hour``; None
            without a price.
        footprint: What its model needs of a machine; None for a system without a model here.
        usage: What it used of an endpoint, as the system itself counts; None for one that uses none.
        yes_no: How it ranks the yes/no questions, by their words.
        wh: How it ranks the others.
        verdicts: What it says to yes/no questions; None where no right verdict is known.
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
    answering: Answering
    abstained_share: float | None
    answerable_reliability: Reliability
    score_reliability: Reliability
    selective: Selective
    verbatim_share: float | None
    latency: Latency
    cost_per_million: float | None = None
    footprint: Footprint | None = None
    usage: Mapping[str, Any] | None = None
    yes_no: Ranking = Ranking()
    wh: Ranking = Ranking()
    verdicts: Verdicts | None = None
    problems: tuple[str, ...] = ()

    @property
    def auroc(self) -> float | None:
        """That of ``answering``."""
        return self.answering.auroc

    @property
    def auroc_interval(self) -> Interval | None:
        """That of ``answering``."""
        return self.answering.auroc_interval

    @property
    def answerable_calibration_error(self) -> float | None:
        """That of ``answerable``, over 15 bins of equal mass."""
        return self.answerable_reliability.calibration_error

    @property
    def score_calibration_error(self) -> float | None:
        """That of ``score``, over 15 bins of equal mass."""
        return self.score_reliability.calibration_error

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
            **self.yes_no.to_dict("yes_no"),
            **self.wh.to_dict("wh"),
            "average_precision": self.answering.average_precision,
            "answering_f1": self.answering.f1,
            "abstained_share": self.abstained_share,
            "answerable_calibration_error": self.answerable_calibration_error,
            "answerable_brier": self.answerable_reliability.brier,
            "answerable_reliability": self.answerable_reliability.bins(),
            "score_calibration_error": self.score_calibration_error,
            "score_brier": self.score_reliability.brier,
            "score_reliability": self.score_reliability.bins(),
            "aurc": self.selective.aurc,
            "aurc_interval": self.selective.aurc_interval,
            "augrc": self.selective.augrc,
            **{f"coverage_at_{p}": share for p, share in self.selective.coverage_at.items()},
            "risk_coverage": self.selective.curve(),
            "verdicts": None if self.verdicts is None else self.verdicts.to_dict(),
            "verbatim_share": self.verbatim_share,
            "latency": dataclasses.asdict(self.latency),
            "cost_per_million": self.cost_per_million,
            "footprint": None if self.footprint is None else dataclasses.asdict(self.footprint),
            "usage": None if self.usage is None else dict(self.usage),
        }

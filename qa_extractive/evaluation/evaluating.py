"""A system and labelled Examples -> its scored rows (``run_system``) -> its figures (``score``).

What holds throughout: a figure that is not defined (no such rows, one class only) is None; a row that
the system failed on counts as an empty answer to every figure of texts and is left out of every figure
of probabilities; a row of which no right answer is known counts for speed, abstention and offsets only.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qa_extractive.calibration_fit import RIGHT_F1
from qa_extractive.errors import ModelError, QAError
from qa_extractive.evaluation.systems import System
from qa_extractive.metrics.bootstrap import Interval, bootstrap_statistic_interval
from qa_extractive.metrics.columns import Bools, Floats, mean_or_none
from qa_extractive.metrics.scores import (
    RowScores,
    SquadScores,
    answerability_auroc,
    calibration_error,
    squad_rows,
)
from qa_extractive.metrics.text import (
    SquadVersion,
    best_exact_match,
    best_token_f1,
    normalize_answer,
    rouge_l,
)
from qa_extractive.records import Answer, Example, Question, Span
from qa_extractive.sentences import sentence_at

BATCH_ROWS = 20
N_CALIBRATION_BINS = 15

Progress = Callable[[int, int], None]

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


# ---------------------------------------------------------------- running a system


@dataclass(frozen=True, slots=True)
class Batch:
    """The time one call took.

    Attributes:
        n_rows: Its rows.
        seconds: Wall-clock time; with the answers one by one where the call as a whole failed.
    """

    n_rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Results:
    """What a system made of some rows: of a data set, of several, or of a slice of one.

    Attributes:
        system: Its name.
        rows: The rows, scored.
        batches: The calls, in order; all but the last of a data set of 20 rows.
    """

    system: str
    rows: tuple[ScoredRow, ...]
    batches: tuple[Batch, ...]


def run_system(system: System, examples: Sequence[Example], *, progress: Progress | None = None) -> Results:
    """Ask a system, 20 questions at a time, each call timed; without a warm-up.

    Where a call raises a QAError its questions are asked one by one, so that only those it is about fail.

    Args:
        system: The system.
        examples: What to ask, and what is known of the answers.
        progress: Told the rows done and the rows there are, after each call.

    Raises:
        ModelError: The system gave more or fewer answers than it was asked.
    """
    rows: list[ScoredRow] = []
    batches: list[Batch] = []
    for begin in range(0, len(examples), BATCH_ROWS):
        own = examples[begin : begin + BATCH_ROWS]
        questions = [example.question for example in own]
        started = time.perf_counter()
        outcomes = _outcomes(system, questions)
        batches.append(Batch(len(own), time.perf_counter() - started))
        if len(outcomes) != len(own):
            raise ModelError(f"{system.name} gave {len(outcomes)} answers to {len(own)} questions: mend it")
        rows += map(ScoredRow.of, own, outcomes)
        if progress is not None:
            progress(len(rows), len(examples))
    return Results(system.name, tuple(rows), tuple(batches))


def join_results(results: Sequence[Results]) -> Results:
    """The results of one system on several data sets as one, in order."""
    return Results(
        results[0].system,
        tuple(row for each in results for row in each.rows),
        tuple(batch for each in results for batch in each.batches),
    )


def _outcomes(system: System, questions: Sequence[Question]) -> Sequence[Answer | QAError]:
    try:
        return system.answer_batch(questions)
    except QAError as error:
        if len(questions) == 1:
            return [error]
    return [outcome for question in questions for outcome in _outcomes(system, [question])]


# ---------------------------------------------------------------- a row


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A row, what the system said of it and how well its best span matches.

    The best span is the answer or, where the system abstained, its best candidate. Where no right
    answer is known (``is_scored``) the scores mean nothing.

    Attributes:
        example: The question and what is known of the answer.
        outcome: What the system said, or why it failed.
        em: Exact match of the best span by the rule of SQuAD 2.0.
        f1: Token F1 of it by that rule.
        rouge_l: ROUGE-L of it; 0 without references.
        is_hit: Whether its sentence and a labelled span share more than half of the shorter of the two:
            so a short span in the sentence is hit, and a long one by a sentence inside it.
    """

    example: Example
    outcome: Answer | QAError
    em: float
    f1: float
    rouge_l: float
    is_hit: bool

    @classmethod
    def of(cls, example: Example, outcome: Answer | QAError) -> ScoredRow:
        """Match what a system said of an example."""
        references = references_of(example)
        best = _best(outcome)
        text = "" if best is None else best.text
        return cls(
            example,
            outcome,
            em=best_exact_match(text, references),
            f1=best_token_f1(text, references),
            rouge_l=_best_rouge_l(text, references),
            is_hit=_is_hit(example, outcome, best),
        )

    @property
    def answer(self) -> Answer | None:
        """What the system said; None where it failed."""
        return self.outcome if isinstance(self.outcome, Answer) else None

    @property
    def has_span(self) -> bool:
        """Whether the system gave any span, be it as a candidate."""
        return _best(self.outcome) is not None

    @property
    def text(self) -> str:
        """The text of the best span; empty where there is none."""
        best = _best(self.outcome)
        return "" if best is None else best.text

    @property
    def is_answered(self) -> bool:
        """Whether the system answered: it neither failed nor abstained."""
        return self.answer is not None and not self.answer.abstained

    @property
    def answerable_prob(self) -> float:
        """The probability of an answer; 0 where the system failed."""
        return 0.0 if self.answer is None else self.answer.answerable

    @property
    def references(self) -> tuple[str, ...]:
        """The right answers; none where there is no answer, or none is known."""
        return references_of(self.example)

    @property
    def answerable(self) -> bool | None:
        """Whether the context answers the question; None if not known."""
        known = self.example.answerable
        return True if known is None and self.references else known

    @property
    def is_scored(self) -> bool:
        """Whether it is known what a right answer is."""
        return self.answerable is False or bool(self.references)

    @property
    def is_verbatim(self) -> bool:
        """Whether all spans of the answer stand in the context at their offsets, and none is empty."""
        if self.answer is None:
            return True
        context = self.example.question.context
        spans = (_best(self.outcome), self.answer.sentence, *self.answer.candidates)
        return all(span is None or _stands_in(context, span) for span in spans)


def references_of(example: Example) -> tuple[str, ...]:
    """The distinct right answers of an example: its references or, without any, its labelled spans."""
    if example.answerable is False:
        return ()
    return tuple(dict.fromkeys(example.references or (span.text for span in example.spans)))


def _best(outcome: Answer | QAError) -> Answer | Span | None:
    """The answer or, where the system abstained, its best candidate."""
    if isinstance(outcome, QAError):
        return None
    return next(iter(outcome.candidates), None) if outcome.abstained else outcome


def _stands_in(context: str, span: Answer | Span) -> bool:
    return bool(span.text) and span.start >= 0 and context[span.start : span.end] == span.text


def _best_rouge_l(text: str, references: Iterable[str]) -> float:
    # It is symmetric and loops over the tokens of its first text, so the shorter goes first.
    pairs = (sorted((text, reference), key=len) for reference in references)
    return max((rouge_l(shorter, longer) for shorter, longer in pairs), default=0.0)


def _is_hit(example: Example, outcome: Answer | QAError, best: Answer | Span | None) -> bool:
    context = example.question.context
    if isinstance(outcome, QAError) or best is None or not example.spans or not _stands_in(context, best):
        return False
    sentence = outcome.sentence or sentence_at(context, best.start, best.end)
    return any(_is_mostly_shared(sentence, span) for span in example.spans)


def _is_mostly_shared(left: Span, right: Span) -> bool:
    n_shared = min(left.end, right.end) - max(left.start, right.start)
    return 2 * n_shared > min(len(left.text), len(right.text))


# ---------------------------------------------------------------- the figures


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


def score(results: Results, *, n_bootstrap: int = 1000, seed: int = 17) -> Evaluation:
    """The figures of scored rows.

    Args:
        results: What a system made of the rows.
        n_bootstrap: Resamples of whole documents for the intervals; 0 for no intervals.
        seed: Of the resampling. Two systems with the same seed and examples see the same resamples.
    """
    rows = results.rows
    resampling = _Resampling.of(rows, n_bootstrap, seed)
    scored = [row for row in rows if row.is_scored]
    known = [row for row in rows if row.answer is not None and row.answerable is not None]
    probs, labels = _floats(row.answerable_prob for row in known), _bools(row.answerable for row in known)
    answers = [row.answer for row in rows if row.answer is not None]
    checked = [row for row in rows if row.has_span]
    n_verbatim = sum(row.is_verbatim for row in checked)
    return Evaluation(
        system=results.system,
        n=len(rows),
        n_failed=len(rows) - len(answers),
        n_documents=resampling.n_units,
        shipped=_shipped(scored, resampling),
        forced=_forced(scored, resampling),
        best_em=_best_threshold(scored, _floats(row.em for row in scored)),
        best_f1=_best_threshold(scored, _floats(row.f1 for row in scored)),
        auroc=answerability_auroc(probs, labels),
        auroc_interval=resampling.auroc_interval(probs, labels, known),
        abstained_share=mean_or_none(_floats(answer.abstained for answer in answers)),
        answerable_calibration_error=_calibration_error(probs, labels),
        score_calibration_error=_score_calibration_error(scored),
        verbatim_share=n_verbatim / len(checked) if checked else None,
        latency=latency_of(results.batches),
        problems=tuple(_problems(rows)),
    )


def latency_of(batches: Sequence[Batch]) -> Latency:
    """The percentiles over the largest batches there are, and the rate over all."""
    batch_rows = max((batch.n_rows for batch in batches), default=0)
    seconds = _floats(batch.seconds for batch in batches if batch.n_rows == batch_rows)
    total = sum(batch.seconds for batch in batches)
    if not seconds.size or total <= 0.0:
        return Latency(batch_rows, None, None, None, None)
    p50, p95 = (float(value) for value in np.quantile(seconds, [0.5, 0.95]))
    return Latency(batch_rows, p50, p95, float(seconds.max()), sum(b.n_rows for b in batches) / total)


def _shipped(rows: Sequence[ScoredRow], resampling: _Resampling) -> SpanScores:
    """Abstentions scored as empty answers, which are right where nothing else is."""
    answered = _bools(row.is_answered for row in rows)
    blank = _floats(not any(map(normalize_answer, row.references)) for row in rows)
    em, f1 = (np.where(answered, column, blank) for column in _columns(rows))
    return _span_scores(rows, em, f1, "2.0", answered, resampling)


def _forced(rows: Sequence[ScoredRow], resampling: _Resampling) -> SpanScores:
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
    resampling: _Resampling,
) -> SpanScores:
    has_ans, has_spans = _bools(row.answerable for row in rows), _bools(bool(r.example.spans) for r in rows)
    rouge, hits = _floats(row.rouge_l for row in rows) * answered, _floats(r.is_hit for r in rows) * answered
    return SpanScores(
        version=version,
        squad=_squad(RowScores(em, f1, has_ans)),
        em_interval=resampling.mean_interval(em, rows),
        f1_interval=resampling.mean_interval(f1, rows),
        rouge_l=mean_or_none(rouge[has_ans]),
        evidence_hit_rate=mean_or_none(hits[has_spans]),
    )


def _squad(rows: RowScores) -> SquadScores:
    """What ``metrics.squad_scores`` makes of texts, of rows that are scored already."""
    has_ans, no_ans = rows.answerable, ~rows.answerable
    return SquadScores(
        em=mean_or_none(rows.em),
        f1=mean_or_none(rows.f1),
        n=rows.em.size,
        has_ans_em=mean_or_none(rows.em[has_ans]),
        has_ans_f1=mean_or_none(rows.f1[has_ans]),
        n_has_ans=int(has_ans.sum()),
        no_ans_em=mean_or_none(rows.em[no_ans]),
        no_ans_f1=mean_or_none(rows.f1[no_ans]),
        n_no_ans=int(no_ans.sum()),
    )


def _best_threshold(rows: Sequence[ScoredRow], scores: Floats) -> BestThreshold:
    """Of the scores of the best spans; an abstention is right where there is no answer."""
    if not rows:
        return BestThreshold(None, None)
    no_ans = ~_bools(row.answerable for row in rows)
    gains = np.where(no_ans, _floats(-1.0 if row.text else 0.0 for row in rows), scores)
    thresholds, groups = np.unique(_floats(row.answerable_prob for row in rows), return_inverse=True)
    totals = np.cumsum(np.bincount(groups, weights=gains)[::-1])  # from the highest threshold down
    best = int(totals.argmax())
    if totals[best] <= 0.0:
        return BestThreshold(float(no_ans.mean()), None)
    return BestThreshold(float(no_ans.sum() + totals[best]) / len(rows), float(thresholds[::-1][best]))


def _score_calibration_error(rows: Sequence[ScoredRow]) -> float | None:
    kept = [(row, row.answer) for row in rows if row.answer is not None]
    right = _bools(bool(row.answerable) and row.f1 >= RIGHT_F1 for row, _ in kept)
    return _calibration_error(_floats(answer.score for _, answer in kept), right)


def _calibration_error(probs: ArrayLike, outcomes: Bools) -> float | None:
    """Over 15 bins; None where only one class is present, which a constant would forecast."""
    if outcomes.all() or not outcomes.any():
        return None
    return calibration_error(probs, outcomes, n_bins=N_CALIBRATION_BINS)


def _problems(rows: Sequence[ScoredRow]) -> Iterator[str]:
    failed = [(row.example.id, row.outcome) for row in rows if row.answer is None]
    if failed:
        first, error = failed[0]
        yield f"failed on {len(failed):,} of {len(rows):,} rows, first on {first}: {error}"
    broken = [row.example.id for row in rows if not row.is_verbatim]
    if broken:
        yield f"{len(broken):,} answers are NOT verbatim at their offsets, first that to {broken[0]}"


def _columns(rows: Sequence[ScoredRow]) -> tuple[Floats, Floats]:
    return _floats(row.em for row in rows), _floats(row.f1 for row in rows)


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _bools(values: Iterable[bool | None]) -> Bools:
    return np.fromiter(values, dtype=np.bool_)


# ---------------------------------------------------------------- intervals


@dataclass(frozen=True, slots=True, eq=False)
class _Resampling:
    """Draws of whole documents.

    Attributes:
        units: The number of each document.
        n_resamples: How often to draw; 0 for never.
        seed: Of the draws.
    """

    units: dict[tuple[str, str], int]
    n_resamples: int
    seed: int

    @classmethod
    def of(cls, rows: Iterable[ScoredRow], n_resamples: int, seed: int) -> _Resampling:
        documents = dict.fromkeys(_unit(row.example) for row in rows)
        return cls({unit: i for i, unit in enumerate(documents)}, n_resamples, seed)

    @property
    def n_units(self) -> int:
        return len(self.units)

    def mean_interval(self, values: Floats, rows: Sequence[ScoredRow]) -> Interval | None:
        """Of the mean of the values of these rows."""
        units = self._units_of(rows)
        sums = np.bincount(units, weights=values, minlength=self.n_units)
        counts = np.bincount(units, minlength=self.n_units)

        def mean(drawn: NDArray[np.intp]) -> float | None:
            n = counts[drawn].sum()
            return float(sums[drawn].sum() / n) if n else None

        return self._interval(mean)

    def auroc_interval(self, probs: Floats, labels: Bools, rows: Sequence[ScoredRow]) -> Interval | None:
        """Of the area under the ROC curve of these rows; a document drawn twice weighs twice."""
        if labels.all() or not labels.any():
            return None
        units = self._units_of(rows)
        distinct, groups = np.unique(probs, return_inverse=True)

        def area(drawn: NDArray[np.intp]) -> float | None:
            weights = np.bincount(drawn, minlength=self.n_units)[units]
            positive = np.bincount(groups, weights=weights * labels, minlength=distinct.size)
            negative = np.bincount(groups, weights=weights * ~labels, minlength=distinct.size)
            n_pairs = positive.sum() * negative.sum()
            return float(positive @ (np.cumsum(negative) - negative / 2) / n_pairs) if n_pairs else None

        return self._interval(area)

    def _units_of(self, rows: Sequence[ScoredRow]) -> NDArray[np.intp]:
        return np.array([self.units[_unit(row.example)] for row in rows], dtype=np.intp)

    def _interval(self, statistic: Callable[[NDArray[np.intp]], float | None]) -> Interval | None:
        if not self.n_resamples:
            return None
        return bootstrap_statistic_interval(
            statistic, self.n_units, n_resamples=self.n_resamples, seed=self.seed
        )


def _unit(example: Example) -> tuple[str, str]:
    return ("document", example.document) if example.document else ("row", example.id)

"""Figures of a system: values computed by hand, official rules, degenerate data, broken systems."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qa_extractive.errors import DataError, ModelError, QAError
from qa_extractive.evaluation import footprint
from qa_extractive.evaluation.baselines import Abstaining, FirstSentence
from qa_extractive.evaluation.compare import compare
from qa_extractive.evaluation.figures import Evaluation, Footprint
from qa_extractive.evaluation.run import Batch, join_results, run_system
from qa_extractive.evaluation.score import evaluate, latency_of, score
from qa_extractive.evaluation.systems import ModelSystem
from qa_extractive.evaluation.usage import Usage
from qa_extractive.metrics.bootstrap import bootstrap_statistic_interval
from qa_extractive.metrics.risk_coverage import risk_coverage
from qa_extractive.metrics.scores import answerability_auroc, calibration_error, squad_scores
from qa_extractive.metrics.text import best_rouge_l, best_token_f1
from qa_extractive.predictor import DEFAULT_MODEL, Predictor
from qa_extractive.settings import AnswerSettings
from qa_extractive.types import Answer, Example, Question, Span

CONTEXT = "Aspirin halved the risk. It was safe in adults. Cost was not studied."


def cut(text: str, score: float = 0.5) -> Span:
    start = CONTEXT.index(text)
    return Span.cut(CONTEXT, start, start + len(text), score)


def says(text: str, answerable: float = 0.9, score: float = 0.9, *, abstained: bool = False) -> Answer:
    """An answer from CONTEXT, or an abstention with that as its candidate; "" for no candidate."""
    candidates: tuple[Span, ...] = (cut(text),) if text else ()
    if abstained:
        return Answer("", 0, 0, score, answerable, abstained=True, candidates=candidates)
    best = candidates[0]
    return Answer(best.text, best.start, best.end, score, answerable, False, None, candidates)


@dataclass(frozen=True)
class Fake:
    """Says what it was told to, a QAError being raised."""

    said: Sequence[Answer | QAError]
    name: str = "fake"
    calls: list[int] = field(default_factory=list)

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        self.calls.append(len(questions))
        said = [self.said[int(question.question)] for question in questions]
        for outcome in said:
            if isinstance(outcome, QAError):
                raise outcome
        return [outcome for outcome in said if isinstance(outcome, Answer)]


def asks(
    number: int,
    *references: str,
    answerable: bool | None = None,
    spans: tuple[str, ...] = (),
    document: str = "",
) -> Example:
    known = bool(references) if answerable is None else answerable
    return Example(
        f"q{number}",
        Question(str(number), CONTEXT),
        references,
        tuple(map(cut, spans)),
        known,
        document or f"d{number}",
    )


def unlabelled(number: int) -> Example:
    return Example(f"q{number}", Question(str(number), CONTEXT))


def test_by_hand() -> None:
    examples = [
        asks(0, "halved the risk", spans=("halved the risk",)),
        asks(1, "safe in adults", spans=("safe in adults",)),
        asks(2, "cost", spans=("Cost",)),
        asks(3),
        asks(4),
    ]
    system = Fake(
        [
            says("halved the risk", 0.9, 0.8),
            says("in adults", 0.8, 0.7),  # precision 1, recall 2/3: F1 0.8
            says("Cost", 0.3, 0.6, abstained=True),
            says("Aspirin", 0.6, 0.4),
            says("Aspirin", 0.2, 0.1, abstained=True),
        ]
    )
    result = evaluate(system, examples, n_bootstrap=200)

    assert (result.n, result.n_failed, result.n_documents, result.problems) == (5, 0, 5, ())
    given = result.shipped
    assert (given.version, given.squad.n_has_ans, given.squad.n_no_ans) == ("2.0", 3, 2)
    assert given.squad.em == pytest.approx((1 + 0 + 0 + 0 + 1) / 5)
    assert given.squad.f1 == pytest.approx((1 + 0.8 + 0 + 0 + 1) / 5)
    assert given.squad.has_ans_f1 == pytest.approx(1.8 / 3)
    assert (given.squad.no_ans_em, given.squad.no_ans_f1) == (0.5, 0.5)
    assert given.rouge_l == pytest.approx((1 + 0.8 + 0) / 3)
    assert given.evidence_hit_rate == pytest.approx(2 / 3)

    forced = result.forced
    assert forced.version == "2.0"
    assert forced.squad.em == pytest.approx((1 + 0 + 1) / 5)
    assert forced.squad.f1 == pytest.approx((1 + 0.8 + 1) / 5)
    assert forced.squad.has_ans_f1 == pytest.approx(2.8 / 3)
    assert forced.squad.no_ans_f1 == 0.0
    assert forced.rouge_l == pytest.approx(2.8 / 3)
    assert forced.evidence_hit_rate == 1.0

    # From 2 right abstentions, as the threshold falls: +1 (0.9), +0.8 (0.8), -1 (0.6), +1 (0.3), -1 (0.2).
    assert result.best_f1.score == pytest.approx(3.8 / 5)
    assert result.best_f1.threshold == 0.8
    assert result.best_em.score == pytest.approx(3 / 5)
    assert result.best_em.threshold == 0.9

    assert result.auroc == pytest.approx(5 / 6)
    assert result.abstained_share == 0.4
    assert result.verbatim_share == 1.0
    # Ranked 0.9 +, 0.8 +, 0.6 -, 0.3 +, 0.2 -: the precision at each +.
    assert result.answering.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert result.answering.f1 == pytest.approx(2 * 2 / (3 + 3))  # answered 3, of the 3 answerable 2
    assert result.answerable_reliability.brier == pytest.approx((0.01 + 0.04 + 0.49 + 0.36 + 0.04) / 5)
    assert result.score_reliability.brier == pytest.approx((0.04 + 0.09 + 0.16 + 0.16 + 0.01) / 5)
    assert result.score_reliability.mean_probs == pytest.approx((0.1, 0.4, 0.6, 0.7, 0.8))
    assert result.score_reliability.rates == (0.0, 0.0, 1.0, 1.0, 1.0)
    assert result.score_reliability.n_rows == (1, 1, 1, 1, 1)
    # By score the three right ones come first: no risk up to a coverage of 60 %, then 1/4 and 2/5.
    selective = result.selective
    assert selective.coverages == pytest.approx((0.2, 0.4, 0.6, 0.8, 1.0))
    assert selective.risks == pytest.approx((0, 0, 0, 1 / 4, 2 / 5))
    assert selective.thresholds == (0.8, 0.7, 0.6, 0.4, 0.1)
    assert selective.aurc == pytest.approx((1 / 4 + 2 / 5) / 5)
    assert selective.augrc == pytest.approx((1 + 2 / 2) / 25)
    assert selective.coverage_at == {80: 0.6, 90: 0.6, 95: 0.6}
    # Five bins of one row: |promise - outcome|.
    assert result.answerable_calibration_error == pytest.approx((0.1 + 0.2 + 0.7 + 0.6 + 0.2) / 5)
    assert result.score_calibration_error == pytest.approx((0.2 + 0.3 + 0.4 + 0.4 + 0.1) / 5)
    for interval, value in (
        (given.em_interval, given.squad.em),
        (given.f1_interval, given.squad.f1),
        (forced.f1_interval, forced.squad.f1),
        (result.auroc_interval, result.auroc),
        (selective.aurc_interval, selective.aurc),
    ):
        assert interval is not None
        assert value is not None
        assert 0.0 <= interval[0] <= value <= interval[1] <= 1.0


def test_it_is_the_official_script_on_random_rows() -> None:
    rng = random.Random(7)
    words = CONTEXT.rstrip(".").split()
    examples, said = [], []
    for i in range(300):
        gold = [
            " ".join(words[(j := rng.randrange(10)) : j + rng.randint(1, 3)])
            for _ in range(rng.randint(1, 3))
        ]
        examples.append(asks(i, *(gold if rng.random() < 0.6 else ()), document=f"d{i % 40}"))
        text, prob = rng.choice(words), rng.random()
        said.append(says(text, prob, rng.random(), abstained=prob < 0.4))
    result = evaluate(Fake(said), examples, n_bootstrap=50)

    references = [e.references for e in examples]
    best = [answer.candidates[0].text for answer in said]
    assert result.shipped.squad == squad_scores([answer.text for answer in said], references)
    official = squad_scores(best, references, no_answer_probs=[1 - answer.answerable for answer in said])
    assert result.best_f1.score == pytest.approx(official.best_f1)
    assert official.best_f1_threshold is not None
    assert result.best_f1.threshold == pytest.approx(1 - official.best_f1_threshold)
    assert result.best_em.score == pytest.approx(official.best_em)
    assert result.forced.squad.f1 == official.f1

    probs, labels = [a.answerable for a in said], [bool(r) for r in references]
    assert result.auroc == answerability_auroc(probs, labels)
    assert result.answerable_calibration_error == calibration_error(probs, labels, n_bins=15)
    rouges = [best_rouge_l(b, r) for b, r in zip(best, references, strict=True) if r]
    assert result.forced.rouge_l == pytest.approx(sum(r or 0.0 for r in rouges) / len(rouges))

    # The same documents drawn, the figures then computed from the rows anew.
    def auroc_of(drawn: NDArray[np.intp]) -> float | None:
        rows = [i for d in drawn for i in range(300) if i % 40 == d]
        return answerability_auroc([probs[i] for i in rows], [labels[i] for i in rows])

    def f1_of(drawn: NDArray[np.intp]) -> float | None:
        rows = [i for d in drawn for i in range(300) if i % 40 == d]
        return squad_scores([said[i].text for i in rows], [references[i] for i in rows]).f1

    def aurc_of(drawn: NDArray[np.intp]) -> float | None:
        rows = [i for d in drawn for i in range(300) if i % 40 == d]
        right = [bool(references[i]) and best_token_f1(best[i], references[i]) >= 0.5 for i in rows]
        return risk_coverage([said[i].score for i in rows], right).aurc

    for interval, statistic in (
        (result.auroc_interval, auroc_of),
        (result.shipped.f1_interval, f1_of),
        (result.selective.aurc_interval, aurc_of),
    ):
        assert interval == pytest.approx(bootstrap_statistic_interval(statistic, 40, n_resamples=50, seed=17))


def test_answerable_rows_alone_follow_version_1_where_nothing_is_abstained() -> None:
    examples = [asks(0, "the"), asks(1, "adults")]  # "the" normalises to nothing
    result = evaluate(Fake([says("the"), says("adults")]), examples)
    assert (result.forced.version, result.forced.squad.em, result.forced.squad.f1) == ("1.1", 1.0, 0.5)
    assert (result.shipped.version, result.shipped.squad.f1) == ("2.0", 1.0)
    assert (result.auroc, result.auroc_interval, result.answerable_calibration_error) == (None, None, None)
    assert (result.shipped.squad.no_ans_f1, result.best_f1.score) == (None, 1.0)


def test_unanswerable_rows_alone() -> None:
    said = [says("Aspirin", 0.9), says("", 0.1, abstained=True)]
    result = evaluate(Fake(said), [asks(0), asks(1)])
    assert (result.shipped.squad.f1, result.shipped.squad.has_ans_f1) == (0.5, None)
    assert (result.best_f1.score, result.best_f1.threshold) == (1.0, None)
    assert (result.auroc, result.shipped.rouge_l, result.score_calibration_error) == (None, None, None)


def test_equal_probabilities_are_admitted_together() -> None:
    """Unlike the official script, whose best may lie inside a tie, where no threshold can be."""
    examples = [asks(0, "Aspirin"), asks(1), asks(2)]
    result = evaluate(Fake([says("Aspirin", 1.0)] * 3), examples)
    assert result.best_f1.score == pytest.approx(2 / 3)
    assert result.best_f1.threshold is None
    official = squad_scores(["Aspirin"] * 3, [e.references for e in examples], no_answer_probs=[0.0] * 3)
    assert official.best_f1 == 1.0


@pytest.mark.parametrize(
    ("label", "hit"),
    [
        ("safe", True),  # the sentence "It was safe in adults." holds it
        ("It was safe in adults. Cost was not studied.", True),  # it holds the sentence
        ("the risk. It was safe", True),  # 11 of its 21 characters lie in the sentence
        ("the risk. It was", False),  # 6 of its 16 do
        ("Cost was not", False),
    ],
)
def test_the_sentence_of_an_answer_is_the_evidence(label: str, hit: bool) -> None:
    result = evaluate(Fake([says("adults")]), [asks(0, "x", spans=(label,))])
    assert result.shipped.evidence_hit_rate == float(hit)


def test_answers_that_are_no_labelled_spans() -> None:
    result = evaluate(Fake([says("halved the risk")]), [asks(0, "It cut the risk by half.")])
    assert result.shipped.squad.f1 == pytest.approx(2 * (1 / 2) * (1 / 5) / (1 / 2 + 1 / 5))
    assert result.shipped.rouge_l == pytest.approx(2 * 2 / (3 + 6))
    assert result.shipped.evidence_hit_rate is None


def test_labelled_spans_are_references_where_none_are_given() -> None:
    example = Example("q0", Question("0", CONTEXT), spans=(cut("safe"),), answerable=True)
    assert evaluate(Fake([says("safe")]), [example]).shipped.squad.em == 1.0


def test_an_unanswerable_row_has_no_references() -> None:
    example = asks(0, "Aspirin", answerable=False)
    assert evaluate(Fake([says("Aspirin")]), [example]).shipped.squad.em == 0.0


def test_a_row_known_to_be_answerable_counts_for_probabilities_only() -> None:
    examples = [asks(0, answerable=True), asks(1), unlabelled(2)]
    result = evaluate(Fake([says("safe", 0.9), says("safe", 0.2), says("safe", 0.1)]), examples)
    assert (result.shipped.squad.n, result.auroc) == (1, 1.0)


# ------------------------------------------------------------------------------------- degenerate data


def assert_plain(result: Evaluation) -> None:
    json.dumps(result.to_dict(), allow_nan=False)


def test_no_answers_at_all() -> None:
    result = evaluate(Fake([says("safe"), says("", 0.1, abstained=True)]), [unlabelled(0), unlabelled(1)])
    assert (result.n, result.abstained_share, result.verbatim_share) == (2, 0.5, 1.0)
    squad = result.shipped.squad
    assert (squad.n, squad.em, squad.f1, result.auroc, result.best_f1.score) == (0, None, None, None, None)
    assert (result.forced.f1_interval, result.shipped.rouge_l) == (None, None)
    assert_plain(result)


@pytest.mark.parametrize("example", [asks(0, "safe"), asks(0), unlabelled(0)])
@pytest.mark.parametrize("outcome", [says("safe"), says("", abstained=True), QAError("broken")])
def test_one_row(example: Example, outcome: Answer | QAError) -> None:
    result = evaluate(Fake([outcome]), [example])
    assert (result.n, result.shipped.f1_interval, result.auroc) == (1, None, None)
    assert_plain(result)


def test_no_rows() -> None:
    result = evaluate(Fake([]), [])
    assert (result.n, result.abstained_share, result.latency.p50_s, result.problems) == (0, None, None, ())
    assert_plain(result)


def test_one_document_has_no_interval() -> None:
    examples = [asks(i, "safe", document="same") for i in range(5)]
    result = evaluate(Fake([says("safe")] * 5), examples)
    assert (result.n_documents, result.shipped.f1_interval) == (1, None)


def test_rows_without_a_document_are_drawn_one_by_one() -> None:
    examples = [Example(f"q{i}", Question(str(i), CONTEXT), ("safe",), answerable=True) for i in range(5)]
    result = evaluate(Fake([says("safe")] * 5), examples)
    assert (result.n_documents, result.shipped.f1_interval) == (5, (1.0, 1.0))


def test_documents_are_drawn_whole() -> None:
    """Ten rows that agree within two documents tell as much as two rows."""
    said = [says("safe")] * 5 + [says("Cost")] * 5
    examples = [asks(i, "safe", document=f"d{i // 5}") for i in range(10)]
    assert evaluate(Fake(said), examples).shipped.f1_interval == (0.0, 1.0)
    apart = evaluate(Fake(said), [asks(i, "safe") for i in range(10)]).shipped.f1_interval
    assert apart is not None
    assert 0.0 < apart[0] < apart[1] < 1.0


def test_no_resamples_no_intervals() -> None:
    result = evaluate(
        Fake([says("safe")] * 4), [asks(i, *["safe"] * (i % 2)) for i in range(4)], n_bootstrap=0
    )
    assert (result.shipped.f1_interval, result.auroc_interval) == (None, None)
    assert result.auroc == 0.5


def test_the_seed_fixes_the_intervals() -> None:
    examples = [asks(i, "safe") for i in range(30)]
    system = Fake([says("safe" if i % 3 else "Cost") for i in range(30)])
    one, two, other = (
        evaluate(system, examples, n_bootstrap=30, seed=s).shipped.f1_interval for s in (1, 1, 2)
    )
    assert one == two != other


# ------------------------------------------------------------------------------------- running


def test_rows_that_fail_stop_no_other() -> None:
    said: list[Answer | QAError] = [
        says("safe"),
        DataError("question of 900 tokens"),
        says("safe", 0.8),
        DataError("question of 901 tokens"),
    ]
    examples = [asks(0, "safe"), asks(1, "safe"), asks(2), asks(3)]
    result = evaluate(Fake(said), examples)
    assert result.n_failed == 2
    assert result.problems == ("failed on 2 of 4 rows, first on q1: question of 900 tokens",)
    assert (
        result.shipped.squad.f1 == 0.5
    )  # the failed rows count as empty: wrong, and right without an answer
    assert result.forced.squad.f1 == 0.5
    assert (result.auroc, result.abstained_share, result.verbatim_share) == (1.0, 0.0, 1.0)


def test_all_rows_may_fail() -> None:
    examples = [asks(0, "safe"), asks(1)]
    result = evaluate(Fake([ModelError("no")] * 2), examples)
    assert (result.n_failed, result.auroc, result.abstained_share, result.verbatim_share) == (
        2,
        None,
        None,
        None,
    )
    assert (result.shipped.squad.has_ans_f1, result.shipped.squad.no_ans_f1) == (0.0, 1.0)
    assert_plain(result)


def test_a_bug_of_a_system_is_no_failed_row() -> None:
    class Broken(Fake):
        def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(Broken([]), [asks(0)])


@pytest.mark.parametrize("n_answers", [0, 1, 3])
def test_a_system_must_answer_each_question_once(n_answers: int) -> None:
    class Broken(Fake):
        def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
            return [says("safe")] * n_answers

    with pytest.raises(ModelError, match=f"gave {n_answers} answers to 2 questions"):
        evaluate(Broken([]), [asks(0), asks(1)])


def test_questions_go_out_in_batches_of_20() -> None:
    system, seen = Fake([says("safe")] * 45), []
    results = run_system(
        system, [asks(i) for i in range(45)], progress=lambda done, n: seen.append((done, n))
    )
    assert system.calls == [20, 20, 5]
    assert seen == [(20, 45), (40, 45), (45, 45)]
    assert [batch.n_rows for batch in results.batches] == [20, 20, 5]
    assert [row.example.id for row in results.rows] == [f"q{i}" for i in range(45)]


def test_latency_is_that_of_whole_batches() -> None:
    latency = latency_of([Batch(20, 1.0), Batch(20, 3.0), Batch(5, 100.0), Batch(20, 2.0)])
    assert (latency.batch_rows, latency.p50_s, latency.max_s) == (20, 2.0, 3.0)
    assert latency.p95_s == pytest.approx(2.9)
    assert latency.rows_per_s == pytest.approx(65 / 106)
    assert latency.p99_s == pytest.approx(2.98)
    assert (latency.tokens_per_s_per_core, latency.n_cores) == (None, None)
    assert latency_of([Batch(5, 0.5)]).batch_rows == 5
    assert latency_of([]).rows_per_s is None
    assert latency_of([Batch(5, 0.0)]).rows_per_s is None


def test_throughput_and_cost_by_hand() -> None:
    latency = latency_of([Batch(20, 1.5, 900), Batch(5, 1.0, 100)], n_cores=2)
    assert latency.rows_per_s == pytest.approx(10)
    assert latency.tokens_per_s_per_core == pytest.approx(1000 / 2.5 / 2)
    assert latency.s_per_1000 == pytest.approx(100)
    assert latency.cost_per_million(0.36) == pytest.approx(1e5 / 3600 * 0.36)
    assert latency_of([Batch(20, 1.0, 900)]).cost_per_million(1.0) is None  # not this machine's work
    examples = [asks(0, "safe"), asks(1)]
    results = run_system(Fake([says("safe")] * 2), examples, n_tokens=[30, 12])
    assert (results.batches[0].n_tokens, results.n_cores, results.usage) == (42, 1, None)
    assert score(results, price_per_hour=0.0).cost_per_million == 0.0


def test_joined_results_are_those_of_the_joined_rows() -> None:
    examples = [asks(i, *["safe"] * (i % 2), document=f"d{i % 7}") for i in range(30)]
    system = Fake([says("safe" if i % 3 else "Cost", i / 30) for i in range(30)])
    parts = [run_system(system, part) for part in (examples[:13], examples[13:])]
    joined = score(join_results(parts)).to_dict()
    whole = score(run_system(system, examples)).to_dict()
    assert joined | {"latency": None} == whole | {"latency": None}


def test_a_row_that_fails_is_a_wrong_answer_that_comes_last() -> None:
    said: list[Answer | QAError] = [says("safe", score=0.2), DataError("no"), says("Cost", score=0.1)]
    selective = evaluate(Fake(said), [asks(i, "safe") for i in range(3)]).selective
    assert selective.thresholds == (0.2, 0.1, 0.0)
    assert selective.risks == pytest.approx((0, 1 / 2, 2 / 3))


def test_a_long_curve_is_thinned_to_200_points_that_keep_its_ends() -> None:
    said = [says("safe", score=i / 500) for i in range(500)]
    selective = evaluate(Fake(said), [asks(i, "safe") for i in range(500)], n_bootstrap=0).selective
    assert len(selective.coverages) == len(selective.risks) == len(selective.thresholds) == 200
    assert (selective.coverages[0], selective.coverages[-1]) == (1 / 500, 1.0)


def test_a_system_may_fail_row_by_row() -> None:
    class Rows(Fake):
        def answer_rows(self, questions: Sequence[Question]) -> list[Answer | QAError]:
            self.calls.append(len(questions))
            return [self.said[int(question.question)] for question in questions]

    system = Rows([says("safe"), QAError("no"), says("Cost")])
    results = run_system(system, [asks(0, "safe"), asks(1, "safe"), asks(2, "safe")])
    assert [row.answer is None for row in results.rows] == [False, True, False]
    assert system.calls == [3]


def test_usage_is_carried_and_added_up() -> None:
    @dataclass(frozen=True)
    class Paid(Fake):
        usage: Usage = field(default_factory=lambda: Usage(n_questions=2, n_quotes=2, n_not_in_text=1))

    results = run_system(Paid([says("safe")] * 2), [asks(0, "safe"), asks(1)])
    assert results.n_cores is None
    values = score(join_results([results, results])).to_dict()["usage"]
    assert (values["n_questions"], values["not_in_text_share"], values["cost"]) == (4, 0.5, None)


# ------------------------------------------------------------------------------------- one against another


def test_a_comparison_by_hand() -> None:
    examples = [asks(i, "safe") for i in range(8)] + [asks(8), asks(9)]
    good = [says("safe", 0.9, 0.9)] * 8 + [says("safe", 0.1, 0.1, abstained=True)] * 2
    bad = [says("safe", 0.9, 0.9)] * 4 + [says("Cost", 0.9, 0.9)] * 4 + [says("safe", 0.9, 0.9)] * 2
    runs = [run_system(Fake(said, name), examples) for said, name in ((bad, "bad"), (good, "good"))]
    found = {c.figure: c for c in compare(runs, n_bootstrap=200)}
    assert {(c.system, c.against) for c in found.values()} == {("good", "bad")}
    assert found["f1"].difference == pytest.approx(0.6)
    assert found["auroc"].difference == pytest.approx(0.5)
    assert found["aurc"].difference is not None
    assert found["aurc"].difference < 0.0
    for comparison in found.values():
        assert comparison.interval is not None
        assert comparison.difference is not None
        assert comparison.interval[0] <= comparison.difference <= comparison.interval[1]
        assert comparison.better_share is not None
        assert comparison.better_share > 0.95
        assert comparison.is_better
    (back, *_) = compare(runs[::-1], n_bootstrap=200)
    assert back.is_better is False
    assert back.better_share == pytest.approx(1 - (found["f1"].better_share or 0))


def test_a_system_against_itself_is_a_draw() -> None:
    results = run_system(Fake([says("safe"), says("Cost")]), [asks(0, "safe"), asks(1)])
    assert compare([results]) == []
    for comparison in compare([results, results], n_bootstrap=30):
        assert (comparison.difference, comparison.interval) == (0.0, (0.0, 0.0))
        assert (comparison.better_share, comparison.is_better) == (0.5, None)


def test_what_cannot_be_compared() -> None:
    one = run_system(Fake([says("safe")] * 2), [asks(0, "safe"), asks(1, "safe")])
    found = {c.figure: c for c in compare([one, one], n_bootstrap=0)}
    assert (found["auroc"].difference, found["f1"].difference) == (None, 0.0)
    assert (found["f1"].interval, found["f1"].better_share, found["f1"].is_better) == (None, None, None)
    other = run_system(Fake([says("safe")] * 2), [asks(1, "safe"), asks(0, "safe")])
    with pytest.raises(DataError, match="saw different rows"):
        compare([one, other])


# ------------------------------------------------------------------------------------- what a model needs


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="ru_maxrss is all there is")
def test_peak_memory_is_not_that_of_the_process_that_asked() -> None:
    large = b"x" * 700_000_000
    code = "from qa_extractive.evaluation.first_answer import peak_memory_bytes; print(peak_memory_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 10_000_000 < int(done.stdout) < len(large) // 2


def test_the_footprint_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "N_STARTS", 1)
    rows = run_system(Fake([says("safe"), DataError("no")]), [asks(0, "safe"), asks(1)]).rows
    found = footprint.footprint_of(ModelSystem("default", Predictor()), rows)
    assert found is not None
    assert found.cold_start_s is not None
    assert found.cold_start_s > 0.01
    assert found.peak_memory_bytes is None or 30e6 < found.peak_memory_bytes < 1e9
    assert found.size_bytes == sum(path.stat().st_size for path in DEFAULT_MODEL.iterdir())
    assert footprint.footprint_of(FirstSentence(), rows) is None
    failed = footprint.footprint_of(ModelSystem("default", Predictor()), rows[1:])
    assert failed == Footprint(None, None, found.size_bytes)


def test_a_model_that_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    @dataclass
    class Gone:
        folder: Path = tmp_path / "gone"
        settings: AnswerSettings = field(default_factory=lambda: AnswerSettings(0.5))

    @dataclass(frozen=True)
    class Broken(Fake):
        predictor: Gone = field(default_factory=Gone)

    system = Broken([says("safe")])
    rows = run_system(system, [asks(0, "safe")]).rows
    assert footprint.footprint_of(system, rows) == Footprint(None, None, 0)
    assert "could not be measured" in caplog.text
    assert "is not a folder" in caplog.text


# ------------------------------------------------------------------------------------- answers that lie


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (Answer("safe", 0, 4, 0.9, 0.9, abstained=False), "the answer is not the context at [0:4]"),
        (Answer("safe", 900, 904, 0.9, 0.9, abstained=False), "the answer is not the context at [900:904]"),
        (Answer("", 3, 3, 0.9, 0.9, abstained=False), "the answer is not the context at [3:3]"),
        (
            Answer("", 0, 0, 0.9, 0.1, abstained=True, candidates=(Span("safe", 0, 4),)),
            "the candidate 0 is not the context at [0:4]",
        ),
        (
            Answer("Aspirin", 0, 7, 0.9, 0.9, abstained=False, sentence=Span("Aspirin doubled", 0, 15)),
            "the sentence is not the context at [0:15]",
        ),
        (
            Answer("Aspirin", 0, 7, 0.9, 0.9, abstained=False, candidates=(cut("Aspirin"), cut("Aspirin"))),
            "candidates overlap",
        ),
    ],
)
def test_an_answer_that_is_not_what_it_promises_is_loud(
    lie: Answer, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    examples = [asks(0, "Aspirin", spans=("Aspirin",)), asks(1, "safe", spans=("safe",))]
    with caplog.at_level(logging.ERROR):
        result = evaluate(Fake([lie, says("safe")]), examples)
    assert result.verbatim_share == 0.5
    assert len(result.problems) == 1
    assert result.problems[0].startswith(f"1 answers are NOT what they promise, first that to q0: {reason}")
    assert "NOT what they promise" in caplog.text


def test_a_sound_system_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    evaluate(Fake([says("safe")]), [asks(0, "safe")])
    assert not caplog.records


# ------------------------------------------------------------------------------------- baselines, JSON


def test_baselines_by_hand() -> None:
    examples = [asks(0, "Aspirin halved the risk"), asks(1)]
    first, nothing = (evaluate(system, examples) for system in (FirstSentence(), Abstaining()))
    assert (first.shipped.squad.em, first.forced.squad.em, first.abstained_share) == (0.5, 0.5, 0.0)
    assert (nothing.shipped.squad.em, nothing.forced.squad.em, nothing.abstained_share) == (0.5, 0.5, 1.0)
    assert (first.auroc, nothing.auroc, nothing.verbatim_share) == (0.5, 0.5, None)


def test_the_dict_is_flat_with_shares_in_the_unit_interval() -> None:
    examples = [asks(i, *["safe"] * (i % 2), spans=("safe",) * (i % 2)) for i in range(25)]
    values = evaluate(Fake([says("safe", i % 2 / 2 + i / 50, i / 25) for i in range(25)]), examples).to_dict()
    assert_shares(values)
    assert_shares(values["never_abstaining"])
    assert values["latency"]["batch_rows"] == 20
    assert (values["n_rows"], values["n_scored"], values["n_has_ans"], values["n_no_ans"]) == (25, 25, 12, 13)


def assert_shares(values: dict[str, object]) -> None:
    nested = ("answerable_reliability", "score_reliability", "risk_coverage")
    # There are no such questions, and no numbers in the references.
    unasked = ("verdicts", "auroc_yes_no", "auroc_yes_no_interval", "numbers_exact", "numbers_exact_interval")
    for name, value in values.items():
        if name.startswith(("n_", "latency", "squad_version", "never")) or name in nested:
            continue
        if name in ("cost_per_million", "footprint", "usage", *unasked):
            assert value is None
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        assert all(isinstance(number, float) and 0.0 <= number <= 1.0 for number in numbers), name

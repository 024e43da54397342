"""Verdicts in ``evaluate``: figures by hand, floors that read nothing, the table, the report, the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from qa_extractive.cli import main
from qa_extractive.cli.evaluate_table import floor_text, table_text
from qa_extractive.errors import DataError, QAError
from qa_extractive.evaluation import systems
from qa_extractive.evaluation.lengths import count_tokens
from qa_extractive.evaluation.measure import Settings, measure
from qa_extractive.evaluation.run import run_system
from qa_extractive.evaluation.score import evaluate, score
from qa_extractive.evaluation.verdicts import verdict_floor
from qa_extractive.metrics.bootstrap import bootstrap_statistic_interval
from qa_extractive.metrics.classes import macro_f1
from qa_extractive.report.content import Report, report_blocks
from qa_extractive.report.html import html
from qa_extractive.report.markdown import markdown
from qa_extractive.types import VERDICTS, Answer, Example, Question

CONTEXT = "Aspirin halved the risk."
ABSTAINED = Answer("", 0, 0, 0.1, 0.1, abstained=True)


def says(verdict: str | None, prob: float = 0.8, answerable: float = 0.9) -> Answer:
    """The whole context as the answer, and a verdict of that probability."""
    rest = (1 - prob) / 2
    yes, no, mixed = (prob if each == verdict else rest for each in VERDICTS)
    return Answer(
        CONTEXT, 0, len(CONTEXT), 0.9, answerable, False,
        verdict=verdict, verdict_probs=(yes, no, mixed) if verdict else None,
    )  # fmt: skip


def asks(number: int, verdict: str | None, *, question: str = "Does it help?", document: str = "") -> Example:
    known = None if verdict is None else verdict if verdict in VERDICTS else None
    answerable = verdict is not None
    return Example(
        f"q{number}", Question(f"{question} {number}", CONTEXT), (CONTEXT,) if answerable else (),
        answerable=answerable, document=document or f"d{number}", verdict=known,
    )  # fmt: skip


@dataclass(frozen=True)
class Fake:
    """Says what it was told to, by the number at the end of the question."""

    said: Sequence[Answer | QAError]
    name: str = "fake"

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        found = [self.said[int(question.question.rpartition(" ")[2])] for question in questions]
        for outcome in found:
            if isinstance(outcome, QAError):
                raise outcome
        return [outcome for outcome in found if isinstance(outcome, Answer)]


TRUE = ("yes", "yes", "yes", "no", "no", "mixed")
SAID: tuple[Answer | QAError, ...] = (
    says("yes", 0.9), says("no", 0.6), ABSTAINED, says("no", 0.7), DataError("broken"), says(None),
)  # fmt: skip


def test_verdicts_by_hand() -> None:
    examples = [asks(i, verdict) for i, verdict in enumerate(TRUE)]
    examples += [asks(6, "other", question="What helps?"), asks(7, None)]
    found = evaluate(Fake([*SAID, says("yes"), says("yes")]), examples, n_bootstrap=200).verdicts
    assert found is not None
    assert (found.n, found.n_given, found.coverage) == (6, 3, 0.5)
    # Right: the first and the fourth; a verdict that is not given, for whatever reason, is wrong.
    assert found.scores.accuracy == pytest.approx(2 / 6)
    assert found.accuracy_given == pytest.approx(2 / 3)
    # yes: 1 right of 3 true, 1 told; no: 1 right of 2 true, 2 told; mixed: never told.
    assert found.scores.macro_f1 == pytest.approx((2 / 4 + 2 / 4 + 0) / 3)
    # Three bins of one row: |promise - outcome| of those given.
    assert found.calibration_error == pytest.approx((0.1 + 0.6 + 0.3) / 3)
    for interval, value in (
        (found.scores.accuracy_interval, found.scores.accuracy),
        (found.scores.macro_f1_interval, found.scores.macro_f1),
    ):
        assert interval is not None
        assert value is not None
        assert interval[0] <= value <= interval[1]
        assert interval[0] < interval[1]
    assert found.calibration_interval is not None


def test_intervals_are_those_of_whole_documents() -> None:
    """Computed from the rows anew, on the same draws."""
    true = [VERDICTS[i * 7 % 5 % 3] for i in range(90)]
    said = [VERDICTS[i * 11 % 7 % 3] for i in range(90)]
    examples = [asks(i, verdict, document=f"d{i % 30}") for i, verdict in enumerate(true)]
    found = evaluate(Fake([says(verdict) for verdict in said]), examples, n_bootstrap=50).verdicts
    assert found is not None

    def drawn_rows(drawn: NDArray[np.intp]) -> list[int]:
        return [i for d in drawn for i in range(90) if i % 30 == d]

    def f1_of(drawn: NDArray[np.intp]) -> float | None:
        rows = drawn_rows(drawn)
        return macro_f1([true[i] for i in rows], [said[i] for i in rows])

    def accuracy_of(drawn: NDArray[np.intp]) -> float | None:
        rows = drawn_rows(drawn)
        return sum(true[i] == said[i] for i in rows) / len(rows)

    for interval, statistic in (
        (found.scores.macro_f1_interval, f1_of),
        (found.scores.accuracy_interval, accuracy_of),
    ):
        assert interval == pytest.approx(bootstrap_statistic_interval(statistic, 30, n_resamples=50, seed=17))


def test_there_is_nothing_to_say_where_no_right_verdict_is_known() -> None:
    found = evaluate(Fake([says("yes"), says("no")]), [asks(0, "other"), asks(1, None)], n_bootstrap=0)
    assert found.verdicts is None
    assert found.to_dict()["verdicts"] is None


def test_a_system_without_a_head_is_wrong_everywhere_and_says_that_it_gave_none() -> None:
    found = evaluate(Fake([says(None)] * 6), [asks(i, v) for i, v in enumerate(TRUE)], n_bootstrap=20)
    assert found.verdicts is not None
    assert (found.verdicts.coverage, found.verdicts.scores.accuracy) == (0.0, 0.0)
    assert (found.verdicts.scores.macro_f1, found.verdicts.accuracy_given) == (0.0, None)
    assert (found.verdicts.calibration_error, found.verdicts.calibration_interval) == (None, None)


def test_answerability_is_told_apart_by_the_form_of_the_question() -> None:
    """All right among yes/no questions, all wrong among the others."""
    forms = [("Does it help?", "yes", 0.9), ("Does it help?", None, 0.1)] * 2
    forms += [("What helps?", "other", 0.2), ("What helps?", None, 0.8)] * 2
    examples = [asks(i, verdict, question=question) for i, (question, verdict, _) in enumerate(forms)]
    found = evaluate(Fake([says(None, answerable=p) for *_, p in forms]), examples, n_bootstrap=50)
    assert (found.yes_no.n, found.yes_no.auroc, found.yes_no.auroc_interval) == (4, 1.0, (1.0, 1.0))
    assert (found.wh.n, found.wh.auroc, found.wh.auroc_interval) == (4, 0.0, (0.0, 0.0))
    assert found.auroc == 0.75
    values = found.to_dict()
    assert (values["n_wh"], values["auroc_wh"], values["auroc_wh_interval"]) == (4, 0.0, (0.0, 0.0))
    alone = evaluate(Fake([says(None)] * 8), examples[:4], n_bootstrap=0).wh
    assert (alone.n, alone.auroc, alone.auroc_interval) == (0, None, None)


# ---- the floors


def told(n: int = 60) -> list[Example]:
    """The words of a question give its verdict away."""
    words = {"yes": "Does the drug help?", "no": "Is there any harm?", "mixed": "Are all of one mind?"}
    order = ["yes", "no", "yes", "mixed"]
    return [asks(i, v := order[i % 4], question=words[v], document=f"d{i // 5}") for i in range(n)]


def test_the_floors_are_the_majority_and_the_words_of_questions_of_other_documents() -> None:
    rows = run_system(Fake([says("yes")] * 60), told()).rows
    floor = verdict_floor(rows, n_bootstrap=50, seed=17)
    assert floor is not None
    assert (floor.n, floor.majority, floor.by_majority.accuracy) == (60, "yes", 0.5)
    assert floor.by_majority.macro_f1 == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert floor.by_words is not None
    assert (floor.by_words.accuracy, floor.by_words.macro_f1) == (1.0, 1.0)
    assert floor.by_majority.accuracy_interval is not None
    of_one = run_system(Fake([says("yes")] * 60), told(5)).rows
    alone = verdict_floor(of_one, n_bootstrap=50, seed=17)
    assert alone is not None
    assert alone.by_words is None
    unknown = run_system(Fake([says("yes")] * 2), [asks(0, "other"), asks(1, None)]).rows
    assert verdict_floor(unknown, n_bootstrap=50, seed=17) is None


# ---- what is printed and written


def _report(examples: Sequence[Example], said: Sequence[Answer | QAError]) -> Report:
    settings = Settings(n_bootstrap=20)
    results = [
        run_system(Fake(said), examples),
        run_system(Fake([says(None)] * len(said), "silent"), examples),
    ]
    found = measure("d.csv", results, count_tokens(examples), settings)
    return Report((found,), found, settings, "1.2.3")


def test_the_table_has_verdicts_beside_their_floors() -> None:
    examples = told()
    report = _report(examples, [says(str(e.verdict)) for e in examples])
    text = table_text("d.csv", report.together.evaluations, width=120)
    lines = {line[:36].strip(): line[36:].split() for line in text.splitlines()}
    assert lines["verdict accuracy"] == ["100.0", "[100.0,", "100.0]", "0.0", "[0.0,", "0.0]"]
    assert lines["given"] == ["100.0", "0.0"]
    floor = floor_text(report.together.verdict_floor)
    assert floor.startswith('\n60 verdicts are known: always "yes" has an accuracy of 50.0 [')
    assert "question words alone 100.0 [100.0, 100.0]" in floor


def test_neither_table_nor_report_speaks_of_verdicts_where_none_is_known() -> None:
    report = _report([asks(0, "other", question="What helps?"), asks(1, None)], [says("yes")] * 2)
    assert "erdict accuracy" not in table_text("d.csv", report.together.evaluations, width=120)
    assert floor_text(report.together.verdict_floor) == ""
    assert "Yes or no?" not in markdown(report_blocks(report, with_plots=False))


def test_the_report_has_a_section_of_verdicts() -> None:
    examples = told()
    text = markdown(
        report_blocks(_report(examples, [says(str(e.verdict)) for e in examples]), with_plots=False)
    )
    section = text.partition("Yes or no?")[2].partition("\n#")[0]
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line]
    rows = {row[0].replace("\\", ""): row[1:] for row in cells}
    assert rows["fake"][:4] == ["100.0 [100.0, 100.0]", "100.0 [100.0, 100.0]", "100.0", "100.0"]
    assert rows["silent"][2:] == ["0.0", "-", "-"]
    assert rows["question words alone"][0] == "100.0 [100.0, 100.0]"
    assert any(name.startswith("always") for name in rows)
    page = html(report_blocks(_report(examples, [says("yes")] * 60), with_plots=False))
    assert "Yes or no?" in page


def test_verdicts_of_a_table_reach_the_terminal_and_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": str(i), "question": f"Does it help? {i}", "abstract": CONTEXT, "title": f"Paper {i}",
         "answer": CONTEXT, "verdict": verdict.upper()}
        for i, verdict in enumerate(TRUE)
    ]  # fmt: skip
    rows.append({**rows[0], "id": "6", "question": "Does it help? 6", "verdict": "partly"})
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    said = [each if isinstance(each, Answer) else says("yes") for each in SAID]
    monkeypatch.setattr(systems, "open_system", lambda *_, **__: Fake([*said, says("no")]))
    out = tmp_path / "out"
    assert main(["evaluate", "--data", str(data), "--output", str(out), "--bootstrap", "20"]) == 0
    printed = capsys.readouterr()
    assert 'verdicts are known: always "yes" has an accuracy of 50.0' in printed.out
    assert "verdict accuracy" in printed.out
    assert "mixed or none, and not counted where they are 'partly'" in printed.err
    values: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    (system,) = values["systems"].values()
    assert system["verdicts"]["n"] == values["verdict_floor"]["n"] == 6
    assert system["verdicts"]["accuracy"] == pytest.approx(2 / 6)
    assert "Yes or no?" in (out / "report.md").read_text(encoding="utf-8")
    pq = pytest.importorskip("pyarrow.parquet")
    (predictions,) = out.glob("predictions-*")
    table = pq.read_table(predictions).to_pylist()
    assert [row["true_verdict"] for row in table] == [*TRUE, None]
    assert [row["verdict"] for row in table] == ["yes", "no", None, "no", "yes", None, "no"]


def test_scoring_twice_gives_the_same() -> None:
    results = run_system(Fake(SAID), [asks(i, verdict) for i, verdict in enumerate(TRUE)])
    assert score(results, n_bootstrap=50).verdicts == score(results, n_bootstrap=50).verdicts

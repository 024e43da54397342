"""Rows of yes or no: the head alone learns, spans stay to the bit, and the figures are worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from qa_extractive import Answer, DataError, Example, Predictor, Question  # noqa: E402
from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import ReaderConfig, TrainConfig  # noqa: E402
from qa_extractive.evaluation.rows import ScoredRow  # noqa: E402
from qa_extractive.evaluation.run import Results  # noqa: E402
from qa_extractive.export.copy_weights import keep_all_but_the_head  # noqa: E402
from qa_extractive.finetune.triage.baseline import WordCounts  # noqa: E402
from qa_extractive.finetune.triage.rows import holds_labels, read_triage, split_rows  # noqa: E402
from qa_extractive.finetune.triage.run import folds_of_rows  # noqa: E402
from qa_extractive.finetune.triage.scores import differences, score  # noqa: E402
from qa_extractive.inference.calibration_fit import fit_yes_no  # noqa: E402
from qa_extractive.inference.windows import Windower  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, TorchBackend  # noqa: E402
from qa_extractive.training.binary_head import Encoded, encode, fit_head, row_logits  # noqa: E402
from qa_extractive.training.run import load_base  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")

QUESTION = "Is this study about the drug?"
YES = ("yes", "1", "TRUE", "Yes", "1.0")
NO = ("no", "0", "FALSE", "No", "0.0")


def _text(i: int) -> str:
    about = "zebra zebra zebra zebra" if i % 2 else "the drug reduced the risk"
    return f"In study {i} of {17 * i} patients {about} with {i} percent."


def _table(numbers: range, title: str = "") -> str:
    lines = [
        f"{QUESTION},{_text(i)},{(NO if i % 2 else YES)[i % 5]}{',' + title if title else ''}"
        for i in numbers
    ]
    return "\n".join([f"question,context,label{',title' if title else ''}", *lines, ""])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(_table(range(40)), encoding="utf-8")
    return path


def _row(name: str, label: bool | None, prob: float = 0.0, said: bool = False) -> ScoredRow:
    example = Example(name, Question("Yes?", f"Text {name}."), answerable=label, document=name)
    return ScoredRow.of(example, Answer("", 0, 0, 0.0, prob, abstained=not said))


# Rows


def test_rows_are_read_whatever_way_yes_is_written_and_split_by_document(table: Path) -> None:
    rows = read_triage(table)
    assert len(rows.train) + len(rows.test) == 40
    assert len(rows.test) == 8, "a fifth"
    assert all(e.answerable is (int(e.id.split("-")[1]) % 2 == 1) for e in (*rows.train, *rows.test))
    assert not {e.document for e in rows.train} & {e.document for e in rows.test}
    assert rows == read_triage(table), "the same every time"
    assert len(read_triage(table, hold_out=3).test) == 3


def test_what_cannot_be_used_is_left_out_and_said(table: Path, tmp_path: Path) -> None:
    with table.open("a", encoding="utf-8") as file:
        file.write(f"{QUESTION},Some text.,perhaps\n{QUESTION},Some text.,\n{QUESTION},,yes\n")
        file.write(f"{QUESTION},{_text(1).upper()},no\n")
    test = tmp_path / "test.csv"
    test.write_text(_table(range(4)), encoding="utf-8")
    rows = read_triage(table, test=[test])
    assert len(rows.test) == 4
    assert len(rows.train) == 36
    said = [str(problem) for problem in rows.problems]
    assert len(said) == 3
    assert any("label is 'perhaps': write" in line for line in said)
    assert any("row 42: it has no label" in line for line in said)
    assert any("row 43: its text is empty" in line for line in said)
    assert rows.warnings[0] == "5 rows left out: their texts are texts of test rows"
    assert "rows of one kind" in rows.warnings[-1]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("question,context\nA?,b\n", [], "no column 'label'; the columns are 'question', 'context'"),
        (_table(range(40)), ["--label-column", "is"], "no column is named 'is'"),
        (_table(range(6)), [], "at least 5 of each"),
        (_table(range(0, 40, 2)), [], "16 training rows say yes and 0 no"),
        (_table(range(40)), ["--hold-out", "0"], "there are no test rows"),
        (_table(range(40)), ["--max-steps", "3"], "--max-steps needs --train-encoder"),
        (_table(range(40)), ["--train-encoder", "--epochs", "-1"], "epochs must be positive"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(
    tmp_path: Path, text: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    command = ["triage", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out"), *options]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_task_folder_of_labels_is_known_by_its_columns(tmp_path: Path) -> None:
    assert not holds_labels(tmp_path)
    (tmp_path / "train.csv").write_text("question,context,answer,label\n", encoding="utf-8")
    assert not holds_labels(tmp_path)
    (tmp_path / "train.csv").write_text(_table(range(20)), encoding="utf-8")
    assert holds_labels(tmp_path)
    (tmp_path / "train.parquet").write_text("no table")
    (tmp_path / "train.csv").rename(tmp_path / "kept")
    assert not holds_labels(tmp_path), "what reads it says what is wrong with it"
    (tmp_path / "kept").rename(tmp_path / "train.csv")
    with pytest.raises(DataError, match=r"test.csv is missing"):
        read_triage(tmp_path)
    (tmp_path / "test.csv").write_text(_table(range(20, 30)), encoding="utf-8")
    assert [len(own) for own in (read_triage(tmp_path).train, read_triage(tmp_path).test)] == [20, 10]


# The head


def _encoded(n: int, width: int = 8) -> tuple[Encoded, Any]:
    """Rows of two windows; those of a yes have one window that tells, at either place."""
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(2 * n, width, generator=generator)
    labels = np.arange(n) % 3 == 0
    vectors[:, 0] = -2.0
    for row in np.flatnonzero(labels):
        vectors[2 * row + row % 2, 0] = 2.0
    return Encoded(vectors, torch.arange(2 * n) // 2, n), labels


def test_a_head_learns_that_one_telling_window_is_enough() -> None:
    encoded, labels = _encoded(60)
    torch.manual_seed(1)
    head = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    before = [parameter.clone() for parameter in head.parameters()]
    folds = [list(range(i, 60, 5)) for i in range(5)]
    fitted = fit_head(head, encoded, labels, folds)
    assert all(torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True)), "it is not changed"
    assert fitted.logits[labels].min() > fitted.logits[~labels].max(), "of rows that were not seen"
    assert row_logits(fitted.head, encoded)[labels].min() > row_logits(fitted.head, encoded)[~labels].max()
    again = fit_head(head, encoded, labels, folds)
    np.testing.assert_array_equal(again.logits, fitted.logits)


def test_labels_by_chance_are_not_found_in_rows_that_were_not_seen() -> None:
    encoded, _ = _encoded(200)
    labels = np.random.default_rng(3).random(200) < 0.5
    torch.manual_seed(1)
    head = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    fitted = fit_head(head, encoded, labels, [list(range(i, 200, 5)) for i in range(5)])
    calibration = fit_yes_no(fitted.logits, labels, fitted_on="x")
    probs = calibration.answerable.prob(fitted.logits[:, None])
    assert abs(float(probs.mean()) - labels.mean()) < 0.01
    assert probs.std() < 0.1, "a probability that knows nothing is near the share of yes"


def test_rows_are_numbered_anew() -> None:
    encoded, _ = _encoded(4)
    part = encoded.of([3, 1])
    assert part.rows.tolist() == [1, 1, 0, 0]
    assert torch.equal(part.vectors[part.rows == 0], encoded.vectors[6:])


def test_the_logit_of_a_row_is_what_is_served(tiny_checkpoint: Path) -> None:
    model, tokenizer = load_base(str(tiny_checkpoint), TrainConfig())
    windower = Windower(tokenizer, ReaderConfig.load(tiny_checkpoint).window)
    long = " ".join(_text(i) for i in range(30))
    examples = [
        Example(str(i), Question(QUESTION, text)) for i, text in enumerate([_text(0), long, _text(1)])
    ]
    windows = windower.windows([e.question for e in examples])
    assert len(windows) > 3
    served = TorchBackend(model).run(windows)
    assert all(each.answerability is not None for each in served)
    wanted = [
        max(s.answerability or 0.0 for s, w in zip(served, windows, strict=True) if w.question_index == i)
        for i in range(3)
    ]
    found = row_logits(model.answerability_head, encode(model, windower, examples))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_folds_keep_documents_together() -> None:
    examples = [
        Example(str(i), Question("Yes?", f"Text {i // 3}."), document=f"d{i // 3}") for i in range(30)
    ]
    folds = folds_of_rows(examples, 4, 17)
    assert sorted(i for fold in folds for i in fold) == list(range(30))
    assert all(len({fold_of for fold_of, fold in enumerate(folds) if i in fold}) == 1 for i in range(30))
    for document in range(10):
        assert any(set(range(3 * document, 3 * document + 3)) <= set(fold) for fold in folds)


# Beside it


def test_words_are_counted_by_question_where_there_are_enough_rows() -> None:
    def row(i: int, asked: str, is_yes: bool) -> Example:
        words = ("cancer tumour", "child school")
        about = words[0] if is_yes == (asked == "Cancer?") else words[1]
        return Example(f"{asked}{i}", Question(asked, f"We saw {about} here."), answerable=is_yes)

    examples = [row(i, asked, i % 2 == 0) for asked in ("Cancer?", "School?") for i in range(20)]
    baseline = WordCounts.fit(examples, [list(range(i, 40, 4)) for i in range(4)])
    assert set(baseline.own) == {"Cancer?", "School?"}, "what one calls a yes the other calls a no"
    answers = baseline.answer_batch([e.question for e in examples])
    assert all(answer.abstained is not e.answerable for answer, e in zip(answers, examples, strict=True))
    other = baseline.answer_batch([Question("New?", "We saw cancer here.")])[0]
    assert 0.0 < other.answerable < 1.0


def test_figures_by_hand() -> None:
    rows = [
        _row("a", True, 0.9, said=True),
        _row("b", True, 0.2),
        _row("c", False, 0.6, said=True),
        _row("d", False, 0.1),
    ]
    found = score("it", rows, n_bootstrap=50, seed=1)
    assert (found.n, found.n_yes, found.n_failed) == (4, 2, 0)
    assert found.accuracy == 0.5
    assert found.f1 == pytest.approx(0.5)  # one of two said, one of two found
    assert found.auroc == 0.75
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.36 + 0.01) / 4)
    assert found.accuracy_interval is not None
    assert found.accuracy_interval[0] < 0.5 < found.accuracy_interval[1]
    failed = ScoredRow.of(rows[0].example, DataError("x"))
    assert score("it", [failed, *rows[1:]], n_bootstrap=0, seed=1).accuracy == 0.25
    assert score("it", [failed, *rows[1:]], n_bootstrap=0, seed=1).n_failed == 1


def test_differences_are_paired() -> None:
    good = [_row(str(i), i % 2 == 0, 0.9 if i % 2 == 0 else 0.1, said=i % 2 == 0) for i in range(20)]
    bad = [_row(str(i), i % 2 == 0, 0.5, said=True) for i in range(20)]
    one, other = Results("one", tuple(good), ()), Results("other", tuple(bad), ())
    found = {d.figure: d for d in differences(one, other, n_bootstrap=100, seed=1)}
    assert found["accuracy"].difference == 0.5
    assert found["accuracy"].interval is not None
    assert found["accuracy"].interval[0] > 0
    assert found["auroc"].difference == 0.5
    same = {d.figure: d for d in differences(one, one, n_bootstrap=100, seed=1)}
    assert same["accuracy"].interval == (0.0, 0.0)


def test_split_rows_refuses_too_few() -> None:
    rows = [Example(str(i), Question("Yes?", f"Text {i}."), answerable=i % 2 == 0) for i in range(20)]
    assert len(split_rows("x", rows, rows[:2]).train) == 18
    with pytest.raises(DataError, match="4 training rows say yes and 10 no"):
        split_rows("x", [*rows[1::2], *rows[:8:2]], rows[8:10:2])


# Whole runs


def test_an_exported_model_learns_to_sort_and_its_spans_stay_to_the_bit(
    tiny_export: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(["triage", str(table), "--base", str(tiny_export), "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert list(report["systems"]) == ["before", "after", "TF-IDF + logistic regression"]
    assert all(name in printed for name in report["systems"])
    assert (report["n_train"], report["n_test"]) == (32, 8)
    assert report["trained"]["keeps_spans"] is True
    assert report["trained"]["n_calibrated"] == 32
    assert {d["against"] for d in report["differences"]} == {"before", "TF-IDF + logistic regression"}
    assert report["systems"]["after"]["accuracy_interval"]
    assert str(tmp_path) not in json.dumps(report) + (output / "report.md").read_text(encoding="utf-8")

    before, after = Predictor(tiny_export), Predictor(output / "model")
    questions = [Question(QUESTION, _text(i)) for i in range(10)]
    pairs = zip(before.read_batch(questions), after.read_batch(questions), strict=True)
    for old, new in pairs:
        assert old.candidates == new.candidates, "spans and their logits"
        assert old.null_logit == new.null_logit
        assert old.answerability_logit != new.answerability_logit
    assert after.threshold == 0.5
    assert "not calibrated" in after.calibration.fitted_on
    assert after.calibration.answerable_share == report["n_train_yes"] / 32
    packed = Predictor(output / "model.tar.gz").answer(QUESTION, _text(0))
    assert packed.answerable == after.answer(QUESTION, _text(0)).answerable

    assert main(["triage", str(table), "--base", str(tiny_export), "--output", str(output)]) == 2
    assert "is not empty" in capsys.readouterr().err
    sorted_rows = tmp_path / "sorted.jsonl"
    batch = ["infer", "--batch", str(table), "--model", str(output / "model"), "--output", str(sorted_rows)]
    assert main(batch) == 0
    lines = [json.loads(line) for line in sorted_rows.read_text(encoding="utf-8").splitlines()]
    assert all(0.0 <= line["answerable"] <= 1.0 for line in lines)


def test_the_encoder_is_trained_only_if_asked_for(tiny_checkpoint: Path, table: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ["--train-encoder", "--max-steps", "2", "--batch-size", "4", "--hold-out", "4"]
    command = ["triage", str(table), "--base", str(tiny_checkpoint), "--output", str(output)]
    assert main([*command, *options]) == 0
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert report["trained"]["n_steps"] == 2
    assert report["trained"]["n_trained"] + report["trained"]["n_calibrated"] == report["n_train"] == 36
    assert report["trained"]["keeps_spans"] is False
    old, new = (SpanReader.from_pretrained(f).state_dict() for f in (tiny_checkpoint, output / "checkpoint"))
    changed = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"encoder", "answerability_head"}, "the spans have no loss"


def test_weights_are_kept_only_of_the_same_graph(
    tiny_export: Path, tiny_fp32: Path, tiny_checkpoint: Path
) -> None:
    before = (tiny_fp32 / "model.onnx").read_bytes()
    assert not keep_all_but_the_head(tiny_export, tiny_fp32)
    assert not keep_all_but_the_head(tiny_checkpoint, tiny_fp32)
    assert (tiny_fp32 / "model.onnx").read_bytes() == before

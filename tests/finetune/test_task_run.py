"""A task folder goes to a packed model, a model to a better one or to a refusal; tiny random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from qa_extractive import Predictor
from qa_extractive.cli import main
from qa_extractive.cli.finetune import EXIT_REFUSED, EXIT_WEAK_TEACHER
from qa_extractive.config import TrainConfig
from qa_extractive.data.documents import folds_of
from qa_extractive.data.loading import load_examples
from qa_extractive.evaluation import systems
from qa_extractive.finetune import measured, students
from qa_extractive.finetune import run as running
from qa_extractive.finetune.outcome import TaskSettings
from qa_extractive.finetune.plan import JobClock, works
from qa_extractive.finetune.students import MANY_ROWS, HeldOut, pseudo_label_settings, settings_for
from qa_extractive.finetune.teachers import SpanTeacher
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.decoding import Candidate, RawPrediction
from qa_extractive.training import run as training
from qa_extractive.training.progress import N_MEASURED, RunState
from qa_extractive.types import Answer, Example, Question

pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")

SMALL = ["--max-steps", "1", "--batch-size", "4", "--n-contexts", "4", "--n-questions", "2"]


@pytest.fixture
def task(trial_rows: Callable[[Sequence[int]], str], tmp_path: Path) -> Path:
    folder = tmp_path / "mice"
    folder.mkdir()
    (folder / "train.csv").write_text(trial_rows(range(6)), encoding="utf-8")
    (folder / "test.csv").write_text(trial_rows(range(20, 30)), encoding="utf-8")
    texts = [
        f"The study of Karl Berg in Lake{i} Town showed that the drug reduced mortality by {i} percent."
        for i in range(5)
    ]
    (folder / "unstructured.csv").write_text("\n".join(["context", *texts, ""]), encoding="utf-8")
    (folder / "job_description.json").write_text(
        '{"task_description": "Find the <number>."}', encoding="utf-8"
    )
    return folder


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Archives are copies of the folder here; packing has tests of its own."""
    made: list[Path] = []

    def pack(folder: Path, target: Path) -> Path:
        made.append(target)
        shutil.copytree(folder, target)
        return target

    monkeypatch.setattr(running, "pack", pack)
    return made


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that knows: the last number before "percent" of a text, whatever is asked."""

    def answer_rows(self: SpanTeacher, questions: Sequence[Question]) -> list[Answer]:
        return [_percent(question) for question in questions]

    monkeypatch.setattr(SpanTeacher, "answer_rows", answer_rows)


def _percent(question: Question) -> Answer:
    end = question.context.index(" percent") + len(" percent")
    start = question.context.rindex(" ", 0, end - len(" percent")) + 1
    return Answer(question.context[start:end], start, end, 0.9, 0.9, False)


def _report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return values


@pytest.mark.usefixtures("knowing")
def test_a_task_folder_goes_to_a_packed_model(
    task: Path, tiny_checkpoint: Path, tmp_path: Path, packed: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    options = [
        "--base",
        str(tiny_checkpoint),
        "--teacher",
        str(tiny_checkpoint),
        "--folds",
        "2",
        "--min-agreement",
        "0",
        "--no-worse-than",
        "none",
    ]
    assert main(["finetune", str(task), "--output", str(output), *SMALL, *options]) == 0
    printed = capsys.readouterr().out
    assert "6 training rows: 6 of 6 answers" in printed
    report = _report(output)
    kept = report["labelled"]["n_rows"]
    assert kept > 0
    assert report["labelled"]["learned_from_logits"] is True
    names = list(report["systems"])
    assert names == [
        f"{tiny_checkpoint.name}, as it is",
        "fine-tuned on 6 labelled rows",
        f"fine-tuned on 6 labelled rows and {kept} that the teacher labelled",
    ]
    assert all(name in printed for name in names), "the table is printed"
    assert all(e["n_rows"] == 10 and e["f1_interval"] for e in report["systems"].values())
    assert report["teacher"]["can"] is True
    assert report["teacher"]["f1"] == 1.0
    assert sorted(report["choice"]["f1"]) == sorted(names[1:])
    assert report["choice"]["name"] == max(report["choice"]["f1"], key=lambda n: report["choice"]["f1"][n])
    assert packed == [output / "model.tar.gz"]
    assert report["gate"] == {"accepted": True, "passed": [], "failed": []}, "it is held against nothing"

    predictor = Predictor(output / "model")
    assert predictor.answer("What fell?", "The risk fell to 3 percent.").candidates
    assert "not fitted" in predictor.calibration.fitted_on, "ten rows calibrate nothing"
    card = (output / "model" / "README.md").read_text(encoding="utf-8")
    assert "Find the &lt;number&gt;." in card
    assert json.loads((output / "model" / "training_log.json").read_text(encoding="utf-8"))
    rows = load_examples(output / "unlabelled_rows.jsonl.gz").examples
    assert len(rows) == kept
    assert all(e.spans[0].score == 0.9 for e in rows)
    text = (output / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Task mice")
    assert "What the unlabelled texts gave" in text
    assert str(tmp_path) not in text + json.dumps(report), "no path of this machine"
    assert not (output / "work").exists()
    assert (output / "checkpoint" / "model.safetensors").is_file()

    assert main(["finetune", str(task), "--output", str(output), *SMALL, *options]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_teacher_that_cannot_do_the_task_stops_it_before_training(
    task: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing may be trained")

    monkeypatch.setattr(running, "teach", never)
    output = tmp_path / "out"
    command = ["finetune", str(task), "--output", str(output), "--base", str(tiny_checkpoint), *SMALL]
    assert (
        main([*command, "--teacher", str(tiny_checkpoint), "--min-teacher-f1", "0.99"]) == EXIT_WEAK_TEACHER
    )
    assert "scores F1" in capsys.readouterr().err
    assert not (output / "model").exists()


def test_retraining_reports_each_row_and_refuses_what_got_worse(trial_rows: Callable[[Sequence[int]], str],
    tiny_checkpoint: Path, tiny_export: Path, tmp_path: Path, packed: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = tmp_path / "new.csv"
    data.write_text(trial_rows(range(15)), encoding="utf-8")
    command = ["update", str(tiny_checkpoint), "--data", str(data), *SMALL, "--hold-out", "5"]
    passed = tmp_path / "passed"
    assert main([*command, "--output", str(passed), "--tolerance", "1"]) == 0
    report = _report(passed)
    assert (report["n_train"], report["n_test"]) == (10, 5)
    changes = report["changes"]
    assert sum(map(len, changes.values())) == 5
    assert all(
        {"before", "after", "before_f1", "after_f1"} <= row.keys() for own in changes.values() for row in own
    )
    assert report["gate"]["accepted"] is True
    assert "against" in report["gate"]["passed"][0]
    assert "Row by row" in (passed / "report.md").read_text(encoding="utf-8")
    assert packed == [passed / "model.tar.gz"]

    refused = tmp_path / "refused"
    capsys.readouterr()
    assert main([*command, "--output", str(refused), "--tolerance", "1", "--min-f1", "1"]) == EXIT_REFUSED
    captured = capsys.readouterr()
    assert "refused" in captured.err
    assert "gate failed: F1" in captured.out
    assert sorted(path.name for path in refused.iterdir()) == ["refused", "report.json", "report.md"]
    assert sorted(path.name for path in (refused / "refused").iterdir()) == ["checkpoint", "model"]
    assert f"kept aside in {refused / 'refused'}" in captured.err
    assert Predictor(refused / "refused" / "model").answer("What fell?", "It fell to 3 percent.").candidates
    assert _report(refused)["gate"]["accepted"] is False
    assert packed == [passed / "model.tar.gz"], "nothing was packed"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["update", "default", "--task", "x", "--hold-out", "3"], "its own test rows"),
        (["finetune", "no_such_folder"], "no_such_folder is not a folder"),
        (["update", "default", "--data", "no_such_file.csv"], "no_such_file.csv does not exist"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_error(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--output", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err


def test_few_rows_are_all_trained_on_and_many_calibrate() -> None:
    few = settings_for(50, {"max_steps": 3})
    assert (few.n_dev, few.n_calibration, few.max_steps) == (0, 0, 3)
    assert settings_for(MANY_ROWS, {}).n_calibration == MANY_ROWS // 8
    assert settings_for(MANY_ROWS, {"n_calibration": 7}).n_calibration == 7
    assert pseudo_label_settings(settings_for(MANY_ROWS, {})).n_calibration == 0


def test_folds_hold_whole_documents_and_every_one_once() -> None:
    examples = [
        Example(str(i), Question("What?", f"Text {i // 2}."), document=f"d{i // 2}") for i in range(14)
    ]
    folds = folds_of(examples, 3, 17)
    assert sorted(document for fold in folds for document in fold) == [f"d{i}" for i in range(7)]
    assert sorted(map(len, folds)) == [2, 2, 3]
    assert folds == folds_of(examples[::-1], 3, 17)
    assert len(folds_of(examples[:2], 5, 17)) == 1


def test_an_endpoint_teaches_by_hard_labels(
    task: Path, tiny_checkpoint: Path, tmp_path: Path, packed: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from qa_extractive.evaluation.chat_endpoint import ChatEndpoint
    from qa_extractive.evaluation.chat_protocol import Reply

    def complete(self: ChatEndpoint, messages: Sequence[dict[str, str]]) -> Reply:
        asked = messages[-1]["content"]
        text = asked.partition("Text: ")[2].partition("\n\n")[0]
        quote = text[_percent(Question("?", text)).start :].rstrip(".")
        pairs: Any = {"quote": quote}
        if "Write 2 questions" in asked:
            pairs = [
                {"question": "What share?", "quote": quote},
                {"question": "Who?", "quote": "nobody at all"},
            ]
        return Reply(json.dumps(pairs), False, 1, 1)

    monkeypatch.setattr(ChatEndpoint, "complete", complete)
    output = tmp_path / "out"
    command = ["finetune", str(task), "--output", str(output), "--base", str(tiny_checkpoint), *SMALL]
    endpoint = ["--teacher", "openai:big", "--openai-base-url", "http://127.0.0.1:9/v1", "--folds", "0"]
    endpoint += ["--no-worse-than", "none"]
    assert main([*command, *endpoint]) == 0
    report = _report(output)
    (source,) = report["labelled"]["sources"]
    assert (source["kind"], source["n_made"], source["n_kept"]) == ("teacher", 4, 4)
    assert report["labelled"]["learned_from_logits"] is False
    assert report["teacher"]["name"] == "openai:big"


def _scripted(monkeypatch: pytest.MonkeyPatch, student_knows: bool) -> None:
    """On the test rows the base, or the student, answers right, and the other one nothing."""
    original = systems.open_system

    def open_system(model: str, examples: Sequence[Example], *, name: str) -> Any:
        system = original(model, examples, name=name)
        knows = name.endswith("as it is") is not student_knows
        answers = (lambda qs: [_percent(q) for q in qs]) if knows else (lambda qs: [NOTHING for _ in qs])
        object.__setattr__(system, "predictor", SimpleNamespace(answer_batch=answers, n_threads=1))
        return system

    monkeypatch.setattr(measured, "open_system", open_system)


NOTHING = Answer("", 0, 0, 0.1, 0.1, abstained=True)


@pytest.mark.parametrize(
    ("student_knows", "more", "code"),
    [(False, [], EXIT_REFUSED), (False, ["--no-worse-than", "none"], 0), (True, [], 0)],
)
def test_a_task_is_gated_against_its_base_unless_told_otherwise(
    task: Path, tiny_export: Path, tmp_path: Path, packed: list[Path], student_knows: bool, more: list[str],
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (task / "unstructured.csv").unlink()
    _scripted(monkeypatch, student_knows)
    output = tmp_path / "out"
    command = ["finetune", str(task), "--output", str(output), "--base", str(tiny_export), *SMALL]
    assert main([*command, *more]) == code
    captured = capsys.readouterr()
    counts = (
        "10 of 10 test rows better and 0 worse" if student_knows else "0 of 10 test rows better and 10 worse"
    )
    assert counts in captured.err + captured.out
    if code:
        assert captured.err.count("\n") == 1
        assert "F1 -100.0" in captured.err
        assert "--no-worse-than none" in captured.err
    is_shipped = (output / "model").is_dir()
    assert is_shipped is not (output / "refused").is_dir()
    assert is_shipped is (code == 0)
    assert bool(packed) is is_shipped


def test_few_rows_calibrate_their_student_across_folds(
    trial_rows: Callable[[Sequence[int]], str], tiny_checkpoint: Path, tmp_path: Path, packed: list[Path],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Each row is read by a student trained without its document; what comes of it is the student's own."""
    data, seen = tmp_path / "new.csv", []
    data.write_text(trial_rows(range(30)), encoding="utf-8")
    original = training.train

    def train(examples: Sequence[Example], **settings: Any) -> Any:
        seen.append({example.id for example in examples})
        return original(examples, **settings)

    monkeypatch.setattr(students, "train", train)
    command = ["update", str(tiny_checkpoint), "--data", str(data), "--hold-out", "6", *SMALL]
    command += ["--tolerance", "1", "--anchor-weight", "0"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    everything, *folds = seen
    assert (len(everything), len(folds)) == (24, 3)
    assert set.union(*(everything - kept for kept in folds)) == everything
    assert sum(len(everything - kept) for kept in folds) == 24, "each row is left out once"
    (fitted,) = _report(tmp_path / "out")["calibrated"].values()
    assert fitted["n"] > 24, "with made rows that have no answer"
    calibration = Predictor(tmp_path / "out" / "model").calibration
    assert (calibration.threshold == fitted["threshold"]) is fitted["is_better"]
    assert ("across folds" in calibration.fitted_on) is fitted["is_better"]
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Threshold and probabilities" in text
    seen.clear()
    assert main([*command, "--output", str(tmp_path / "plain"), "--folds", "0"]) == 0
    assert len(seen) == 1
    assert _report(tmp_path / "plain")["calibrated"] == {}


def test_a_fit_that_is_better_across_folds_is_the_student_s(tiny_export: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    answerable = [i % 2 == 0 for i in range(60)]
    examples = [
        Example(
            str(i), Question("q", f"alpha {i}"), ("alpha",) if yes else (), answerable=yes, document=str(i)
        )
        for i, yes in enumerate(answerable)
    ]
    predictions = [
        RawPrediction((Candidate(float(rng.normal(9 * yes)), 0, 5),), 0.0, 0.0) for yes in answerable
    ]
    student, folder = tmp_path / "student", tmp_path / "folder"
    for each in (student, folder):
        shutil.copytree(tiny_export, each)
    made = SimpleNamespace(folder=student, report=SimpleNamespace(n_calibration=0))
    run = SimpleNamespace(settings=TaskSettings(), say=print)
    fitted = running._Run.calibrate(run, made, folder, HeldOut([], examples, predictions))  # type: ignore[arg-type]
    assert fitted is not None
    assert fitted.is_better
    assert Predictor(folder).calibration == fitted.calibration == Calibration.load(student)
    assert "across folds" in json.loads((folder / "export.json").read_text(encoding="utf-8"))["calibrated_on"]
    one_kind = HeldOut([], examples[::2], predictions[::2])
    assert running._Run.calibrate(run, made, folder, one_kind) is None  # type: ignore[arg-type]
    made.report.n_calibration = 9
    assert running._Run.calibrate(run, made, folder, HeldOut([], examples, predictions)) is None  # type: ignore[arg-type]


def test_the_time_of_all_runs_is_said_once_after_the_first_was_measured() -> None:
    runs = works(50, 100, 3, TrainConfig(epochs=3.0))
    assert runs == [150, 100, 150, *[pytest.approx(100)] * 6]
    assert works(50, 0, 0, TrainConfig(max_steps=7)) == [7.0]
    assert works(0, 100, 3, TrainConfig()) == [100]
    said: list[str] = []
    seen: list[RunState] = []
    clock = JobClock(runs, said.append, seen.append)
    for step in range(1, 10):
        pace = 2.0 if step > N_MEASURED else None
        left = None if pace is None else pace * (30 - step)
        clock.begin() if step == 1 else None
        clock(RunState(step, 30, step / 30, pace, left))
    assert len(seen) == 9
    assert said == ["about 6 min of training in all: 9 runs, this one of 30 steps of 2.0 s, measured on 4"]
    said.clear()
    clock = JobClock([5.0] * 3, said.append, None).begin()
    clock(RunState(5, 5, 1.0, 10.0, 0.0))
    assert said[0].startswith("about 2 min of training in all: 3 runs"), "two more of 50 s"

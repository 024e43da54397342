"""``evaluate`` from the command line: files and systems in, a table and metrics.json out."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import __version__
from qa_extractive.cli import evaluate as command
from qa_extractive.cli import main
from qa_extractive.data.labels import Labels
from qa_extractive.data.loading import load_examples
from qa_extractive.evaluation import systems
from qa_extractive.types import Answer, Question

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    ("a", "What was halved?", "The risk was halved. It was safe.", "The risk was halved."),
    ("b", "Was it safe?", "The risk was halved. It was safe.", "It was safe."),
    ("c", "What did it cost?", "Nobody asked. It was cheap.", ""),
    ("d", "Who paid?", "We do not know. A firm paid.", "A firm paid."),
]


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "data.csv", ("id", "question", "abstract", "answer"), ROWS)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "bare.csv", ("id", "question", "abstract"), [row[:3] for row in ROWS])


def run(output: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    assert main(["evaluate", "--output", str(output), "--bootstrap", "20", *map(str, arguments)]) == code
    values: dict[str, Any] = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    return values


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of an error that stopped the run."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_metrics_json(data: Path, tmp_path: Path) -> None:
    values = run(tmp_path / "out", "--data", data, "--model", "baseline:first", "baseline:last", "--seed", 3)
    assert values["schema_version"] == 1
    assert values["package_version"] == __version__
    assert (values["seed"], values["n_bootstrap"], values["limit"], values["labels"]) == (3, 20, None, None)
    assert values["n_rows"] == 4
    assert list(values["systems"]) == ["baseline:first", "baseline:last"]
    last = values["systems"]["baseline:last"]
    assert last["f1"] == pytest.approx(
        (1 / 3 + 1 + 0 + 1) / 4
    )  # of "risk was halved", "It was safe" has a third
    assert (last["em"], last["has_ans_em"], last["no_ans_em"]) == (0.5, 2 / 3, 0.0)
    assert (last["n_scored"], last["n_has_ans"], last["n_no_ans"], last["n_failed"]) == (4, 3, 1, 0)
    assert (last["abstained_share"], last["verbatim_share"], last["auroc"]) == (0.0, 1.0, 0.5)
    assert last["never_abstaining"]["squad_version"] == "2.0"
    (own,) = values["data"]
    assert (own["name"], own["n_rows"], own["n_skipped"]) == ("data.csv", 4, 0)
    assert own["systems"] == values["systems"]
    assert (own["comparisons"], own["oracle"]) == (values["comparisons"], values["oracle"])
    assert values["comparisons"][0]["difference"] == pytest.approx((1 / 3 + 1 + 0 + 1) / 4 - 1 / 3)
    for path in (tmp_path / "out").glob("*.[jhm]*"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8"), path


def test_the_files_of_a_run(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = ("--model", "baseline:first", "baseline:last")
    values = run(tmp_path / "out", "--data", data, *models, "--price-per-hour", "0.36")
    names = ["predictions-baseline-first.parquet", "predictions-baseline-last.parquet", "report.md"]
    names += ["report.html", "metrics.json"] if find_spec("matplotlib") else ["metrics.json"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)
    out, err = capsys.readouterr()
    assert [Path(line).name for line in out.splitlines()[-len(names) :]] == names
    assert err == ""
    assert "baseline:last against baseline:first: F1 +25.0 [" in out
    last = values["systems"]["baseline:last"]
    assert last["cost_per_million"] == pytest.approx(1e6 / last["latency"]["rows_per_s"] / 3600 * 0.36)
    run(tmp_path / "bare", "--data", data, *models, "--no-report")
    assert [path.name for path in (tmp_path / "bare").iterdir()] == ["metrics.json"]


def test_slices_by_columns_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(*row, field) for row, field in zip(ROWS, ("heart", "heart", "money", ""), strict=True)]
    path = write_csv(tmp_path / "x.csv", ("id", "question", "abstract", "answer", "field"), rows)
    model = ("--model", "baseline:last")
    values = run(tmp_path / "out", "--data", path, *model, "--slice", "field", "--no-report")
    own = values["systems"]["baseline:last"]["slices"]
    found = {part["value"]: part for part in own if part["by"] == "field"}
    assert [(name, part["n"]) for name, part in found.items()] == [("heart", 2), ("money", 1), ("(none)", 1)]
    assert found["heart"]["f1"] == pytest.approx((1 / 3 + 1) / 2)
    capsys.readouterr()
    line = fails(capsys, "--data", path, *model, "--slice", "filed", "--output", tmp_path / "o")
    assert "--slice filed: no row has a value in such a column; those there are: 'field'" in line


def test_the_table_has_the_systems_side_by_side(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    run(tmp_path / "out", "--data", data, "--model", "baseline:last", "baseline:abstain")
    out, err = capsys.readouterr()
    assert err == ""
    assert "data.csv: 4 rows; 3 answerable, 1 not; 3 documents" in out
    assert re.search(r"^ +baseline:last +baseline:abstain$", out, re.MULTILINE)
    assert re.search(r"^F1 +58\.3 \[\d+\.\d, \d+\.\d\] +25\.0 \[\d+\.\d, \d+\.\d\]$", out, re.MULTILINE)
    assert re.search(r"^verbatim +100\.0 +-$", out, re.MULTILINE)
    assert "evidence sentence hit" not in out  # no labelled spans: no such line
    assert out.rstrip().endswith("metrics.json")
    assert all(line == line.rstrip() for line in out.splitlines())


def test_systems_that_do_not_fit_side_by_side_follow_below(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    run(tmp_path / "out", "--data", data, "--model", "baseline:first", "baseline:last")
    out = capsys.readouterr().out
    assert out.index("baseline:first") < out.index("F1 ") < out.index("baseline:last") < out.rindex("F1 ")


def test_progress_is_for_terminals(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(tmp_path / "out", "--data", data, "--model", "baseline:last")
    err = capsys.readouterr().err
    assert "\r\x1b[Kbaseline:last on data.csv: 4 of 4 rows, " in err
    assert err.endswith("\r\x1b[K")


def test_several_files_are_measured_apart_and_together(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more").mkdir()
    other = write_csv(
        tmp_path / "more" / "data.csv", ("question", "context", "answer"), [("Q?", "It was.", "It was.")]
    )
    values = run(tmp_path / "out", "--data", data, other, data, "--model", "baseline:last")
    assert [each["name"] for each in values["data"]] == [f"{tmp_path.name}/data.csv", "more/data.csv"]
    ems = [each["systems"]["baseline:last"]["em"] for each in values["data"]]
    assert (ems, values["systems"]["baseline:last"]["em"], values["n_rows"]) == ([0.5, 1.0], 3 / 5, 5)
    forced = [
        each["systems"]["baseline:last"]["never_abstaining"]["squad_version"] for each in values["data"]
    ]
    assert forced == ["2.0", "1.1"]
    assert "all 2 files together: 5 rows; 4 answerable, 1 not" in capsys.readouterr().out


def test_limit_is_a_seeded_sample_in_order(data: Path, tmp_path: Path) -> None:
    def sampled(seed: int) -> list[str]:
        options = ["evaluate", "--data", str(data), "--limit", "2", "--seed", str(seed), "--output", "x"]
        return [e.id for e in command._load(parsed(options))[0].examples]

    draws = [sampled(seed) for seed in range(20)]
    assert draws == [sampled(seed) for seed in range(20)]
    assert all(draw == sorted(draw) and len(draw) == 2 for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 3
    values = run(tmp_path / "out", "--data", data, "--limit", 2, "--model", "baseline:last")
    assert (values["limit"], values["n_rows"], values["systems"]["baseline:last"]["n_rows"]) == (2, 2, 2)
    assert run(tmp_path / "out", "--data", data, "--limit", 9, "--model", "baseline:last")["n_rows"] == 4


def parsed(arguments: list[str]) -> Any:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments[1:])


# ------------------------------------------------------------------------------------- labels


def test_labels_that_live_apart(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_csv(
        tmp_path / "labels.csv",
        ("ID", "answerable", "Reference"),
        [
            ("b", "true", "unsafe || It was safe."),
            ("a", "", "The risk was halved. || halved"),
            ("c", "false", ""),
            ("d", "true", "A firm paid."),
        ],
    )
    values = run(tmp_path / "out", "--data", bare, "--labels", labels, "--model", "baseline:last")
    last = values["systems"]["baseline:last"]
    assert (last["em"], last["n_has_ans"], last["n_no_ans"]) == (0.5, 3, 1)
    assert values["labels"] == "labels.csv"
    assert capsys.readouterr().err == ""


def test_labels_of_the_repository_fit_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = (
        "--data",
        ROOT / "data" / "inference_data.csv",
        "--labels",
        ROOT / "data" / "inference_labels.csv",
    )
    values = run(tmp_path / "out", *files, "--model", "baseline:abstain")
    abstain = values["systems"]["baseline:abstain"]
    assert abstain["n_scored"] == values["n_rows"] == 40
    assert abstain["f1"] == abstain["n_no_ans"] / 40
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("header", "expected"), [(("id", "answers"), (1, 1)), (("id", "answerable"), (0, 1))]
)
def test_labels_may_have_one_column_only(
    bare: Path, tmp_path: Path, header: tuple[str, str], expected: tuple[int, int]
) -> None:
    rows = [
        ("a", "halved" if header[1] == "answers" else "yes"),
        ("c", "" if header[1] == "answers" else "no"),
    ]
    values = run(
        tmp_path / "out",
        "--data",
        bare,
        "--labels",
        write_csv(tmp_path / "l.csv", header, rows),
        "--model",
        "baseline:last",
    )
    last = values["systems"]["baseline:last"]
    assert ((last["n_has_ans"], last["n_no_ans"]), last["auroc"]) == (expected, 0.5)


def test_labels_bring_their_verdicts_and_say_which_are_none(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("a", "It fell.", ""), ("b", "", "YES"), ("c", "", ""), ("d", "", "partly")]
    labels = write_csv(tmp_path / "l.csv", ("id", "reference", "verdict"), rows)
    said: list[str] = []
    read = Labels(labels, None, warn=said.append).join(load_examples(bare).examples, bare)
    assert [(e.answerable, e.verdict) for e in read] == [
        (True, None), (True, "yes"), (False, None), (False, None)
    ]  # fmt: skip
    assert said == [f"{labels}: verdicts are yes, no, mixed or none, and not counted where they are 'partly'"]


def test_labels_that_do_not_fit_are_counted(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_csv(tmp_path / "l.csv", ("id", "reference"), [("a", "x"), ("zz", "y")])
    values = run(tmp_path / "out", "--data", bare, "--labels", labels, "--model", "baseline:last")
    assert values["systems"]["baseline:last"]["n_scored"] == 1
    err = capsys.readouterr().err
    assert f"warning: 3 rows of {bare} have no label in {labels}, the first is b" in err
    assert f"warning: 1 labels of {labels} belong to no row, the first is zz" in err


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            ("id", "x"),
            [("a", "b")],
            "labels need columns id, and answerable or reference, but have 'id', 'x'",
        ),
        (("name", "answer"), [("a", "b")], "labels need columns id"),
        (("id", "answer"), [("z", "b")], "share no id"),
        (("id", "answer"), [("a", "b"), ("a", "c")], "row 2: id 'a' is empty or repeated"),
        (("id", "answer"), [("", "b")], "row 1: id '' is empty"),
        (("id", "answerable"), [("a", "maybe")], "row 1: answerable is 'maybe'"),
        (("id", "answer"), [("a", "b", "c")], "row 1: line 2: 3 cells"),
    ],
)
def test_bad_labels_stop_the_run(
    bare: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    header: tuple[str, ...],
    rows: list[tuple[str, ...]],
    message: str,
) -> None:
    labels = write_csv(tmp_path / "l.csv", header, rows)
    line = fails(
        capsys, "--data", bare, "--labels", labels, "--model", "baseline:last", "--output", tmp_path / "o"
    )
    assert message in line


# ------------------------------------------------------------------------------------- bad input and systems


def test_columns_are_named_as_in_training(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", ("ask", "body", "gold"), [("Q?", "It was.", "It was.")])
    names = ("--question-column", "ask", "--context-column", "body", "--answer-column", "gold")
    assert (
        run(tmp_path / "out", "--data", path, *names, "--model", "baseline:last")["systems"]["baseline:last"][
            "em"
        ]
        == 1
    )


def test_bad_rows_are_told_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("Q?", "It was.", "It was."), *[("", "It was.", "It was.")] * 7]
    path = write_csv(tmp_path / "x.csv", ("question", "context", "answer"), rows)
    values = run(tmp_path / "out", "--data", path, "--model", "baseline:last", code=1)
    assert (values["data"][0]["n_rows"], values["data"][0]["n_skipped"]) == (1, 7)
    out, err = capsys.readouterr()
    assert "1 rows (7 more could not be read)" in out
    assert err.count("warning: skipped") == 6
    assert f"warning: skipped {path}, row 2: " in err
    assert f"warning: skipped 2 more rows of {path}" in err


def test_data_without_answers(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = run(tmp_path / "out", "--data", bare, "--model", "baseline:last", "baseline:abstain")
    last = values["systems"]["baseline:last"]
    assert (last["f1"], last["auroc"], last["n_scored"], last["n_rows"]) == (None, None, 0, 4)
    out, err = capsys.readouterr()
    assert "holds no answers" in err
    assert "0 answerable, 0 not, 4 of unknown answer" in out


def test_files_without_rows_and_files_that_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = write_csv(tmp_path / "x.csv", ("question", "context"), [])
    rest = ("--model", "baseline:last", "--output", tmp_path / "o")
    assert "holds no row that can be used" in fails(capsys, "--data", empty, *rest)
    assert "does not exist" in fails(capsys, "--data", tmp_path / "no.csv", *rest)
    assert "cannot be made a folder" in fails(capsys, "--data", empty, "--output", empty)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("hf:a b", "neither a folder nor"),
        ("baseline:x", "no baseline"),
        ("no/such/folder", "is not a folder"),
    ],
)
def test_a_bad_system_stops_the_run_before_any_starts(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, message: str
) -> None:
    line = fails(capsys, "--data", data, "--model", "baseline:last", model, "--output", tmp_path / "o")
    assert message in line
    assert not list((tmp_path / "o").iterdir())


@pytest.mark.parametrize(
    "option",
    [
        ("--limit", "0"),
        ("--limit", "-1"),
        ("--bootstrap", "-1"),
        ("--seed", "x"),
        ("--price-per-hour", "-1"),
        ("--price-per-hour", "nan"),
    ],
)
def test_bad_numbers_are_usage_errors(data: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--data", str(data), "--output", "x", *option])


def test_answers_that_are_not_verbatim_are_loud(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Liar:
        name = "liar"

        def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
            return [Answer("invented", 0, 8, 0.9, 0.9, abstained=False) for _ in questions]

    monkeypatch.setattr(systems, "open_system", lambda *_, **__: Liar())
    values = run(tmp_path / "out", "--data", data, "--model", "baseline:last", code=1)
    assert values["systems"]["liar"]["verbatim_share"] == 0.0
    out, err = capsys.readouterr()
    assert (
        "error: liar on data.csv: 4 answers are NOT what they promise, first that to a: the answer is" in err
    )
    assert re.search(r"^verbatim +ONLY 0\.0000$", out, re.MULTILINE)


# ------------------------------------------------------------------------------------- models


def test_a_model_beside_a_baseline(
    data: Path, tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = (tiny_export, "baseline:last", tiny_export)
    values = run(tmp_path / "out", "--data", data, "--model", *models)
    assert list(values["systems"]) == [tiny_export.name, "baseline:last"]
    model = values["systems"][tiny_export.name]
    assert (model["verbatim_share"], model["n_failed"]) == (1.0, 0)
    assert 0.0 <= model["f1"] <= 1.0
    assert capsys.readouterr().err == ""


def test_a_question_too_long_for_the_model_fails_alone(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("what is it?", "It was safe.", "safe"), ("zebra " * 100, "It was safe.", "safe")]
    path = write_csv(tmp_path / "x.csv", ("question", "context", "answer"), rows)
    values = run(tmp_path / "out", "--data", path, "--model", tiny_export, code=1)
    assert values["systems"][tiny_export.name]["n_failed"] == 1
    assert "failed on 1 of 2 rows, first on x-2: " in capsys.readouterr().err


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "onnx", tmp_path / "b" / "onnx", tmp_path / "b" / "default"]
    assert command._short_names(paths) == ["a/onnx", "b/onnx", "b/default"]
    assert command._short_names(paths[1:]) == ["onnx", "default"]
    assert command._short_names(paths[1:], ["default"]) == ["b/onnx", "b/default"]
    assert command._short_names([]) == []


# ------------------------------------------------------------------------------------- the script at the root


def from_root(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_runs_from_the_root(data: Path, tmp_path: Path) -> None:
    """It shadows PyPI's ``evaluate`` there: so nothing that it imports may want that one."""
    arguments = ("--data", data, "--model", "baseline:tfidf", "--output", tmp_path / "out")
    assert "baseline:tfidf" in from_root("evaluate.py", *arguments)
    assert (tmp_path / "out" / "metrics.json").is_file()


def test_importing_the_script_by_its_shadowing_name_does_nothing() -> None:
    listed = "[m for m in sys.modules if m.startswith('qa_')]"
    code = f"import evaluate, sys; print(evaluate.__file__); print(*{listed})"
    place, *modules = from_root("-c", code).split()
    assert Path(place) == ROOT / "evaluate.py"
    assert modules == []


@pytest.mark.skipif(find_spec("datasets") is None, reason="needs the [train] extra")
def test_the_libraries_that_know_an_evaluate_work_beside_the_script() -> None:
    code = (
        "import evaluate, datasets, transformers.trainer, sklearn.metrics, qa_extractive.cli.evaluate;"
        "import qa_extractive.evaluation.score, qa_extractive.training.run; print(evaluate.__file__)"
    )
    assert Path(from_root("-c", code).split()[-1]) == ROOT / "evaluate.py"

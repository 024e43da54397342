"""The five commands that train, and what ``train`` took before they were five."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qa_extractive.cli import main, parsed

OUTPUT = ["--output", "out"]


def _options(arguments: list[str]) -> dict[str, Any]:
    return vars(parsed(arguments))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            ["--task", "folder", "--teacher", "a", "b", "--n-contexts", "9", "--min-f1", "0.5", *OUTPUT],
            ["finetune", "folder", "--teacher", "a", "b", "--n-contexts", "9", "--min-f1", "0.5", *OUTPUT],
        ),
        ([*OUTPUT, "--base", "b", "--task=folder"], ["finetune", "folder", *OUTPUT, "--base", "b"]),
        (
            [*OUTPUT, "--data", "a", "b", "--init", "model", "--anchor-weight", "0", "--hold-out", "3"],
            ["update", "model", *OUTPUT, "--data", "a", "b", "--anchor-weight", "0", "--hold-out", "3"],
        ),
        (
            ["--init", "model", "--task", "folder", *OUTPUT, "--seed", "3"],
            ["update", "model", *OUTPUT, "--seed", "3", "--task", "folder"],
        ),
        (
            ["--triage", "rows", "--train-encoder", "--epochs", "2", "--label-column", "include", *OUTPUT],
            ["triage", "rows", "--train-encoder", "--epochs", "2", "--label-column", "include", *OUTPUT],
        ),
        (
            [*OUTPUT, "--resume", "--config", "file", "--id-column", "pmid"],
            ["sweep", "file", *OUTPUT, "--resume", "--id-column", "pmid"],
        ),
    ],
)
def test_an_old_form_gives_the_options_of_the_new_one_and_names_it(
    old: list[str], new: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _options(["train", *old]) == _options(new)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: ")
    assert f"is now '{new[0]} {new[1]}'" in line


def test_a_command_may_stand_behind_train_as_the_script_train_py_has_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _options(["train", "finetune", "folder", *OUTPUT]) == _options(["finetune", "folder", *OUTPUT])
    assert _options(["train", "--data", "finetune", *OUTPUT])["data"] == [Path("finetune")]
    assert capsys.readouterr().err == ""


def test_a_task_folder_of_labels_goes_to_triage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.csv").write_text("question,context,label\nIs it a trial?,It is.,yes\n")
    options = _options(["train", "--task", str(tmp_path), *OUTPUT])
    assert (options["command"], options["rows"]) == ("triage", tmp_path)
    capsys.readouterr()
    assert main(["finetune", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "no answers: give it to triage" in capsys.readouterr().err


def test_what_an_old_form_took_without_effect_is_still_taken() -> None:
    given = ["--strict", "--from-stage", "2", "--data-root", "d", "--allow-pickle", "--anchor-weight", "3"]
    assert _options(["train", "--task", "f", *given, *OUTPUT]) == _options(["finetune", "f", *OUTPUT])


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (["--triage", "rows", "--init", "default"], "--init does not go with --triage"),
        (["--config", "file", "--task", "folder"], "--task does not go with --config"),
    ],
)
def test_two_commands_at_once_are_refused(
    old: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *old, *OUTPUT]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize(
    ("command", "foreign"),
    [
        (["train", "--data", "rows"], ["--min-f1", "0.5"]),
        (["train", "--data", "rows"], ["--unlabelled", "texts"]),
        (["finetune", "folder"], ["--hold-out", "3"]),
        (["finetune", "folder"], ["--resume"]),
        (["update", "model", "--data", "rows"], ["--base", "other"]),
        (["update", "model", "--data", "rows"], ["--recipe", "file"]),
        (["triage", "rows"], ["--data", "rows"]),
        (["sweep", "file"], ["--max-steps", "3"]),
    ],
)
def test_a_command_takes_its_own_options_only(
    command: list[str], foreign: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _options([*command, *OUTPUT])
    with pytest.raises(SystemExit) as refused:
        main([*command, *OUTPUT, *foreign])
    assert refused.value.code == 2
    assert f"unrecognized arguments: {foreign[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["train"], ["update", "model"]])
def test_without_anything_to_train_on_it_says_what_to_give(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command, *OUTPUT])
    assert "one of the arguments --data" in capsys.readouterr().err

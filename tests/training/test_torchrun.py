"""``torchrun`` with two processes on the CPU: shares, steps, files, clocks, resuming, failing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qa_extractive.cli import main  # noqa: E402
from qa_extractive.model.span_reader import SpanReader  # noqa: E402
from qa_extractive.training import trainer  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).parents[1].joinpath("torchrun_run.py")
N_ROWS = 24
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@dataclass(frozen=True)
class Done:
    """A run that ended: the code of ``torchrun``, what each process printed, and its notes."""

    code: int
    out: tuple[str, ...]
    err: tuple[str, ...]
    notes: tuple[dict[str, Any], ...]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows of very different lengths, each with an answer."""
    lines = ["question,context,answer"]
    for i in range(N_ROWS):
        padding = "We treated patients with the drug. " * (1 + i % 8)
        lines.append(
            f"How did the risk change in trial {i}?,{padding}The risk fell to {i} percent.,fell to {i}"
        )
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def launch(data: Path, tiny_checkpoint: Path, tmp_path: Path) -> Callable[..., Done]:
    """Trains on the rows, in two processes unless told otherwise."""

    def start(output: Path, *options: str, launcher: tuple[str, ...] = TWO, **environment: str) -> Done:
        folder = tmp_path / f"notes-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        logs = (*launcher, "--log-dir", str(folder), "--redirects", "3") if launcher else ()
        command = [
            *(sys.executable, *logs, str(SCRIPT), "--data", str(data), "--output", str(output)),
            *(() if "--init" in options else ("--base", str(tiny_checkpoint))),
            *("--n-dev", "0", "--n-calibration", "0", *options),
        ]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        env = os.environ | {"PYTHONPATH": path, "NOTES": str(folder)} | environment
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=600)
        out, err = (
            tuple(path.read_text() for path in sorted(folder.glob(f"*/attempt_0/*/{name}.log")))
            or (getattr(done, name),)
            for name in ("stdout", "stderr")
        )
        notes = tuple(json.loads(path.read_text()) for path in sorted(folder.glob("?.json")))
        return Done(done.returncode, out, err, notes)

    return start


def _weights(folder: Path) -> dict[str, Any]:
    return dict(SpanReader.from_pretrained(folder).state_dict())


@pytest.mark.timeout(660)  # two processes wait for each other wherever a third one works
def test_two_processes_share_the_batches_of_one_run(
    launch: Callable[..., Done],
    data: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = tmp_path / "both"
    done = launch(both, "--epochs", "1", "--batch-size", "4")
    assert done.code == 0, done.err
    first, second = done.notes
    # One that frees a tensor while the interpreter ends can abort the process.
    assert not [name for name in first["threads"] + second["threads"] if "gloo" in name]
    n_windows = json.loads((both / "training_report.json").read_text())["n_windows"]
    assert first["steps"] == second["steps"] == -(-n_windows // 8)
    read = [[row for batch in notes["read"] for row in batch] for notes in (first, second)]
    assert len(set(read[0]) | set(read[1])) == n_windows
    assert len(read[0]) + len(read[1]) < n_windows + 8, "only the last step is filled up"
    assert first["weights"] == second["weights"]
    assert first["rates"] == second["rates"]
    assert not [path for path in second["written"] if str(both) in path and "rng_state_1" not in path]
    assert any(path.endswith("training_report.json") for path in first["written"])
    assert done.out[1] == done.err[1] == ""
    assert "were trained" in done.out[0]
    report = json.loads((both / "training_report.json").read_text())
    assert (report["n_steps"], report["n_processes"]) == (first["steps"], 2)

    # One process with twice the batch reads the same windows in each step.
    alone: list[list[int]] = []
    original = trainer.SpanTrainer.training_step

    def step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        alone.append(_rows(inputs))
        return original(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(trainer.SpanTrainer, "training_step", step)
    options = ["--epochs", "1", "--batch-size", "8", "--n-dev", "0", "--n-calibration", "0"]
    command = [
        "train",
        "--data",
        str(data),
        "--base",
        str(tiny_checkpoint),
        "--output",
        str(tmp_path / "one"),
    ]
    assert main([*command, *options]) == 0
    steps = list(zip(first["read"], second["read"], alone, strict=True))
    assert all(sorted(a + b) == sorted(c) for a, b, c in steps[:-1])
    assert len(steps) == first["steps"]


def _rows(inputs: dict[str, Any]) -> list[int]:
    """What tells windows apart, as ``torchrun_run.py`` notes it."""
    rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].sum(1).tolist(), strict=True)
    return [hash(tuple(ids[:n])) for ids, n in rows]


@pytest.mark.slow
def test_a_failure_in_one_process_ends_both_and_the_run_resumes(
    launch: Callable[..., Done], tmp_path: Path
) -> None:
    options = ("--max-steps", "6", "--batch-size", "4", "--save-minutes", "1e-9", "--lora-rank", "2")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert launch(whole, *options).code == 0
    failed = launch(broken, *options, FAIL_AT="1:4")
    assert failed.code == 1
    lines = [line for each in (*failed.err, *failed.out) for line in each.splitlines() if "error" in line]
    said = "error: process 1 of 2 (from 0) failed, which ends the run: RuntimeError: the memory"
    assert lines == [said]
    assert "Traceback" not in "".join(failed.err)
    assert not (broken / "model.safetensors").exists()

    one = launch(broken, *options, "--resume", launcher=())
    assert one.code == 2
    assert "holds a run with n_processes=2, not 1: cannot resume" in one.err[0]
    resumed = launch(broken, *options, "--resume")
    assert resumed.code == 0, resumed.err
    assert [notes["steps"] for notes in resumed.notes] == [6, 6]
    assert [len(notes["read"]) for notes in resumed.notes] == [2, 2], "four steps were done"
    expected, found = _weights(whole), _weights(broken)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not (broken / "checkpoints").exists()


@pytest.mark.slow
def test_one_clock_and_any_number_of_parts(launch: Callable[..., Done], tmp_path: Path) -> None:
    options = ("--max-minutes", "0.05", "--max-steps", "100000", "--batch-size", "4", "--eval-steps", "5")
    output = tmp_path / "run"
    done = launch(output, *options, "--n-dev", "4", FAST_CLOCK="1", TOKENS_AT_ONCE="100")
    assert done.code == 0, done.err
    first, second = done.notes
    assert 0 < first["steps"] == second["steps"] < 100_000
    assert first["rates"] == second["rates"]
    assert first["weights"] == second["weights"]
    assert json.loads((output / "training_report.json").read_text())["n_dev"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (("--data", "missing.csv"), ["error: missing.csv does not exist"]),
        (
            ("--init", "default"),
            [
                "note: 'train --init default' is now 'update default'",
                "error: finetune and update are for one process: start them without torchrun",
            ],
        ),
    ],
)
def test_bad_input_is_said_once(
    launch: Callable[..., Done], tmp_path: Path, options: tuple[str, ...], messages: list[str]
) -> None:
    done = launch(tmp_path / "run", *options)
    assert done.code == 1
    lines = [line for each in (*done.err, *done.out) for line in each.splitlines() if line.strip()]
    assert len(lines) == len(messages)
    assert all(line.startswith(message) for line, message in zip(lines, messages, strict=True))

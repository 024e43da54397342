"""The commands as processes: interrupted, with closed or full streams, and with names that cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
SCRIPTS = ["train.py", "export_onnx.py", "evaluate.py", "-m qa_extractive"]
# What is imported while the signal comes takes its time, so that it comes there.
_SLOWLY = """
import importlib.abc, os, sys
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "qa_extractive.cli":
            os.write(1, b"importing")
            import time
            time.sleep(60)
sys.meta_path.insert(0, Slow())
"""


def run(*given: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *given]
    return subprocess.run(
        command, text=True, cwd=ROOT, env=environment, check=False, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_interrupt_of_the_imports_is_no_traceback(script: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_SLOWLY)
    started = subprocess.Popen(
        [sys.executable, *script.split(), "--help"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert started.stdout is not None
    assert started.stdout.read(9) == b"importing"
    time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=30)
    assert errors == b""
    assert started.returncode in (130, -signal.SIGINT)  # a shell says 130 of both


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    """As of what a shell runs in the background."""
    code = (
        "import _signal, runpy, sys; sys.argv = ['x', '--help']\n"
        "_signal.signal(_signal.SIGINT, _signal.SIG_IGN)\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "except SystemExit: print(_signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN)"
    )
    assert run("-c", code, stdout=subprocess.PIPE).stdout.endswith("True\n")


def test_the_package_imports_nothing_by_itself() -> None:
    code = "import sys, __future__; n = {*sys.modules}; import qa_extractive; print({*sys.modules} - n)"
    assert run("-c", code, stdout=subprocess.PIPE).stdout == "{'qa_extractive'}\n"


def evaluation(output: Path) -> list[str]:
    """A short run of ``evaluate.py``."""
    data = ["--data", "data/inference_data.csv", "--labels", "data/inference_labels.csv"]
    few = ["--model", "baseline:first", "--bootstrap", "0", "--no-report"]
    return ["evaluate.py", *data, *few, "--output", str(output)]


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_full_disk_under_stdout_loses_no_work(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with FULL.open("w") as full:
        done = run(*evaluation(output), stdout=full)
    assert done.stderr.startswith("error: standard output cannot be written: No space left on device")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == 2
    assert (output / "metrics.json").is_file()


def test_whoever_stops_reading_is_not_missed(tmp_path: Path) -> None:
    given = ["evaluate.py", "--data", "data/inference_data.csv", "--labels", "data/inference_labels.csv"]
    given += [
        "--model",
        "baseline:first",
        "--bootstrap",
        "0",
        "--no-report",
        "--output",
        str(tmp_path / "out"),
    ]
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*evaluation(tmp_path / "out"), stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "metrics.json").is_file()

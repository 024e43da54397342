"""What a model needs of a machine: time to its first answer, memory, disk."""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import qa_extractive
from qa_extractive.evaluation.figures import Footprint
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import BATCH_ROWS
from qa_extractive.evaluation.systems import System
from qa_extractive.settings import AnswerSettings

N_STARTS = 3
_TIMEOUT_S = 600

_log = logging.getLogger(__name__)


def footprint_of(system: System, rows: Sequence[ScoredRow]) -> Footprint | None:
    """Measure a system that has a model on this machine; None for one that has none.

    Args:
        system: Its ``predictor.folder`` is where its model is, and ``predictor.settings`` how it answers.
        rows: What it said; the first 20 rows that it did not fail on are asked again, in processes of
            their own. Without any, only the disk is measured.
    """
    predictor = getattr(system, "predictor", None)
    if predictor is None:
        return None
    folder = predictor.folder
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    asked = [row.example.question for row in rows if row.answer is not None][:BATCH_ROWS]
    if not asked:
        return Footprint(None, None, size)
    questions = json.dumps([[q.question, q.context, q.title] for q in asked])
    try:
        starts = [_start(Path(folder), predictor.settings, questions) for _ in range(N_STARTS)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _log.warning("%s: cold start and memory could not be measured: %s", system.name, error)
        return Footprint(None, None, size)
    peaks = [peak for _, peak in starts if peak is not None]
    return Footprint(statistics.median(s for s, _ in starts), max(peaks, default=None), size)


def _start(folder: Path, settings: AnswerSettings, questions: str) -> tuple[float, int | None]:
    """Seconds from the start of a process to its first answer, and the bytes of its largest resident set."""
    command = [sys.executable, "-m", "qa_extractive.evaluation.first_answer"]
    command += [str(folder.resolve()), json.dumps(asdict(settings))]
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=Path(qa_extractive.__file__).parents[1],  # where -m finds this very package, installed or not
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(questions)
        process.stdin.close()
        process.stdout.readline()
        seconds = time.perf_counter() - started
        watchdog = threading.Timer(_TIMEOUT_S, process.kill)
        watchdog.start()
        peak, said = process.stdout.read(), process.stderr.read()  # the line may be in its buffer already
        process.wait()
        watchdog.cancel()
    if process.returncode:
        raise ValueError((said.strip().splitlines() or [f"exit code {process.returncode}"])[-1])
    return seconds, json.loads(peak)

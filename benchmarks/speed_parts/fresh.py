"""Fresh processes of ours: the time to a first answer, and the memory that 20 abstracts take."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qa_extractive
from speed_parts.report import spread
from speed_parts.texts import Asked


def fresh_starts(folder: Path, asked: Sequence[Asked], n_starts: int) -> dict[str, Any]:
    """Medians and ranges of ``first_answer_s`` and, where the system tells, ``peak_mb``.

    Args:
        folder: Of the exported model.
        asked: The first is the first answer; memory is that of all as one batch.
        n_starts: Processes, one after the other, after one that warms the disk's cache.
    """
    starts = [_start(folder, asked) for _ in range(1 + n_starts)][1:]
    peaks = [peak / 1e6 for _, peak in starts if peak is not None]
    return {
        "n_starts": n_starts,
        "first_answer_s": spread([seconds for seconds, _ in starts]),
        "peak_mb": spread(peaks) if peaks else None,
    }


def _start(folder: Path, asked: Sequence[Asked]) -> tuple[float, int | None]:
    questions = json.dumps([[*each, None] for each in asked])
    command = [sys.executable, "-m", "qa_extractive.evaluation.first_answer", str(folder)]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=Path(qa_extractive.__file__).parents[1],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(questions)
        process.stdin.close()
        process.stdout.readline()
        seconds = time.perf_counter() - began
        rest = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"a fresh process ended with {process.returncode}")
    peak: int | None = json.loads(rest)
    return seconds, peak

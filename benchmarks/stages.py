"""CPU time around the model, by stage, for 20 abstracts, and of a fresh process up to its first answer.

    python benchmarks/stages.py [--repeat 20]

CPU time of the calling thread: tokenizing itself, which uses threads of its own, is not in it. The least of
the repeats, so that a busy machine changes little. Run it at two commits to see what a change gained.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from speed_parts import texts

from qa_extractive import Predictor, Question
from qa_extractive.inference.decoding import decode
from qa_extractive.predictor import to_answer

ROOT = Path(__file__).resolve().parents[1]
# Milliseconds of CPU since the process started, and peak memory as the system counts it.
_FRESH = """
import time
from qa_extractive import Predictor
imported = time.process_time()
predictor = Predictor()
loaded = time.process_time()
predictor.answer("What fell?", "Pressure fell by 5 mmHg.")
print(imported, loaded, time.process_time())
print(open("/proc/self/status").read())
"""


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    print(json.dumps({"cpu_ms": stages(options.repeat), "fresh": fresh(5)}, indent=1))


def stages(repeat: int) -> dict[str, float]:
    """Milliseconds of the calling thread for 20 abstracts, the least of the repeats."""
    predictor = Predictor(n_threads=1)
    questions = [Question(*each) for each in texts.make("abstracts", 0)]
    windows = predictor.windower.windows(questions)
    logits = predictor.backend.run(windows)
    settings, n_decoded = predictor.config.decode, predictor.settings.n_decoded
    readings = decode(questions, windows, logits, settings, top_k=n_decoded)

    def answers() -> object:
        calibration = predictor.calibration
        pairs = zip(questions, readings, strict=True)
        return [to_answer(q, r, calibration, predictor.settings) for q, r in pairs]

    return {
        "windows": _least_ms(lambda: predictor.windower.windows(questions), repeat),
        "model": _least_ms(lambda: predictor.backend.run(windows), 3),
        "decode": _least_ms(lambda: decode(questions, windows, logits, settings, top_k=n_decoded), repeat),
        "answers": _least_ms(answers, repeat),
    }


def _least_ms(work: Callable[[], object], repeat: int) -> float:
    least = float("inf")
    for _ in range(repeat):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return round(1000 * least, 2)


def fresh(n_starts: int) -> dict[str, float]:
    """Medians over fresh processes: CPU milliseconds up to each point, and the largest resident set."""
    runs = []
    for _ in range(n_starts):
        done = subprocess.run(
            [sys.executable, "-c", _FRESH], capture_output=True, text=True, check=True, cwd=ROOT
        )
        times, status = done.stdout.split("\n", 1)
        peak = re.search(r"VmHWM:\s*(\d+) kB", status)
        runs.append(
            [*(1000 * float(each) for each in times.split()), int(peak[1]) * 1024 / 1e6 if peak else 0.0]
        )
    names = ("imported_ms", "loaded_ms", "answered_ms", "peak_mb")
    return {
        name: round(statistics.median(values), 1)
        for name, values in zip(names, zip(*runs, strict=True), strict=True)
    }


if __name__ == "__main__":
    main()

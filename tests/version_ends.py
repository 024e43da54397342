"""What ``.ci/steps/versions`` runs, in environments that hold the serving install only.

lowest | newest      the requirements of an end of each range of ``install_requires``, one a line
answers F            answer the demonstration, with whatever is installed, into a JSON file
compare F F          hold two such files against each other; exit code 1 where they differ by too much
"""

from __future__ import annotations

import configparser
import csv
import inspect
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# Releases of onnxruntime round differently before each 8-bit product, and a rounding can turn: on a CPU with
# VNNI 1.20.0 to 1.26.0 gave the same answers to the last digit, and 1.32.0 the same span in 37 of 40.
LEAST_SAME_SPANS = 0.85
MOST_MEDIAN_DIFFERENCE = 0.02  # of the answerable probability


def requirements(end: str) -> list[str]:
    """``numpy>=1.26`` as ``numpy==1.26.0``, the lowest, or without its bound, the newest."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].splitlines()
    bounds = [line.split(">=") for line in lines if line.strip() and not line.startswith("#")]
    return [f"{name}=={version}.0" if end == "lowest" else name for name, version in bounds]


def answer(output: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from qa_extractive import Predictor, Question

    with (ROOT / "data/inference_data.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [Question(row["question"], row["abstract"], row.get("title")) for row in csv.DictReader(file)]
    # Where the products are exact, all releases and CPUs must give the same spans.
    precisions = ["int8", "exact"] if "precision" in inspect.signature(Predictor).parameters else ["int8"]
    found = {}
    for precision in precisions:
        settings: dict[str, Any] = {"precision": precision} if len(precisions) > 1 else {}
        answers = Predictor(threshold=0.0, **settings).answer_batch(rows)
        found[precision] = {
            "spans": [(each.start, each.end, each.text) for each in answers],
            "answerable": [each.answerable for each in answers],
        }
    output.write_text(json.dumps(found), encoding="utf-8")


def compare(first: Path, second: Path) -> int:
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in (first, second))
    failed = 0
    for precision in one:
        a, b = one[precision], other[precision]
        same = sum(x == y for x, y in zip(a["spans"], b["spans"], strict=True)) / len(a["spans"])
        differences = sorted(abs(x - y) for x, y in zip(a["answerable"], b["answerable"], strict=True))
        median, most = differences[len(differences) // 2], differences[-1]
        least = 1.0 if precision == "exact" else LEAST_SAME_SPANS
        print(
            f"{precision}: the same best span in {same:.1%} of {len(differences)} (at least {least:.0%}); "
            f"answerable differs by {median:.4f} in the middle, {most:.4f} at most"
        )
        failed |= same < least or median > MOST_MEDIAN_DIFFERENCE
    return int(failed)


if __name__ == "__main__":
    task, *given = sys.argv[1:]
    if task == "answers":
        answer(Path(given[0]))
    elif task == "compare":
        sys.exit(compare(Path(given[0]), Path(given[1])))
    else:
        print("\n".join(requirements(task)))

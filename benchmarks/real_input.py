"""Real input through ``infer.py``: every row answered or abstained, every answer verbatim, rows/s.

    python benchmarks/real_input.py --data-root DATA --output benchmarks/results/real_input.json

DATA is laid out as recipes/DATA.md says. JSON sets are written as CSV first, since ``infer.py`` reads tables.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from qa_extractive.data.loading import load_examples
from qa_extractive.tables.reading import write_rows

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "python benchmarks/real_input.py --data-root DATA --output benchmarks/results/real_input.json"
SETS = ("distil_hotpotqa/test.csv", "pubmedqa/pqal-train-500.json.gz", "squad/dev-v2.0.json.gz")


def main() -> None:
    """Run every set and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    csv.field_size_limit(sys.maxsize)
    rows = []
    for name in SETS:
        rows.append(run(options.data_root / name, name, options.model))
        print(json.dumps(rows[-1]))
    result = {
        "command": COMMAND,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "sets": rows,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run(path: Path, name: str, model: str) -> dict[str, object]:
    """Run ``infer.py`` on one set and check what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        table, output = Path(folder, "input.csv"), Path(folder, "answers.csv")
        examples = load_examples([path]).examples
        with write_rows(table, ["id", "question", "context"]) as writer:
            for e in examples:
                writer.write({"id": e.id, "question": e.question.question, "context": e.question.context})
        command = [sys.executable, ROOT / "infer.py", "--batch", table, "--output", output, "--model", model]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: infer.py exited with {done.returncode}: {done.stderr}")
        checked = check(output)
    lines = [line.strip() for line in done.stdout.splitlines() if "rows/s" in line or "budget" in line]
    return {"set": name, "given": len(examples), **checked, "summary": lines}


def check(output: Path) -> dict[str, int]:
    """Count answered, abstained and failed rows; every answer must be the text at its offsets."""
    counts = {"rows": 0, "answered": 0, "abstained": 0, "failed": 0}
    with output.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kind = "failed" if row["error"] else "answered" if row["answer"] else "abstained"
            counts["rows"] += 1
            counts[kind] += 1
            if kind == "answered":
                start, end = int(row["answer_start"]), int(row["answer_end"])
                if row["context"][start:end] != row["answer"]:
                    raise SystemExit(f"{row['id']}: the answer is not the text at [{start}:{end}]")
    return counts


if __name__ == "__main__":
    main()

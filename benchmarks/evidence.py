"""What more questions to the same papers cost in ``qa-extractive table``: run it on a quiet machine.

    python benchmarks/evidence.py [--papers 1000] [--questions 5] [--repeats 3] [--output F]

The papers are the abstracts of ``data/inference_data.csv``, again and again, each with a line of its own so
that no two are the same text. Every repeat makes the table with one question and with all, in turns, in
processes of their own, as the command does: with one question at the effort "full", with several at "cached".
Prints one JSON object: seconds of each run, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qa_extractive.evaluation.circumstances import circumstances
from qa_extractive.tables.reading import read_rows

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = (
    "How many people took part?",
    "Did the treatment work better than the control?",
    "How long were people followed?",
    "What harms were reported?",
    "Who paid for the study?",
    "In which countries was it done?",
    "What was the main outcome?",
    "How was the main outcome measured?",
    "What was the effect on the main outcome?",
    "Were the groups assigned at random?",
    "Who took part?",
    "How old were the people who took part?",
    "What was compared with what?",
    "What dose was given?",
    "How often was the treatment given?",
    "When was the study done?",
    "Did anybody leave the study early?",
    "Was the effect on the main outcome significant?",
    "Does the treatment do harm?",
    "What do the authors recommend?",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--papers", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=5, choices=range(2, len(QUESTIONS) + 1))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="write the object there as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        papers = Path(folder, "papers.jsonl")
        papers.write_text("".join(_papers(options.papers)), encoding="utf-8")
        seconds: dict[int, list[float]] = {1: [], options.questions: []}
        for repeat in range(options.repeats):
            for n, own in seconds.items():
                own.append(_seconds(papers, n, Path(folder, f"{repeat}-{n}.xlsx")))
    one, many = (statistics.median(own) for own in seconds.values())
    found = {
        "circumstances": circumstances(sys.argv).to_dict(),
        "papers": options.papers,
        "seconds": {f"{n} questions": [round(s, 1) for s in own] for n, own in seconds.items()},
        "ratio": round(many / one, 2),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def _papers(n: int) -> list[str]:
    rows = read_rows(ROOT / "data" / "inference_data.csv")
    texts = list(dict.fromkeys(str(row.values["abstract"]) for row in rows))
    made = ({"title": f"Paper {i}", "abstract": f"{texts[i % len(texts)]} Record {i}."} for i in range(n))
    return [json.dumps(paper) + "\n" for paper in made]


def _seconds(papers: Path, n_questions: int, output: Path) -> float:
    command = [
        sys.executable,
        "-m",
        "qa_extractive",
        "table",
        str(papers),
        "--output",
        str(output),
        "--quiet",
    ]
    started = time.perf_counter()
    subprocess.run([*command, "--questions", *QUESTIONS[:n_questions]], check=True, cwd=ROOT)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

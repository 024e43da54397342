"""The embedded model on the repository's 20 longest abstracts, beside the 3 s that a batch of 20 may take.

    python benchmarks/latency.py --output benchmarks/results/latency.json

Every repetition puts a new word before each question and text, so that no text is met twice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from qa_extractive import Predictor, Question
from qa_extractive._utils.instructions import cpu_and_instructions
from qa_extractive.data import load_examples
from qa_extractive.inference.windows import Windower

DATA = Path(__file__).resolve().parents[1] / "data"
COMMAND = "python benchmarks/latency.py --output benchmarks/results/latency.json"


def main() -> None:
    """Time batches of 20 and the same questions one by one, in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()
    predictor = Predictor()
    longest = full_length()
    predictor.answer_batch(longest)
    batch, single = [], []
    for i in range(options.repeat):
        questions = [Question(f"{i} {q.question}", f"{i} {q.context}", q.title) for q in longest]
        batch.append(seconds(partial(predictor.answer_batch, questions)))
        questions = [Question(f"b{i} {q.question}", f"b{i} {q.context}", q.title) for q in longest]
        single.append(seconds(partial(one_by_one, predictor, questions)))
    windows = Windower.load(predictor.folder, predictor.config.window).windows(longest)
    cpu, instructions = cpu_and_instructions()
    result = {
        "command": COMMAND,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "cpu": f"{cpu}: {', '.join(instructions)}",
        "threads": predictor.n_threads,
        "tokens_an_abstract": sum(w.n_tokens for w in windows) / len(longest),
        "batch_of_20_s": figures(batch),
        "one_by_one_20_s": figures(single),
    }
    print(json.dumps(result, indent=1))
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def full_length() -> list[Question]:
    """The repository's 20 longest abstracts with their questions and titles."""
    files = [DATA / "training_data.csv", DATA / "inference_data.csv"]
    questions = {e.question.context: e.question for e in load_examples(files).examples}
    return sorted(questions.values(), key=lambda q: -len(q.context))[:20]


def one_by_one(predictor: Predictor, questions: Sequence[Question]) -> None:
    """Ask each on its own."""
    for question in questions:
        predictor.answer(question.question, question.context, question.title)


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def figures(values: list[float]) -> dict[str, float]:
    """Median, least and largest, rounded to a millisecond."""
    named = {"p50": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


if __name__ == "__main__":
    main()

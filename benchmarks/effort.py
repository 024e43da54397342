"""The effort "fast" beside "full": time, F1 and what is read, on the same examples in one run.

    python benchmarks/effort.py --examples runs/default/fresh_examples.jsonl.gz [--model FOLDER]

Examples are parted into batches; each batch is answered at both efforts, one after the other, the other one
first in the next batch. F1 is that of the best span, never abstaining, on the answerable examples, and of the
answer at the model's threshold on all. Writes ``results/effort.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qa_extractive import Predictor
from qa_extractive.backend import DROPPED
from qa_extractive.config import EFFORTS, FAST, FULL
from qa_extractive.dataset.loading import load_examples
from qa_extractive.metrics.bootstrap import PairedDifference, paired_bootstrap
from qa_extractive.metrics.scores import calibration_error
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.records import Answer, Example

RESULTS = Path(__file__).parent / "results" / "effort.md"
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    predictors = {e: Predictor(options.model, effort=e, n_threads=options.threads) for e in EFFORTS}
    examples = [
        e for e in load_examples(options.examples).examples if predictors[FULL].windower.accepts(e.question)
    ]
    rows = [_row("all", examples, predictors, options.batch)]
    for name, part in (("SQuAD", True), ("science", False)):
        own = [e for e in examples if (e.source == "squad") == part]
        if own:
            rows.append(_row(name, own, predictors, options.batch))
    text = table(rows)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _row(name: str, examples: Sequence[Example], predictors: dict[str, Predictor], batch: int) -> list[str]:
    """One line of the table."""
    seconds: dict[str, list[float]] = {effort: [] for effort in EFFORTS}
    answers: dict[str, list[Answer]] = {effort: [] for effort in EFFORTS}
    for number, begin in enumerate(range(0, len(examples), batch)):
        questions = [e.question for e in examples[begin : begin + batch]]
        for effort in EFFORTS if number % 2 else EFFORTS[::-1]:
            began = time.perf_counter()
            answers[effort] += predictors[effort].answer_batch(questions)
            seconds[effort].append(time.perf_counter() - began)
    ratios = np.array(seconds[FULL]) / np.array(seconds[FAST])
    spans = {effort: _span_f1(answers[effort], examples) for effort in EFFORTS}
    given = {effort: _answer_f1(answers[effort], examples) for effort in EFFORTS}
    documents = [e.document or e.question.context for e in examples]
    labelled = [d for d, e in zip(documents, examples, strict=True) if e.references]
    lost = paired_bootstrap(spans[FAST], spans[FULL], units=labelled, seed=17)
    lost_given = paired_bootstrap(given[FAST], given[FULL], units=documents, seed=17)
    errors = [_calibration_error(answers[effort], examples) for effort in EFFORTS]
    return [
        name,
        str(len(examples)),
        f"{_share_read(predictors[FAST], examples):.0%}",
        f"{np.median(ratios):.2f}x ({np.quantile(ratios, 0.1):.2f}-{np.quantile(ratios, 0.9):.2f})",
        f"{sum(seconds[FULL]) / sum(seconds[FAST]):.2f}x",
        _change(spans, lost),
        _change(given, lost_given),
        " / ".join(f"{error:.3f}" for error in errors),
    ]


def _span_f1(answers: Sequence[Answer], examples: Sequence[Example]) -> Floats:
    """Of the best span, of the examples that have references."""
    best = [answer.candidates[0].text if answer.candidates else "" for answer in answers]
    pairs = zip(best, examples, strict=True)
    return np.array([best_token_f1(text, e.references) for text, e in pairs if e.references])


def _answer_f1(answers: Sequence[Answer], examples: Sequence[Example]) -> Floats:
    """Of the answer, or of none where the example has no references."""
    return np.array([best_token_f1(a.text, e.references) for a, e in zip(answers, examples, strict=True)])


def _calibration_error(answers: Sequence[Answer], examples: Sequence[Example]) -> float:
    """Of ``answerable``, 15 bins of equal mass."""
    known = [
        (a.answerable, e.answerable)
        for a, e in zip(answers, examples, strict=True)
        if e.answerable is not None
    ]
    error = calibration_error([p for p, _ in known], [bool(came) for _, came in known])
    return float("nan") if error is None else error


def _share_read(predictor: Predictor, examples: Sequence[Example]) -> float:
    """Tokens that are still read in the last layer, of all."""
    logits = predictor.backend.run(predictor.windower.windows([e.question for e in examples]))
    return sum(int((each.start > DROPPED).sum()) for each in logits) / sum(len(each.start) for each in logits)


def _change(values: dict[str, Floats], difference: PairedDifference | None) -> str:
    shown = f"{100 * values[FULL].mean():.1f} -> {100 * values[FAST].mean():.1f}"
    if difference is None:
        return shown
    low, high = (100 * each for each in difference.interval)
    return f"{shown} ({100 * difference.difference:+.2f} [{low:+.2f}, {high:+.2f}])"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    titles = (
        "examples",
        "n",
        "tokens read to the end",
        "time of full over fast, batches (10-90 %)",
        "in all",
        "span F1",
        "F1 at the threshold",
        "calibration error of answerable, full / fast",
    )
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()

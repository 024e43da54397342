"""The efforts "fast" and "cached" beside "full": time, F1 and what is read, on the same examples in one run.

    python benchmarks/effort.py --examples runs/default/fresh_examples.jsonl.gz [--model FOLDER]

Examples are parted into batches; each batch is answered at all efforts, one after the other, in turns. Before
"cached" answers a batch, its papers are asked other questions of as many tokens (the words in reverse), whose
time, papers not having been kept, is that of first questions. F1 is that of the best span, never abstaining,
on the answerable examples, and of the answer at the model's threshold on all. Writes ``results/effort.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qa_extractive import Predictor
from qa_extractive.data.loading import load_examples
from qa_extractive.inference.backend import DROPPED
from qa_extractive.metrics.bootstrap import PairedDifference, paired_bootstrap
from qa_extractive.metrics.scores import calibration_error
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.settings import CACHED, EFFORTS, FULL
from qa_extractive.types import Answer, Example, Question

RESULTS = Path(__file__).parent / "results" / "effort.md"
FIRST = "cached, first"
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
    rows = _rows("all", examples, predictors, options.batch)
    for name, part in (("SQuAD", True), ("science", False)):
        own = [e for e in examples if (e.source == "squad") == part]
        if own:
            rows += _rows(name, own, predictors, options.batch)
    text = table(rows)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _rows(
    name: str, examples: Sequence[Example], predictors: dict[str, Predictor], batch: int
) -> list[list[str]]:
    """Lines of the table, one for each effort but full."""
    seconds: dict[str, list[float]] = {effort: [] for effort in (*EFFORTS, FIRST)}
    answers: dict[str, list[Answer]] = {effort: [] for effort in EFFORTS}
    for number, begin in enumerate(range(0, len(examples), batch)):
        questions = [e.question for e in examples[begin : begin + batch]]
        turn = number % len(EFFORTS)
        for effort in EFFORTS[turn:] + EFFORTS[:turn]:
            if effort == CACHED:
                others = [_other(question) for question in questions]
                seconds[FIRST].append(_timed(predictors[effort], others)[0])
            took, given = _timed(predictors[effort], questions)
            seconds[effort].append(took)
            answers[effort] += given
    return [
        [name, str(len(examples)), effort, *_cells(effort, examples, predictors[effort], seconds, answers)]
        for effort in EFFORTS
        if effort != FULL
    ]


def _other(question: Question) -> Question:
    """Another question, of the same words, to the same paper."""
    return replace(question, question=" ".join(reversed(question.question.split())))


def _timed(predictor: Predictor, questions: Sequence[Question]) -> tuple[float, list[Answer]]:
    began = time.perf_counter()
    answers = predictor.answer_batch(questions)
    return time.perf_counter() - began, answers


def _cells(
    effort: str,
    examples: Sequence[Example],
    predictor: Predictor,
    seconds: dict[str, list[float]],
    answers: dict[str, list[Answer]],
) -> list[str]:
    """What one effort does beside full."""
    ratios = np.array(seconds[FULL]) / np.array(seconds[effort])
    full_spans, spans = (_span_f1(answers[each], examples) for each in (FULL, effort))
    full_given, given = (_answer_f1(answers[each], examples) for each in (FULL, effort))
    documents = [e.document or e.question.context for e in examples]
    labelled = [d for d, e in zip(documents, examples, strict=True) if e.references]
    errors = [_calibration_error(answers[each], examples) for each in (FULL, effort)]
    first = f"{sum(seconds[FULL]) / sum(seconds[FIRST]):.2f}x" if effort == CACHED else ""
    return [
        f"{_share_read(predictor, examples):.0%}",
        f"{np.median(ratios):.2f}x ({np.quantile(ratios, 0.1):.2f}-{np.quantile(ratios, 0.9):.2f})",
        f"{sum(seconds[FULL]) / sum(seconds[effort]):.2f}x",
        first,
        _change(full_spans, spans, labelled),
        _change(full_given, given, documents),
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


def _change(full: Floats, other: Floats, units: Sequence[str]) -> str:
    shown = f"{100 * full.mean():.1f} -> {100 * other.mean():.1f}"
    found: PairedDifference | None = paired_bootstrap(other, full, units=units, seed=17)
    if found is None:
        return shown
    low, high = (100 * each for each in found.interval)
    return f"{shown} ({100 * found.difference:+.2f} [{low:+.2f}, {high:+.2f}])"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    titles = (
        "examples",
        "n",
        "effort",
        "tokens read to the end",
        "time of full over its, batches (10-90 %)",
        "in all",
        "first questions, in all",
        "span F1",
        "F1 at the threshold",
        "calibration error of answerable, full / it",
    )
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()

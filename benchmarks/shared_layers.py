"""What more shared layers save and cost: F1 against the time of 20 questions to a paper, as a curve.

    python benchmarks/shared_layers.py --examples runs/asked/calibration_examples.jsonl.gz [--layers 1 2 3 4]

The model is exported again for each number of lower layers that read papers apart from their questions, with
the weights, pruning heads and limit that it has. F1 is that of the best span on the answerable examples,
never abstaining. The time is that of 20 questions to each of some abstracts of ``data/inference_data.csv``
that were never met, CPU time of one thread, over one question to each at the effort "full". Needs [train].
Writes ``results/shared_layers.json`` and ``.svg``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evidence import QUESTIONS

from qa_extractive import Predictor
from qa_extractive.config import PruningConfig, ReaderConfig, TrainConfig
from qa_extractive.data.loading import load_examples
from qa_extractive.evaluation.circumstances import circumstances
from qa_extractive.export.exporter import export
from qa_extractive.metrics.bootstrap import paired_bootstrap
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.settings import CACHED, FULL
from qa_extractive.tables.reading import read_rows
from qa_extractive.training.run import load_base
from qa_extractive.types import Example, Question

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "shared_layers.json"
GRID, WIDE_GRID = 4, 64
"""Positions that papers begin at are multiples of it, with one layer apart and with more."""

_CALIBRATIONS = ("calibration.json", "calibration_fast.json", "calibration_cached.json")


def main() -> None:
    """Measure, write and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--papers", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    examples = [e for e in load_examples(options.examples).examples if e.references]
    with tempfile.TemporaryDirectory() as folder:
        models = {n: exported(options.model, n, Path(folder)) for n in options.layers}
        full = Predictor(options.model, effort=FULL, n_threads=1)
        whole = span_f1(full, examples)
        documents = [e.document or e.question.context for e in examples]
        rows = []
        for n, model in models.items():
            own = span_f1(Predictor(model, effort=CACHED, n_threads=1), examples)
            gained = paired_bootstrap(own, whole, units=documents, seed=17)
            if gained is None:
                raise SystemExit(f"{options.examples} holds no answerable example")
            times = relative_times(full, model, abstracts(options.papers), options.repeats)
            row = {
                "layers": n,
                "f1": 100 * statistics.mean(own),
                "gained": [100 * each for each in (gained.difference, *gained.interval)],
                "twenty_over_one": statistics.median(times),
                "range": [min(times), max(times)],
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    found = {
        "circumstances": circumstances(sys.argv).to_dict(),
        "n": len(examples),
        "full_f1": 100 * statistics.mean(whole),
        "rows": rows,
    }
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    plot(found, options.output.with_suffix(".svg"))


def exported(model: Path, n_layers: int, folder: Path) -> Path:
    """The model, with so many layers apart, as a folder for ``Predictor``."""
    reader, tokenizer = load_base(str(model), TrainConfig(verdict_weight=1.0))
    reader.read_apart(n_layers, GRID if n_layers == 1 else WIDE_GRID)
    checkpoint, output = folder / f"checkpoint-{n_layers}", folder / f"model-{n_layers}"
    reader.save_pretrained(checkpoint)
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    config = ReaderConfig.load(model)
    replace(config, skim=None).save(checkpoint)
    export(checkpoint, output, quantize="int8", embedding_bits=8, n_threads=1)
    skim = config.skim
    if skim is None:
        raise SystemExit(f"{model} has no pruning heads")
    limit = skim.keep_above if skim.keep_above_cached is None else skim.keep_above_cached
    replace(config, skim=PruningConfig(limit, papers_apart=True)).save(output)
    for name in _CALIBRATIONS:
        shutil.copyfile(model / name, output / name)
    return output


def span_f1(predictor: Predictor, examples: Sequence[Example]) -> list[float]:
    """Of the best span of each answerable example."""
    answers = predictor.answer_batch([e.question for e in examples])
    texts = [answer.candidates[0].text if answer.candidates else "" for answer in answers]
    return [best_token_f1(text, e.references) for text, e in zip(texts, examples, strict=True)]


def abstracts(n: int) -> list[str]:
    """The first distinct ones of the demonstration."""
    rows = read_rows(ROOT / "data" / "inference_data.csv")
    return list(dict.fromkeys(str(row.values["abstract"]) for row in rows))[:n]


def relative_times(full: Predictor, model: Path, texts: Sequence[str], repeats: int) -> list[float]:
    """CPU time of 20 questions to each text over that of one question at the effort "full"."""
    one = [Question(QUESTIONS[0], text) for text in texts]
    twenty = [Question(each, text) for text in texts for each in QUESTIONS]
    found = []
    for _ in range(repeats):
        fresh = Predictor(model, effort=CACHED, n_threads=1)  # which has met no text
        fresh.answer(QUESTIONS[0], "Something else.")
        found.append(_seconds(fresh, twenty) / min(_seconds(full, one) for _ in range(3)))
    return found


def _seconds(predictor: Predictor, questions: Sequence[Question]) -> float:
    began = time.process_time()
    predictor.answer_batch(questions)
    return time.process_time() - began


def plot(found: dict[str, Any], path: Path) -> None:
    """F1 lost against the cost of 20 questions, each point its number of layers; an SVG without a date."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "shared_layers"
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(5.2, 3.6))
    times = [row["twenty_over_one"] for row in found["rows"]]
    gained = [row["gained"][0] for row in found["rows"]]
    spread = [
        [row["gained"][0] - row["gained"][1] for row in found["rows"]],
        [row["gained"][2] - row["gained"][0] for row in found["rows"]],
    ]
    axis.errorbar(times, gained, yerr=spread, marker="o", color="#4477aa", capsize=3)
    for x, y, row in zip(times, gained, found["rows"], strict=True):
        axis.annotate(f"{row['layers']} shared", (x, y), (7, 5), textcoords="offset points", fontsize=8)
    axis.axhline(0.0, color="black", linewidth=0.8)
    axis.set_xlabel("20 questions to a paper, one at the effort full being 1", fontsize=9)
    axis.set_ylabel("F1 of the best span, over full", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main()

"""Tries ideas in training runs on about 20,000 examples, each beside the recipe as it is with the same seed.

    python benchmarks/screening.py --data-root DATA --base BASE --dev EXAMPLES base layer_decay=0.9

Every argument is one variant: settings of ``TrainConfig`` joined by commas; ``base`` is the recipe as it
is; ``teacher=FOLDER`` learns from the logits of an exported model beside the labels. One JSON line a run,
and one for the mean of its weights at 70, 80, 90 and 100 % of the steps (``,mean``), is appended to
``benchmarks/results/screening.jsonl``, of which a table is made; runs that are there already are not run
again. All seeds hold out the same documents; the scores are those of examples of these, which ``train.py``
wrote for the calibration of a model (``--dev``), so that a teacher from that run has not seen them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from transformers import TrainerCallback

from qa_extractive.config import ReaderConfig, TrainConfig
from qa_extractive.data.loading import load_examples
from qa_extractive.inference.decoding import RawPrediction
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Windower
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.training.distillation import Distillation, DistillationTrainer
from qa_extractive.training.recipe import Recipe
from qa_extractive.training.run import load_base
from qa_extractive.training.splits import build_splits
from qa_extractive.training.trainer import SpanTrainer, development_f1, read
from qa_extractive.training.window_labels import LabelledWindow, label_windows
from qa_extractive.types import Example

RESULTS = Path(__file__).parent / "results" / "screening.jsonl"
MEAN = ",mean"
SHOWN = ("f1", "squad_span_f1", "squad_auroc", "science_span_f1", "science_auroc")


def main() -> None:
    """Run every variant that has no line yet, and write the table of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/screening.json"))
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    recipe = Recipe.load(options.recipe)
    dev = load_examples(options.dev).examples
    for seed in options.seeds:
        for variant in options.variants:
            if (variant, seed) in {(line["variant"], line["seed"]) for line in _lines(options.results)}:
                continue
            settings = _settings(variant)
            teacher = settings.pop("teacher", None)
            config = dataclasses.replace(recipe.train, seed=seed, **settings)
            measured = run(recipe.examples(options.data_root), options.base, config, dev, teacher)
            with options.results.open("a", encoding="utf-8") as lines:
                for suffix, values in zip(("", MEAN), measured, strict=True):
                    line = json.dumps({"variant": variant + suffix, "seed": seed, **values})
                    lines.write(line + "\n")
                    print(line, flush=True)
    options.results.with_suffix(".md").write_text(table(_lines(options.results)), encoding="utf-8")


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _settings(variant: str) -> dict[str, Any]:
    pairs = [] if variant == "base" else [pair.split("=", 1) for pair in variant.split(",")]
    return {name: _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


@dataclass
class WeightMean(TrainerCallback):
    """Sums up the weights at some shares of the steps."""

    shares: tuple[float, ...] = (0.7, 0.8, 0.9, 1.0)
    n: int = 0
    total: dict[str, torch.Tensor] = field(default_factory=dict)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Add the weights where a share is reached."""
        if state.global_step not in {round(share * state.max_steps) for share in self.shares}:
            return
        self.n += 1
        for name, weight in model.state_dict().items():
            self.total[name] = self.total.get(name, 0) + weight.detach().clone()

    def put_into(self, model: SpanReader) -> None:
        """Give a model the mean."""
        model.load_state_dict({name: total / self.n for name, total in self.total.items()})


def run(
    examples: list[Example], base: str, config: TrainConfig, dev: Sequence[Example], teacher: str | None
) -> list[dict[str, Any]]:
    """Train once; minutes and scores in [0, 1] on ``dev`` at the end, and of the mean of the weights."""
    model, tokenizer = load_base(base, config)
    windower = Windower(tokenizer, ReaderConfig().window)
    mixture = build_splits([e for e in examples if windower.accepts(e.question)], config)
    _check_apart(mixture.train, dev)
    window = dataclasses.replace(windower.config, max_tokens=config.train_window_tokens)
    windower_of_training = Windower(tokenizer, window, with_sentences=bool(config.skim_layers))
    windows = label_windows(windower_of_training, mixture.train)
    weights = WeightMean()
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(model, windows, Path(folder), config, windower, mixture.train, teacher)
        trainer.add_callback(weights)
        began = time.monotonic()
        loss = trainer.train().training_loss
        minutes = (time.monotonic() - began) / 60
    common = {"minutes": round(minutes, 2), "n_train": len(mixture.train), "n_windows": len(windows)}
    found = []
    for is_mean in (False, True):
        if is_mean:
            weights.put_into(trainer.model)
        trainer.model.eval()
        with torch.autocast("cpu", torch.bfloat16) if config.precision == "bf16" else nullcontext():
            readings = read(trainer.model, windower, tuple(dev))
        found.append({**common, "loss": round(loss, 4), **scores(readings, tuple(dev))})
    return found


def _check_apart(train: Sequence[Example], dev: Sequence[Example]) -> None:
    shared = {e.question.context for e in train} & {e.question.context for e in dev}
    if shared:
        raise SystemExit(f"{len(shared)} texts of --dev are trained on: hold out more of every source")


def _trainer(
    model: SpanReader,
    windows: Sequence[LabelledWindow],
    folder: Path,
    config: TrainConfig,
    windower: Windower,
    train: Sequence[Example],
    teacher: str | None,
) -> SpanTrainer:
    if teacher is None:
        return SpanTrainer(model, windows, folder, config, windower=windower, dev=())
    distillation = Distillation(OnnxBackend(teacher))
    return DistillationTrainer(
        model,
        windows,
        folder,
        config,
        windower=windower,
        dev=(),
        distillation=distillation,
        targets=distillation.targets(windows, train),
    )


def table(lines: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: a variant's mean over its seeds, and what it gains on ``base`` with the same seed."""
    head = f"| variant | seeds | minutes | {' | '.join(SHOWN)} |\n|{'---|' * (3 + len(SHOWN))}\n"
    base = {line["seed"]: line for line in lines if line["variant"] == "base"}
    rows = []
    for variant in dict.fromkeys(line["variant"] for line in lines):
        own = [line for line in lines if line["variant"] == variant and line["seed"] in base]
        cells = [
            _cell([100 * x[name] for x in own], [100 * base[x["seed"]][name] for x in own], variant)
            for name in SHOWN
        ]
        minutes, seeds = mean(x["minutes"] for x in own), ", ".join(str(x["seed"]) for x in own)
        rows.append(f"| {variant} | {seeds} | {minutes:.0f} | {' | '.join(cells)} |\n")
    return head + "".join(rows)


def _cell(values: Sequence[float], beside: Sequence[float], variant: str) -> str:
    if variant == "base":
        return f"{mean(values):.1f} ({', '.join(f'{v:.1f}' for v in values)})"
    gains = [value - other for value, other in zip(values, beside, strict=True)]
    return f"{mean(values):.1f} ({', '.join(f'{gain:+.1f}' for gain in gains)})"


def scores(readings: list[RawPrediction], examples: tuple[Example, ...]) -> dict[str, float]:
    """F1 at the best threshold; of spans alone on SQuAD and on science; AUROC of both."""
    squad = np.array([e.source == "squad" for e in examples])
    answerable = np.array([bool(e.answerable) for e in examples])
    signal = np.array([r.features()[0] + r.margin / 2 if r.candidates else -99.0 for r in readings])
    f1 = np.array([_f1(r, e) for r, e in zip(readings, examples, strict=True)])
    measured = {"n_dev": len(examples), "f1": development_f1(readings, examples)}
    for name, mask in (("squad", squad), ("science", ~squad)):
        measured[f"{name}_span_f1"] = float(f1[mask & answerable].mean())
        measured[f"{name}_auroc"] = float(roc_auc_score(answerable[mask], signal[mask]))
    return {name: round(value, 4) for name, value in measured.items()}


def _f1(reading: RawPrediction, example: Example) -> float:
    if not reading.candidates:
        return 0.0
    span = reading.candidates[0]
    return best_token_f1(example.question.context[span.start : span.end], example.references)


if __name__ == "__main__":
    main()

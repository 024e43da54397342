"""Tries settings of a training run on about 20,000 examples, each beside the same seed's base setting.

    python benchmarks/screening.py --data-root DATA --base BASE learning_rate=4e-4 dropout=0.1,precision=fp32

Every argument is one variant: settings of ``TrainConfig`` joined by commas; ``base`` is the recipe as it
is. One JSON line a run is appended to ``benchmarks/results/screening.jsonl``; runs that are there already
are not run again. The score is that of held-out documents of the training data, the same for every
variant of a seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from qa_extractive.config import ReaderConfig, TrainConfig
from qa_extractive.decoding import Reading
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.records import Example
from qa_extractive.training.mixture import mix
from qa_extractive.training.recipe import Recipe
from qa_extractive.training.run import load_base
from qa_extractive.training.span_trainer import SpanTrainer, development_f1, read
from qa_extractive.windows import Windower, label_windows

RESULTS = Path(__file__).parent / "results" / "screening.jsonl"


def main() -> None:
    """Run every variant that has no line yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/screening.json"))
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    recipe = Recipe.load(options.recipe)
    for seed in options.seeds:
        for variant in options.variants:
            key = {"variant": variant, "seed": seed}
            if key in _done(options.results):
                continue
            config = dataclasses.replace(recipe.train, seed=seed, **_settings(variant))
            line = {**key, **run(recipe.examples(options.data_root), options.base, config)}
            with options.results.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


def _done(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{"variant": line["variant"], "seed": line["seed"]} for line in lines]


def _settings(variant: str) -> dict[str, Any]:
    pairs = [] if variant == "base" else [pair.split("=", 1) for pair in variant.split(",")]
    return {name: _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def run(examples: list[Example], base: str, config: TrainConfig) -> dict[str, Any]:
    """Train once; minutes and scores in [0, 1] on the held-out documents."""
    model, tokenizer = load_base(base, config)
    windower = Windower(tokenizer, ReaderConfig().window)
    mixture = mix([e for e in examples if windower.accepts(e.question)], config)
    window = dataclasses.replace(windower.config, max_tokens=config.train_window_tokens)
    windows = label_windows(Windower(tokenizer, window), mixture.train)
    with tempfile.TemporaryDirectory() as folder:
        trainer = SpanTrainer(model, windows, Path(folder), config, windower=windower, dev=mixture.dev)
        began = time.monotonic()
        loss = trainer.train().training_loss
        minutes = (time.monotonic() - began) / 60
    readings = read(trainer.model, windower, mixture.dev)
    return {
        "minutes": round(minutes, 2),
        "n_train": len(mixture.train),
        "n_windows": len(windows),
        "loss": round(loss, 4),
        **scores(readings, mixture.dev),
    }


def scores(readings: list[Reading], examples: tuple[Example, ...]) -> dict[str, float]:
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


def _f1(reading: Reading, example: Example) -> float:
    if not reading.candidates:
        return 0.0
    span = reading.candidates[0]
    return best_token_f1(example.question.context[span.start : span.end], example.references)


if __name__ == "__main__":
    main()

"""A recipe's sources, read several times, as one file of windows; and what its members are judged on."""

from __future__ import annotations

import dataclasses
import gzip
import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from qa_extractive.config import TrainConfig, WindowConfig
from qa_extractive.data.example_jsonl import example_from_values, examples_to_jsonl
from qa_extractive.inference.windows import Windower
from qa_extractive.training.ensemble.encoded import EncodedWindows, encode, joined
from qa_extractive.training.question_only import question_only_auroc
from qa_extractive.training.recipe import Recipe
from qa_extractive.training.run import CALIBRATION_EXAMPLES_FILE, FRESH_EXAMPLES_FILE, prepare
from qa_extractive.training.splits import CALIBRATES, Splits, development_part, with_negatives
from qa_extractive.training.window_labels import label_windows
from qa_extractive.types import Example

logger = logging.getLogger(__name__)

WINDOWS_FILE = "windows.npz"
JUDGED_ON = ("asked", "squad", "science")
"""Names of the development sets: what calibrates, held-out SQuAD articles, the other sources."""

_SEEDS_APART = 100


def build(
    recipe: Recipe, data_root: Path, tokenizer: Tokenizer, folder: Path, n_readings: int, n_judged: int
) -> None:
    """Write the windows of several readings of a recipe's first stage, and the development sets.

    Each reading has wordings, orders and negatives of its own seed; all hold out the same documents.
    """
    folder.mkdir(parents=True, exist_ok=True)
    readings: list[EncodedWindows] = []
    for number in range(n_readings):
        config = dataclasses.replace(recipe.train, seed=recipe.train.seed + _SEEDS_APART * number)
        examples = [e for source in recipe.sources for e in source.read(data_root, config.seed)]
        windower = Windower(tokenizer, WindowConfig(max_tokens=config.train_window_tokens))
        splits = prepare(examples, windower, config)
        train = splits.train
        labelled = label_windows(windower, train)
        readings.append(
            encode([(each, part_of(train[each.window.question_index]), number) for each in labelled])
        )
        logger.info("reading %d: %d examples, %d windows", number + 1, len(train), len(labelled))
        if not number:
            auroc = question_only_auroc(train)
            if auroc is not None:
                logger.info("question words alone: AUROC %.3f", auroc)
            for name, judged in development_sets(examples, windower, config, n_judged).items():
                examples_to_jsonl(folder / f"{name}.jsonl.gz", judged)
            examples_to_jsonl(folder / CALIBRATION_EXAMPLES_FILE, splits.calibration)
            examples_to_jsonl(folder / FRESH_EXAMPLES_FILE, splits.fresh)
    joined(readings).save(folder / WINDOWS_FILE)


def part_of(example: Example) -> str:
    """The source, but for two sources that have two parts each."""
    if example.id.startswith("own-"):
        return "own questions"
    if example.source == "squad" and example.answerable is False and "negative" not in example.fields:
        return "squad, unanswerable"
    return example.source


def development_sets(
    examples: Sequence[Example], windower: Windower, config: TrainConfig, n_most: int
) -> dict[str, list[Example]]:
    """By the names of ``JUDGED_ON``: held-out examples, at most ``n_most`` for each of the last two."""
    rng = random.Random(config.split_seed)
    accepted = [example for example in examples if windower.accepts(example.question)]
    part = development_part(accepted, config)
    squad = [e for e in part if e.source == "squad"]
    others = sorted((e for e in part if e.source != "squad"), key=lambda e: e.source)
    science = with_negatives(others, config, rng)
    return {
        "asked": [e for e in accepted if e.fields.get(CALIBRATES)],
        "squad": rng.sample(squad, min(n_most, len(squad))),
        "science": rng.sample(science, min(n_most, len(science))),
    }


def judged_examples(folder: Path) -> dict[str, list[Example]]:
    """The development sets that ``build`` wrote."""
    return {name: _examples(folder / f"{name}.jsonl.gz") for name in JUDGED_ON}


def held_out(folder: Path) -> Splits:
    """What a checkpoint keeps beside its weights: the calibration examples, and the fresh ones."""
    calibration, fresh = (
        _examples(folder / name) for name in (CALIBRATION_EXAMPLES_FILE, FRESH_EXAMPLES_FILE)
    )
    return Splits((), (), tuple(calibration), tuple(fresh))


def _examples(path: Path) -> list[Example]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [example_from_values(json.loads(line)) for line in lines]

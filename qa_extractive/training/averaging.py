"""The mean of the weights of several stages of a run: one model, no slower than any of them.

Stages end at different minima of one basin, and the mean of such weights tends to read held-out text better
than each (Izmailov et al. 2018, arXiv 1803.05407). Needs the [train] extra.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from qa_extractive.config import ReaderConfig, TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.inference.windows import Windower
from qa_extractive.model.span_reader import PRUNING_HEADS
from qa_extractive.training.card import write_card
from qa_extractive.training.report import TrainReport
from qa_extractive.training.run import load_base, prepare, save_model, scored
from qa_extractive.types import Example


def average(
    folders: Sequence[Path], examples: Sequence[Example], *, output: Path, config: TrainConfig
) -> TrainReport:
    """Write a checkpoint whose weights are the mean of those of others, calibrated anew.

    Args:
        folders: Checkpoints or exported models of one architecture (those are dequantized); the last one's
            ``training_report.json`` is taken over, but for the development score.
        examples: Those of the last stage; the same documents are held out.
        output: Folder to write.
        config: The settings of the last stage.

    Raises:
        DataError: The weights of two folders do not go together.
        ModelError: A folder holds no model.
    """
    last = TrainReport.load(folders[-1])
    model, tokenizer = load_base(str(folders[-1]), config)
    model.load_state_dict(mean_weights(folders, config))
    reader = ReaderConfig.load(folders[-1])
    windower = Windower(tokenizer, reader.window)
    splits = prepare(examples, windower, config)
    report = dataclasses.replace(
        last, n_averaged=len(folders), dev_f1=scored(model, windower, splits), n_dev=len(splits.dev)
    )
    save_model(output, model, tokenizer, reader, windower, splits)
    report.save(output)
    write_card(output, report, config)
    return report


def mean_weights(folders: Sequence[Path], config: TrainConfig) -> dict[str, torch.Tensor]:
    """The mean of the state dictionaries of some models, in fp32; DataError where they differ in shape.

    Pruning heads are the mean of those that there are.
    """
    plain = dataclasses.replace(config, skim_layers=[], skim_only=False)  # or one would get random heads
    states = [load_base(str(folder), plain)[0].state_dict() for folder in folders]
    shapes = [
        {name: tuple(weight.shape) for name, weight in state.items() if not name.startswith(PRUNING_HEADS)}
        for state in states
    ]
    for folder, shape in zip(folders, shapes, strict=True):
        if shape != shapes[0]:
            raise DataError(f"{folder} and {folders[0]} differ in their weights: no mean can be taken")
    names = {name for state in states for name in state}
    return {
        name: torch.stack([state[name].float() for state in states if name in state]).mean(0)
        for name in sorted(names)
    }

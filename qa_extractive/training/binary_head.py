"""Rows of yes or no -> the answerability head alone, or the encoder too. Needs the [train] extra.

The head reads one vector of each window. While the encoder stays as it is these vectors do too, so each
window is encoded once, whatever the number of passes. A row's logit is the largest of its windows', in
training as in ``decoding``.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from qa_extractive.config import TrainConfig
from qa_extractive.inference.calibration_fit import logistic_of
from qa_extractive.inference.windows import Windower
from qa_extractive.model.span_reader import SpanReader, uses_type_ids
from qa_extractive.model.torch_backend import pad_windows
from qa_extractive.training.progress import Watch, Watcher
from qa_extractive.training.trainer import CHECKPOINTS, SpanTrainer
from qa_extractive.training.window_labels import LabelledWindow
from qa_extractive.types import Example

STEPS = (10, 20, 40, 80, 160, 320)
"""Steps on all rows after which the head is looked at; cross-validation chooses among them."""
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.01
_TOKENS_AT_ONCE = 8192

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the head reads of some rows.

    Attributes:
        vectors: Of the first token of each window, (n_windows, width).
        rows: The row of each window, (n_windows,).
        n_rows: Rows; one without windows has the logit minus infinity.
    """

    vectors: torch.Tensor
    rows: torch.Tensor
    n_rows: int

    def of(self, chosen: Sequence[int]) -> Encoded:
        """The same of some rows, numbered anew in the order given."""
        numbers = torch.full((self.n_rows,), -1)
        numbers[torch.tensor(chosen, dtype=torch.long)] = torch.arange(len(chosen))
        own = numbers[self.rows]
        return Encoded(self.vectors[own >= 0], own[own >= 0], len(chosen))


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head, and how it did on rows that it had not seen.

    Attributes:
        head: To take the place of ``SpanReader.answerability_head``.
        n_steps: Steps it was trained for.
        logits: Of each row by a head trained on the other folds for as many steps, (n_rows,).
        loss: Cross-entropy of these, calibrated.
    """

    head: nn.Module
    n_steps: int
    logits: Floats
    loss: float


@torch.no_grad()  # not inference mode, whose tensors no training may read
def encode(model: SpanReader, windower: Windower, examples: Sequence[Example]) -> Encoded:
    """Run the encoder over the windows of examples, those of like length together."""
    windows = windower.windows([example.question for example in examples])
    order = sorted(range(len(windows)), key=lambda i: -windows[i].n_tokens)
    vectors = torch.zeros(len(windows), model.encoder.config.hidden_size)
    model.eval()
    while order:
        chosen = order[: max(1, _TOKENS_AT_ONCE // windows[order[0]].n_tokens)]
        order = order[len(chosen) :]
        inputs = {k: v.to(model.device) for k, v in pad_windows([windows[i] for i in chosen]).items()}
        if not uses_type_ids(model.encoder.config):
            inputs.pop("token_type_ids")
        vectors[chosen] = model.encoder(**inputs).last_hidden_state[:, 0].float().cpu()
    return Encoded(
        vectors, torch.tensor([w.question_index for w in windows], dtype=torch.long), len(examples)
    )


def fit_head(
    head: nn.Module, encoded: Encoded, labels: Bools, folds: Sequence[Sequence[int]], *, seed: int = 17
) -> FittedHead:
    """Train a head for as many steps as cross-validation finds best.

    Args:
        head: To start from; it is not changed.
        encoded: What it reads of the rows.
        labels: Whether each row is a yes, (n_rows,).
        folds: The rows held out in turn; a fold whose other rows are of one kind is left out.
        seed: Of torch; nothing here is drawn, but a module might draw.
    """
    torch.manual_seed(seed)
    logits = np.full((len(STEPS), encoded.n_rows), np.nan)
    for fold in folds:
        kept = sorted(set(range(encoded.n_rows)) - set(fold))
        if len(set(labels[kept].tolist())) == 2:
            heads = _trained(head, encoded.of(kept), labels[kept], STEPS)
            for place, own in enumerate(heads):
                logits[place, list(fold)] = row_logits(own, encoded.of(fold))
    seen = ~np.isnan(logits[0])
    losses = [_calibrated_loss(own[seen], labels[seen]) for own in logits]
    best = int(np.argmin(losses))
    *_, fitted = _trained(head, encoded, labels, STEPS[: best + 1])
    return FittedHead(fitted, STEPS[best], logits[best], losses[best])


@torch.inference_mode()
def row_logits(head: nn.Module, encoded: Encoded) -> Floats:
    """The logit of each row, (n_rows,)."""
    return _largest(head, encoded).double().numpy()


def _largest(head: nn.Module, encoded: Encoded) -> torch.Tensor:
    own = head(encoded.vectors).squeeze(-1)
    nothing = torch.full((encoded.n_rows,), -torch.inf)
    return nothing.scatter_reduce(0, encoded.rows, own, "amax")


def _trained(head: nn.Module, encoded: Encoded, labels: Bools, steps: Sequence[int]) -> list[nn.Module]:
    """Copies of the head after so many steps, each on all rows, with a rate that stays."""
    own = copy.deepcopy(head).float().train()
    wanted = torch.tensor(labels, dtype=torch.float)
    optimizer = torch.optim.AdamW(own.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    found: list[nn.Module] = []
    for step in range(1, steps[-1] + 1):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(_largest(own, encoded), wanted).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step in steps:
            found.append(copy.deepcopy(own).eval())
    return found


def _calibrated_loss(logits: Floats, labels: Bools) -> float:
    """Cross-entropy once the logits are calibrated: their scale does not matter, it is fitted later."""
    if not labels.any() or labels.all():
        return 0.0
    probs = logistic_of(logits[:, None], labels).prob(logits[:, None])
    return float(-np.log(np.where(labels, probs, 1.0 - probs)).mean())


def fine_tune(
    model: SpanReader,
    windower: Windower,
    examples: Sequence[Example],
    output: Path,
    config: TrainConfig,
    watch: Watch | None = None,
) -> int:
    """Train encoder and answerability head, in place; the spans get no loss, and their head stays.

    Args:
        model: To train.
        windower: Its own.
        examples: Labelled by ``answerable``; each window is, as its row.
        output: Folder for checkpoints, which are removed in the end.
        config: The settings.
        watch: Told after every step how far the run is; None for nobody.

    Returns:
        The steps done.
    """
    windows = [
        LabelledWindow(window, (), 0.0, float(bool(examples[window.question_index].answerable)))
        for window in windower.windows([example.question for example in examples])
    ]
    model.span_head.requires_grad_(False)
    trainer = SpanTrainer(model, windows, output, config, windower=windower, dev=())
    if watch is not None:
        trainer.add_callback(Watcher(watch, trainer.progress))
    trainer.train()
    shutil.rmtree(output / CHECKPOINTS, ignore_errors=True)
    model.cpu()
    return int(trainer.state.global_step)

"""Labelled windows -> padded training batches of like length, the same on every run of a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from qa_extractive.inference.windows import Window
from qa_extractive.model.losses import IGNORE
from qa_extractive.model.torch_backend import pad_windows
from qa_extractive.training.window_labels import LabelledWindow
from qa_extractive.types import VERDICT_CLASSES

_BATCHES_SORTED_TOGETHER = 50
_MAX_SPANS = 8


class WindowDataset(Dataset[LabelledWindow]):
    """Labelled windows behind the interface that the Trainer wants."""

    def __init__(self, windows: Sequence[LabelledWindow]) -> None:
        """Take the windows; they are not copied."""
        self.windows = windows

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.windows)

    def __getitem__(self, index: int) -> LabelledWindow:
        """One window."""
        return self.windows[index]


class LengthSampler(Sampler[int]):
    """A random order in which neighbours, and so the windows of a batch, are of like length."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        """Take the length of each window in tokens, the batch size and the seed."""
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of ``epoch``; each epoch has an order of its own."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Positions of windows; every one once."""
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        together = self.batch_size * _BATCHES_SORTED_TOGETHER
        batches: list[list[int]] = []
        for begin in range(0, len(order), together):
            chunk = order[begin : begin + together]
            chunk = chunk[np.argsort(self.lengths[chunk], kind="stable")]
            batches += [
                chunk[i : i + self.batch_size].tolist() for i in range(0, len(chunk), self.batch_size)
            ]
        full = [b for b in batches if len(b) == self.batch_size]
        rng.shuffle(full)
        partial = [b for b in batches if len(b) < self.batch_size]
        return iter([i for batch in [*full, *partial] for i in batch])


def _sentence_ids(windows: Sequence[Window], shape: Sequence[int]) -> torch.Tensor:
    """The sentence of each context token, counted from 0 in its window; ``IGNORE`` elsewhere."""
    ids = torch.full(tuple(shape), IGNORE, dtype=torch.long)
    for i, window in enumerate(windows):
        if window.sentences is not None and window.n_context_tokens:
            own = torch.from_numpy(window.sentences - window.sentences[0])
            ids[i, window.first : window.first + window.n_context_tokens] = own
    return ids


def collate(labelled: Sequence[LabelledWindow]) -> dict[str, torch.Tensor]:
    """The keyword arguments of ``SpanReader.forward`` for these windows, labels included."""
    batch = pad_windows([each.window for each in labelled])
    context = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
    positions = torch.full((len(labelled), _MAX_SPANS, 2), IGNORE, dtype=torch.long)
    for i, each in enumerate(labelled):
        window = each.window
        context[i, window.first : window.first + window.n_context_tokens] = True
        right = each.positions[:_MAX_SPANS] or ((0, 0),)
        positions[i, : len(right)] = torch.tensor(right)
    context[:, 0] = True  # stands for "no span"
    if all(each.window.sentences is not None for each in labelled):
        batch["sentence_ids"] = _sentence_ids([each.window for each in labelled], context.shape)
    verdicts = [IGNORE if each.verdict is None else VERDICT_CLASSES.index(each.verdict) for each in labelled]
    answerable = [IGNORE if each.answerable is None else each.answerable for each in labelled]
    return {
        **batch,
        "context_mask": context,
        "start_positions": positions[:, :, 0],
        "end_positions": positions[:, :, 1],
        "span_weight": torch.tensor([each.span_weight for each in labelled], dtype=torch.float),
        "answerable": torch.tensor(answerable, dtype=torch.float),
        "verdict": torch.tensor(verdicts, dtype=torch.long),
    }

"""One training run that ends by the clock or after some steps: fp32 weights, bfloat16 products where fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from qa_extractive.model.apart import TOGETHER, Apart, places
from qa_extractive.model.losses import (
    ABSENT,
    IGNORE,
    answerability_loss,
    span_divergence,
    span_loss,
    verdict_loss,
    weighted_mean,
)
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.training.ensemble.encoded import EncodedWindows
from qa_extractive.training.ensemble.encoder import forward, is_bfloat16_fast
from qa_extractive.types import NO_VERDICT, VERDICT_CLASSES

_SORTED_TOGETHER = 50
_PADDED_TO = 16
_PREDICTED_TOGETHER = {"cuda": 131_072, "cpu": 8_192}  # tokens; more fall out of a CPU's cache
_LABEL_FIELDS = ("n_context", "positions", "span_weight", "answerable", "verdict")


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """The settings of a run.

    Attributes:
        seconds: How long it may take, from its first step.
        max_steps: Steps at most; None for no limit.
        batch_tokens: Tokens of a batch at most, padding included.
        learning_rate: Peak, of the encoder.
        head_learning_rate: Peak, of the heads.
        warmup_share: Of the run, in which rates rise from 0; after it they fall to 0 along a line.
        weight_decay: Of matrices.
        dropout: Rate in the encoder.
        label_smoothing: Share of the span's probability that is spread over all positions.
        answerability_weight: Weight of that loss.
        verdict_weight: Weight of that loss.
        hard_weight: Weight of the labels' loss where there is a teacher.
        soft_weight: Weight of the teacher's.
        apart: How papers are read, and in which share of the batches; the rest reads them together.
        clip: Largest norm of the gradient.
        learns_words: Whether the word embeddings learn; in a warm-up they always do.
        seed: Of batches and dropout.
    """

    seconds: float
    max_steps: int | None = None
    batch_tokens: int = 32_768
    learning_rate: float = 3e-4
    head_learning_rate: float = 6e-4
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    dropout: float = 0.1
    label_smoothing: float = 0.0
    answerability_weight: float = 0.5
    verdict_weight: float = 0.8
    hard_weight: float = 0.5
    soft_weight: float = 1.0
    apart: tuple[tuple[float, Apart], ...] = ()
    clip: float = 1.0
    learns_words: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """A teacher's probabilities for some windows, flat over their tokens.

    Attributes:
        starts: First row of each window, shape (n_windows,).
        spans: Log-probability of each token to be the first and the last of the span, (n_rows, 2).
        answerable: Probability, (n_windows,).
        verdict: Probabilities, (n_windows, n_classes).
    """

    starts: torch.Tensor
    spans: torch.Tensor
    answerable: torch.Tensor
    verdict: torch.Tensor


class DeviceWindows:
    """``EncodedWindows`` on a device."""

    def __init__(self, windows: EncodedWindows, device: torch.device) -> None:
        """Copy the arrays there."""
        self.lengths: npt.NDArray[np.int64] = np.asarray(windows.lengths, dtype=np.int64)
        self.device = device
        self.tokens = torch.from_numpy(windows.tokens.astype(np.int32)).to(device)
        self.places = torch.from_numpy(windows.places.astype(np.int64)).to(device)
        self.heads = torch.from_numpy(windows.heads.astype(np.int64)).to(device)
        self.papers = torch.from_numpy(windows.papers.astype(np.int64)).to(device)
        self.labels = {
            name: torch.from_numpy(np.asarray(getattr(windows, name))).to(device) for name in _LABEL_FIELDS
        }

    def batch(self, chosen: torch.Tensor, n_tokens: int) -> dict[str, torch.Tensor]:
        """The windows of some numbers, padded to ``n_tokens``, with their labels."""
        head, paper = self.places[self.heads[chosen]], self.places[self.papers[chosen]]
        first, total = head[:, 1], head[:, 1] + paper[:, 1]
        place = torch.arange(n_tokens, device=self.device)
        source = torch.where(
            place < first[:, None], head[:, :1] + place, paper[:, :1] + place - first[:, None]
        )
        ids = self.tokens[source.clamp(max=len(self.tokens) - 1)].long()
        ids = torch.where(place < total[:, None], ids, 0)
        labels = {name: values[chosen] for name, values in self.labels.items()}
        inside = (place >= first[:, None]) & (place < (first + labels["n_context"])[:, None])
        return {
            "input_ids": ids,
            "n_tokens": total,
            "first": first,
            "context_mask": inside | (place == 0),
            "start_positions": labels["positions"][:, :, 0].long(),
            "end_positions": labels["positions"][:, :, 1].long(),
            "span_weight": labels["span_weight"].float(),
            "answerable": labels["answerable"].float(),
            "verdict": labels["verdict"].long(),
        }


def batches(
    lengths: npt.NDArray[np.int64], batch_tokens: int, seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """Numbers of windows of like length, pass after pass without end, and the length they are padded to."""
    rng = np.random.default_rng(seed)
    mean = max(1, int(batch_tokens / lengths.mean()))
    while True:
        order = rng.permutation(len(lengths))
        found: list[tuple[npt.NDArray[np.int64], int]] = []
        for begin in range(0, len(order), mean * _SORTED_TOGETHER):
            chunk = order[begin : begin + mean * _SORTED_TOGETHER]
            found += _filled(chunk[np.argsort(lengths[chunk], kind="stable")], lengths, batch_tokens)
        rng.shuffle(found)
        yield from found


def _filled(
    chunk: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], batch_tokens: int
) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    begin = 0
    while begin < len(chunk):
        end, longest = begin, 0
        while end < len(chunk):
            padded = -(-int(lengths[chunk[end]]) // _PADDED_TO) * _PADDED_TO
            if end > begin and padded * (end + 1 - begin) > batch_tokens:
                break
            longest, end = padded, end + 1
        yield chunk[begin:end], longest
        begin = end


def train(
    model: SpanReader,
    windows: DeviceWindows,
    chosen: npt.NDArray[np.int64],
    config: LoopConfig,
    targets: Targets | None = None,
) -> dict[str, float]:
    """Train in place, on some of the windows; what was done.

    Args:
        model: Its weights are fp32 before and after.
        windows: The data.
        chosen: Numbers of the windows to learn from.
        config: The settings.
        targets: A teacher's, of all windows of ``windows``.
    """
    torch.manual_seed(config.seed)
    device = windows.device
    words = model.encoder.embeddings.word_embeddings.weight
    kept = None if config.learns_words else words.detach().clone()
    words.requires_grad_(config.learns_words)
    masters = [each for each in model.parameters() if each.requires_grad]
    fp32 = [each.detach().clone() for each in masters]
    optimizer = torch.optim.AdamW(
        _groups(model, fp32, config), betas=(0.9, 0.98), fused=device.type == "cuda"
    )
    if is_bfloat16_fast(device):
        model.to(torch.bfloat16)
    rng = np.random.default_rng(config.seed)
    stream = batches(windows.lengths[chosen], config.batch_tokens, config.seed)
    began, step, n_tokens, total = time.monotonic(), 0, 0, torch.zeros((), device=device)
    while True:
        done = _done(config, time.monotonic() - began, step)
        if done >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate(done, config.warmup_share)
        own, longest = next(stream)
        numbers = torch.from_numpy(chosen[own]).to(device, non_blocking=True)
        batch = windows.batch(numbers, longest)
        loss = _loss(model, batch, config, _apart(rng, config), _of(targets, numbers, batch))
        torch.autograd.backward(loss)
        grads = [each.grad.float() for each in masters if each.grad is not None]
        if len(grads) != len(masters):
            raise RuntimeError("a parameter had no part in the loss")
        torch.nn.utils.clip_grad_norm_(_with_grads(fp32, grads), config.clip)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(masters, fp32)
        for each in masters:
            each.grad = None
        total += loss.detach()
        step, n_tokens = step + 1, n_tokens + int(windows.lengths[chosen[own]].sum())
        if step % 20 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # or the clock would run ahead of the device
    model.float()
    with torch.no_grad():
        if kept is not None:
            words.copy_(kept)  # bfloat16 has rounded them
        torch._foreach_copy_(masters, fp32)
    seconds = time.monotonic() - began
    return {
        "steps": step,
        "tokens": n_tokens,
        "passes": n_tokens / int(windows.lengths[chosen].sum()),
        "seconds": round(seconds, 1),
        "tokens_a_second": round(n_tokens / seconds),
        "mean_loss": round(float(total) / max(1, step), 4),
    }


def _done(config: LoopConfig, seconds: float, step: int) -> float:
    """The share of the run that is over, by the clock or by its steps."""
    return max(seconds / config.seconds, step / config.max_steps if config.max_steps else 0.0)


def _with_grads(weights: Sequence[torch.Tensor], grads: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    for weight, grad in zip(weights, grads, strict=True):
        weight.grad = grad
    return weights


def _groups(model: SpanReader, fp32: list[torch.Tensor], config: LoopConfig) -> list[dict[str, object]]:
    groups: dict[tuple[float, float], list[torch.Tensor]] = {}
    named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    for (name, parameter), own in zip(named, fp32, strict=True):
        rate = config.learning_rate if name.startswith("encoder.") else config.head_learning_rate
        groups.setdefault((rate, config.weight_decay if parameter.ndim > 1 else 0.0), []).append(own)
    return [
        {"params": own, "peak": rate, "lr": rate, "weight_decay": decay}
        for (rate, decay), own in groups.items()
    ]


def rate(done: float, warmup: float) -> float:
    """The share of the peak learning rate after a share of the run: up to 1 along a line, and down to 0."""
    return done / warmup if done < warmup else max(0.0, (1.0 - done) / (1.0 - warmup))


def _apart(rng: np.random.Generator, config: LoopConfig) -> Apart:
    drawn = rng.random()
    for share, apart in config.apart:
        if drawn < share:
            return apart
        drawn -= share
    return TOGETHER


def _of(
    targets: Targets | None, numbers: torch.Tensor, batch: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor] | None:
    if targets is None:
        return None
    place, valid, _ = places(batch)
    rows = (targets.starts[numbers][:, None] + place).clamp(max=len(targets.spans) - 1)
    spans = targets.spans[rows].float().masked_fill(~valid[:, :, None], ABSENT)
    return {
        "start": spans[:, :, 0],
        "end": spans[:, :, 1],
        "answerable": targets.answerable[numbers].float(),
        "verdict": targets.verdict[numbers].float(),
    }


def _loss(
    model: SpanReader,
    batch: dict[str, torch.Tensor],
    config: LoopConfig,
    apart: Apart,
    target: dict[str, torch.Tensor] | None,
) -> torch.Tensor:
    output = forward(model, batch, apart=apart, dropout=config.dropout)
    mask, weight = batch["context_mask"], batch["span_weight"]
    start, end = output["start_logits"], output["end_logits"]
    spans = span_loss(start, batch["start_positions"], mask) + span_loss(end, batch["end_positions"], mask)
    if config.label_smoothing:
        even = _even_loss(start, mask) + _even_loss(end, mask)
        spans = (1 - config.label_smoothing) * spans + config.label_smoothing * even
    hard = (
        weighted_mean(spans / 2, weight)
        + config.answerability_weight * answerability_loss(output["answerability_logit"], batch["answerable"])
        + config.verdict_weight * verdict_loss(output["verdict_logits"], batch["verdict"])
    )
    if target is None:
        return hard
    soft = (
        0.5
        * (span_divergence(start, target["start"], mask) + span_divergence(end, target["end"], mask)).mean()
    )
    soft = soft + config.answerability_weight * functional.binary_cross_entropy_with_logits(
        output["answerability_logit"].float(), target["answerable"]
    )
    known = (batch["verdict"] != IGNORE).float()
    cross = -(target["verdict"] * output["verdict_logits"].float().log_softmax(-1)).sum(-1)
    weights = known * torch.where(batch["verdict"] == VERDICT_CLASSES.index(NO_VERDICT), 0.1, 1.0)
    soft = soft + config.verdict_weight * (cross * weights).sum() / weights.sum().clamp(min=1.0)
    return config.hard_weight * hard + config.soft_weight * soft


def _even_loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    log_probs = logits.float().masked_fill(~mask, ABSENT).log_softmax(-1)
    return -(log_probs * mask).sum(-1) / mask.sum(-1)


@torch.no_grad()
def predict(
    model: SpanReader,
    windows: DeviceWindows,
    chosen: npt.NDArray[np.int64],
    *,
    apart: Apart = TOGETHER,
) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    """Numbers of windows, their batch and the logits, in an order of its own."""
    order = chosen[np.argsort(windows.lengths[chosen], kind="stable")]
    batch_tokens = _PREDICTED_TOGETHER.get(windows.device.type, _PREDICTED_TOGETHER["cpu"])
    for own, longest in _filled(order, windows.lengths, batch_tokens):
        batch = windows.batch(torch.from_numpy(own).to(windows.device), longest)
        yield own, batch, forward(model, batch, apart=apart)

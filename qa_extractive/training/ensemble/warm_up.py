"""Masked-language-model warm-up on the papers of the training windows."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from qa_extractive.model.apart import TOGETHER, encoded, places
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.training.ensemble.encoder import is_bfloat16_fast
from qa_extractive.training.ensemble.loop import DeviceWindows, LoopConfig, batches, rate

_MASK_TOKEN = 103  # [MASK] of BERT's uncased vocabulary
_FIRST_WORD = 999  # below it special and unused tokens
_SHARE = 0.15


def warm_up(model: SpanReader, windows: DeviceWindows, config: LoopConfig) -> float:
    """Train the encoder in place to fill in masked tokens; the mean loss of the last hundred steps."""
    torch.manual_seed(config.seed)
    width = model.encoder.config.hidden_size
    head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)).to(windows.device)
    table = model.encoder.embeddings.word_embeddings.weight
    bias = nn.Parameter(torch.zeros(len(table), device=windows.device))
    parameters = [*model.encoder.parameters(), *head.parameters(), bias]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    chosen = np.arange(len(windows.lengths))
    stream = batches(windows.lengths, config.batch_tokens, config.seed)
    is_fast = is_bfloat16_fast(windows.device)
    began, losses = time.monotonic(), []
    while (done := (time.monotonic() - began) / config.seconds) < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(done, config.warmup_share)
        own, longest = next(stream)
        batch = windows.batch(torch.from_numpy(chosen[own]).to(windows.device), longest)
        paper = places(batch)[2] & (batch["input_ids"] > _FIRST_WORD)
        hidden = paper & (torch.rand(paper.shape, device=paper.device) < _SHARE)
        shown = torch.where(hidden, _MASK_TOKEN, batch["input_ids"])
        with torch.autocast(windows.device.type, torch.bfloat16, enabled=is_fast):
            states = encoded(model, {**batch, "input_ids": shown}, apart=TOGETHER, dropout=config.dropout)
            logits = head(states[hidden]) @ table.T + bias
            loss = functional.cross_entropy(logits.float(), batch["input_ids"][hidden])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        losses.append(float(loss))
    return float(np.mean(losses[-100:]))

"""The forward pass of a ``SpanReader`` of BERT's type, with lower layers in which a paper is read apart.

The same function of the same weights as ``SpanReader.forward``, written out so that each layer has a mask of
its own and all of it may run in bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from qa_extractive.model.span_reader import SpanReader


@dataclass(frozen=True, slots=True)
class Apart:
    """How a paper is read apart from its question, as the effort "cached" does.

    Attributes:
        n_layers: Layers, from the lowest, in which the paper's tokens see the paper alone; 0 for none.
        grid: The paper starts at a position that is a multiple of this, right after the question.
    """

    n_layers: int = 0
    grid: int = 1


TOGETHER = Apart()


def forward(
    model: SpanReader,
    batch: Mapping[str, torch.Tensor],
    *,
    apart: Apart = TOGETHER,
    dropout: float = 0.0,
) -> dict[str, torch.Tensor]:
    """Logits by the names of ``SpanReaderOutput``.

    Args:
        model: Its encoder is BERT's.
        batch: ``input_ids``, shape (n_windows, n_tokens), ``n_tokens`` and ``first``, shape (n_windows,).
        apart: How the paper is read.
        dropout: Rate, of attention too.
    """
    states = encoded(model, batch, apart=apart, dropout=dropout)
    start, end = model.span_head(states).unbind(-1)
    valid = places(batch)[1]
    outputs = {
        "start_logits": start,
        "end_logits": end,
        "answerability_logit": model.answerability_head(states[:, 0]).squeeze(-1),
    }
    if model.config.verdict:
        outputs["verdict_logits"] = model.verdict_head(states, valid.long())
    return outputs


def places(batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Position in the window, whether it holds a token, and whether one of the paper."""
    place = torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)
    valid = place < batch["n_tokens"][:, None]
    return place, valid, valid & (place >= batch["first"][:, None])


def encoded(
    model: SpanReader, batch: Mapping[str, torch.Tensor], *, apart: Apart, dropout: float
) -> torch.Tensor:
    """The last layer's states, shape (n_windows, n_tokens, width)."""
    encoder = model.encoder
    ids, first = batch["input_ids"], batch["first"][:, None]
    place, valid, paper = places(batch)
    shift = (-first) % apart.grid
    positions = torch.where(place > 0, place + shift, 0)
    positions = positions.clamp(max=encoder.config.max_position_embeddings - 1)
    table = encoder.embeddings
    states = table.word_embeddings(ids) + table.position_embeddings(positions)
    states = states + table.token_type_embeddings(paper.long())
    states = functional.dropout(table.LayerNorm(states), dropout, dropout > 0)
    sees_all = valid[:, None, None, :]
    sees_own = sees_all & (~paper[:, None, :, None] | paper[:, None, None, :])
    for number, layer in enumerate(encoder.encoder.layer):
        mask = sees_own if number < apart.n_layers else sees_all
        states = _layer(layer, states, mask, encoder.config.num_attention_heads, dropout)
    return states


def _layer(
    layer: Any, states: torch.Tensor, mask: torch.Tensor, n_heads: int, dropout: float
) -> torch.Tensor:
    attention, output = layer.attention, layer.attention.output
    n_windows, n_tokens, width = states.shape
    query, key, value = (
        project(states).view(n_windows, n_tokens, n_heads, width // n_heads).transpose(1, 2)
        for project in (attention.self.query, attention.self.key, attention.self.value)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    mixed = output.dense(mixed.transpose(1, 2).reshape(n_windows, n_tokens, width))
    states = output.LayerNorm(states + functional.dropout(mixed, dropout, dropout > 0))
    wide = functional.gelu(layer.intermediate.dense(states))
    narrow = functional.dropout(layer.output.dense(wide), dropout, dropout > 0)
    normalised: torch.Tensor = layer.output.LayerNorm(states + narrow)
    return normalised

"""The encoder of a BERT-like reader, with a paper that does not see the question in lower layers.

The same function of the same weights as the encoder's own, written out so that each layer has a mask of its
own, and so that on a CPU under autocast all between the products has its type too: in bfloat16 a step takes
three quarters of the time that the encoder's own takes, which goes back to float32 between them. Needs the
[train] extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Apart:
    """How a paper is read apart from its question, as the effort "cached" does.

    Attributes:
        n_layers: Layers, from the lowest, in which the paper's tokens see the paper alone; 0 for none.
        grid: The paper starts at a position that is a multiple of this, right after the question; where it
            would not fit into the positions that there are, after the question as it stands.
    """

    n_layers: int = 0
    grid: int = 1


TOGETHER = Apart()


def places(batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Position in the window, whether it holds a token, and whether one of the paper."""
    place = torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)
    valid = place < batch["n_tokens"][:, None]
    return place, valid, valid & (place >= batch["first"][:, None])


def encoded(
    model: Any,
    batch: Mapping[str, torch.Tensor],
    *,
    apart: Apart,
    dropout: float,
    attended: dict[int, torch.Tensor] | None = None,
) -> torch.Tensor:
    """The last layer's states, shape (n_windows, n_tokens, width).

    Args:
        model: Its ``encoder`` is BERT's.
        batch: ``input_ids``, shape (n_windows, n_tokens), ``n_tokens`` and ``first``, shape (n_windows,).
        apart: How the paper is read.
        dropout: Rate, of attention too.
        attended: Filled with the states between attention and feed-forward, by layers counted from 1.
    """
    encoder = model.encoder
    _, valid, paper = places(batch)
    table = encoder.embeddings
    n_positions = encoder.config.max_position_embeddings
    states = table.word_embeddings(batch["input_ids"])
    states = states + table.position_embeddings(_positions(batch, apart.grid, n_positions))
    states = states + table.token_type_embeddings(paper.long())
    states = functional.dropout(table.LayerNorm(states), dropout, dropout > 0)
    if is_narrow_on_cpu(states):
        states = states.to(torch.get_autocast_dtype("cpu"))
    sees_all = valid[:, None, None, :]
    sees_own = sees_all & (~paper[:, None, :, None] | paper[:, None, None, :])
    for number, layer in enumerate(encoder.encoder.layer):
        mask = sees_own if number < apart.n_layers else sees_all
        states = _attention(layer.attention, states, mask, encoder.config.num_attention_heads, dropout)
        if attended is not None:
            attended[number + 1] = states
        narrow = functional.dropout(layer.output.dense(layer.intermediate(states)), dropout, dropout > 0)
        states = layer.output.LayerNorm(states + narrow)
    last: torch.Tensor = states.to(table.word_embeddings.weight.dtype)
    return last


def is_narrow_on_cpu(states: torch.Tensor) -> bool:
    """Whether products of these states have a narrower type, on a CPU: by autocast, or as the weights are."""
    return states.device.type == "cpu" and (
        torch.is_autocast_enabled("cpu") or states.dtype == torch.bfloat16
    )


def _positions(batch: Mapping[str, torch.Tensor], grid: int, n_positions: int) -> torch.Tensor:
    """Of each token: all but the first moved up, so that the paper stands on the grid if it fits."""
    place = places(batch)[0]
    shift = (-batch["first"]) % grid
    shift = torch.where(batch["n_tokens"] + shift <= n_positions, shift, 0)
    moved = torch.where(place > 0, place + shift[:, None], 0)
    return moved.clamp(max=n_positions - 1)  # of padding


def _attention(
    attention: Any, states: torch.Tensor, mask: torch.Tensor, n_heads: int, dropout: float
) -> torch.Tensor:
    n_windows, n_tokens, width = states.shape
    query, key, value = (
        project(states).view(n_windows, n_tokens, n_heads, width // n_heads).transpose(1, 2)
        for project in (attention.self.query, attention.self.key, attention.self.value)
    )
    if is_narrow_on_cpu(states):  # where torch's fused attention gains nothing, and loses on the way back
        scores = (query / query.shape[-1] ** 0.5) @ key.transpose(-1, -2)
        scores = scores + torch.where(mask, 0.0, torch.finfo(scores.dtype).min).to(scores.dtype)
        mixed = functional.dropout(scores.softmax(-1), dropout, dropout > 0) @ value
    else:
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    mixed = attention.output.dense(mixed.transpose(1, 2).reshape(n_windows, n_tokens, width))
    normalised: torch.Tensor = attention.output.LayerNorm(
        states + functional.dropout(mixed, dropout, dropout > 0)
    )
    return normalised

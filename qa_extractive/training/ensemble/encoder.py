"""The forward pass of a ``SpanReader`` of BERT's type, with lower layers in which a paper is read apart.

The same function of the same weights as ``SpanReader.forward``, all of which may run in bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from qa_extractive._utils.instructions import cpu_and_instructions
from qa_extractive.model.apart import TOGETHER, Apart, encoded, places
from qa_extractive.model.span_reader import SpanReader

_FAST_ON_CPUS = {"AVX-512 BF16", "AMX int8", "bf16"}  # a CPU with AMX for int8 has it for bfloat16


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether bfloat16 pays there: on a GPU, and on a CPU with instructions for it; others only lose time."""
    return device.type == "cuda" or not _FAST_ON_CPUS.isdisjoint(cpu_and_instructions()[1])


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

"""The small heads of ``SpanReader`` that are more than a layer or two. Needs the [train] extra."""

from __future__ import annotations

import torch
from torch import nn

from qa_extractive.model.losses import ABSENT
from qa_extractive.types import VERDICT_CLASSES

_SKIM_WIDTH = 64


class VerdictHead(nn.Module):
    """Logits of ``VERDICT_CLASSES`` from means of all tokens' states, weighted as each of its pools learns.

    What tells yes from no is mostly in the answer ("did not", "no difference"), not in the first token.
    """

    def __init__(self, width: int, n_pools: int) -> None:
        """Take the width of the states."""
        super().__init__()
        self.pools = nn.Linear(width, n_pools, bias=False)
        self.hidden = nn.Linear(n_pools * width, width)
        self.output = nn.Linear(width, len(VERDICT_CLASSES))

    def forward(self, states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Logits of shape (n_windows, n_verdict_classes).

        Args:
            states: Shape (n_windows, n_tokens, width).
            attention_mask: Shape (n_windows, n_tokens); left out of an exported graph, which reads one
                window a run.
        """
        scores = self.pools(states).float()
        if attention_mask is not None and not torch.onnx.is_in_onnx_export():
            scores = scores.masked_fill(attention_mask.unsqueeze(-1) == 0, ABSENT)
        weights = scores.softmax(1).to(states.dtype)
        means = [(states * of_pool.unsqueeze(-1)).sum(1) for of_pool in weights.unbind(-1)]
        logits: torch.Tensor = self.output(torch.tanh(self.hidden(torch.cat(means, dim=-1))))
        return logits


class PruningHead(nn.Module):
    """A logit for each token, from its states within a layer and those of the question.

    They are the states between attention and feed-forward, so that what a head leaves out costs no
    feed-forward of that layer either.
    """

    def __init__(self, width: int) -> None:
        """Take the width of the states."""
        super().__init__()
        self.hidden = nn.Linear(width, _SKIM_WIDTH, bias=False)
        self.question = nn.Linear(2 * width, _SKIM_WIDTH)
        self.output = nn.Linear(_SKIM_WIDTH, 1)

    def forward(self, states: torch.Tensor, question_weights: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n_windows, n_tokens).

        Args:
            states: Shape (n_windows, n_tokens, width).
            question_weights: Shape (n_windows, 1, n_tokens), of the mean over the question.
        """
        apart = states * 1.0  # or the product were the fourth to read the states: no attention is fused then
        question = torch.cat([apart[:, :1], question_weights @ apart], dim=-1)
        hidden = nn.functional.gelu(self.hidden(apart) + self.question(question))
        logits: torch.Tensor = self.output(hidden).squeeze(-1)
        return logits

"""What ``SpanReader`` learns by. Needs the [train] extra."""

from __future__ import annotations

import torch
from torch import nn

from qa_extractive.types import NO_VERDICT, VERDICT_CLASSES

_NO_VERDICT_WEIGHT = 0.1

IGNORE = -1
"""Position of no span, where a window has fewer than another."""

ABSENT = -1e4
"""Logit of a position that cannot be chosen."""


def span_loss(logits: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Negative log of the probability mass on the right positions, shape (n_windows,).

    Args:
        logits: Of first or last tokens, shape (n_windows, n_tokens).
        positions: Shape (n_windows, n_spans), filled up with ``IGNORE``; any of them is right.
        mask: True where a span may lie and at position 0, shape (n_windows, n_tokens).
    """
    log_probs = logits.float().masked_fill(~mask, ABSENT).log_softmax(-1)
    chosen = log_probs.gather(1, positions.clamp(min=0)).masked_fill(~_first_of_each(positions), ABSENT)
    return -chosen.logsumexp(-1)


def _first_of_each(positions: torch.Tensor) -> torch.Tensor:
    """True where a position is given and no earlier column of its row gives it; spans may share an end."""
    same = positions.unsqueeze(2) == positions.unsqueeze(1)
    return (positions != IGNORE) & ~same.tril(-1).any(-1)


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The mean of values of shape (n_windows,), a scalar; 0 where all weights are."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def answerability_loss(logits: torch.Tensor, answerable: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the windows of which it is known, a scalar.

    Args:
        logits: Shape (n_windows,).
        answerable: Shape (n_windows,): 1, 0, or -1 where not known.
    """
    known = (answerable >= 0).float()
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits.float(), answerable.clamp(min=0).float(), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp(min=1.0)


def verdict_loss(logits: torch.Tensor, verdicts: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy of the windows whose verdict is known, a scalar.

    That a question is no yes/no question is seen at its first word: such windows count a tenth, or they
    would drown the few that teach yes from no.

    Args:
        logits: Shape (n_windows, n_verdicts), in the order of ``VERDICT_CLASSES``.
        verdicts: The right class of each window, or ``IGNORE``, shape (n_windows,).
    """
    weights = torch.where(verdicts == VERDICT_CLASSES.index(NO_VERDICT), _NO_VERDICT_WEIGHT, 1.0)
    weights = weights * (verdicts != IGNORE).float()
    losses = nn.functional.cross_entropy(logits.float(), verdicts.clamp(min=0), reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)


def span_divergence(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Temperature squared times KL(teacher || student) over the positions of the mask, shape (n_windows,).

    Args:
        student: Logits of first or last tokens, shape (n_windows, n_tokens).
        teacher: The same, or log-probabilities.
        mask: True where a span may lie and at position 0, shape (n_windows, n_tokens).
        temperature: Divides the logits of both.
    """
    log_q, log_p = (
        (logits.float() / temperature).masked_fill(~mask, ABSENT).log_softmax(-1)
        for logits in (student, teacher)
    )
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1)


def bernoulli_divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) of two probabilities by their logits, of the same shape."""
    prob = teacher.sigmoid()
    cross, entropy = (
        nn.functional.binary_cross_entropy_with_logits(logit, prob, reduction="none")
        for logit in (student, teacher)
    )
    return cross - entropy


def right_sentences(sentence_ids: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Whether a right span lies in a sentence, in part at least, shape (n_windows, n_sentences).

    Args:
        sentence_ids: Shape (n_windows, n_tokens).
        first: First tokens of the spans, shape (n_windows, n_spans); 0 and -1 stand for none.
        last: The same for the last tokens.
    """
    numbers = torch.arange(int(sentence_ids.max().clamp(min=0)) + 1, device=sentence_ids.device)
    begin, end = (sentence_ids.gather(1, each.clamp(min=0)).unsqueeze(-1) for each in (first, last))
    inside = (numbers >= begin) & (numbers <= end) & (first > 0).unsqueeze(-1)
    return inside.any(1)


def pruning_loss(logits: torch.Tensor, sentence_ids: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cross-entropies of the sentences of a window, by the largest logit of each, summed: (n_windows,).

    Args:
        logits: Of one head, shape (n_windows, n_tokens).
        sentence_ids: The sentence of each context token, from 0, -1 elsewhere; of the same shape.
        right: As of ``right_sentences``.
    """
    numbers = torch.arange(right.shape[1], device=right.device)
    own = sentence_ids.unsqueeze(1) == numbers[None, :, None]
    pooled = logits.float().unsqueeze(1).masked_fill(~own, ABSENT).amax(-1)
    losses = nn.functional.binary_cross_entropy_with_logits(pooled, right.float(), reduction="none")
    return (losses * own.any(-1)).sum(-1)

"""Encoder + span head + answerability head, as a transformers model. Needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from qa_extractive.errors import ModelError, shortened
from qa_extractive.model.apart import TOGETHER, Apart, encoded, is_narrow_on_cpu
from qa_extractive.model.heads import PruningHead, VerdictHead
from qa_extractive.model.losses import (
    answerability_loss,
    pruning_loss,
    right_sentences,
    span_loss,
    verdict_loss,
    weighted_mean,
)
from qa_extractive.model.progress_bars import without_progress_bars
from qa_extractive.model.safe_loading import loading_reason, safe_loading
from qa_extractive.model.torch_backend import TorchBackend as TorchBackend  # where it was documented first
from qa_extractive.model.torch_backend import pad_windows as pad_windows
from qa_extractive.types import VERDICT_CLASSES

PRUNING_HEADS = "skim_heads."
"""How the names of their weights begin."""
ENCODER_TYPES = ("bert", "deberta", "deberta-v2", "roberta", "electra", "distilbert", "mpnet")

_MOST_GRID = 512
_VERDICT_POOLS = 2  # at first like the span head: one looks where answers start, one where they end


class SpanReaderConfig(PretrainedConfig):
    """Holds the encoder's own config under ``encoder``, weights of losses, and what pruning and caching need.

    ``TrainConfig`` says what they are.
    """

    model_type = "span-reader"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        answerability_weight: float = 0.5,
        skim_layers: Sequence[int] = (),
        skim_weight: float = 0.2,
        verdict: bool = False,
        verdict_pools: int = 0,
        verdict_weight: float = 0.3,
        cached_layers: int = 1,
        cached_grid: int = 4,
        **kwargs: Any,
    ):
        """Take the encoder's config as a dict (``PretrainedConfig.to_dict``)."""
        self.encoder = encoder or {}
        self.answerability_weight = answerability_weight
        self.skim_layers = list(skim_layers)
        self.skim_weight = skim_weight
        self.verdict = verdict
        self.verdict_pools = verdict_pools
        self.verdict_weight = verdict_weight
        self.cached_layers = cached_layers
        self.cached_grid = cached_grid
        super().__init__(**kwargs)

    @property
    def encoder_config(self) -> PretrainedConfig:
        """The encoder's config as its own class."""
        values = dict(self.encoder)
        model_type = values.pop("model_type", None)
        if model_type not in ENCODER_TYPES:
            raise ModelError(
                f"encoder type {model_type!r} is not supported; use one of {', '.join(ENCODER_TYPES)}"
            )
        config: PretrainedConfig = AutoConfig.for_model(model_type, **values)
        return config


@dataclass
class SpanReaderOutput(ModelOutput):
    """What one forward pass gives; None where not asked for.

    Attributes:
        loss: Scalar.
        start_logits: Shape (n_windows, n_tokens); position 0 stands for "no span".
        end_logits: Shape (n_windows, n_tokens).
        answerability_logit: Shape (n_windows,).
        verdict_logits: Shape (n_windows, n_verdict_classes), in the order of ``VERDICT_CLASSES``.
        skim_logits: Shape (n_windows, n_skim_heads, n_tokens): that the token is one of a sentence that
            answers, by the states within each layer that has such a head.
    """

    loss: torch.Tensor | None = None
    start_logits: torch.Tensor | None = None
    end_logits: torch.Tensor | None = None
    answerability_logit: torch.Tensor | None = None
    verdict_logits: torch.Tensor | None = None
    skim_logits: torch.Tensor | None = None


class SpanReader(PreTrainedModel):
    """Reads a question and a context, gives span logits and an answerability logit."""

    config_class = SpanReaderConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: SpanReaderConfig):
        """Build with random weights; use ``from_pretrained`` or ``from_encoder`` for trained ones."""
        super().__init__(config)
        self._recomputes = False
        encoder_config = config.encoder_config
        _check_apart(config, encoder_config)
        encoder_config._attn_implementation = _attention(encoder_config, config)
        self.encoder = AutoModel.from_config(encoder_config, **_without_pooler(encoder_config))
        width = encoder_config.hidden_size
        self.span_head = nn.Linear(width, 2)
        self.answerability_head = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        if config.verdict:
            self.verdict_head = self._new_verdict_head()
        if config.skim_layers:
            self.skim_heads = self._new_pruning_heads()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)

    @classmethod
    def from_encoder(cls, base: str | Path, *, allow_pickle: bool = False, **config: Any) -> SpanReader:
        """Trained encoder, fresh heads.

        Args:
            base: Folder or hub id of a plain encoder.
            allow_pickle: As of ``safe_loading``.
            config: Further settings of ``SpanReaderConfig``.

        Raises:
            ModelError: The encoder cannot be had, or is of a type that is not supported.
        """
        try:
            with without_progress_bars():
                encoder = AutoModel.from_pretrained(
                    str(base), attn_implementation="eager", **safe_loading(allow_pickle)
                )
        except Exception as error:  # neither transformers' nor safetensors' errors share a base class
            raise ModelError(f"base {base}: {loading_reason(error, allow_pickle)}") from None
        model = cls(SpanReaderConfig(encoder=encoder.config.to_dict(), **config))
        missing = model.encoder.load_state_dict(encoder.float().state_dict(), strict=False).missing_keys
        if missing:
            raise ModelError(f"base {base} lacks weights the encoder needs, {missing[0]} for one")
        return model

    def add_verdict_head(self) -> None:
        """Add the head that tells what the context says to a yes/no question, unless it is there.

        One that reads the first token alone, as earlier models have, is replaced.
        """
        if self.config.verdict and self.config.verdict_pools:
            return
        self.config.verdict, self.config.verdict_pools = True, _VERDICT_POOLS
        head = VerdictHead(self.encoder.config.hidden_size, _VERDICT_POOLS)
        head.apply(self._init_weights)
        with torch.no_grad():
            head.pools.weight.copy_(self.span_head.weight)
        self.verdict_head = head

    def _new_verdict_head(self) -> nn.Module:
        width: int = self.encoder.config.hidden_size
        if self.config.verdict_pools:
            return VerdictHead(width, self.config.verdict_pools)
        return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, len(VERDICT_CLASSES)))

    def add_pruning_heads(self, layers: Sequence[int]) -> None:
        """Add heads to some layers, counted from 1, with random weights, unless they are there.

        Raises:
            ModelError: The model lacks a layer, has heads in other ones, or its encoder has no segments, by
                which heads tell the question.
        """
        wanted, own = sorted(set(layers)), self.config.skim_layers
        if own == wanted:
            return
        if not uses_type_ids(self.encoder.config):
            kind = self.encoder.config.model_type
            raise ModelError(f"skim_layers: {kind} has no segments, by which heads tell questions; BERT has")
        n_layers = self.encoder.config.num_hidden_layers
        if own or not all(0 < layer <= n_layers for layer in wanted):
            its_own = f", and be {own}, which the model has" if own else ""
            raise ModelError(f"skim_layers {wanted} must lie between 1 and {n_layers}{its_own}")
        self.config.skim_layers = wanted
        self.skim_heads = self._new_pruning_heads()
        self.skim_heads.apply(self._init_weights)

    def _new_pruning_heads(self) -> nn.ModuleList:
        width = self.encoder.config.hidden_size
        return nn.ModuleList(PruningHead(width) for _ in self.config.skim_layers)

    @property
    def apart(self) -> Apart:
        """How the effort "cached" reads papers."""
        return Apart(self.config.cached_layers, self.config.cached_grid)

    def read_apart(self, n_layers: int, grid: int) -> None:
        """Set in how many layers papers are read apart, and on which grid of positions they begin.

        Raises:
            ModelError: The model has no such layers, or none above them.
        """
        self.config.cached_layers, self.config.cached_grid = n_layers, grid
        _check_apart(self.config, self.encoder.config)

    def use_eager_attention(self) -> None:
        """Rebuild the encoder with plain matrix products for its attention; the weights stay."""
        config = self.config.encoder_config
        config._attn_implementation = "eager"
        encoder = AutoModel.from_config(config, **_without_pooler(config))
        encoder.load_state_dict(self.encoder.state_dict())
        self.encoder = encoder

    def recompute_layers(self) -> None:
        """While training, keep nothing that the encoder's layers compute: the way back does it again.

        Raises:
            ModelError: transformers cannot do so with this kind of encoder.
        """
        renamed = getattr(self, "activation_checkpointing_enable", None)  # so called in transformers 5
        try:
            (renamed or self.gradient_checkpointing_enable)({"use_reentrant": False})
        except ValueError:
            kind = self.encoder.config.model_type
            raise ModelError(
                f"encoder {kind!r} cannot train with gradient_checkpointing: leave it out"
            ) from None
        self._recomputes = True

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        context_mask: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
        span_weight: torch.Tensor | None = None,
        answerable: torch.Tensor | None = None,
        sentence_ids: torch.Tensor | None = None,
        verdict: torch.Tensor | None = None,
        apart: Apart | None = None,
        **_: Any,
    ) -> SpanReaderOutput:
        """One pass; the loss too if labels are given.

        Args:
            input_ids: Shape (n_windows, n_tokens), as are the two masks and type ids.
            attention_mask: 1 for tokens, 0 for padding.
            token_type_ids: Segments, for encoders that have them.
            context_mask: True where a span may lie and at position 0; for the loss only.
            start_positions: Shape (n_windows, n_spans), filled up with -1; any of them is right.
            end_positions: The same for the last tokens.
            span_weight: Shape (n_windows,).
            answerable: Shape (n_windows,): 1, 0, or -1 where not known.
            verdict: Shape (n_windows,): the position in ``VERDICT_CLASSES``, or -1 where not known.
            sentence_ids: The sentence of each context token, from 0, -1 elsewhere; for the loss of the
                pruning heads, shape (n_windows, n_tokens).
            apart: How papers are read apart in the lowest layers, whose pruning heads then have no loss:
                BERT's encoder only, with masks and type ids. None for together with the question.
        """
        hidden, attended = self._encoded(input_ids, attention_mask, token_type_ids, apart)
        skim = self._skim(attended, token_type_ids, attention_mask)
        start, end = self.span_head(hidden).unbind(-1)
        answerability = self.answerability_head(hidden[:, 0]).squeeze(-1)
        verdicts = self._verdicts(hidden, attention_mask)
        loss = None
        if start_positions is not None and end_positions is not None and context_mask is not None:
            if span_weight is None or answerable is None:
                raise ValueError("a loss needs span_weight and answerable beside the positions")
            per_window = span_loss(start, start_positions, context_mask) + span_loss(
                end, end_positions, context_mask
            )
            loss = weighted_mean(per_window / 2, span_weight)
            loss = loss + self.config.answerability_weight * answerability_loss(answerability, answerable)
            if verdicts is not None and verdict is not None:
                loss = loss + self.config.verdict_weight * verdict_loss(verdicts, verdict)
            if skim is not None and sentence_ids is not None:
                right = right_sentences(sentence_ids, start_positions, end_positions)
                n_unread = apart.n_layers if apart else 0
                of_heads = [
                    pruning_loss(each, sentence_ids, right) * float(layer > n_unread)
                    for each, layer in zip(skim.unbind(1), self.config.skim_layers, strict=True)
                ]
                loss = loss + self.config.skim_weight * weighted_mean(
                    torch.stack(of_heads).sum(0), span_weight
                )
        return SpanReaderOutput(
            loss=loss,
            start_logits=start,
            end_logits=end,
            answerability_logit=answerability,
            verdict_logits=verdicts,
            skim_logits=skim,
        )

    def _encoded(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        token_type_ids: torch.Tensor | None,
        apart: Apart | None,
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """The last states, and those that pruning heads read."""
        if apart or self._is_quicker_written_out(input_ids, attention_mask, token_type_ids):
            return self._encoded_apart(input_ids, attention_mask, token_type_ids, apart or TOGETHER)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None and uses_type_ids(self.encoder.config):
            inputs["token_type_ids"] = token_type_ids
        with self._attended() as attended:
            return self.encoder(**inputs).last_hidden_state, attended

    def _is_quicker_written_out(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        token_type_ids: torch.Tensor | None,
    ) -> bool:
        """Whether ``encoded`` can stand for the encoder, and takes less time: in training on a CPU."""
        return (
            self.encoder.config.model_type == "bert"
            and None not in (attention_mask, token_type_ids)
            and torch.is_grad_enabled()
            and is_narrow_on_cpu(input_ids)
            and not self._recomputes
        )

    def _encoded_apart(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        token_type_ids: torch.Tensor | None,
        apart: Apart,
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        if attention_mask is None or token_type_ids is None or self.encoder.config.model_type != "bert":
            raise ValueError("papers can be read apart by BERT's encoder, with attention_mask and segments")
        batch = {
            "input_ids": input_ids,
            "n_tokens": attention_mask.sum(-1),
            "first": ((token_type_ids == 0) & (attention_mask > 0)).sum(-1),
        }
        dropout = self.encoder.embeddings.dropout.p if self.training else 0.0
        attended: dict[int, torch.Tensor] = {}
        hidden = encoded(self, batch, apart=apart, dropout=dropout, attended=attended)
        return hidden, {layer: attended[layer] for layer in self.config.skim_layers}

    def _verdicts(self, hidden: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor | None:
        if not self.config.verdict:
            return None
        pooled = bool(self.config.verdict_pools)
        logits: torch.Tensor = (
            self.verdict_head(hidden, attention_mask) if pooled else self.verdict_head(hidden[:, 0])
        )
        return logits

    @contextmanager
    def _attended(self) -> Iterator[dict[int, torch.Tensor]]:
        """Catches what pruning heads read, by their layers: the states between attention and feed-forward."""
        states: dict[int, torch.Tensor] = {}

        def catching(layer: int) -> Callable[[nn.Module, Any, Any], None]:
            def catch(_module: nn.Module, _inputs: Any, output: Any) -> None:
                states[layer] = output[0] if isinstance(output, tuple) else output

            return catch

        handles = [
            _last_of_attention(self.encoder, layer).register_forward_hook(catching(layer))
            for layer in self.config.skim_layers
        ]
        try:
            yield states
        finally:
            for handle in handles:
                handle.remove()

    def _skim(
        self,
        attended: dict[int, torch.Tensor],
        token_type_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
    ) -> torch.Tensor | None:
        if not attended:
            return None
        if token_type_ids is None:
            raise ValueError("pruning heads need token_type_ids: they tell the question")
        own = (token_type_ids == 0).float()
        if attention_mask is not None:
            own = own * attention_mask
        weights = (own / own.sum(-1, keepdim=True)).unsqueeze(1)
        pairs = zip(self.skim_heads, self.config.skim_layers, strict=True)
        return torch.stack([head(attended[layer], weights) for head, layer in pairs], dim=1)


def _check_apart(config: SpanReaderConfig, encoder_config: PretrainedConfig) -> None:
    n_layers, grid = config.cached_layers, config.cached_grid
    n_most = max(1, encoder_config.num_hidden_layers - 1)
    if type(n_layers) is not int or not 1 <= n_layers <= n_most:
        raise ModelError(f"cached_layers must lie between 1 and {n_most}, got {shortened(n_layers)}")
    if type(grid) is not int or not 1 <= grid <= _MOST_GRID:
        raise ModelError(f"cached_grid must lie between 1 and {_MOST_GRID}, got {shortened(grid)}")


def _last_of_attention(encoder: nn.Module, layer: int) -> nn.Module:
    """The module whose output goes into a layer's feed-forward: its attention with sum and normalisation."""
    return encoder.get_submodule(f"encoder.layer.{layer - 1}.attention")


def _attention(encoder_config: PretrainedConfig, config: SpanReaderConfig) -> str:
    """Some encoders, DeBERTa with its disentangled attention for one, have the eager form only."""
    if not getattr(MODEL_MAPPING[type(encoder_config)], "_supports_sdpa", False):
        return "eager"
    return getattr(config, "_attn_implementation", None) or "sdpa"


def _without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    return {"add_pooling_layer": False} if config.model_type in ("bert", "roberta", "mpnet") else {}


def uses_type_ids(config: PretrainedConfig) -> bool:
    """Whether the encoder tells segments apart."""
    return getattr(config, "type_vocab_size", 0) > 1 and config.model_type != "distilbert"

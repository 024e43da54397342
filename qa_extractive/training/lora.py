"""LoRA: small matrices beside those of the encoder's layers, trained in their place, then added to them.

The word embeddings and norms rest too; the heads learn whole. Needs the [lora] extra.
"""

from __future__ import annotations

from importlib.util import find_spec

from torch import nn

from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.model.span_reader import SpanReader


def require_peft() -> None:
    """Raise DataError where the package is missing."""
    if find_spec("peft") is None:
        raise DataError("adapters (lora_rank) need peft: pip install 'qa-extractive[lora]'")


def add_adapters(model: SpanReader, config: TrainConfig) -> None:
    """Give each product of attention and feed-forward an adapter (Hu et al. 2021, arXiv 2106.09685).

    Args:
        model: To be changed; all of its encoder but the adapters stops learning.
        config: ``lora_rank`` and ``lora_alpha``.
    """
    from peft import LoraConfig, inject_adapter_in_model

    alpha = 2 * config.lora_rank if config.lora_alpha is None else config.lora_alpha
    adapters = LoraConfig(r=config.lora_rank, lora_alpha=alpha, target_modules=_products(model.encoder))
    inject_adapter_in_model(adapters, model.encoder)


def merge_adapters(model: SpanReader) -> None:
    """Add the adapters to the weights they lie beside; a model without any stays as it is."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            model.encoder.set_submodule(name, module.get_base_layer())
    model.requires_grad_(True)


def _products(encoder: nn.Module) -> list[str]:
    """The names of all linear maps in the layers of an encoder."""
    return [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and "layer" in name.split(".")
    ]

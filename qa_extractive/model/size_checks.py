"""What a checkpoint's ``config.json`` asks for, held against its weights before memory is taken for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_extractive.errors import ModelError, shortened

# The most of each, by the names that architectures have for it; a width of 65,536 is four times GPT-3's.
_MOST = {
    **dict.fromkeys(("num_hidden_layers", "n_layers"), 1_000),
    **dict.fromkeys(("num_attention_heads", "n_heads"), 1_024),
    **dict.fromkeys(("hidden_size", "dim", "embedding_size", "input_embedding_size"), 65_536),
    **dict.fromkeys(("intermediate_size", "hidden_dim"), 1_000_000),
    **dict.fromkeys(("vocab_size", "max_position_embeddings"), 10_000_000),
    "type_vocab_size": 10_000,
}
# Numbers in [0, 1], which only fail when the model runs.
_SHARES = (
    *("layer_norm_eps", "initializer_range", "hidden_dropout_prob", "attention_probs_dropout_prob"),
    *("dropout", "attention_dropout", "qa_dropout"),
)
_NAMES = ("hidden_act", "activation", "position_embedding_type")
_ANY = ("type_vocab_size",)  # of which there may be none
_LEAST_BYTES = 0.5  # of a parameter, on the disk; fp16 has 2
_SPARE_PARAMETERS = 1_000_000
_SUFFIXES = (".safetensors", ".bin", ".onnx")
_SHARED = ("albert",)  # architectures whose layers share one set of weights


def check_sizes(values: Mapping[str, Any], folder: Path) -> None:
    """Raise ModelError where a config has a size that is none, or describes far more than its folder holds.

    Args:
        values: The config of an encoder, as JSON; what is not there is the architecture's default.
        folder: Holds the weights.
    """
    for name, most in _MOST.items():
        value = values.get(name)
        least = 0 if name in _ANY else 1
        if value is None and name not in values:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ModelError(
                f"{folder}: {name} must be a whole number from {least} to {most:,}, got {shortened(value)}"
            )
    _check_kinds(values, folder)
    try:
        n_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    except OSError as error:
        raise ModelError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    n_parameters = _n_parameters(values)
    if (n_parameters - _SPARE_PARAMETERS) * _LEAST_BYTES > n_bytes:
        raise ModelError(
            f"{folder}: its config describes {n_parameters:,} parameters, far more than its weights of "
            f"{n_bytes:,} bytes can be"
        )


def _check_kinds(values: Mapping[str, Any], folder: Path) -> None:
    for name in _SHARES:
        value = values.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ModelError(f"{folder}: {name} must lie in [0, 1], got {shortened(value)}")
    for name in _NAMES:
        if not isinstance(values.get(name, ""), str):
            raise ModelError(f"{folder}: {name} must be a name, got {shortened(values[name])}")


def _n_parameters(values: Mapping[str, Any]) -> int:
    """Of the large matrices of an encoder, about; fewer where a size is not said."""

    def size(*names: str) -> int:
        return next((values[name] for name in names if name in values), 0)

    width = size("hidden_size", "dim")
    n_layers = 1 if values.get("model_type") in _SHARED else size("num_hidden_layers", "n_layers")
    of_layer = 4 * width * width + 2 * width * size("intermediate_size", "hidden_dim")
    narrow = size("embedding_size", "input_embedding_size") or width
    rows = sum(size(name) for name in ("vocab_size", "max_position_embeddings", "type_vocab_size"))
    return n_layers * of_layer + narrow * rows

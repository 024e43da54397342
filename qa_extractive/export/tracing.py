"""A checkpoint's raw ONNX graph: traced by torch, or by optimum-onnx where it is installed.

optimum-onnx 0.1 knows transformers before 4.58 only. Both ways lead to the same model (``test_tracing.py``).
Needs the [train] extra.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from qa_extractive.export.passes.sentence_pruning import SKIM_OUTPUT
from qa_extractive.model.checkpoint import Checkpoint
from qa_extractive.model.span_reader import SpanReader

_ROW, _TOKEN = "batch_size", "sequence_length"  # optimum's names of the axes
_TOKENS = {0: _ROW, 1: _TOKEN}
_READ = ("input_ids", "attention_mask", "token_type_ids")
# Their graphs read no segments, whatever their configs say: optimum's choice.
_WITHOUT_SEGMENTS = frozenset(
    "camembert data2vec-text distilbert ibert mpnet nystromformer roberta xlm-roberta".split()
)
_LEFT_OUT = frozenset(
    "position_ids head_mask inputs_embeds start_positions end_positions output_attentions "
    "output_hidden_states return_dict kwargs cls_index is_impossible p_mask".split()
)
_TRACED_SHAPE = (2, 16)


def has_optimum() -> bool:
    """Whether optimum-onnx is installed and can be imported beside this transformers."""
    try:
        import optimum.exporters.onnx.model_configs  # noqa: F401  registers the architectures
    except ImportError:
        return False
    return True


def trace(checkpoint: Checkpoint, path: Path, opset: int) -> None:
    """Write the raw fp32 graph: inputs of shape (n_windows, n_tokens), outputs as the model's.

    Raises:
        ValueError: The model wants an input beside ids, mask and segments.
        Exception: The architecture cannot be traced; torch and optimum share no base class.
    """
    if has_optimum():
        trace_by_optimum(checkpoint, path, opset)
    else:
        trace_by_torch(checkpoint, path, opset)


def _heads(checkpoint: Checkpoint) -> dict[str, dict[int, str]]:
    """The outputs beside the span's, with their dynamic axes."""
    if not isinstance(checkpoint.model, SpanReader):
        return {}
    heads = {"answerability_logit": {0: _ROW}}
    if checkpoint.model.config.verdict:
        heads["verdict_logits"] = {0: _ROW}
    if checkpoint.model.config.skim_layers:
        heads[SKIM_OUTPUT] = {0: _ROW, 2: _TOKEN}
    return heads


def _check_inputs(wanted: set[str]) -> None:
    """Before minutes are spent on tracing."""
    other = sorted(wanted - set(_READ))
    if other:
        raise ValueError(f"it wants an input {other[0]}, which no question or text gives")


# ---------------------------------------------------------------- optimum


def trace_by_optimum(checkpoint: Checkpoint, path: Path, opset: int) -> None:
    """``trace`` by optimum-onnx."""
    from optimum.exporters.onnx import export

    config = _onnx_config(checkpoint)
    _check_inputs(set(config.inputs))
    export(checkpoint.model, config, path, opset=opset)


def _onnx_config(checkpoint: Checkpoint) -> Any:
    """Optimum's config of the encoder, with the outputs of the heads that the model has."""
    import optimum.exporters.onnx.model_configs  # noqa: F401  registers the architectures
    from optimum.exporters.tasks import TasksManager

    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model_type=checkpoint.encoder_type, task="question-answering", library_name="transformers"
    )
    kind = constructor.func
    if getattr(checkpoint.encoder_config, "type_vocab_size", None) == 1:
        kind = _without_segments(kind)
    heads = _heads(checkpoint)
    if heads:
        span_outputs = kind.outputs.fget
        outputs = property(lambda self: {**span_outputs(self), **heads})
        kind = type("SpanReaderOnnxConfig", (kind,), {"outputs": outputs})
    return kind(checkpoint.encoder_config, task="question-answering")


def _without_segments(kind: Any) -> Any:
    """A config whose graph reads no segments: of an encoder that has one, which is then read throughout."""
    inputs = kind.inputs.fget
    fewer = property(lambda self: {k: v for k, v in inputs(self).items() if k != "token_type_ids"})
    return type("OneSegmentOnnxConfig", (kind,), {"inputs": fewer})


# ---------------------------------------------------------------- torch


def trace_by_torch(checkpoint: Checkpoint, path: Path, opset: int) -> None:
    """``trace`` by the exporter of torch that optimum-onnx drives too."""
    model = checkpoint.model.eval()
    names = _inputs(checkpoint)
    outputs = {"start_logits": _TOKENS, "end_logits": _TOKENS, **_heads(checkpoint)}
    given = tuple(torch.ones(_TRACED_SHAPE, dtype=torch.long) for _ in names)
    by_shape = _replaced(ALL_ATTENTION_FUNCTIONS, ("sdpa",), _scaled_by_shape)
    with torch.no_grad(), _giving(model, names, tuple(outputs)), by_shape, _by_length(checkpoint):
        torch.onnx.export(
            model,
            given,
            path.as_posix(),
            input_names=names,
            output_names=list(outputs),
            dynamic_axes={**dict.fromkeys(names, _TOKENS), **outputs},
            do_constant_folding=True,
            opset_version=opset,
            dynamo=False,
        )


def _by_length(checkpoint: Checkpoint) -> AbstractContextManager[None]:
    """DeBERTa's span of attention follows the length; from 5.24 it would be that of the traced windows."""
    if checkpoint.encoder_type != "deberta":
        return nullcontext()
    from transformers.models.deberta import modeling_deberta

    return _replaced(vars(modeling_deberta), ("compute_attention_span",), torch.jit.script)


def _inputs(checkpoint: Checkpoint) -> list[str]:
    """What the graph reads, in the order of the model's arguments."""
    arguments = inspect.signature(checkpoint.model.forward).parameters
    if not isinstance(checkpoint.model, SpanReader):
        _check_inputs(set(arguments) - _LEFT_OUT)
    config = checkpoint.encoder_config
    has_segments = checkpoint.encoder_type not in _WITHOUT_SEGMENTS and (
        getattr(config, "type_vocab_size", 0) > 1
    )
    return [name for name in arguments if name in _READ and (has_segments or name != "token_type_ids")]


@contextmanager
def _giving(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[None]:
    """The model reads these inputs and gives these outputs alone, both in this order."""
    forward = model.forward

    def traced(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(inputs, values, strict=True))
        with _replaced(ALL_MASK_ATTENTION_FUNCTIONS, ("sdpa", "eager"), _additive(given["attention_mask"])):
            output = forward(**given)
        return tuple(output[name] for name in outputs)

    model.forward = traced
    try:
        yield
    finally:
        del model.forward


@contextmanager
def _replaced(
    functions: MutableMapping[str, Any], names: Sequence[str], wrap: Callable[[Any], Any]
) -> Iterator[None]:
    """Some of a registry's functions are wrapped, as long as this lasts."""
    kept = {name: functions[name] for name in names}
    functions.update({name: wrap(function) for name, function in kept.items()})
    try:
        yield
    finally:
        functions.update(kept)


# onnxruntime fuses attention whose mask and scale have the form that transformers 4 gives them: a mask to
# be added, made of the integers that came in, and a scale by the shape. Transformers 5 makes the mask of
# booleans and gives the scale as a number, which say the same.


def _additive(padding: torch.Tensor) -> Callable[[Any], Any]:
    """A mask's function, but one that makes plain padding of this tensor, shape (n_windows, n_tokens)."""

    def wrap(make: Callable[..., Any]) -> Callable[..., Any]:
        def mask(*args: Any, **settings: Any) -> Any:
            kind = getattr(settings.get("mask_function"), "__name__", "")
            if kind != "bidirectional_mask_function" or settings.get("attention_mask") is None:
                return make(*args, **settings)
            dtype, shape = settings["dtype"], (padding.shape[0], 1, settings["q_length"], padding.shape[1])
            inverted = torch.tensor(1.0, dtype=dtype) - padding[:, None, None, :].expand(shape).to(dtype)
            return inverted.masked_fill(inverted.to(torch.bool), torch.finfo(dtype).min)

        return mask

    return wrap


def _scaled_by_shape(attend: Callable[..., Any]) -> Callable[..., Any]:
    def attention(
        module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **settings: Any
    ) -> Any:
        scaling, dropout = settings.pop("scaling", None), settings.pop("dropout", 0.0)
        if scaling is None or math.isclose(scaling, int(query.shape[-1]) ** -0.5):
            scaling = None
        is_plain = mask is not None and settings.get("position_bias") is None
        if not is_plain or getattr(module, "num_key_value_groups", 1) > 1:
            return attend(module, query, key, value, mask, scaling=scaling, dropout=dropout, **settings)
        # The same without what transformers 5.24 does to the shape afterwards, which hinders the fusion.
        mixed = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
        )
        return mixed.transpose(1, 2).contiguous(), None

    return attention

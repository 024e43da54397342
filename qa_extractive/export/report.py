"""What an export did and measured, kept with the model as ``export.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EXPORT_FILE = "export.json"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did; saved as ``export.json``.

    Attributes:
        model: The checkpoint exported: the name of its folder or its hub id.
        encoder_type: Its ``model_type``.
        opset: Version of the ONNX operator set.
        quantize: "int8", "int8-weights", "int4", "fp16" or "none".
        embedding_bits: Of the word embeddings.
        quantized_ops: Kinds of nodes quantized.
        cpu: In words, what the file assumes of a CPU.
        exported_on: Machine of the export.
        versions: Of the packages that took part.
        fp32_bytes: Size of the fused fp32 graph.
        model_bytes: Size of ``model.onnx``.
        max_logit_diff: Largest difference of a logit between torch and fused fp32 ONNX.
        n_parity_windows: Windows compared for that.
        dithered: Whether weights were rounded up or down at random (``rounding``).
        n_check_examples: Examples on which the exported model was compared with fp32 ONNX; made ones where
            there are no others.
        answer_agreement: Share of them whose best span is the same, in [0, 1]; None without examples.
        fp32_f1: Mean token F1 of fp32 ONNX, which is torch to 1e-3 of a logit, on those of them that have
            references, never abstaining; None without any.
        model_f1: The same of the exported model.
        n_references: Examples with references.
        span_f1: Mean token F1 of the best spans against those of fp32, in [0, 1]: of the examples with
            references or of those without, whichever is lower.
        format: The format in words.
        why: In words, why this one.
        tried: The formats that were tried, in order, with what was found.
        calibrated_on: In words, what the calibration was fitted on.
    """

    model: str
    encoder_type: str
    opset: int
    quantize: str
    embedding_bits: int
    quantized_ops: tuple[str, ...]
    cpu: str
    exported_on: str
    versions: dict[str, str]
    fp32_bytes: int
    model_bytes: int
    max_logit_diff: float
    n_parity_windows: int
    n_check_examples: int = 0
    answer_agreement: float | None = None
    fp32_f1: float | None = None
    model_f1: float | None = None
    n_references: int = 0
    span_f1: float | None = None
    dithered: bool = False
    format: str = ""
    why: str = ""
    tried: tuple[dict[str, Any], ...] = ()
    calibrated_on: str = ""

    def save(self, folder: Path) -> None:
        """Write ``export.json`` into a folder."""
        (folder / EXPORT_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Parity:
    """How the logits of the fused fp32 graph compare with those of torch; see ``ExportReport``."""

    max_logit_diff: float
    n_parity_windows: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the exported model's answers compare with those of fp32; see ``ExportReport``."""

    n_check_examples: int
    answer_agreement: float | None
    fp32_f1: float | None
    model_f1: float | None
    n_references: int = 0
    span_f1: float | None = None

    @property
    def f1_lost(self) -> float | None:
        """By how much the exported model's mean F1 is lower; negative where it is higher."""
        return None if self.fp32_f1 is None or self.model_f1 is None else self.fp32_f1 - self.model_f1

"""Which format a file gets: the smallest that answers as torch does, measured before it is shipped.

What is lost is measured on examples that the model was not calibrated on yet: F1 on those with references,
and on all how far the best spans are those of fp32, which torch's are (``parity``). Needs the [train] extra.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from qa_extractive.export.graph import (
    EMBEDDING_BITS,
    WIDE_EMBEDDING_BITS,
    Abilities,
    Quantization,
    quantization_of,
    write_model,
)
from qa_extractive.export.parity import Yardstick
from qa_extractive.export.passes.rounding import seem_on_a_grid
from qa_extractive.export.passes.smoothing import Inputs
from qa_extractive.export.report import Agreement
from qa_extractive.inference.onnx_backend import MODEL_FILE

logger = logging.getLogger(__name__)

AUTO = "auto"
MOST_LOST_F1 = 0.005
LEAST_SPAN_F1, LEAST_SPAN_F1_OF_FEW = 0.98, 0.99
"""Mean token F1 of the best spans against those of fp32: where no example has references, and where a few
have, so that F1 is left to chance: one span of 50 is worth 2 F1."""
ENOUGH_REFERENCES = 300


@dataclass(frozen=True, slots=True)
class Trial:
    """A format that was tried.

    Attributes:
        quantization: The format.
        model_bytes: Size of ``model.onnx``.
        agreement: Its answers beside those of fp32.
    """

    quantization: Quantization
    model_bytes: int
    agreement: Agreement

    @property
    def is_faithful(self) -> bool:
        """Whether no more is lost than may be."""
        lost, found = self.agreement.f1_lost, self.agreement
        if lost is not None and lost > MOST_LOST_F1:
            return False
        if lost is not None and found.n_references >= ENOUGH_REFERENCES:
            return True
        least = LEAST_SPAN_F1_OF_FEW if found.n_references else LEAST_SPAN_F1
        return found.span_f1 is None or found.span_f1 >= least

    @property
    def words(self) -> str:
        """What was found, for people."""
        found = self.agreement
        parts = [f"{self.quantization.words}, {self.model_bytes / 1e6:.1f} MB"]
        if found.fp32_f1 is not None and found.model_f1 is not None:
            parts.append(f"F1 {100 * found.model_f1:.1f} where torch has {100 * found.fp32_f1:.1f}")
        if found.span_f1 is not None:
            parts.append(f"best spans {100 * found.span_f1:.1f} % those of torch")
        return ": ".join([parts[0], ", ".join(parts[1:]) or "not compared"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {
            "format": self.quantization.words,
            "words": self.words,
            "model_bytes": self.model_bytes,
            "is_faithful": self.is_faithful,
            **asdict(self.agreement),
        }


@dataclass(frozen=True, slots=True)
class Chosen:
    """The format that is written.

    Attributes:
        trial: How it did.
        abilities: Of the file.
        tried: All that were tried, in order.
        reason: In words, why this one.
    """

    trial: Trial
    abilities: Abilities
    tried: tuple[Trial, ...]
    reason: str


def formats_of(quantize: str, *, embedding_bits: int | None) -> list[Quantization]:
    """The formats to try, the first that is faithful to be taken.

    Args:
        quantize: "auto", or the one that was asked for (``quantization_of``).
        embedding_bits: 4 or 8; None for either with "auto", and for 4 otherwise.

    Raises:
        ExportError: As of ``quantization_of``.
    """
    if quantize != AUTO:
        bits = EMBEDDING_BITS if embedding_bits is None else embedding_bits
        return [quantization_of(quantize, embedding_bits=bits)]
    widths = (EMBEDDING_BITS, WIDE_EMBEDDING_BITS) if embedding_bits is None else (embedding_bits,)
    small = [
        quantization_of(kind, embedding_bits=bits) for kind in ("int8", "int8-weights") for bits in widths
    ]
    return [*small, quantization_of("fp16"), quantization_of("none")]


def choose_format(
    formats: Sequence[Quantization],
    fp32: Path,
    folder: Path,
    yardstick: Yardstick,
    observed: Sequence[Inputs],
) -> Chosen:
    """Write ``model.onnx`` in the first format that loses no more than may be.

    A format that was asked for, the only one, is written whatever it loses, with a warning; so is, of
    several of which none will do, the one that loses least.

    Args:
        formats: In order of preference.
        fp32: Folder of the fused fp32 graph.
        folder: Folder of the export, with its serving files.
        yardstick: The answers of fp32.
        observed: Windows to look for outliers of activations in.
    """
    tried: list[Trial] = []
    for quantization, abilities in _written(formats, fp32, folder, yardstick, observed):
        size = (folder / MODEL_FILE).stat().st_size
        tried.append(Trial(quantization, size, yardstick.agreement(folder)))
        logger.info("tried %s", tried[-1].words)
        if tried[-1].is_faithful:
            why = "asked for" if len(formats) == 1 else "the first that loses at most 0.5 F1 against torch"
            return Chosen(tried[-1], abilities, tuple(tried), why)
    best = max(tried, key=_faithfulness)
    if best is not tried[-1]:
        abilities = write_model(fp32, folder, best.quantization, observed)
    why = "asked for" if len(formats) == 1 else "none loses at most 0.5 F1 against torch: this loses least"
    advice = "; leave out --quantize to have a format chosen" if len(formats) == 1 else ""
    logger.warning("more than 0.5 F1 is lost against torch, or spans differ: %s%s", best.words, advice)
    return Chosen(best, abilities, tuple(tried), why)


def _faithfulness(trial: Trial) -> tuple[float, float]:
    found = trial.agreement
    return -max(found.f1_lost or 0.0, 0.0), found.span_f1 or 0.0


def _written(
    formats: Sequence[Quantization],
    fp32: Path,
    folder: Path,
    yardstick: Yardstick,
    observed: Sequence[Inputs],
) -> Iterator[tuple[Quantization, Abilities]]:
    """Each format as it is then in the folder, int8 with the rounding that is nearer to fp32."""
    dithered: bool | None = None
    for quantization in formats:
        if quantization.can_be_dithered:
            if dithered is None:
                dithered = _is_better_dithered(quantization, fp32, folder, yardstick, observed)
            quantization = replace(quantization, dithered=dithered)
        yield quantization, write_model(fp32, folder, quantization, observed)


def _is_better_dithered(
    quantization: Quantization, fp32: Path, folder: Path, yardstick: Yardstick, observed: Sequence[Inputs]
) -> bool:
    write_model(fp32, folder, quantization, observed)
    graphs = [onnx.load(str(each / MODEL_FILE)) for each in (fp32, folder)]
    if not seem_on_a_grid(*graphs):
        return False
    error = yardstick.logit_error(folder)
    write_model(fp32, folder, replace(quantization, dithered=True), observed)
    return yardstick.logit_error(folder) < error

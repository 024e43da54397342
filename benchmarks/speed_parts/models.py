"""The embedded model's weights in the formats that the other systems read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speed_parts import texts

TORCH, ONNX, INT8, STATIC = "torch", "onnx", "onnx-int8", "onnx-static"
_N_CALIBRATING = 20


class Models:
    """Makes the folders below ``folder``; a worker's system, so that the memory it takes goes with it."""

    def __init__(self, source: Path, folder: Path) -> None:
        """Take the exported model and where to write."""
        self.source, self.folder = source, folder

    def make(self) -> None:
        """Write the checkpoint, optimum's ONNX of it, its int8 of that, and a statically quantized one."""
        from optimum.onnxruntime import ORTModelForQuestionAnswering, ORTQuantizer
        from optimum.onnxruntime.configuration import AutoQuantizationConfig

        self._write_torch(self.folder / TORCH)
        model = ORTModelForQuestionAnswering.from_pretrained(self.folder / TORCH, export=True)
        model.save_pretrained(self.folder / ONNX)
        quantizer = ORTQuantizer.from_pretrained(self.folder / ONNX)
        quantizer.quantize(
            save_dir=self.folder / INT8, quantization_config=AutoQuantizationConfig.avx2(is_static=False)
        )
        self._write_static(self.folder / STATIC)

    def _write_torch(self, folder: Path) -> None:
        """A plain ``BertForQuestionAnswering`` of the dequantized weights, with its tokenizer."""
        from transformers import BertForQuestionAnswering, BertTokenizerFast

        from qa_extractive.export.dequantize import load_rebuilt

        reader = load_rebuilt(self.source)
        config = reader.config.encoder_config
        config.num_labels = 2
        model = BertForQuestionAnswering(config)
        weights = {f"bert.{name}": value for name, value in reader.encoder.state_dict().items()}
        weights |= {f"qa_outputs.{name}": value for name, value in reader.span_head.state_dict().items()}
        model.load_state_dict(weights)
        model.save_pretrained(folder)
        tokenizer = BertTokenizerFast(tokenizer_file=str(self.source / "tokenizer.json"))
        tokenizer.model_max_length = config.max_position_embeddings
        tokenizer.save_pretrained(folder)

    def _write_static(self, folder: Path) -> None:
        """Products with ranges of activations fixed in advance, as QuantizeLinear and DequantizeLinear."""
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        folder.mkdir()
        prepared = folder / "prepared.onnx"
        quant_pre_process(self.folder / ONNX / "model.onnx", prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            folder / "model.onnx",
            _calibrating(self.source),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        prepared.unlink()
        shutil.copy(self.folder / TORCH / "config.json", folder)


def _calibrating(source: Path) -> Any:
    """Windows of made-up texts, one an input, as the quantizer reads them."""
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader

    from qa_extractive.config import ReaderConfig
    from qa_extractive.inference.windows import Windower
    from qa_extractive.types import Question

    asked = [Question(*each) for each in texts.make("abstracts", -50)[:_N_CALIBRATING]]
    windows = Windower.load(source, ReaderConfig.load(source).window).windows(asked)
    feeds: Iterator[dict[str, Any]] = iter(
        {
            "input_ids": window.token_ids[None],
            "attention_mask": np.ones_like(window.token_ids)[None],
            "token_type_ids": window.type_ids[None],
        }
        for window in windows
    )

    class Feeds(CalibrationDataReader):
        """One after the other."""

        def get_next(self) -> dict[str, Any] | None:
            """The next inputs; None after the last."""
            return next(feeds, None)

    return Feeds()

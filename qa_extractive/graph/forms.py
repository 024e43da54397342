"""The path of ``inference.onnx_forms`` before it moved."""

from qa_extractive.inference.onnx_forms import float_products

__all__ = ["float_products"]

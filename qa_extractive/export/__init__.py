"""Checkpoints -> ONNX folders for ``Predictor``, and back. Needs the [train] extra."""

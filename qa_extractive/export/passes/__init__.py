"""Passes that rewrite an ONNX graph, one a file. Needs the [train] extra."""

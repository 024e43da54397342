"""``model.onnx`` as it is run: its protobuf read and rewritten with numpy alone, and what its runs need."""

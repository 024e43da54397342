"""What several test files of inference share."""

from __future__ import annotations

import onnxruntime as ort
import pytest

from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.onnx_inputs import PaperStates
from qa_extractive.inference.windows import Window


@pytest.fixture
def papers_read(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """The windows of the papers that backends read, as they come."""
    read: list[Window] = []
    plain = OnnxBackend._read_paper

    def spy(self: OnnxBackend, session: ort.InferenceSession, window: Window) -> PaperStates:
        read.append(window)
        return plain(self, session, window)

    monkeypatch.setattr(OnnxBackend, "_read_paper", spy)
    return read

"""Models are read and written in silence, whatever transformers shows by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from transformers.utils import logging as transformers_logging

from qa_extractive.export.dequantize import rebuild
from qa_extractive.model.checkpoint import load_span_reader
from qa_extractive.model.progress_bars import without_progress_bars


def test_reading_and_writing_a_model_prints_nothing(
    tiny_export: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    load_span_reader(rebuild(tiny_export, tmp_path / "checkpoint"))
    assert capfd.readouterr() == ("", "")


def test_the_setting_is_what_it_was() -> None:
    for shown in (True, False):
        (transformers_logging.enable_progress_bar if shown else transformers_logging.disable_progress_bar)()
        try:
            with without_progress_bars():
                assert not transformers_logging.is_progress_bar_enabled()
            assert transformers_logging.is_progress_bar_enabled() is shown
        finally:
            transformers_logging.enable_progress_bar()

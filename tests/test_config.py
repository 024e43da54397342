"""Settings: what is out of range is refused, what is saved comes back, what is unknown is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.config import (
    READER_FILE,
    DecodeConfig,
    ReaderConfig,
    TrainConfig,
    WindowConfig,
    from_dict,
    read_json,
)
from qa_extractive.errors import DataError, ModelError


def test_a_reader_config_comes_back_as_saved(tmp_path: Path) -> None:
    config = ReaderConfig(WindowConfig(200, 17, 40, 9), DecodeConfig(33, 4))
    config.save(tmp_path)
    assert ReaderConfig.load(tmp_path) == config


@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        ((100, 43, 40, 8), True),  # 44 tokens of context are left, 43 of them shared
        ((100, 44, 40, 8), False),
        ((56, 0, 40, 8), False),
    ],
)
def test_a_window_must_move_forward(values: tuple[int, ...], accepted: bool) -> None:
    if accepted:
        assert WindowConfig(*values).max_tokens == 100
    else:
        with pytest.raises(ModelError, match="must exceed stride_tokens"):
            WindowConfig(*values)


@pytest.mark.parametrize(
    "values", [(0, 20), (10, 0), (-1, 20), (10, 1.5), (True, 20), ("10", 20), (10, 10**12)]
)
def test_decoding_needs_a_length_and_a_beam(values: tuple[Any, Any]) -> None:
    with pytest.raises(ModelError, match=r"must be a whole number from 1 to (1,000|16,384), got"):
        DecodeConfig(*values)


@pytest.mark.parametrize(
    "values", [(100, -1, 40, 8), (100, 0, 0, 8), (100, 0, 40, -1), (100.0, 0, 40, 8), (None,)]
)
def test_windows_are_made_of_whole_tokens(values: tuple[Any, ...]) -> None:
    with pytest.raises(ModelError, match="must be a whole number from"):
        WindowConfig(*values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format_version": 2}, "format version 2 is not 1"),
        ({}, "format version None is not 1"),
        ({"format_version": 1, "windows": {}}, "unknown setting 'windows'"),
        ({"format_version": 1, "window": {"max_token": 3}}, "unknown setting 'max_token'"),
        ({"format_version": 1, "window": {"max_tokens": "512"}}, "max_tokens must be a whole number"),
        ({"format_version": 1, "window": 512}, "512 is not an object of settings"),
        ({"format_version": 1, "decode": None}, "None is not an object of settings"),
    ],
)
def test_a_reader_file_not_understood_is_named(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    path = tmp_path / READER_FILE
    path.write_text(json.dumps(values))
    with pytest.raises(ModelError, match=message) as caught:
        ReaderConfig.load(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"", "is not JSON"),
        (b"[1]", "holds no JSON object"),
    ],
)
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "some.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", -1e-4),
        ("learning_rate", float("nan")),
        ("head_learning_rate", 0.0),
        ("layer_decay", 0.0),
        ("max_steps", 0),
        ("max_minutes", 0),
        ("train_window_tokens", -1),
        ("mismatch_share", -0.1),
        ("removal_share", -0.1),
        ("n_dev", -1),
        ("n_calibration", -1),
        ("eval_steps", -1),
        ("patience", -1),
        ("warmup_share", 1.5),
        ("dropout", 1.0),
    ],
)
def test_a_training_setting_out_of_range_is_named(setting: str, value: Any) -> None:
    with pytest.raises(DataError, match=f"^{setting} must"):
        TrainConfig(**{setting: value})


def test_training_settings_from_json() -> None:
    config = from_dict(TrainConfig, {"epochs": 0.5, "max_steps": None, "n_dev": 0}, "recipe.json")
    assert config == TrainConfig(epochs=0.5, n_dev=0)
    with pytest.raises(ModelError, match=r"recipe\.json: unknown setting 'epoch'; known are epochs"):
        from_dict(TrainConfig, {"epoch": 1}, "recipe.json")

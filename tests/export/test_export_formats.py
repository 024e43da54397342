"""An export is written in the first format that loses no more than may be, and says what it measured."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import onnx
import torch

from qa_extractive.errors import ExportError
from qa_extractive.export import exporter, formats, parity
from qa_extractive.export.dequantize import load_rebuilt, rebuild
from qa_extractive.export.exporter import export
from qa_extractive.export.formats import Trial, choose_format, formats_of
from qa_extractive.export.graph import Abilities, Quantization, quantization_of, write_fp32, write_model
from qa_extractive.export.parity import Yardstick
from qa_extractive.export.passes.rounding import seem_on_a_grid
from qa_extractive.export.report import EXPORT_FILE, Agreement
from qa_extractive.export.sample_texts import sample_examples
from qa_extractive.model.checkpoint import load_checkpoint
from qa_extractive.model.span_reader import SpanReader, pad_windows
from qa_extractive.predictor import Predictor
from qa_extractive.types import Example, Question

NAMES = [
    "int8, 4",
    "int8, 8",
    "int8 weights and float products, 4",
    "int8 weights and float products, 8",
    "fp16",
    "fp32",
]


def test_what_is_tried_in_which_order() -> None:
    def words(*arguments: Any, **more: Any) -> list[str]:
        settings = {"embedding_bits": None, **more}
        return [each.words.removesuffix("-bit embeddings") for each in formats_of(*arguments, **settings)]

    assert words("auto") == NAMES
    assert words("auto", embedding_bits=8) == [NAMES[1], *NAMES[3:]]
    assert words("int8") == NAMES[:1]
    assert words("int8", embedding_bits=8) == [NAMES[1]]
    assert words("fp16") == ["fp16"]
    with pytest.raises(ExportError, match="4 or 8 bits, not 5"):
        words("auto", embedding_bits=5)


def trial(lost: float | None, n_references: int, span_f1: float | None) -> Trial:
    model_f1 = None if lost is None else 0.7 - lost
    found = Agreement(500, 0.9, None if lost is None else 0.7, model_f1, n_references, span_f1)
    return Trial(quantization_of("int8"), 18_000_000, found)


@pytest.mark.parametrize(
    ("lost", "n_references", "span_f1", "is_faithful"),
    [
        (0.004, 1000, 0.90, True),  # F1 of many decides
        (0.006, 1000, 1.00, False),
        (-0.03, 1000, 0.90, True),
        (0.0, 50, 0.985, False),  # of few, chance does: the spans must be those of torch too
        (0.0, 50, 0.992, True),
        (0.01, 50, 1.00, False),
        (None, 0, 0.985, True),
        (None, 0, 0.97, False),
        (None, 0, None, True),
    ],
)
def test_what_may_be_lost(
    lost: float | None, n_references: int, span_f1: float | None, is_faithful: bool
) -> None:
    assert trial(lost, n_references, span_f1).is_faithful is is_faithful


class Scripted:
    """A yardstick that finds what a test says."""

    examples: tuple[Example, ...] = ()

    def __init__(self, *lost: float) -> None:
        self._lost = iter(lost)

    def agreement(self, folder: Path) -> Agreement:
        return trial(next(self._lost), 1000, 1.0).agreement

    def logit_error(self, folder: Path) -> float:
        return 1.0


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def write(fp32: Path, folder: Path, quantization: Quantization, observed: Any) -> Abilities:
        names.append(quantization.words)
        (folder / "model.onnx").write_text(quantization.words)
        return Abilities()

    monkeypatch.setattr(formats, "write_model", write)
    monkeypatch.setattr(formats, "_is_better_dithered", lambda *_: False)
    return names


def choose(folder: Path, quantize: str, *lost: float) -> formats.Chosen:
    wanted = formats_of(quantize, embedding_bits=None)
    return choose_format(wanted, folder, folder, Scripted(*lost), ())  # type: ignore[arg-type]


def test_the_first_that_is_faithful_is_taken(
    written: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choose(tmp_path, "auto", 0.02, 0.01, 0.001)
    assert chosen.trial.quantization.words == f"{NAMES[2]}-bit embeddings" == written[-1]
    assert len(chosen.tried) == 3
    assert "at most 0.5 F1" in chosen.reason
    assert "F1 68.0 where torch has 70.0" in chosen.tried[0].words
    assert not caplog.records


def test_where_none_will_do_the_best_is_written_with_a_warning(
    written: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choose(tmp_path, "auto", 0.02, 0.01, 0.04, 0.05, 0.03, 0.03)
    assert chosen.trial is chosen.tried[1]
    assert (tmp_path / "model.onnx").read_text() == f"{NAMES[1]}-bit embeddings" == written[-1]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "F1 69.0 where torch has 70.0" in caplog.text
    assert "loses least" in chosen.reason


def test_what_was_asked_for_is_written_and_measured(
    written: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choose(tmp_path, "int4", 0.02)
    assert (chosen.reason, written) == ("asked for", ["int4, 4-bit embeddings"])
    (record,) = caplog.records
    assert "leave out --quantize to have a format chosen" in record.getMessage()
    assert "\n" not in record.getMessage()


# ---------------------------------------------------------------- weights that lie on a grid


@pytest.fixture(scope="module")
def tuned(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model made of an int8 file, every weight moved by a fifth of a step, as Adam does it at first."""
    folder = rebuild(tiny_export, tmp_path_factory.mktemp("tuned") / "checkpoint")
    model = SpanReader.from_pretrained(folder)
    checkpoint = load_checkpoint(str(folder))
    for window in parity.example_windows(checkpoint, sample_examples(), 8):
        output = model(**pad_windows([window]))
        output.start_logits[0, window.first :].log_softmax(-1)[3].neg().backward()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and parameter.grad is not None and "embeddings" not in name:
                step = parameter.abs().amax(dim=1, keepdim=True) / 127
                parameter.sub_(0.2 * step * parameter.grad.sign())
    model.save_pretrained(folder)
    return folder


def test_a_fine_tuning_is_not_rounded_away(tuned: Path, tiny_export: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(tuned))
    exporter._write_serving_files(checkpoint, tmp_path)
    yardstick = Yardstick(write_fp32(checkpoint, tmp_path, exporter.OPSET), (), 1)
    before = yardstick.logit_error(tiny_export)
    errors, graphs = {}, {}
    for dithered in (False, True):
        quantization = replace(quantization_of("int8"), dithered=dithered)
        write_model(tmp_path / "fp32", tmp_path, quantization)
        errors[dithered] = yardstick.logit_error(tmp_path)
        graphs[dithered] = onnx.load(str(tmp_path / "model.onnx"))
    fp32 = onnx.load(str(tmp_path / "fp32" / "model.onnx"))
    assert seem_on_a_grid(fp32, graphs[False])
    assert not seem_on_a_grid(fp32, graphs[True])
    assert errors[False] == pytest.approx(before, rel=0.25), "the nearest codes are those of before"
    assert errors[True] < 0.6 * errors[False]

    report = export(tuned, tmp_path / "model", quantize="int8", n_threads=1)
    assert report.dithered
    assert "rounded at random" in report.format


def test_other_weights_get_their_nearest_codes(tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert not export(tiny_checkpoint, tmp_path / "model", quantize="int8", n_threads=1).dithered


def test_rounding_at_random_is_repeatable(tuned: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(tuned, tmp_path / name, quantize="int8", n_threads=1)
    assert (tmp_path / "one" / "model.onnx").read_bytes() == (tmp_path / "two" / "model.onnx").read_bytes()


# ---------------------------------------------------------------- the whole way


@pytest.mark.parametrize("way", ["export", "from_pretrained"])
def test_every_way_in_measures_and_says_so(tiny_checkpoint: Path, tmp_path: Path, way: str) -> None:
    if way == "export":
        export(tiny_checkpoint, tmp_path / "model", n_threads=1)
        folder = tmp_path / "model"
    else:
        folder = Predictor.from_pretrained(tiny_checkpoint, cache=tmp_path).folder
    report = json.loads((folder / EXPORT_FILE).read_text())
    assert report["n_check_examples"] == len(sample_examples())
    assert report["format"] == report["tried"][-1]["format"]
    assert report["tried"][-1]["is_faithful"] is True
    assert not any(each["is_faithful"] for each in report["tried"][:-1])
    assert report["span_f1"] >= formats.LEAST_SPAN_F1
    assert "at most 0.5 F1" in report["why"]


def test_int8_weights_are_small_and_near_torch(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from qa_extractive.inference.onnx_backend import OnnxBackend

    sizes, errors = {}, {}
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    exporter._write_serving_files(checkpoint, tmp_path)
    yardstick = Yardstick(write_fp32(checkpoint, tmp_path, exporter.OPSET), (), 1)
    for quantize in ("int8", "int8-weights", "fp16"):
        report = export(
            tiny_checkpoint, tmp_path / quantize, quantize=quantize, embedding_bits=8, n_threads=1
        )
        sizes[quantize], errors[quantize] = report.model_bytes, yardstick.logit_error(tmp_path / quantize)
    assert sizes["int8-weights"] < 1.05 * sizes["int8"]
    assert errors["fp16"] < errors["int8-weights"] < errors["int8"]
    state = load_rebuilt(tmp_path / "int8-weights").state_dict()
    before = SpanReader.from_pretrained(tiny_checkpoint).state_dict()
    assert all(torch.allclose(before[n], state[n], atol=0.01 * float(before[n].abs().max())) for n in before)
    assert OnnxBackend(tmp_path / "int8-weights", 1)


def test_samples_are_read_by_every_model(tiny_checkpoint: Path) -> None:
    made = sample_examples()
    assert len({example.id for example in made}) == len(made) >= 32
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    assert len(parity.example_windows(checkpoint, made, 100)) >= len(made)


def test_examples_of_its_own_are_preferred(tiny_checkpoint: Path, tmp_path: Path) -> None:
    own = []
    for i in range(12):
        question = Question("What fell?", f"The risk fell to {i} percent.")
        own.append(Example(str(i), question, references=(f"{i} percent",)))
    report = export(tiny_checkpoint, tmp_path / "model", quantize="int8", check=own, n_threads=1)
    assert (report.n_check_examples, report.n_references) == (12, 12)
    assert report.fp32_f1 is not None
    assert np.isfinite(report.fp32_f1)


def test_spans_of_examples_with_and_without_references_are_held_apart(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few test rows must not be lost among many others."""
    export(tiny_checkpoint, tmp_path / "model", quantize="none", n_threads=1)
    rows = [replace(e, references=("x",) if i < 28 else ()) for i, e in enumerate(sample_examples())]
    yardstick = Yardstick(tmp_path / "model", rows, 1)
    assert yardstick.agreement(tmp_path / "model").span_f1 == 1.0
    best = parity._best_texts
    monkeypatch.setattr(parity, "_best_texts", lambda *given: [*best(*given)[:-1], ""])
    assert yardstick.agreement(tmp_path / "model").span_f1 == pytest.approx(3 / 4)

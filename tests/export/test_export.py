from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import onnx
import onnxruntime as ort
import torch

from qa_extractive.cli import main
from qa_extractive.config import WindowConfig
from qa_extractive.errors import ExportError, ModelError
from qa_extractive.export import exporter
from qa_extractive.export.dequantize import ARCHITECTURE_FILE, load_rebuilt, rebuild
from qa_extractive.export.exporter import calibrate_folder, export
from qa_extractive.export.graph import quantization_of, write_fp32, write_model
from qa_extractive.export.passes import smoothing
from qa_extractive.export.passes.kernels import use_quick_kernels
from qa_extractive.export.passes.smoothing import SMOOTHING, activation_peaks, smooth_outliers
from qa_extractive.export.report import EXPORT_FILE, ExportReport
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.model.checkpoint import load_checkpoint, window_for
from qa_extractive.model.span_reader import SpanReader, TorchBackend, pad_windows
from qa_extractive.predictor import Predictor
from qa_extractive.types import Example, Question, Span

CONTEXTS = [
    "Background: we compared the drug with placebo in 512 patients. Results showed that it was reduced.",
    "The risk of bleeding increased significantly in the treatment group (p<0.05).",
    "zebra " * 60,
    "Patients in the trial were 65 years. " * 12,
]
QUESTIONS = [Question("What was the effect of the drug?", c, "A trial of the drug") for c in CONTEXTS]


def windows_of(folder: Path) -> list[Window]:
    checkpoint = load_checkpoint(str(folder))
    return Windower(checkpoint.tokenizer, checkpoint.reader.window).windows(QUESTIONS)


def largest_difference(left: list[WindowLogits], right: list[WindowLogits]) -> float:
    def flat(logits: WindowLogits) -> Any:
        head = [] if logits.answerability is None else [logits.answerability]
        return np.concatenate([logits.start, logits.end, head])

    return max(float(np.abs(flat(a) - flat(b)).max()) for a, b in zip(left, right, strict=True))


def examples(n: int) -> list[Example]:
    made = []
    for i in range(n):
        context = f"In the study {i} patients were treated. The risk was {i * 7} percent."
        span = Span.cut(context, context.index("The risk"), len(context))
        unanswerable = i % 3 == 0
        made.append(
            Example(
                id=str(i),
                question=Question("What was the risk?", context),
                references=() if unanswerable else (span.text,),
                spans=() if unanswerable else (span,),
                answerable=not unanswerable,
                source="made",
            )
        )
    return made


def test_fp32_onnx_is_torch(tiny_checkpoint: Path, tiny_fp32: Path) -> None:
    windows = windows_of(tiny_checkpoint)
    torch_logits = TorchBackend(SpanReader.from_pretrained(tiny_checkpoint)).run(windows)
    assert largest_difference(torch_logits, OnnxBackend(tiny_fp32).run(windows)) < 1e-4


def test_report_travels_with_the_model(tiny_export: Path) -> None:
    report = json.loads((tiny_export / EXPORT_FILE).read_text())
    assert set(report) == {f.name for f in dataclasses.fields(ExportReport)}
    assert report["max_logit_diff"] < 1e-4
    assert report["quantize"] == "int8"
    assert report["model_bytes"] == (tiny_export / "model.onnx").stat().st_size
    assert "onnxruntime" in report["versions"]


def test_bert_is_fused_and_quantized(tiny_fp32: Path, tiny_export: Path) -> None:
    graphs = [onnx.load(str(folder / "model.onnx")).graph for folder in (tiny_fp32, tiny_export)]
    fused, quantized = ({node.op_type for node in graph.node} for graph in graphs)
    assert {"Attention", "EmbedLayerNormalization", "LayerNormalization", "Gelu"} <= fused
    assert {"MultiHeadAttention", "LayerNormalization", "FastGelu", "MatMulInteger"} <= quantized
    slow = {"QAttention", "SkipLayerNormalization", "BiasGelu", "GatherBlockQuantized"}
    assert not (fused | quantized) & slow


def test_quick_kernels_give_what_the_fused_graph_gives(tiny_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    exporter._write_serving_files(checkpoint, tmp_path)
    fp32 = write_fp32(checkpoint, tmp_path, exporter.OPSET)
    windows = windows_of(tiny_checkpoint)
    fused = OnnxBackend(fp32).run(windows)
    largest = {}
    for approximate in (False, True):
        folder = shutil.copytree(fp32, tmp_path / f"quick_{approximate}")
        graph = onnx.load(str(folder / "model.onnx"))
        use_quick_kernels(graph, approximate_gelu=approximate)
        assert not {"SkipLayerNormalization", "BiasGelu"} & {node.op_type for node in graph.graph.node}
        onnx.save(graph, str(folder / "model.onnx"))
        largest[approximate] = largest_difference(fused, OnnxBackend(folder).run(windows))
    assert largest[False] < 1e-5
    assert largest[True] < 2e-3


def test_normalisations_are_not_fused_again(
    tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the backend asks of onnxruntime leaves them apart when the graph is opened."""
    asked: dict[str, Any] = {}
    opened = ort.InferenceSession

    def session(graph: Any, options: Any, **arguments: Any) -> Any:
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        asked.update(arguments)
        return opened(graph, options, **arguments)

    monkeypatch.setattr(ort, "InferenceSession", session)
    OnnxBackend(tiny_export, 1)
    assert "SkipLayerNormFusion" in asked["disabled_optimizers"]
    kinds = {node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node}
    assert {"LayerNormalization", "FastGelu", "DynamicQuantizeMatMul"} <= kinds
    assert not kinds & {"SkipLayerNormalization", "BiasGelu"}


def test_int8_has_no_mask(tiny_export: Path, tiny_fp32: Path) -> None:
    """A run is one window: a padded batch is refused for want of the input, not read wrongly."""
    assert OnnxBackend(tiny_export).input_names == ("input_ids", "token_type_ids")
    assert OnnxBackend(tiny_fp32).input_names == ("input_ids", "attention_mask", "token_type_ids")


def test_padding_changes_nothing_in_fp32(tiny_fp32: Path, tiny_checkpoint: Path) -> None:
    """The graph keeps its batch axis and its mask, for who serves it otherwise."""
    backend = OnnxBackend(tiny_fp32)
    windows = windows_of(tiny_checkpoint)[:3]
    padded = {name: values.numpy() for name, values in pad_windows(windows).items()}
    start, end, head = backend._sessions.get(1).run(
        ["start_logits", "end_logits", "answerability_logit"], padded
    )
    lengths = enumerate(w.n_tokens for w in windows)
    batch = [WindowLogits(start[i, :n], end[i, :n], float(head[i])) for i, n in lengths]
    assert largest_difference(batch, backend.run(windows)) < 1e-4


def test_deberta(tiny_deberta_checkpoint: Path, tmp_path: Path) -> None:
    windows = windows_of(tiny_deberta_checkpoint)
    report = export(tiny_deberta_checkpoint, tmp_path / "fp32", quantize="none", n_threads=1)
    assert report.max_logit_diff < 1e-4
    model = SpanReader.from_pretrained(tiny_deberta_checkpoint)
    torch_logits = TorchBackend(model, batch_size=1).run(windows)
    assert largest_difference(torch_logits, OnnxBackend(tmp_path / "fp32").run(windows)) < 1e-4
    export(tiny_deberta_checkpoint, tmp_path / "int8", quantize="int8", n_threads=1)
    assert len(Predictor(tmp_path / "int8").answer_batch(QUESTIONS)) == len(QUESTIONS)
    with pytest.raises(ModelError, match="only BERT"):
        rebuild(tmp_path / "int8", tmp_path / "back")


def test_question_answering_checkpoint(tiny_qa_checkpoint: Path, tmp_path: Path) -> None:
    report = export(tiny_qa_checkpoint, tmp_path / "qa", n_threads=1)
    assert report.max_logit_diff < 1e-4
    predictor = Predictor(tmp_path / "qa")
    reading = predictor.read_batch(QUESTIONS)[0]
    assert reading.answerability_logit is None
    answer = predictor.answer_batch(QUESTIONS)[0]
    assert answer.answerable == answer.score == pytest.approx(1 / (1 + np.exp(-reading.margin)))


def test_root_logger_is_left_alone(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    export(tiny_checkpoint, tmp_path / "model", n_threads=1)
    assert root.handlers == []


def test_encoder_without_a_head_is_refused(tiny_qa_checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    plain = shutil.copytree(tiny_qa_checkpoint, tmp_path / "plain")
    AutoModel.from_pretrained(plain).save_pretrained(plain)
    with pytest.raises(ModelError, match="is not a question-answering checkpoint"):
        export(plain, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("n_positions", "model_type", "limit", "expected"),
    [(512, "bert", 10**30, 512), (514, "roberta", 512, 512), (64, "bert", 512, 64), (512, "bert", 384, 384)],
)
def test_window_fits_the_model(n_positions: int, model_type: str, limit: int, expected: int) -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model(model_type, max_position_embeddings=n_positions)
    assert window_for(config, limit).max_tokens == expected


def test_calibrates_on_the_examples_left_by_training(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from qa_extractive.data import examples_to_jsonl

    folder = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    (folder / "README.md").write_text("# A card\n")
    examples_to_jsonl(folder / "calibration_examples.jsonl.gz", examples(60))
    report = export(folder, tmp_path / "out", n_threads=1)
    calibration = Calibration.load(tmp_path / "out")
    assert report.calibrated_on == calibration.fitted_on
    assert "60 examples (made)" in calibration.fitted_on
    assert calibration.n_examples == report.n_check_examples == 60
    assert report.answer_agreement is not None
    assert 0.5 <= report.answer_agreement <= 1.0
    assert report.fp32_f1 is not None
    assert report.model_f1 is not None
    assert (tmp_path / "out" / "README.md").is_file()
    assert not (tmp_path / "out" / "calibration_examples.jsonl.gz").exists()


def test_calibration_fits_the_exported_logits(tiny_export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    calibration = calibrate_folder(folder, examples(60), n_threads=1)
    assert Calibration.load(folder) == calibration
    before, after = (Predictor(each).answer_batch(QUESTIONS) for each in (tiny_export, folder))
    assert [a.answerable for a in before] != [a.answerable for a in after]


@pytest.mark.parametrize("share", ["0", "1", "-2", "nan"])
def test_a_share_that_is_none_is_refused_before_the_work(
    share: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--model", "m", "--output", "o", "--answerable-share", share]) == 2
    assert "--answerable-share must lie between 0 and 1" in capsys.readouterr().err


def test_output_of_something_else_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ExportError, match="not empty"):
        export(tiny_checkpoint, tmp_path)
    with pytest.raises(ExportError, match="is a file"):
        export(tiny_checkpoint, tmp_path / "thesis.tex")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_earlier_export_is_replaced(tiny_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    output.mkdir()
    (output / EXPORT_FILE).write_text("{}")
    (output / "old").write_text("")
    export(tiny_checkpoint, output, quantize="none", n_threads=1)
    assert not (output / "old").exists()
    assert {p.name for p in output.iterdir()} == {
        "model.onnx",
        "tokenizer.json",
        "reader.json",
        "calibration.json",
        EXPORT_FILE,
        ARCHITECTURE_FILE,
    }
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_missed_parity_leaves_nothing(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa_extractive.export.parity.MAX_LOGIT_DIFF", 0.0)
    with pytest.raises(ExportError, match="differs from torch"):
        export(tiny_checkpoint, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "config.json is missing"),
        ({"config.json": "not json"}, "is not JSON"),
        ({"config.json": '{"model_type": "span-reader"}'}, "not a checkpoint of train.py"),
        ({"config.json": '{"model_type": "no-such"}'}, "cannot be loaded"),
    ],
)
def test_broken_checkpoint(tmp_path: Path, files: dict[str, str], message: str) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        export(folder, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_unknown_quantization(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="auto, none, int8, int8-weights, int4, fp16, got 'int3'"):
        export(tiny_checkpoint, tmp_path / "out", quantize="int3")


def test_rebuilt_fp32_is_the_checkpoint(tiny_checkpoint: Path, tiny_fp32: Path) -> None:
    original = SpanReader.from_pretrained(tiny_checkpoint).state_dict()
    rebuilt = load_rebuilt(tiny_fp32).state_dict()
    assert original.keys() == rebuilt.keys()
    assert all((original[name] == rebuilt[name]).all() for name in original)


def test_rebuilt_int8_answers_as_the_export(tiny_export: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = rebuild(tiny_export, tmp_path / "back")
    windows = windows_of(tiny_checkpoint)
    torch_logits = TorchBackend(SpanReader.from_pretrained(folder)).run(windows)
    onnx_logits = OnnxBackend(tiny_export).run(windows)
    both = [np.concatenate([[*w.start, *w.end] for w in each]) for each in (torch_logits, onnx_logits)]
    assert np.corrcoef(both)[0, 1] > 0.99
    assert export(folder, tmp_path / "again", n_threads=1).max_logit_diff < 1e-4
    assert WindowConfig(**json.loads((folder / "reader.json").read_text())["window"]).max_tokens == 128


def test_rebuild_needs_the_architecture(tiny_export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    (folder / ARCHITECTURE_FILE).unlink()
    with pytest.raises(ModelError, match=r"architecture\.json is missing"):
        rebuild(folder, tmp_path / "back")


@pytest.mark.parametrize(("bits", "operator", "error"), [(4, "BitShift", 0.12), (8, "Gather", 0.01)])
def test_embeddings_of_4_and_8_bits_come_back(
    tiny_checkpoint: Path, tmp_path: Path, bits: int, operator: str, error: float
) -> None:
    report = export(tiny_checkpoint, tmp_path / "model", quantize="int8", embedding_bits=bits)
    assert report.embedding_bits == bits
    graph = onnx.load(str(tmp_path / "model" / "model.onnx")).graph
    assert operator in {node.op_type for node in graph.node}
    name = "encoder.embeddings.word_embeddings.weight"
    before = SpanReader.from_pretrained(tiny_checkpoint, use_safetensors=True).state_dict()[name]
    after = load_rebuilt(tmp_path / "model").state_dict()[name]
    assert 0 < float((before - after).abs().max() / before.abs().max()) < error


def test_other_numbers_of_bits_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="4 or 8 bits, not 3"):
        export(tiny_checkpoint, tmp_path / "model", embedding_bits=3)
    assert not (tmp_path / "model").exists()


def test_outliers_are_smoothed_and_the_product_stays(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A unit of a feed-forward layer that is always large, as trained models have them."""
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    layer = checkpoint.model.encoder.encoder.layer[0]
    with torch.no_grad():
        layer.intermediate.dense.bias[3] = 30
        layer.output.dense.weight[:, 3] /= 100
    exporter._write_serving_files(checkpoint, tmp_path)
    fp32 = write_fp32(checkpoint, tmp_path, exporter.OPSET)
    windows = windows_of(tiny_checkpoint)
    inputs = [{name: values.numpy() for name, values in pad_windows([w]).items()} for w in windows]
    peaks = activation_peaks(fp32 / "model.onnx", inputs)
    assert max(float(found.max() / np.median(found)) for found in peaks.values()) > 10

    graph = onnx.load(str(fp32 / "model.onnx"))
    smooth_outliers(graph, peaks)
    names = [tensor.name for tensor in graph.graph.initializer if tensor.name.endswith(SMOOTHING)]
    assert names
    smoothed = shutil.copytree(fp32, tmp_path / "smoothed")
    onnx.save(graph, str(smoothed / "model.onnx"))
    fp32_logits = OnnxBackend(fp32).run(windows)
    assert largest_difference(fp32_logits, OnnxBackend(smoothed).run(windows)) < 1e-4

    differences = {}
    for name, observed in (("with", inputs), ("without", [])):
        write_model(fp32, tmp_path, quantization_of("int8"), observed)
        differences[name] = largest_difference(fp32_logits, OnnxBackend(tmp_path).run(windows))
        rebuilt = load_rebuilt(tmp_path).state_dict()["encoder.encoder.layer.0.output.dense.weight"]
        assert torch.allclose(rebuilt, layer.output.dense.weight, atol=0.01 * float(rebuilt.abs().max()))
    assert differences["with"] < differences["without"]


def test_without_outliers_nothing_is_smoothed(tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert smoothing._factors(np.ones(32, dtype=np.float32)) is None
    assert smoothing._factors(np.zeros(32, dtype=np.float32)) is None
    found = smoothing._factors(np.array([1.0] * 99 + [30.0], dtype=np.float32))
    assert found is not None
    assert found.tolist() == [1.0] * 99 + [30.0]

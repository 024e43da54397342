"""Every architecture that ``Predictor.from_pretrained`` takes: exported as torch computes it, and quantized.

Tiny random weights. What is taken is what transformers has a question-answering head for, optimum can
trace and ``Predictor`` can feed; the first test holds that each such architecture is in one of the lists.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import AutoConfig, AutoModelForQuestionAnswering  # noqa: E402

from qa_extractive.errors import ExportError, ModelError  # noqa: E402
from qa_extractive.export import exporter  # noqa: E402
from qa_extractive.export.graph import write_fp32  # noqa: E402
from qa_extractive.export.tracing import has_optimum  # noqa: E402
from qa_extractive.inference.backend import WindowLogits  # noqa: E402
from qa_extractive.inference.onnx_backend import OnnxBackend  # noqa: E402
from qa_extractive.inference.windows import Window, Windower  # noqa: E402
from qa_extractive.model.checkpoint import Checkpoint, load_checkpoint, window_for  # noqa: E402
from qa_extractive.model.span_reader import ENCODER_TYPES, SpanReader, TorchBackend  # noqa: E402
from qa_extractive.predictor import Predictor  # noqa: E402
from qa_extractive.types import Question  # noqa: E402

CONTEXTS = [
    "Background: we compared the drug with placebo in 512 patients. Results showed that it was reduced.",
    "The risk of bleeding increased significantly in the treatment group (p<0.05).",
    "Patients in the trial were 65 years. " * 12,
]
QUESTIONS = [Question("What was the effect of the drug?", context, "A trial") for context in CONTEXTS]

TAKEN = (
    *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mpnet", "roberta"),
    "xlm-roberta",
)
RARE = ("convbert", "data2vec-text", "megatron-bert", "mobilebert", "rembert", "roformer", "squeezebert")
# Traced by optimum, but not read here, or never tried.
NOT_TAKEN = {
    "generate, do not only read": ("bart", "bigbird_pegasus", "falcon", "gptj", "mbart", "opt"),
    "read layouts or markup beside the text": ("layoutlmv3", "lilt", "markuplm"),
    "need an input beside ids, mask and segments": ("longformer",),
    "not tried": ("big_bird", "flaubert", "ibert", "nystromformer", "splinter", "xlm"),
}


def test_each_architecture_is_listed() -> None:
    pytest.importorskip("optimum", reason="optimum says which architectures it can trace")
    from optimum.exporters.tasks import TasksManager
    from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES

    assert has_optimum()  # registers the architectures

    traced = set(TasksManager.get_supported_model_type_for_task("question-answering", "onnx"))
    known = {*TAKEN, *RARE, *(name for names in NOT_TAKEN.values() for name in names)}
    assert traced & set(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES) == known
    assert set(ENCODER_TYPES) <= set(TAKEN)


Logits = list[WindowLogits]


@pytest.fixture
def traced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both exports of a checkpoint begin with the same fp32 graph, which is written for the first one."""
    write, kept = write_fp32, tmp_path / "traced"

    def write_once(checkpoint: Checkpoint, folder: Path, opset: int) -> Path:
        if not kept.exists():
            write(checkpoint, folder, opset)
            shutil.copytree(folder, kept)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        return folder / "fp32"

    monkeypatch.setattr(exporter, "write_fp32", write_once)


def windows_of(folder: Path) -> list[Window]:
    checkpoint = load_checkpoint(str(folder))
    return Windower(checkpoint.tokenizer, checkpoint.reader.window).windows(QUESTIONS)


def check(folder: Path, cache: Path, expected: Logits) -> None:
    """fp32 has torch's logits, int8 correlates with them, and the answers are spans of their contexts."""
    windows = windows_of(folder)
    predictors = [Predictor.from_pretrained(folder, quantize=q, cache=cache) for q in ("none", "int8")]
    fp32, int8 = (OnnxBackend(predictor.folder, 1).run(windows) for predictor in predictors)
    for exact, quantized, logits in zip(fp32, int8, expected, strict=True):
        for name in ("start", "end"):  # each by itself: what they have in common would only raise the figure
            right = getattr(logits, name)
            assert np.ptp(right) > 1.0, "logits that are all alike could not differ"
            assert np.abs(getattr(exact, name) - right).max() < 1e-4
            assert np.corrcoef(getattr(quantized, name), right)[0, 1] > 0.99
        assert not np.array_equal(exact.start, quantized.start)
        if logits.answerability is None:
            assert exact.answerability is quantized.answerability is None
        else:
            assert exact.answerability == pytest.approx(logits.answerability, abs=1e-4)
            assert quantized.answerability == pytest.approx(logits.answerability, abs=0.2)
    for question, answer in zip(QUESTIONS, predictors[1].answer_batch(QUESTIONS), strict=True):
        assert all(question.context[s.start : s.end] == s.text for s in answer.candidates)


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize(
    "model_type", [*TAKEN, *(pytest.param(name, marks=pytest.mark.slow) for name in RARE)]
)
def test_question_answering_checkpoints(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path, model_type: str
) -> None:
    folder = make_qa_checkpoint(model_type)
    check(folder, tmp_path / "cache", torch_logits(folder, windows_of(folder)))


def torch_logits(folder: Path, windows: list[Window]) -> Logits:
    """As transformers itself computes them, given all that the model knows to read."""
    model = AutoModelForQuestionAnswering.from_pretrained(folder, use_safetensors=True).eval()
    reads = inspect.signature(model.forward).parameters
    has_segments = "token_type_ids" in reads and getattr(model.config, "type_vocab_size", 0) > 1
    logits = []
    for window in windows:
        given = {"input_ids": window.token_ids, "attention_mask": np.ones_like(window.token_ids)}
        given |= {"token_type_ids": window.type_ids} if has_segments else {}
        with torch.inference_mode():
            output = model(**{name: torch.from_numpy(values[None]) for name, values in given.items()})
        logits.append(WindowLogits(output.start_logits[0].numpy(), output.end_logits[0].numpy(), None))
    return logits


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("model_type", ENCODER_TYPES)
def test_checkpoints_of_train(
    make_reader_checkpoint: Callable[..., Path], tmp_path: Path, model_type: str
) -> None:
    folder = make_reader_checkpoint(model_type)
    reader = TorchBackend(SpanReader.from_pretrained(folder, use_safetensors=True), batch_size=1)
    check(folder, tmp_path / "cache", reader.run(windows_of(folder)))


def test_one_that_wants_another_input_is_refused(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_qa_checkpoint("longformer")
    with pytest.raises(ExportError, match="wants an input global_attention_mask") as caught:
        Predictor.from_pretrained(folder, cache=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model_type", ["albert", "bert", "electra"])
def test_one_segment_is_read_throughout(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path, model_type: str
) -> None:
    """Its tokenizer tells two segments apart, as BERT's does; the encoder knows one."""
    folder = make_qa_checkpoint(model_type, type_vocab_size=1)
    windows = windows_of(folder)
    assert any(window.type_ids.any() for window in windows)
    predictor = Predictor.from_pretrained(folder, quantize="none", cache=tmp_path)
    found = OnnxBackend(predictor.folder, 1).run(windows)
    for logits, right in zip(found, torch_logits(folder, windows), strict=True):
        assert np.abs(logits.start - right.start).max() < 1e-4
        assert np.abs(logits.end - right.end).max() < 1e-4
    assert predictor.answer_batch(QUESTIONS)


def test_a_reader_of_one_segment(make_reader_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_reader_checkpoint("bert", type_vocab_size=1)
    windows = windows_of(folder)
    reader = TorchBackend(SpanReader.from_pretrained(folder, use_safetensors=True), batch_size=1)
    predictor = Predictor.from_pretrained(folder, quantize="none", cache=tmp_path)
    for logits, right in zip(OnnxBackend(predictor.folder, 1).run(windows), reader.run(windows), strict=True):
        assert np.abs(logits.start - right.start).max() < 1e-4
        assert logits.answerability == pytest.approx(right.answerability, abs=1e-4)


def test_three_segments_are_two_more_than_a_pair_needs(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_qa_checkpoint("bert", type_vocab_size=3)
    assert Predictor.from_pretrained(folder, quantize="none", cache=tmp_path).answer_batch(QUESTIONS)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    make_qa_checkpoint: Callable[..., Path], tiny_tokenizer: Any, tmp_path: Path
) -> None:
    folder = make_qa_checkpoint("bert", vocab_size=tiny_tokenizer.get_vocab_size() - 3)
    with pytest.raises(
        ModelError, match=r"its tokenizer gives ids up to \d+ .* word embeddings: give it"
    ) as caught:
        Predictor.from_pretrained(folder, cache=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model_type", ["data2vec-text", "ibert", "roberta"])
def test_positions_that_begin_after_the_padding(model_type: str) -> None:
    config = AutoConfig.for_model(model_type, max_position_embeddings=130, pad_token_id=1)
    assert window_for(config).max_tokens == 128

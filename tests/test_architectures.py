"""Every architecture that ``Predictor.from_pretrained`` takes: exported as torch computes it, and quantized.

Tiny random weights. What is taken is what transformers has a question-answering head for, optimum can
trace and ``Predictor`` can feed; the first test holds that each such architecture is in one of the lists.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("optimum")

from qa_extractive.backend import WindowLogits  # noqa: E402
from qa_extractive.errors import ExportError, ModelError, QAError  # noqa: E402
from qa_extractive.export.checkpoint import load_checkpoint  # noqa: E402
from qa_extractive.export.parity import _torch_logits  # noqa: E402
from qa_extractive.model import ENCODER_TYPES, TorchBackend  # noqa: E402
from qa_extractive.onnx_backend import OnnxBackend  # noqa: E402
from qa_extractive.predictor import Predictor  # noqa: E402
from qa_extractive.records import Question  # noqa: E402
from qa_extractive.windows import Window, Windower  # noqa: E402

CONTEXTS = [
    "Background: we compared the drug with placebo in 512 patients. Results showed that it was reduced.",
    "The risk of bleeding increased significantly in the treatment group (p<0.05).",
    "Patients in the trial were 65 years. " * 12,
]
QUESTIONS = [Question("What was the effect of the drug?", context, "A trial") for context in CONTEXTS]

_POSITIONS = {"max_position_embeddings": 130, "type_vocab_size": 1}  # the first two are the padding's
_DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
# Question-answering checkpoints, with what a tiny one needs beside the usual sizes.
TAKEN: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "bert": {},
    "camembert": _POSITIONS,
    "deberta": _DEBERTA | {"max_relative_positions": 32},
    "deberta-v2": _DEBERTA | {"position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "distilbert": {"hidden_dim": 64},
    "electra": {"embedding_size": 32},
    "mpnet": _POSITIONS,
    "roberta": _POSITIONS,
    "xlm-roberta": _POSITIONS,
}
RARE: dict[str, dict[str, Any]] = {
    "convbert": {"embedding_size": 32},
    "data2vec-text": _POSITIONS,
    "megatron-bert": {},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32},
    "rembert": {"input_embedding_size": 16},
    "roformer": {"embedding_size": 16},
    "squeezebert": {"embedding_size": 32},
}
# Traced by optimum, but not read here, or never tried.
NOT_TAKEN = {
    "generate, do not only read": ("bart", "bigbird_pegasus", "falcon", "gptj", "mbart", "opt"),
    "read layouts or markup beside the text": ("layoutlmv3", "lilt", "markuplm"),
    "need an input beside ids, mask and segments": ("longformer",),
    "not tried": ("big_bird", "flaubert", "ibert", "nystromformer", "splinter", "xlm"),
}


def test_each_architecture_is_listed() -> None:
    from optimum.exporters.tasks import TasksManager
    from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES

    import qa_extractive.export.graph  # noqa: F401  registers the architectures

    traced = set(TasksManager.get_supported_model_type_for_task("question-answering", "onnx"))
    known = {*TAKEN, *RARE, *(name for names in NOT_TAKEN.values() for name in names)}
    assert traced & set(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES) == known
    assert set(ENCODER_TYPES) <= set(TAKEN)


def flat(logits: list[WindowLogits]) -> Any:
    heads = [[] if each.answerability is None else [each.answerability] for each in logits]
    return np.concatenate([np.concatenate([w.start, w.end, h]) for w, h in zip(logits, heads, strict=True)])


def windows_of(folder: Path) -> list[Window]:
    checkpoint = load_checkpoint(str(folder))
    return Windower(checkpoint.tokenizer, checkpoint.reader.window).windows(QUESTIONS)


def check(folder: Path, cache: Path, expected: Callable[[OnnxBackend], list[WindowLogits]]) -> None:
    """fp32 has torch's logits, int8 correlates with them, and the answers are spans of their contexts."""
    windows = windows_of(folder)
    predictors = [Predictor.from_pretrained(folder, quantize=q, cache=cache) for q in ("none", "int8")]
    backends = [OnnxBackend(predictor.folder, 1) for predictor in predictors]
    torch_logits = flat(expected(backends[0]))
    fp32, int8 = (flat(backend.run(windows)) for backend in backends)
    assert np.ptp(torch_logits) > 0.1, "logits that are all alike could not differ"
    assert np.abs(fp32 - torch_logits).max() < 1e-4
    assert np.corrcoef(int8, torch_logits)[0, 1] > 0.99
    assert not np.array_equal(fp32, int8)
    for question, answer in zip(QUESTIONS, predictors[1].answer_batch(QUESTIONS), strict=True):
        assert all(question.context[s.start : s.end] == s.text for s in answer.candidates)


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        *TAKEN.items(),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in RARE.items()),
    ],
    ids=[*TAKEN, *RARE],
)
def test_question_answering_checkpoints(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path, model_type: str, config: dict[str, Any]
) -> None:
    folder = make_qa_checkpoint(model_type, **config)
    checkpoint, windows = load_checkpoint(str(folder)), windows_of(folder)
    check(
        folder, tmp_path, lambda backend: [_torch_logits(checkpoint, w, backend.input_names) for w in windows]
    )


@pytest.mark.parametrize("model_type", ENCODER_TYPES)
def test_checkpoints_of_train(
    make_reader_checkpoint: Callable[..., Path], tmp_path: Path, model_type: str
) -> None:
    folder = make_reader_checkpoint(model_type, **TAKEN[model_type])
    reader = TorchBackend(load_checkpoint(str(folder)).model, batch_size=1)
    check(folder, tmp_path, lambda backend: reader.run(windows_of(folder)))


def test_one_that_wants_another_input_is_refused(
    make_qa_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_qa_checkpoint("longformer", attention_window=16, max_position_embeddings=130)
    with pytest.raises((ExportError, ModelError)) as caught:
        Predictor.from_pretrained(folder, cache=tmp_path)
    assert isinstance(caught.value, QAError)
    assert "\n" not in str(caught.value)

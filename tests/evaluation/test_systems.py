"""What ``--model`` names: folders, checkpoints, baselines and endpoints."""

from __future__ import annotations

import math
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.cli import evaluate as command
from qa_extractive.errors import DataError, ModelError, QAError
from qa_extractive.evaluation import systems
from qa_extractive.evaluation.chat_endpoint import EndpointSettings
from qa_extractive.evaluation.systems import ModelSystem, RowSystem, folder_of, open_system, prefix_of
from qa_extractive.evaluation.torch_system import TorchSystem
from qa_extractive.inference.calibration import Calibration, uncalibrated
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.predictor import DEFAULT_MODEL, Predictor
from qa_extractive.types import Question

CONTEXTS = [
    "Background: we compared the drug with placebo in 512 patients. Results showed that it was reduced.",
    "The risk of bleeding increased significantly in the treatment group (p<0.05).",
    "Patients in the trial were 65 years. " * 12,
    " ",
]
QUESTIONS = [Question("What was the effect of the drug?", c, "A trial of the drug") for c in CONTEXTS]
DEBERTA = {
    "relative_attention": True,
    "position_buckets": 16,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}


def torch_system(name: str, predictor: Predictor) -> TorchSystem:
    """The same model behind the other system, with ONNX for torch."""
    return TorchSystem(
        name,
        windower=predictor._windower,
        backend=OnnxBackend(predictor.folder, 1),
        decode=predictor.config.decode,
        calibration=predictor.calibration,
    )


# ------------------------------------------------------------------------------------- names


def test_what_names_a_folder(tmp_path: Path) -> None:
    assert [folder_of(m) for m in ("default", "baseline:last", "openai:x", "hf:a/b", "hf:")] == [None] * 5
    assert [folder_of(m) for m in ("./default", "runs/x", "c:x")] == list(
        map(Path, ("default", "runs/x", "c:x"))
    )
    assert folder_of("torch:runs/x") == Path("runs/x")
    assert folder_of(f"hf:{tmp_path}") == tmp_path
    assert [prefix_of(m) for m in ("default", "runs/x", "torch:x", "hf:a/b")] == ["", "", "torch:", "hf:"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no/such/folder", "is not a folder: give one written by export_onnx.py"),
        ("torch:no/such/folder", "is not a folder: give one written by train.py"),
        ("hf:a b", "neither a folder nor a Hugging Face model id"),
        ("hf:", "neither a folder nor"),
        ("openai:", "names no model"),
        ("baseline:middle", "no baseline 'middle'"),
    ],
)
def test_systems_that_there_are_not(model: str, message: str) -> None:
    with pytest.raises(QAError, match=message) as caught:
        open_system(model, [])
    assert "\n" not in str(caught.value)


def test_each_kind_is_opened_as_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Predictor, "from_pretrained", lambda name, precision: f"exported {name} {precision}")
    default = open_system("default", [])
    assert isinstance(default, ModelSystem)
    assert (default.name, default.n_threads) == ("default", default.predictor.n_threads)
    assert open_system(str(DEFAULT_MODEL), []).name == "default"
    assert open_system(str(DEFAULT_MODEL), [], name="models/default").name == "models/default"
    hub = open_system("hf:owner/name", [])
    assert isinstance(hub, ModelSystem)
    assert (hub.name, str(hub.predictor)) == ("hf:owner/name", "exported owner/name native")
    assert open_system(f"hf:{tmp_path}", []).name == f"hf:{tmp_path.name}"
    exact = open_system("exact:default", [])
    assert isinstance(exact, ModelSystem)
    assert (exact.name, exact.predictor.precision) == ("exact:default", "exact")
    both = open_system("fast:default", [], precision="exact")
    assert isinstance(both, ModelSystem)
    assert (both.predictor.effort, both.predictor.precision) == ("fast", "exact")
    chat = open_system("openai:gpt", [], endpoint=EndpointSettings("http://localhost:1/v1"))
    assert (chat.name, isinstance(chat, RowSystem)) == ("openai:gpt", True)
    assert not isinstance(default, RowSystem)


def test_the_command_tells_systems_of_one_folder_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[tuple[str, str]] = []
    monkeypatch.setattr(
        systems, "open_system", lambda model, _, *, name, endpoint, precision: opened.append((model, name))
    )
    run, other = tmp_path / "a" / "run", tmp_path / "b" / "run"
    for folder in (run, other):
        folder.mkdir(parents=True)
    models = [f"torch:{run}", f"hf:{run}", f"torch:{other}", "default", f"torch:{run}/", "default", "hf:o/n"]
    command._open_systems(models, [], EndpointSettings("http://localhost:1/v1"), "native")
    assert opened == [
        (f"torch:{run}", "torch:a/run"),
        (f"hf:{run}", "hf:a/run"),
        (f"torch:{other}", "torch:b/run"),
        ("default", "default"),
        ("hf:o/n", "hf:o/n"),
    ]


# ------------------------------------------------------------------------------------- torch


def test_a_torch_system_answers_as_a_predictor_does() -> None:
    predictor = Predictor(n_threads=1)
    system = torch_system("torch:x", predictor)
    assert system.answer_batch(QUESTIONS) == predictor.answer_batch(QUESTIONS)
    assert system.answer_batch([]) == []
    with pytest.raises(DataError, match=r"questions\[1\]: question of \d+ tokens exceeds"):
        system.answer_batch([QUESTIONS[0], Question("zebra " * 500, "It was safe.")])


def test_without_the_extra_torch_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"torch is missing.*pip install 'qa-extractive\[train\]'"):
        open_system(f"torch:{tmp_path}", [])


def test_a_checkpoint_answers_as_its_export_does(tiny_checkpoint: Path, tiny_fp32: Path) -> None:
    system = open_system(f"torch:{tiny_checkpoint}", [])
    assert system.name == f"torch:{tiny_checkpoint.name}"
    expected = Predictor(tiny_fp32, n_threads=1).answer_batch(QUESTIONS)
    for ours, theirs in zip(system.answer_batch(QUESTIONS), expected, strict=True):
        assert (ours.text, ours.start, ours.abstained) == (theirs.text, theirs.start, theirs.abstained)
        assert ours.answerable == pytest.approx(theirs.answerable, abs=1e-4)


def test_a_checkpoint_keeps_its_own_calibration(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    for threshold, n_abstained in ((0.0, 1), (1.0, 4)):  # one context is blank
        own: Calibration = replace(uncalibrated(), threshold=threshold)
        own.save(folder)
        answers = open_system(f"torch:{folder}", []).answer_batch(QUESTIONS)
        assert sum(answer.abstained for answer in answers) == n_abstained


def test_a_checkpoint_of_others_is_no_torch_system(tiny_qa_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"was not written by train\.py: give it as hf:"):
        open_system(f"torch:{tiny_qa_checkpoint}", [])


# ------------------------------------------------------------------------------------- Hugging Face


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("bert", {}),
        ("roberta", {"max_position_embeddings": 130, "type_vocab_size": 1}),
        ("distilbert", {}),
        ("electra", {"embedding_size": 16}),
        ("deberta", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0}),
        ("deberta-v2", DEBERTA),
    ],
)
def test_a_checkpoint_without_an_answerability_head(
    make_qa_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_type: str,
    config: dict[str, Any],
) -> None:
    """It is exported once, its spans are verbatim and its null score is what answerability there is."""
    pytest.importorskip("transformers")
    with warnings.catch_warnings():  # DeBERTa's module uses torch.jit.script, which torch 2.13 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        checkpoint = make_qa_checkpoint(model_type, **config)
        monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path))
        system = open_system(f"hf:{checkpoint}", [])
    monkeypatch.setattr(
        "qa_extractive.export.exporter.export", lambda *_, **__: pytest.fail("exported again")
    )
    again = open_system(f"hf:{checkpoint}", [])
    answers = system.answer_batch(QUESTIONS)
    assert again.answer_batch(QUESTIONS) == answers
    assert isinstance(system, ModelSystem)
    assert system.name == f"hf:{checkpoint.name}"
    predictions = system.predictor.read_batch(QUESTIONS)
    for question, answer, prediction in zip(QUESTIONS, answers, predictions, strict=True):
        assert question.context[answer.start : answer.end] == answer.text
        assert prediction.answerability_logit is None
        if prediction.candidates:
            margin = min(40.0, max(-40.0, prediction.margin))
            assert answer.answerable == pytest.approx(1 / (1 + math.exp(-margin)))

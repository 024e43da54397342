"""Verdicts: the head learns, its logits travel with the best span's window, and probabilities fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("torch")

import torch

from qa_extractive.config import DecodeConfig, ReaderConfig
from qa_extractive.errors import DataError, ModelError
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.calibration import Calibration, VerdictCalibration, uncalibrated
from qa_extractive.inference.calibration_fit import fit_verdict
from qa_extractive.inference.decoding import EMPTY_PREDICTION, Candidate, RawPrediction, decode
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.model.losses import IGNORE, verdict_loss
from qa_extractive.predictor import Predictor, to_answer
from qa_extractive.settings import EFFORTS, AnswerSettings
from qa_extractive.types import NO_VERDICT, VERDICT_CLASSES, VERDICTS, Answer, Example, Question

CONTEXT = "alpha beta gamma delta"
QUESTION = Question("Does alpha hold?", CONTEXT)
SURE = VerdictCalibration(1.0, (0.0, 0.0, 0.0, 0.0))


def _prediction(*logits: float) -> RawPrediction:
    return RawPrediction((Candidate(9.0, 0, 5),), 0.0, 9.0, logits or None)


def _calibration(verdict: VerdictCalibration | None = SURE) -> Calibration:
    return dataclasses.replace(uncalibrated(), verdict=verdict)


def _answer(
    prediction: RawPrediction, threshold: float = 0.0, verdict: VerdictCalibration | None = SURE
) -> Answer:
    return to_answer(QUESTION, prediction, _calibration(verdict), AnswerSettings(threshold))


def test_a_yes_no_question_has_a_verdict_with_three_probabilities() -> None:
    answer = _answer(_prediction(0.0, 2.0, 0.0, -3.0))
    assert answer.verdict == "no"
    assert answer.verdict_probs is not None
    assert sum(answer.verdict_probs) == pytest.approx(1.0)
    weights = np.exp([0.0, 2.0, 0.0])
    assert answer.verdict_probs == pytest.approx(tuple(weights / weights.sum()))
    assert answer.verdict_score == max(answer.verdict_probs)
    assert answer.to_dict()["verdict_probs"] == dict(zip(VERDICTS, answer.verdict_probs, strict=True))


@pytest.mark.parametrize(
    ("prediction", "threshold", "verdict"),
    [
        (_prediction(0.0, 2.0, 0.0, 3.0), 0.0, SURE),  # likely no yes/no question
        (_prediction(0.0, 2.0, 0.0, -3.0), 1.0, SURE),  # abstained: no verdict without a quote
        (_prediction(), 0.0, SURE),  # the model has no such head
        (_prediction(0.0, 2.0, 0.0, -3.0), 0.0, None),  # nor a calibration of it
        (EMPTY_PREDICTION, 0.0, SURE),
    ],
)
def test_where_there_is_no_verdict(
    prediction: RawPrediction, threshold: float, verdict: VerdictCalibration | None
) -> None:
    answer = _answer(prediction, threshold, verdict)
    assert (answer.verdict, answer.verdict_probs, answer.verdict_score) == (None, None, None)
    assert answer.to_dict()["verdict_probs"] is None


@pytest.mark.parametrize(
    "values", [{"verdict": "yes"}, {"verdict_probs": (1.0, 0.0, 0.0)}, {"verdict": "yes", "abstained": True}]
)
def test_an_answer_refuses_a_verdict_that_cannot_be(values: dict[str, Any]) -> None:
    probs = {"verdict_probs": (1.0, 0.0, 0.0)} if values.get("abstained") else {}
    with pytest.raises(DataError, match="verdict"):
        Answer("", 0, 0, 0.5, 0.5, **{"abstained": False, **probs, **values})


@pytest.mark.parametrize(
    ("verdict", "answerable", "message"),
    [("maybe", True, "verdict must be one of"), ("yes", False, "unanswerable")],
)
def test_an_example_refuses_a_verdict_that_cannot_be(verdict: str, answerable: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Example("e", QUESTION, answerable=answerable, verdict=verdict)


def test_the_verdict_is_that_of_the_window_that_holds_the_best_span() -> None:
    windows, logits = [], []
    for start, height in ((0, 1.0), (6, 5.0), (11, 2.0)):
        ids = np.zeros(4, dtype=np.int64)
        windows.append(Window(0, ids, ids, 2, np.array([[start, start + 4], [start + 4, start + 5]])))
        values = np.array([0.0, -9.0, height, 0.0], dtype=np.float32)
        logits.append(WindowLogits(values, values, 0.0, np.full(4, height, dtype=np.float32)))
    (prediction,) = decode([QUESTION], windows, logits, DecodeConfig())
    assert prediction.candidates[0].start == 6
    assert prediction.verdict_logits == (5.0, 5.0, 5.0, 5.0)


def test_probabilities_of_known_classes_are_recovered() -> None:
    rng = np.random.default_rng(4)
    truth = VerdictCalibration(0.4, (0.3, -0.2, -0.9, 0.5))
    logits = rng.normal(0, 4, (6000, 4))
    classes = [rng.choice(4, p=row) for row in truth.probs(logits)]
    predictions = [_prediction(*row) for row in logits]
    examples = [Example("e", QUESTION, answerable=True, verdict=VERDICT_CLASSES[label]) for label in classes]
    fitted = fit_verdict(predictions, examples)
    assert fitted is not None
    assert np.abs(fitted.probs(logits) - truth.probs(logits)).mean() < 0.02
    assert np.abs(SURE.probs(logits) - truth.probs(logits)).mean() > 0.1, "and it was not so before"


def test_a_head_that_hardly_beats_always_the_same_verdict_gives_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(4)
    classes = rng.choice(4, size=2000, p=(0.3, 0.2, 0.1, 0.4))
    examples = [Example("e", QUESTION, answerable=True, verdict=VERDICT_CLASSES[label]) for label in classes]

    def fitted(strength: float) -> VerdictCalibration | None:
        logits = rng.normal(0, 1, (2000, 4)) + strength * np.eye(4)[classes]
        return fit_verdict([_prediction(*row) for row in logits], examples)

    assert fitted(3.0) is not None
    assert not caplog.messages
    assert fitted(0.1) is None
    (message,) = caplog.messages
    assert "yes/no questions, always the same one in" in message


def test_too_few_verdicts_keep_the_calibration_of_before() -> None:
    examples = [Example("e", QUESTION, answerable=True, verdict="yes")] * 60
    before = VerdictCalibration(0.5, (0.1, 0.2, 0.3, 0.4))
    assert fit_verdict([_prediction(1.0, 2.0, 3.0, 4.0)] * 60, examples, before) == before
    assert fit_verdict([_prediction(1.0, 2.0, 3.0, 4.0)] * 60, examples) == SURE
    assert fit_verdict([_prediction()] * 60, examples, before) is None, "the model has no such head"


def test_a_calibration_with_verdicts_survives_its_file_and_old_files_load(tmp_path: Path) -> None:
    calibration = _calibration(VerdictCalibration(0.5, (0.1, -0.2, 0.3, 0.4)))
    calibration.save(tmp_path)
    assert Calibration.load(tmp_path) == calibration
    _calibration(None).save(tmp_path)
    assert '"verdict"' not in (tmp_path / "calibration.json").read_text()
    assert Calibration.load(tmp_path).verdict is None


@pytest.mark.parametrize(
    "verdict",
    [
        {"scale": 1e300, "biases": [0] * 4},
        {"scale": 1.0, "biases": [0, 0, 0]},
        {"scale": "x", "biases": [0] * 4},
        [1],
        {},
    ],
)
def test_a_verdict_calibration_that_cannot_be_is_refused(tmp_path: Path, verdict: object) -> None:
    import json

    _calibration(None).save(tmp_path)
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdict": verdict}))
    with pytest.raises(ModelError, match="is not a calibration"):
        Calibration.load(tmp_path)


def test_the_loss_counts_only_windows_whose_verdict_is_known() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0]])
    known = verdict_loss(logits, torch.tensor([0, IGNORE]))
    assert known.item() == pytest.approx(-np.log(np.exp(2) / (np.exp(2) + 3)), rel=1e-5)
    assert verdict_loss(logits, torch.tensor([IGNORE, IGNORE])).item() == 0.0


def test_windows_of_other_questions_do_not_drown_those_that_teach_yes_from_no() -> None:
    logits = torch.zeros(11, 4)
    logits[0, 0] = 5.0
    other = VERDICT_CLASSES.index(NO_VERDICT)
    wrong = verdict_loss(logits, torch.tensor([1, *[other] * 10]))
    alone = verdict_loss(logits[:1], torch.tensor([1]))
    assert wrong.item() == pytest.approx((alone.item() + np.log(4)) / 2, rel=1e-5), "ten count as one"


def test_classes_are_the_verdicts_and_one_for_other_questions() -> None:
    assert VERDICT_CLASSES == ("yes", "no", "mixed", NO_VERDICT)


# ---- through the export


QUESTIONS = [
    Question("Was the risk reduced?", "The drug was given to 512 patients. The risk fell to 9 percent."),
    Question("Did placebo help?", "The trial had two arms. " * 9 + "Placebo did nothing. Patients were old."),
]


@pytest.fixture(scope="module")
def fp32(skim_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from qa_extractive.export.exporter import export

    folder = tmp_path_factory.mktemp("verdict") / "fp32"
    export(skim_checkpoint, folder, quantize="none", n_threads=1)
    return folder


def test_the_graph_gives_the_verdict_logits_of_torch(skim_checkpoint: Path, fp32: Path) -> None:
    from qa_extractive.inference.onnx_backend import OnnxBackend
    from qa_extractive.model.span_reader import SpanReader, TorchBackend

    windows = Windower.load(fp32, ReaderConfig.load(fp32).window).windows(QUESTIONS)
    wanted = TorchBackend(SpanReader.from_pretrained(skim_checkpoint)).run(windows)
    found = OnnxBackend(fp32).run(windows)
    for one, other in zip(wanted, found, strict=True):
        assert one.verdict is not None
        assert other.verdict is not None
        assert other.verdict == pytest.approx(one.verdict, abs=1e-4)
        assert np.ptp(one.verdict) > 0.1


def test_the_graph_reads_the_tokens_of_the_text_for_a_verdict(skim_checkpoint: Path) -> None:
    from qa_extractive.model.span_reader import SpanReader, TorchBackend

    model = SpanReader.from_pretrained(skim_checkpoint)
    windows = Windower.load(skim_checkpoint, ReaderConfig.load(skim_checkpoint).window).windows(QUESTIONS)
    together = TorchBackend(model).run(windows)
    alone = [TorchBackend(model).run([window])[0] for window in windows]
    assert len({window.n_tokens for window in windows}) > 1, "one of them is padded"
    for one, other in zip(together, alone, strict=True):
        assert one.verdict == pytest.approx(other.verdict, abs=1e-4), "padding weighs nothing"
    states = torch.randn(1, 5, model.encoder.config.hidden_size, generator=torch.Generator().manual_seed(3))
    changed = states.clone()
    changed[:, 3] += 1.0
    head: Any = model.verdict_head
    assert not torch.allclose(head(states, None), head(changed, None), atol=1e-3)


def test_a_head_that_reads_the_first_token_alone_loads_and_is_replaced_in_training() -> None:
    from qa_extractive.model.heads import VerdictHead
    from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig

    encoder = {"model_type": "bert", "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 1}
    encoder |= {"num_attention_heads": 2, "intermediate_size": 16}
    model = SpanReader(SpanReaderConfig(encoder=encoder, verdict=True))
    assert isinstance(model.verdict_head, torch.nn.Sequential)
    output = model(torch.ones((2, 5), dtype=torch.long))
    assert output.verdict_logits.shape == (2, len(VERDICT_CLASSES))
    model.add_verdict_head()
    head: Any = model.verdict_head
    assert isinstance(head, VerdictHead)
    assert torch.equal(head.pools.weight, model.span_head.weight), "it starts by looking where answers lie"
    model.add_verdict_head()
    assert model.verdict_head is head


def test_every_effort_gives_verdicts_and_the_head_can_be_trained_on(
    skim_export: Path, skim_checkpoint: Path
) -> None:
    from qa_extractive.export.dequantize import load_rebuilt
    from qa_extractive.model.span_reader import SpanReader

    for effort in EFFORTS:
        predictions = Predictor(skim_export, effort=effort, n_threads=1).read_batch(QUESTIONS)
        assert all(r.verdict_logits is not None and len(r.verdict_logits) == 4 for r in predictions)
    wanted = SpanReader.from_pretrained(skim_checkpoint).verdict_head.state_dict()
    found = load_rebuilt(skim_export).verdict_head.state_dict()
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert torch.allclose(found[name], weight, atol=0.01 * float(weight.abs().max())), name


def test_a_model_without_the_head_gives_no_verdict(tiny_export: Path) -> None:
    (prediction, _) = Predictor(tiny_export, n_threads=1).read_batch(QUESTIONS)
    assert prediction.verdict_logits is None
    assert Predictor(tiny_export, n_threads=1, threshold=0).answer_batch(QUESTIONS)[0].verdict is None


def test_a_table_has_the_verdict_and_its_probability() -> None:
    from qa_extractive.rows.cells import answer_cells

    cells = answer_cells(_answer(_prediction(0.0, 2.0, 0.0, -3.0)), with_candidates=False)
    assert (cells["verdict"], cells["verdict_score"]) == ("no", 0.787)
    assert "verdict" not in answer_cells(_answer(_prediction()), with_candidates=False)

"""The effort "fast": the skim head, its graph, its calibration, and what is left out."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnxruntime as ort  # noqa: E402

from qa_extractive.backend import DROPPED, WindowLogits  # noqa: E402
from qa_extractive.calibration import CALIBRATION_FILES  # noqa: E402
from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import FAST, ReaderConfig, SkimConfig, TrainConfig, WindowConfig  # noqa: E402
from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.evaluation.systems import ModelSystem, open_system  # noqa: E402
from qa_extractive.export.exporting import export  # noqa: E402
from qa_extractive.export.rebuild import load_rebuilt, rebuild  # noqa: E402
from qa_extractive.export.skimming import SKIM_OUTPUT  # noqa: E402
from qa_extractive.model import SpanReader, pad_windows  # noqa: E402
from qa_extractive.onnx_backend import MODEL_FILE, OnnxBackend, skim_feed  # noqa: E402
from qa_extractive.packing.packing import pack  # noqa: E402
from qa_extractive.predictor import Predictor  # noqa: E402
from qa_extractive.records import Example, Question, Span  # noqa: E402
from qa_extractive.sentences import split_sentences  # noqa: E402
from qa_extractive.training.averaging import mean_weights  # noqa: E402
from qa_extractive.training.batching import collate  # noqa: E402
from qa_extractive.windows import Window, Windower, label_windows  # noqa: E402

CONTEXTS = [
    "The drug was given to 512 patients. The risk of bleeding fell to 9 percent. Placebo did nothing.",
    "Nothing was measured in the trial.",
    "The trial had two arms. " * 9 + "The risk of death was reduced. " + "Patients were old. " * 5,
    "One sentence. Another one? A third! The risk was 4.5 percent in 65 patients.",
]
QUESTIONS = [Question("What was the risk?", context) for context in CONTEXTS]


def _examples(n: int) -> list[Example]:
    made = []
    for i in range(n):
        context = f"In the study {i} patients were treated. The risk was {i * 7} percent. We thank all."
        span = Span.cut(context, context.index("The risk"), context.index(" We thank"))
        yes = i % 3 > 0
        made.append(
            Example(
                id=str(i),
                question=Question("What was the risk?", context),
                references=(span.text,) if yes else (),
                spans=(span,) if yes else (),
                answerable=yes,
                source="made",
            )
        )
    return made


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny reader with a skim head after the first of its two layers."""
    folder = tmp_path_factory.mktemp("skim_checkpoint")
    shutil.copytree(tiny_checkpoint, folder, dirs_exist_ok=True)
    model = SpanReader.from_pretrained(tiny_checkpoint)
    torch.manual_seed(5)
    model.add_skim_head(1)
    with torch.no_grad():
        model.skim_head.weight.mul_(40.0)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its int8 export, calibrated for both efforts."""
    folder = tmp_path_factory.mktemp("skim") / "model"
    export(checkpoint, folder, calibrate=_examples(120), n_threads=2)
    return folder


@pytest.fixture(scope="module")
def windows(checkpoint: Path) -> list[Window]:
    """Windows that tell their sentences."""
    config = ReaderConfig.load(checkpoint).window
    return Windower.load(checkpoint, config, with_sentences=True).windows(QUESTIONS)


def _equal(left: list[WindowLogits], right: list[WindowLogits]) -> bool:
    return all(
        a.start.tobytes() == b.start.tobytes()
        and a.end.tobytes() == b.end.tobytes()
        and a.answerability == b.answerability
        for a, b in zip(left, right, strict=True)
    )


def _sentence_scores(folder: Path, window: Window) -> dict[int, float]:
    """By the number of the sentence, from the scores of tokens that the graph gives."""
    session = ort.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    feed = {"input_ids": window.token_ids[None], "token_type_ids": window.type_ids[None]}
    logits = session.run([SKIM_OUTPUT], feed | skim_feed(window, None))[0][0]
    own = logits[window.first : window.first + window.n_context_tokens]
    assert window.sentences is not None
    return {int(n): float(own[window.sentences == n].max()) for n in np.unique(window.sentences)}


def test_windows_tell_the_sentence_in_which_a_token_starts(checkpoint: Path) -> None:
    windower = Windower.load(checkpoint, WindowConfig(40, 8, 10, 4), with_sentences=True)
    found = windower.windows(QUESTIONS)
    assert len(found) > len(QUESTIONS), "some contexts are cut"
    for window in found:
        sentences = split_sentences(CONTEXTS[window.question_index])
        assert window.sentences is not None
        for number, (start, _) in zip(window.sentences, window.offsets, strict=True):
            assert sentences[number].start <= start < sentences[number].end
    assert all(w.sentences is None for w in Windower.load(checkpoint, WindowConfig()).windows(QUESTIONS))


def test_with_nothing_left_out_the_graph_is_that_of_the_reader_without_the_head(
    tiny_checkpoint: Path, exported: Path, windows: list[Window], tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    export(tiny_checkpoint, plain, calibrate=_examples(120), n_threads=2)
    expected = OnnxBackend(plain).run(windows)
    assert _equal(OnnxBackend(exported).run(windows), expected)
    assert _equal(OnnxBackend(exported, keep_above=-1e30).run(windows), expected)


@pytest.mark.parametrize("limit", [-2.0, 0.0, 2.0, 1e30])
def test_sentences_above_the_limit_and_the_best_one_are_read(
    exported: Path, windows: list[Window], limit: float
) -> None:
    for window, logits in zip(windows, OnnxBackend(exported, keep_above=limit).run(windows), strict=True):
        scores = _sentence_scores(exported, window)
        kept = {n for n, score in scores.items() if score >= min(limit, max(scores.values()))}
        stop = window.first + window.n_context_tokens
        assert window.sentences is not None
        expected = np.isin(window.sentences, sorted(kept))
        for values in (logits.start, logits.end):
            assert np.array_equal(values[window.first : stop] > DROPPED, expected)
            assert (values[: window.first] > DROPPED).all()
            assert (values[stop:] > DROPPED).all()


@torch.inference_mode()
def _torch_logits(model: Any, window: Window, kept: np.ndarray) -> np.ndarray:
    """Start logits with tokens hidden from the upper layers, by masks."""
    inputs = pad_windows([window])
    hidden = model.encoder.embeddings(input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"])
    masks = [np.ones_like(kept), kept]
    for layer, mask in zip(model.encoder.encoder.layer, masks, strict=True):
        extended = torch.from_numpy(np.where(mask, 0.0, -1e9).astype(np.float32))[None, None, None]
        output = layer(hidden, extended)
        hidden = output[0] if isinstance(output, tuple) else output
    return np.asarray(model.span_head(hidden)[0, :, 0].numpy())


def test_what_is_left_out_is_as_if_masked_in_the_upper_layers(
    checkpoint: Path, exported: Path, windows: list[Window]
) -> None:
    model = SpanReader.from_pretrained(checkpoint, attn_implementation="eager").eval()
    n_left_out, apart = 0, []
    for window, logits in zip(windows, OnnxBackend(exported, keep_above=1e30).run(windows), strict=True):
        kept = logits.start > DROPPED
        n_left_out += int((~kept).sum())
        rounded = OnnxBackend(exported).run([window])[0].start - _torch_logits(model, window, kept | True)
        apart.append(
            (np.abs(logits.start - _torch_logits(model, window, kept))[kept].max(), np.abs(rounded).max())
        )
    assert n_left_out > 50
    assert max(a for a, _ in apart) < 2 * max(b for _, b in apart), "not further from torch than int8 is"


def test_the_limit_keeps_most_right_spans_and_is_saved(exported: Path, checkpoint: Path) -> None:
    skim = ReaderConfig.load(exported).skim
    assert skim is not None
    windower = Windower.load(checkpoint, ReaderConfig.load(checkpoint).window, with_sentences=True)
    labelled = [each for each in label_windows(windower, _examples(120)) if each.positions]
    kept = 0
    for each in labelled:
        scores = _sentence_scores(exported, each.window)
        kept += scores[1] >= skim.keep_above
    assert 0.95 <= kept / len(labelled) <= 1.0


def test_fast_has_a_calibration_and_an_identity_of_its_own(exported: Path) -> None:
    fast, full = Predictor(exported, effort=FAST), Predictor(exported)
    assert (exported / CALIBRATION_FILES[FAST]).is_file()
    assert fast.calibration != full.calibration
    assert "made" in fast.calibration.fitted_on
    assert fast.identity() != full.identity()
    copy = pickle.loads(pickle.dumps(fast))
    assert copy.effort == FAST
    assert copy.answer_batch(QUESTIONS) == fast.answer_batch(QUESTIONS)


def test_fast_answers_do_not_depend_on_the_batch_or_threads(exported: Path) -> None:
    predictor = Predictor(exported, effort=FAST, threshold=0)
    alone = [predictor.answer_batch([question])[0] for question in QUESTIONS]
    assert predictor.answer_batch(QUESTIONS[::-1]) == alone[::-1]
    assert Predictor(exported, effort=FAST, threshold=0, n_threads=1).answer_batch(QUESTIONS) == alone


def test_no_candidate_starts_or_ends_in_what_was_left_out(exported: Path, checkpoint: Path) -> None:
    folder = exported.parent / "strict"
    shutil.copytree(exported, folder)
    config = ReaderConfig.load(folder)
    ReaderConfig(config.window, config.decode, SkimConfig(1e5)).save(folder)
    predictor = Predictor(folder, effort=FAST, threshold=0, top_k=50)
    for question, answer in zip(QUESTIONS, predictor.answer_batch(QUESTIONS), strict=True):
        assert answer.text
        sentences = split_sentences(question.context)
        owners = {i for c in answer.candidates for i, s in enumerate(sentences) if s.start <= c.start < s.end}
        n_windows = len(predictor.windower.windows([question]))
        assert len(owners) <= n_windows, "one sentence a window is read"


def test_the_effort_is_an_option_and_a_system_to_compare(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question, context = QUESTIONS[0].question, QUESTIONS[0].context
    expected = Predictor(exported, effort=FAST).answer(question, context)
    command = ["infer", "--model", str(exported), "--effort", "fast", "--question", question]
    assert main([*command, "--context", context, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answerable"] == pytest.approx(expected.answerable, abs=1e-6)
    system = open_system(f"fast:{exported}", ())
    assert isinstance(system, ModelSystem)
    assert (system.name, system.predictor.effort) == (f"fast:{exported.name}", FAST)
    assert system.answer_batch(QUESTIONS[:1]) == [expected]


def test_a_packed_model_brings_the_effort_along(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "cache"))
    packed = pack(exported, tmp_path / "model.tar.gz")
    expected = Predictor(exported, effort=FAST).answer_batch(QUESTIONS)
    assert Predictor(packed, effort=FAST).answer_batch(QUESTIONS) == expected
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    (broken / CALIBRATION_FILES[FAST]).write_text("{}")
    with pytest.raises(ModelError, match=r"calibration_fast.json is not a calibration"):
        Predictor(pack(broken, tmp_path / "broken.tar.gz"))


def test_models_without_a_skim_head_say_so(tiny_checkpoint: Path, checkpoint: Path, tmp_path: Path) -> None:
    for source, quantize in ((tiny_checkpoint, "int8"), (checkpoint, "fp16"), (checkpoint, "none")):
        folder = tmp_path / f"{source.name}-{quantize}"
        export(source, folder, quantize=quantize, calibrate=_examples(120), n_threads=2)
        assert Predictor(folder).answer_batch(QUESTIONS)
        with pytest.raises(ModelError, match=r"has no effort 'fast'.*skim_layer"):
            Predictor(folder, effort=FAST)
        with pytest.raises(ModelError, match="no skim head"):
            OnnxBackend(folder, keep_above=0.0)


def test_a_limit_is_not_handed_on_to_another_file(exported: Path, tmp_path: Path) -> None:
    export(rebuild(exported, tmp_path / "rebuilt"), tmp_path / "few", calibrate=_examples(30), n_threads=2)
    with pytest.raises(ModelError, match="has no effort 'fast'"):
        Predictor(tmp_path / "few", effort=FAST)


def test_with_few_examples_there_is_no_fast_effort(checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "few", calibrate=_examples(30), n_threads=2)
    with pytest.raises(ModelError, match="has no effort 'fast'"):
        Predictor(tmp_path / "few", effort=FAST)


def test_the_skim_head_comes_back_from_an_export(checkpoint: Path, exported: Path) -> None:
    rebuilt, original = load_rebuilt(exported), SpanReader.from_pretrained(checkpoint)
    assert rebuilt.config.skim_layer == 1
    assert torch.equal(rebuilt.skim_head.weight, original.skim_head.weight)
    assert torch.equal(rebuilt.skim_head.bias, original.skim_head.bias)


def test_the_loss_raises_the_right_sentences_above_the_others(checkpoint: Path) -> None:
    windower = Windower.load(checkpoint, ReaderConfig.load(checkpoint).window, with_sentences=True)
    batch = collate(label_windows(windower, _examples(24)))
    model = SpanReader.from_pretrained(checkpoint)
    model.config.skim_weight = 1.0
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with torch.inference_mode():
        assert (_best(model, batch)[batch["answerable"] == 1].argmax(1) != 1).any()
    for _ in range(60):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        assert (_best(model.eval(), batch)[batch["answerable"] == 1].argmax(1) == 1).all()


def _best(model: Any, batch: dict[str, Any]) -> Any:
    """The scores of the three sentences of each window."""
    logits, ids = model(**batch).skim_logits, batch["sentence_ids"]
    return torch.stack([logits.masked_fill(ids != n, -1e4).amax(1) for n in range(3)], dim=1)


def test_training_adds_the_head_and_a_mean_keeps_it(
    tiny_checkpoint: Path, tmp_path: Path, trial_rows: Callable[[Sequence[int]], str]
) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "trained"
    data.write_text(trial_rows(range(24)))
    command = ["train", "--data", str(data), "--base", str(tiny_checkpoint), "--output", str(output)]
    assert (
        main([*command, "--skim-layer", "1", "--max-steps", "3", "--n-dev", "0", "--n-calibration", "0"]) == 0
    )
    trained = SpanReader.from_pretrained(output)
    assert trained.config.skim_layer == 1
    fresh = SpanReader.from_pretrained(tiny_checkpoint)
    torch.manual_seed(TrainConfig().seed)
    fresh.add_skim_head(1)
    assert not torch.equal(trained.skim_head.weight, fresh.skim_head.weight), "it learned"
    mean = mean_weights([tiny_checkpoint, output], TrainConfig(skim_layer=1))
    assert torch.equal(mean["skim_head.weight"], trained.skim_head.weight)
    expected = (fresh.span_head.weight + trained.span_head.weight) / 2
    assert torch.allclose(mean["span_head.weight"], expected)


def test_a_skim_head_is_of_one_lower_layer(tiny_checkpoint: Path) -> None:
    model = SpanReader.from_pretrained(tiny_checkpoint)
    for layer in (2, 7):
        with pytest.raises(ModelError, match=f"skim_layer {layer} must lie between 1 and 1"):
            model.add_skim_head(layer)
    model.add_skim_head(1)
    weight = model.skim_head.weight
    model.add_skim_head(1)
    assert model.skim_head.weight is weight

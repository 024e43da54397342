"""The effort "fast": the pruning head, its graph, its calibration, and what is left out."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from qa_extractive._utils.sentences import split_sentences  # noqa: E402
from qa_extractive.archive.pack import pack  # noqa: E402
from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import PruningConfig, ReaderConfig, TrainConfig, WindowConfig  # noqa: E402
from qa_extractive.data import examples_to_jsonl  # noqa: E402
from qa_extractive.errors import DataError, ModelError  # noqa: E402
from qa_extractive.evaluation.systems import ModelSystem, open_system  # noqa: E402
from qa_extractive.export import pruning_limit  # noqa: E402
from qa_extractive.export.dequantize import load_rebuilt, rebuild  # noqa: E402
from qa_extractive.export.exporter import calibrate_folder, export  # noqa: E402
from qa_extractive.export.passes.sentence_pruning import pruning_output  # noqa: E402
from qa_extractive.export.pruning_limit import choose_limit  # noqa: E402
from qa_extractive.inference.backend import DROPPED, WindowLogits  # noqa: E402
from qa_extractive.inference.calibration import CALIBRATION_FILES  # noqa: E402
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend, open_session  # noqa: E402
from qa_extractive.inference.onnx_inputs import GraphInputs  # noqa: E402
from qa_extractive.inference.windows import Window, Windower  # noqa: E402
from qa_extractive.metrics.text import best_token_f1  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, pad_windows  # noqa: E402
from qa_extractive.predictor import Predictor  # noqa: E402
from qa_extractive.settings import CACHED, EFFORTS, FAST  # noqa: E402
from qa_extractive.training.averaging import mean_weights  # noqa: E402
from qa_extractive.training.batching import collate  # noqa: E402
from qa_extractive.training.window_labels import label_windows  # noqa: E402
from qa_extractive.types import Example, Question  # noqa: E402
from tests.made_examples import made_examples  # noqa: E402

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import effort

CONTEXTS = [
    "The drug was given to 512 patients. The risk of bleeding fell to 9 percent. Placebo did nothing.",
    "Nothing was measured in the trial.",
    "The trial had two arms. " * 9 + "The risk of death was reduced. " + "Patients were old. " * 5,
    "One sentence. Another one? A third! The risk was 4.5 percent in 65 patients.",
]
LAYERS = [2, 3]
QUESTIONS = [Question("What was the risk?", context) for context in CONTEXTS]


@pytest.fixture(scope="module")
def windows(skim_checkpoint: Path) -> list[Window]:
    """Windows that tell their sentences."""
    config = ReaderConfig.load(skim_checkpoint).window
    return Windower.load(skim_checkpoint, config, with_sentences=True).windows(QUESTIONS)


def _equal(left: list[WindowLogits], right: list[WindowLogits]) -> bool:
    return all(
        a.start.tobytes() == b.start.tobytes()
        and a.end.tobytes() == b.end.tobytes()
        and a.answerability == b.answerability
        for a, b in zip(left, right, strict=True)
    )


def _sentence_scores(folder: Path, window: Window, limit: float) -> list[dict[int, float]]:
    """For each head, by the number of the sentence: the scores of those that are left when it is asked."""
    assert window.sentences is not None
    left = window.sentences
    found = []
    for logits in _skim_logits(folder, window, limit):
        own = logits[window.first : window.first + len(left)]
        found.append({int(n): float(own[left == n].max()) for n in np.unique(left)})
        left = left[np.isin(left, sorted(_kept(found[-1], limit)))]
    return found


def _skim_logits(folder: Path, window: Window, limit: float) -> list[np.ndarray]:
    """What each head gives for the tokens that are left when it is asked."""
    session = open_session(folder / MODEL_FILE, 1)
    feed = GraphInputs(session, folder / MODEL_FILE, limit).of_window(window)
    return [logits for (logits,) in session.run([pruning_output(n) for n in range(len(LAYERS))], feed)]


def _kept(scores: dict[int, float], limit: float) -> set[int]:
    """Sentences above a limit, and the best one."""
    return {n for n, score in scores.items() if score >= min(limit, max(scores.values()))}


def test_windows_tell_the_sentence_in_which_a_token_starts(skim_checkpoint: Path) -> None:
    windower = Windower.load(skim_checkpoint, WindowConfig(40, 8, 10, 4), with_sentences=True)
    found = windower.windows(QUESTIONS)
    assert len(found) > len(QUESTIONS), "some contexts are cut"
    for window in found:
        sentences = split_sentences(CONTEXTS[window.question_index])
        assert window.sentences is not None
        for number, (start, _) in zip(window.sentences, window.offsets, strict=True):
            assert sentences[number].start <= start < sentences[number].end
    assert all(w.sentences is None for w in Windower.load(skim_checkpoint, WindowConfig()).windows(QUESTIONS))


def test_with_nothing_left_out_the_graph_is_that_of_the_reader_without_the_head(
    skim_plain_checkpoint: Path, skim_export: Path, windows: list[Window], tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    export(skim_plain_checkpoint, plain, quantize="int8", calibrate=made_examples(0, 120), n_threads=2)
    expected = OnnxBackend(plain).run(windows)
    assert _equal(OnnxBackend(skim_export).run(windows), expected)
    assert _equal(OnnxBackend(skim_export, keep_above=-1e30).run(windows), expected)


@pytest.mark.parametrize("limit", [-2.0, 0.0, 0.5, 1e30])
def test_sentences_above_the_limit_and_the_best_one_are_read(
    skim_export: Path, windows: list[Window], limit: float
) -> None:
    for window, logits in zip(windows, OnnxBackend(skim_export, keep_above=limit).run(windows), strict=True):
        scores = _sentence_scores(skim_export, window, limit)
        assert set(scores[1]) == _kept(scores[0], limit), "the second head is asked about what is left"
        stop = window.first + window.n_context_tokens
        assert window.sentences is not None
        expected = np.isin(window.sentences, sorted(_kept(scores[1], limit)))
        for values in (logits.start, logits.end):
            assert np.array_equal(values[window.first : stop] > DROPPED, expected)
            assert (values[: window.first] > DROPPED).all()
            assert (values[stop:] > DROPPED).all()


def _torch_logits(model: Any, window: Window, kept: Sequence[np.ndarray]) -> np.ndarray:
    """Start logits with tokens hidden from each layer, by masks."""
    with torch.inference_mode():
        inputs = pad_windows([window])
        hidden = model.encoder.embeddings(
            input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"]
        )
        for layer, mask in zip(model.encoder.encoder.layer, kept, strict=True):
            extended = torch.from_numpy(np.where(mask, 0.0, -1e9).astype(np.float32))[None, None, None]
            output = layer(hidden, extended)
            hidden = output[0] if isinstance(output, tuple) else output
        return np.asarray(model.span_head(hidden)[0, :, 0].numpy())


def _three_masks(window: Window, scores: Sequence[dict[int, float]], limit: float) -> list[np.ndarray]:
    """The tokens that attention reads up to the first head, up to the second, and above."""
    masks = [np.ones(window.n_tokens, dtype=bool)]
    assert window.sentences is not None
    for own in scores:
        mask = np.ones(window.n_tokens, dtype=bool)
        stop = window.first + window.n_context_tokens
        mask[window.first : stop] = np.isin(window.sentences, sorted(_kept(own, limit)))
        masks.append(mask)
    return masks


def test_what_is_left_out_is_as_if_masked_in_the_upper_layers(
    skim_checkpoint: Path, skim_export: Path, windows: list[Window]
) -> None:
    model = SpanReader.from_pretrained(skim_checkpoint, attn_implementation="eager").eval()
    limit = 2.0
    n_left_out, apart = 0, []
    for window, logits in zip(windows, OnnxBackend(skim_export, keep_above=limit).run(windows), strict=True):
        all_read, lower, upper = _three_masks(window, _sentence_scores(skim_export, window, limit), limit)
        n_left_out += int((~upper).sum())
        assert np.array_equal(logits.start > DROPPED, upper)
        rounded = OnnxBackend(skim_export).run([window])[0].start - _torch_logits(
            model, window, [all_read] * 4
        )
        masked = _torch_logits(model, window, [all_read, all_read, lower, upper])
        apart.append((np.abs(logits.start - masked)[upper].max(), np.abs(rounded).max()))
    assert n_left_out > 50
    assert max(a for a, _ in apart) < 2 * max(b for _, b in apart), "not further from torch than int8 is"


def _lost(skim_export: Path, skim_examples: Sequence[Example]) -> float:
    """Mean F1 of the best spans at full effort, given or not, that are not all read at the effort fast."""
    config = ReaderConfig.load(skim_export)
    assert config.skim is not None
    questions = [example.question for example in skim_examples]
    windows = Windower.load(skim_export, config.window, with_sentences=True).windows(questions)
    assert len(windows) == len(skim_examples)
    logits = OnnxBackend(skim_export, keep_above=config.skim.keep_above).run(windows)
    lost = 0.0
    for i, answer in enumerate(Predictor(skim_export).answer_batch(questions)):
        place = windows[i].locate(answer.candidates[0])
        assert place is not None
        references = skim_examples[i].references
        if references and (logits[i].start[place[0] : place[1] + 1] <= DROPPED).any():
            lost += best_token_f1(answer.candidates[0].text, references)
    return lost / sum(bool(example.references) for example in skim_examples)


def test_the_limit_leaves_out_what_it_can_within_the_loss_allowed(
    skim_export: Path, skim_checkpoint: Path, skim_examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(skim_export)
    limits, lost, read = [], [], []
    for most in (0.0, pruning_limit.MOST_LOST, 0.3):
        monkeypatch.setattr(pruning_limit, "MOST_LOST", most)
        limit = choose_limit(predictor, skim_examples)
        assert limit is not None
        folder = skim_export.parent / f"lost-{most}"
        shutil.copytree(skim_export, folder)
        replace(ReaderConfig.load(folder), skim=PruningConfig(limit)).save(folder)
        limits.append(limit)
        lost.append(_lost(folder, skim_examples))
        windows = Predictor(folder, effort=FAST).windower.windows([e.question for e in skim_examples])
        logits = OnnxBackend(folder, keep_above=limit).run(windows)
        read.append(sum(int((each.start > DROPPED).sum()) for each in logits))
    skim = ReaderConfig.load(skim_export).skim
    assert skim is not None
    assert (skim.keep_above, skim.papers_apart) == (limits[1], True)
    assert skim.keep_above_cached is not None
    for found, most in zip(lost, (0.02, 0.03, 0.4), strict=True):
        assert found < most, "the scores of the upper head shift a little"
    assert read[0] >= read[1] > read[2]


def test_fast_has_a_calibration_and_an_identity_of_its_own(
    skim_export: Path, skim_examples: list[Example], tmp_path: Path
) -> None:
    fast, full = Predictor(skim_export, effort=FAST), Predictor(skim_export)
    assert "made" in fast.calibration.fitted_on
    assert fast.identity() != full.identity()
    copy = pickle.loads(pickle.dumps(fast))
    assert copy.effort == FAST
    assert copy.answer_batch(QUESTIONS) == fast.answer_batch(QUESTIONS)

    folder = tmp_path / "strict"
    shutil.copytree(skim_export, folder)
    replace(ReaderConfig.load(folder), skim=PruningConfig(1e5)).save(folder)
    calibrate_folder(folder, skim_examples, effort=FAST)
    assert Predictor(folder, effort=FAST).calibration != fast.calibration
    assert Predictor(folder).calibration == full.calibration


def test_fast_answers_do_not_depend_on_the_batch_or_threads(skim_export: Path) -> None:
    predictor = Predictor(skim_export, effort=FAST, threshold=0)
    alone = [predictor.answer_batch([question])[0] for question in QUESTIONS]
    assert predictor.answer_batch(QUESTIONS[::-1]) == alone[::-1]
    assert Predictor(skim_export, effort=FAST, threshold=0, n_threads=1).answer_batch(QUESTIONS) == alone


def test_no_candidate_starts_or_ends_in_what_was_left_out(skim_export: Path, skim_checkpoint: Path) -> None:
    folder = skim_export.parent / "strict"
    shutil.copytree(skim_export, folder)
    config = ReaderConfig.load(folder)
    ReaderConfig(config.window, config.decode, PruningConfig(1e5)).save(folder)
    predictor = Predictor(folder, effort=FAST, threshold=0, top_k=50)
    for question, answer in zip(QUESTIONS, predictor.answer_batch(QUESTIONS), strict=True):
        assert answer.text
        sentences = split_sentences(question.context)
        owners = {i for c in answer.candidates for i, s in enumerate(sentences) if s.start <= c.start < s.end}
        n_windows = len(predictor.windower.windows([question]))
        assert len(owners) <= n_windows, "one sentence a window is read"


def test_the_effort_is_an_option_and_a_system_to_compare(
    skim_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question, context = QUESTIONS[0].question, QUESTIONS[0].context
    expected = Predictor(skim_export, effort=FAST).answer(question, context)
    command = ["infer", "--model", str(skim_export), "--effort", "fast", "--question", question]
    assert main([*command, "--context", context, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answerable"] == pytest.approx(expected.answerable, abs=1e-6)
    system = open_system(f"fast:{skim_export}", ())
    assert isinstance(system, ModelSystem)
    assert (system.name, system.predictor.effort) == (f"fast:{skim_export.name}", FAST)
    assert system.answer_batch(QUESTIONS[:1]) == [expected]


def test_the_benchmark_sets_the_efforts_side_by_side(
    skim_export: Path, skim_examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples_to_jsonl(tmp_path / "examples.jsonl", skim_examples[:60])
    command = ["effort.py", "--examples", str(tmp_path / "examples.jsonl"), "--model", str(skim_export)]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "effort.md"), "--threads", "1"])
    effort.main()
    heads, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (tmp_path / "effort.md").read_text().splitlines()
    ]
    found = {(row[0], row[2]): dict(zip(heads, row, strict=True)) for row in rows}
    kinds = {(name, effort) for name in ("all", "science") for effort in (FAST, CACHED)}
    assert set(found) == kinds, "none of them is SQuAD's"
    assert found["all", FAST]["n"] == "60"
    asked = skim_examples[:60]
    f1 = {}
    for name in EFFORTS:
        answers = Predictor(skim_export, effort=name).answer_batch([e.question for e in asked])
        of_each = [best_token_f1(a.text, e.references) for a, e in zip(answers, asked, strict=True)]
        f1[name] = 100 * np.mean(of_each)
    for name in (FAST, CACHED):
        given = found["all", name]["F1 at the threshold"]
        assert given.startswith(f"{f1['full']:.1f} -> {f1[name]:.1f} (")
        assert bool(found["all", name]["first questions, in all"]) == (name == CACHED)
    windows = Predictor(skim_export, effort=FAST).windower.windows([e.question for e in skim_examples[:60]])
    limits = ReaderConfig.load(skim_export).keep_above(FAST)
    left = sum(
        int((each.start > DROPPED).sum()) for each in OnnxBackend(skim_export, keep_above=limits).run(windows)
    )
    assert found["all", FAST]["tokens read to the end"] == f"{left / sum(w.n_tokens for w in windows):.0%}"


def test_a_packed_model_brings_the_effort_along(
    skim_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "cache"))
    packed = pack(skim_export, tmp_path / "model.tar.gz")
    for name in EFFORTS:
        expected = Predictor(skim_export, effort=name).answer_batch(QUESTIONS)
        assert Predictor(packed, effort=name).answer_batch(QUESTIONS) == expected
    broken = tmp_path / "broken"
    shutil.copytree(skim_export, broken)
    (broken / CALIBRATION_FILES[FAST]).write_text("{}")
    with pytest.raises(ModelError, match=r"calibration_fast.json is not a calibration"):
        Predictor(pack(broken, tmp_path / "broken.tar.gz"))


def test_models_without_a_skim_head_say_so(
    tiny_checkpoint: Path, skim_checkpoint: Path, tmp_path: Path
) -> None:
    for source, quantize in ((tiny_checkpoint, "int8"), (skim_checkpoint, "fp16"), (skim_checkpoint, "none")):
        folder = tmp_path / f"{source.name}-{quantize}"
        export(source, folder, quantize=quantize, calibrate=made_examples(0, 120), n_threads=2)
        assert Predictor(folder).answer_batch(QUESTIONS)
        with pytest.raises(ModelError, match=r"has no effort 'fast'.*skim_layers"):
            Predictor(folder, effort=FAST)
        with pytest.raises(ModelError, match="no pruning heads"):
            OnnxBackend(folder, keep_above=0.0)


def test_a_limit_is_not_handed_on_to_another_file(skim_export: Path, tmp_path: Path) -> None:
    export(
        rebuild(skim_export, tmp_path / "rebuilt"),
        tmp_path / "few",
        quantize="int8",
        calibrate=made_examples(0, 30),
        n_threads=2,
    )
    with pytest.raises(ModelError, match="has no effort 'fast'"):
        Predictor(tmp_path / "few", effort=FAST)


def test_with_few_examples_there_is_no_fast_effort(skim_checkpoint: Path, tmp_path: Path) -> None:
    few = made_examples(0, 30)
    export(skim_checkpoint, tmp_path / "few", quantize="int8", calibrate=few, n_threads=2)
    with pytest.raises(ModelError, match="has no effort 'fast'"):
        Predictor(tmp_path / "few", effort=FAST)


def test_the_skim_head_comes_back_from_an_export(skim_checkpoint: Path, skim_export: Path) -> None:
    rebuilt, original = load_rebuilt(skim_export), SpanReader.from_pretrained(skim_checkpoint)
    assert rebuilt.config.skim_layers == LAYERS
    for name, weight in rebuilt.skim_heads.state_dict().items():
        expected = original.skim_heads.state_dict()[name]
        assert torch.allclose(weight, expected, atol=float(expected.abs().max()) / 100), name


def test_the_loss_raises_the_right_sentences_above_the_others(skim_checkpoint: Path) -> None:
    windower = Windower.load(skim_checkpoint, ReaderConfig.load(skim_checkpoint).window, with_sentences=True)
    batch = collate(label_windows(windower, made_examples(0, 24)))
    model = SpanReader.from_pretrained(skim_checkpoint)
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
    logits, ids = model(**batch).skim_logits[:, 0], batch["sentence_ids"]
    return torch.stack([logits.masked_fill(ids != n, -1e4).amax(1) for n in range(3)], dim=1)


def test_training_adds_the_head_and_a_mean_keeps_it(
    tiny_checkpoint: Path, tmp_path: Path, trial_rows: Callable[[Sequence[int]], str]
) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "trained"
    data.write_text(trial_rows(range(24)))
    command = ["train", "--data", str(data), "--base", str(tiny_checkpoint), "--output", str(output)]
    settings = ["--skim-layers", "1", "--max-steps", "3", "--n-dev", "0", "--n-calibration", "0"]
    assert main([*command, *settings]) == 0
    trained, fresh = SpanReader.from_pretrained(output), SpanReader.from_pretrained(tiny_checkpoint)
    assert trained.config.skim_layers == [1]
    torch.manual_seed(TrainConfig().seed)
    fresh.add_pruning_heads([1])
    name = "skim_heads.0.hidden.weight"
    assert not torch.equal(trained.state_dict()[name], fresh.state_dict()[name]), "it learned"
    mean = mean_weights([tiny_checkpoint, output], TrainConfig(skim_layers=[1]))
    assert torch.equal(mean[name], trained.state_dict()[name])
    expected = (fresh.span_head.weight + trained.span_head.weight) / 2
    assert torch.allclose(mean["span_head.weight"], expected)


def test_the_heads_can_learn_alone(
    skim_plain_checkpoint: Path, tmp_path: Path, trial_rows: Callable[[Sequence[int]], str]
) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "trained"
    data.write_text(trial_rows(range(24)))
    command = ["train", "--data", str(data), "--base", str(skim_plain_checkpoint), "--output", str(output)]
    settings = ["--skim-layers", "2,3", "--skim-only", "--max-steps", "3", "--n-dev", "0"]
    assert main([*command, *settings, "--n-calibration", "0"]) == 0
    before = SpanReader.from_pretrained(skim_plain_checkpoint).state_dict()
    after = SpanReader.from_pretrained(output).state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    fresh = SpanReader.from_pretrained(skim_plain_checkpoint)
    torch.manual_seed(TrainConfig().seed)
    fresh.add_pruning_heads([2, 3])
    learned = [name for name, weight in fresh.state_dict().items() if not torch.equal(after[name], weight)]
    assert {name.split(".")[1] for name in learned} == {"0", "1"}


def test_settings_of_the_heads_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    for settings in ({"skim_only": True}, {"skim_only": True, "skim_layers": [1], "lora_rank": 4}):
        with pytest.raises(DataError, match="skim_only needs skim_layers, and no lora_rank"):
            TrainConfig(**settings)
    with pytest.raises(DataError, match="skim_layers must be a list of whole numbers"):
        TrainConfig(skim_layers=["1"])  # type: ignore[list-item]
    for limit in (float("nan"), "1", None, True):
        with pytest.raises(ModelError, match="keep_above must be a number"):
            PruningConfig(limit)  # type: ignore[arg-type]
    with pytest.raises(SystemExit):
        main(["train", "--output", "o", "--skim-layers", "two"])
    assert "'two' is not a list of layers such as 2,4" in capsys.readouterr().err


def test_skim_heads_are_of_layers_that_there_are(tiny_checkpoint: Path) -> None:
    model = SpanReader.from_pretrained(tiny_checkpoint)
    for layers in ([3], [0], [1, 7]):
        with pytest.raises(ModelError, match=r"skim_layers .* must lie between 1 and 2"):
            model.add_pruning_heads(layers)
    model.add_pruning_heads([1])
    heads = model.skim_heads
    model.add_pruning_heads([1])
    assert model.skim_heads is heads


@pytest.mark.parametrize("model_type", ["bert", "electra"])
def test_skim_heads_read_what_feed_forward_reads_and_the_question(
    make_reader_checkpoint: Callable[..., Path], model_type: str
) -> None:
    folder = make_reader_checkpoint(model_type)
    model = SpanReader.from_pretrained(folder)
    model.add_pruning_heads([1, 2])
    windows = Windower.load(folder, ReaderConfig.load(folder).window).windows(QUESTIONS)
    assert len({w.n_tokens for w in windows}) > 1, "some are padded"
    entering: list[Any] = []
    for block in model.encoder.encoder.layer:
        block.intermediate.register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0]))
    with torch.inference_mode():
        found = model(**pad_windows(windows)).skim_logits.numpy()
        for row, window in enumerate(windows):
            n_question = int((window.type_ids == 0).sum())
            assert 0 < n_question < window.n_tokens
            for number, (head, states) in enumerate(zip(model.skim_heads, entering, strict=True)):
                own = states[row, : window.n_tokens]
                question = torch.cat([own[0], own[:n_question].mean(0)])
                hidden = torch.nn.functional.gelu(head.hidden(own) + head.question(question))
                expected = head.output(hidden)[:, 0].numpy()
                assert np.allclose(found[row, number, : window.n_tokens], expected, atol=1e-5)


def test_heads_of_a_graph_are_those_of_torch(
    skim_checkpoint: Path, skim_export: Path, windows: list[Window]
) -> None:
    model = SpanReader.from_pretrained(skim_checkpoint).eval()
    for window in windows:
        with torch.inference_mode():
            expected = model(**pad_windows([window])).skim_logits[0].numpy()
        found = _skim_logits(skim_export, window, -1e30)
        for given, own in zip(found, expected, strict=True):
            assert np.corrcoef(given, own)[0, 1] > 0.98, "int8 apart"


def test_encoders_without_segments_have_no_skim_heads(make_reader_checkpoint: Callable[..., Path]) -> None:
    model = SpanReader.from_pretrained(make_reader_checkpoint("roberta"))
    with pytest.raises(ModelError, match="skim_layers: roberta has no segments"):
        model.add_pruning_heads([1])

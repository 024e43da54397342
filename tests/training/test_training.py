"""Training runs on a tiny encoder: they end, resume, refuse and calibrate as promised."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import TrainConfig  # noqa: E402
from qa_extractive.data.loading import load_examples  # noqa: E402
from qa_extractive.errors import DataError, ModelError  # noqa: E402
from qa_extractive.inference.calibration import Calibration  # noqa: E402
from qa_extractive.inference.windows import Windower  # noqa: E402
from qa_extractive.model.checkpoint import load_span_reader, window_for  # noqa: E402
from qa_extractive.model.span_reader import SpanReader  # noqa: E402
from qa_extractive.training import trainer  # noqa: E402
from qa_extractive.training.averaging import mean_weights  # noqa: E402
from qa_extractive.training.batching import collate  # noqa: E402
from qa_extractive.training.run import CALIBRATION_EXAMPLES_FILE, FRESH_EXAMPLES_FILE, load_base, train  # noqa: E402
from qa_extractive.training.trainer import SpanTrainer  # noqa: E402
from qa_extractive.training.window_labels import label_windows  # noqa: E402
from qa_extractive.types import Example, Question, Span  # noqa: E402
from tests.made_examples import made_examples  # noqa: E402

# Checkpoints of these runs lie less than a second apart, which the Trainer takes for a broken file system.
pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")

DATA = Path(__file__).resolve().parents[2] / "data" / "training_data.csv"
SMALL = TrainConfig(max_steps=6, batch_size=4, n_dev=10, n_calibration=20, dropout=0.1, save_minutes=1e-9)


def _save_encoder(tokenizer: Any, folder: Path) -> Path:
    from transformers import BertConfig, BertModel

    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, **sizes)
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def tiny_encoder(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a plain BERT encoder, as a base comes from a hub."""
    return _save_encoder(tiny_tokenizer, tmp_path_factory.mktemp("tiny_encoder"))


@pytest.fixture(scope="module")
def wordy_encoder(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a vocabulary of the words of the repository's training data."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tiny_tokenizer.to_str())
    words = Counter(re.findall(r"[a-z]+", DATA.read_text(encoding="utf-8").lower()))
    tokenizer.add_tokens(sorted(word for word in words if len(word) > 1))
    return _save_encoder(tokenizer, tmp_path_factory.mktemp("wordy_encoder"))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Sixty small questions on thirty documents, a third of them unanswerable."""
    return [_example(i) for i in range(60)]


def _example(i: int) -> Example:
    context = (
        f"We treated {20 + i} patients with the drug. The risk of mortality fell to {i} percent in the trial."
    )
    question = Question(f"How did the risk change in trial {i}?", context)
    answer = f"fell to {i} percent"
    spans = (
        () if i % 3 == 2 else (Span.cut(context, context.index(answer), context.index(answer) + len(answer)),)
    )
    return Example(
        id=str(i),
        question=question,
        references=tuple(s.text for s in spans),
        spans=spans,
        answerable=bool(spans),
        document=f"d{i // 2}",
        source="small",
    )


def _weights(folder: Path) -> dict[str, Any]:
    return dict(SpanReader.from_pretrained(folder).state_dict())


def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(examples, base=str(tiny_encoder), output=whole, config=SMALL)

    original = trainer.Clock.on_step_end

    def stop_at_four(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            raise KeyboardInterrupt
        original(self, args, state, control, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Clock, "on_step_end", stop_at_four)
        with pytest.raises(KeyboardInterrupt):
            train(examples, base=str(tiny_encoder), output=killed, config=SMALL)
    assert not (killed / "model.safetensors").exists()

    train(examples, base=str(tiny_encoder), output=killed, config=SMALL, resume=True)
    expected, found = _weights(whole), _weights(killed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_checkpoint_holds_all_that_export_needs(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path
) -> None:
    report = train(examples, base=str(tiny_encoder), output=tmp_path / "run", config=SMALL)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "reader.json", "calibration.json"} <= names
    assert {"train.json", "training_report.json", "README.md", CALIBRATION_EXAMPLES_FILE} <= names
    assert FRESH_EXAMPLES_FILE in names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert "checkpoints" not in names
    assert report.n_steps == 6
    assert str(tiny_encoder.parent) not in (tmp_path / "run" / "train.json").read_text()
    kept = load_examples(tmp_path / "run" / CALIBRATION_EXAMPLES_FILE).examples
    assert len(kept) == report.n_calibration > 0
    Calibration.load(tmp_path / "run")


def test_without_rows_held_out_an_export_keeps_the_calibration(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, max_steps=1, n_dev=0, n_calibration=0)
    run = tmp_path / "run"
    train(examples, base=str(tiny_encoder), output=run, config=config)
    assert not (run / CALIBRATION_EXAMPLES_FILE).exists()
    given = ["export", "--model", str(run), "--output", str(tmp_path / "exported"), "--threads", "1"]
    assert main([*given, "--quantize", "none"]) == 0
    kept, found = Calibration.load(run), Calibration.load(tmp_path / "exported")
    assert (found.answerable, found.right, found.threshold) == (kept.answerable, kept.right, kept.threshold)


def test_the_clock_ends_a_run_with_its_schedule_and_its_calibration(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    original = trainer.SpanTrainer._rate

    def noted(self: Any, step: int) -> float:
        rates.append(original(self, step))
        return rates[-1]

    monkeypatch.setattr(trainer.SpanTrainer, "_rate", noted)
    config = dataclasses.replace(SMALL, max_steps=100_000, max_minutes=0.03, save_minutes=60.0)
    report = train(examples, base=str(tiny_encoder), output=tmp_path / "run", config=config)
    assert 0 < report.n_steps < 100_000
    assert rates[-1] < 0.2 * max(rates)
    assert (tmp_path / "run" / "calibration.json").is_file()


def test_a_batch_in_parts_is_the_same_step(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(SMALL, dropout=0.0)
    train(examples, base=str(tiny_encoder), output=tmp_path / "whole", config=config)
    n_passes: list[int] = []
    forward = SpanReader.forward

    def counted(self: SpanReader, *args: Any, **kwargs: Any) -> Any:
        n_passes.append(1)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(SpanReader, "forward", counted)
    monkeypatch.setattr(trainer, "_TOKENS_AT_ONCE", 1)
    train(examples, base=str(tiny_encoder), output=tmp_path / "parts", config=config)
    assert len(n_passes) >= 6 * 4, "window by window"
    whole, parts = _weights(tmp_path / "whole"), _weights(tmp_path / "parts")
    moved = _weights_of_base(tiny_encoder, config)
    for name in whole:
        if name != "span_head.bias":  # softmax takes no notice of it: its gradient is noise about zero
            torch.testing.assert_close(parts[name], whole[name], atol=2e-4, rtol=0)
    assert any((whole[name] - moved[name]).abs().max() > 1e-3 for name in moved)


def _weights_of_base(base: Path, config: TrainConfig) -> dict[str, Any]:
    return dict(load_base(str(base), config)[0].state_dict())


def test_a_share_of_the_bases_weights_stays_in_the_result(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path
) -> None:
    base, plain, mixed = (tmp_path / name for name in ("base", "plain", "mixed"))
    train(examples, base=str(tiny_encoder), output=base, config=dataclasses.replace(SMALL, seed=3))
    train(examples, base=str(base), output=plain, config=SMALL)
    train(examples, base=str(base), output=mixed, config=dataclasses.replace(SMALL, base_weight=0.25))
    began, ended, found = map(_weights, (base, plain, mixed))
    assert any((began[name] - ended[name]).abs().max() > 1e-3 for name in found)
    for name, weight in found.items():
        if weight.is_floating_point():
            assert torch.allclose(weight, 0.25 * began[name] + 0.75 * ended[name], atol=1e-6), name


def test_bfloat16_trains_weights_that_stay_in_full_precision(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, dropout=0.0, precision="bf16", eval_steps=3)
    report = train(examples, base=str(tiny_encoder), output=tmp_path / "half", config=config)
    full = train(
        examples,
        base=str(tiny_encoder),
        output=tmp_path / "full",
        config=dataclasses.replace(config, precision="fp32"),
    )
    assert report.final_loss == pytest.approx(full.final_loss, rel=0.02)
    half = _weights(tmp_path / "half")
    assert all(weight.dtype == torch.float32 for weight in half.values() if weight.is_floating_point())
    assert any((w != w.bfloat16().float()).any() for w in half.values() if w.is_floating_point())
    assert report.final_loss != full.final_loss, "the products were rounded"


def test_no_dropout_draws_no_random_numbers(tiny_encoder: Path) -> None:
    def kinds(config: TrainConfig) -> set[str]:
        return {type(module).__name__ for module in load_base(str(tiny_encoder), config)[0].modules()}

    assert "Dropout" not in kinds(dataclasses.replace(SMALL, dropout=0.0))
    assert "Dropout" in kinds(SMALL)
    assert "Dropout" not in kinds(dataclasses.replace(SMALL, dropout=0.0, precision="bf16"))


def test_evaluating_between_steps_keeps_the_best_and_stops_early(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.9, 0.1, 0.1, 0.1, 0.1, 0.1])
    monkeypatch.setattr(trainer, "development_f1", lambda *_: next(scores))
    config = dataclasses.replace(SMALL, max_steps=12, eval_steps=2, patience=2, learning_rate=1e-3, n_dev=20)
    report = train(examples, base=str(tiny_encoder), output=tmp_path / "run", config=config)
    assert report.n_steps == 6  # best at 2, two evaluations without gain after it


def test_the_end_of_a_run_can_be_chosen(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps are no multiple of those between evaluations, and its rate has come to rest."""
    steps: list[int] = []

    def rising(self: Any, *_: Any, **__: Any) -> dict[str, float]:
        steps.append(self.state.global_step)
        metrics = {"eval_f1": 0.1 * len(steps)}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    monkeypatch.setattr(trainer.SpanTrainer, "evaluate", rising)
    config = dataclasses.replace(SMALL, max_steps=7, dropout=0.0)
    train(
        examples,
        base=str(tiny_encoder),
        output=tmp_path / "scored",
        config=dataclasses.replace(config, eval_steps=3),
    )
    assert steps == [3, 6, 7]
    train(examples, base=str(tiny_encoder), output=tmp_path / "plain", config=config)
    scored, plain = _weights(tmp_path / "scored"), _weights(tmp_path / "plain")
    assert all(torch.equal(scored[name], plain[name]) for name in plain)


def test_a_folder_with_another_run_is_refused(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path
) -> None:
    output = tmp_path / "run"
    output.mkdir()
    settings = {"base": "other", **dataclasses.asdict(SMALL)}
    (output / "train.json").write_text(json.dumps(settings))
    with pytest.raises(DataError, match="--resume or another --output"):
        train(examples, base=str(tiny_encoder), output=output, config=SMALL)
    with pytest.raises(DataError, match="cannot resume"):
        train(examples, base=str(tiny_encoder), output=output, config=SMALL, resume=True)


def test_nothing_labelled_is_one_clear_error(tiny_encoder: Path, tmp_path: Path) -> None:
    unlabelled = [Example(id=str(i), question=Question("What?", f"Text {i}.")) for i in range(5)]
    with pytest.raises(DataError, match="no training example is labelled"):
        train(unlabelled, base=str(tiny_encoder), output=tmp_path / "run", config=SMALL)


def test_a_base_that_is_not_there_is_one_clear_error(
    examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="no_such_base"):
        train(examples, base=str(tmp_path / "no_such_base"), output=tmp_path / "run", config=SMALL)


def test_the_repositorys_csv_goes_to_an_exported_model_that_answers(
    wordy_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, exported = tmp_path / "run", tmp_path / "exported"
    options = ["--max-steps", "5", "--batch-size", "4", "--n-dev", "4", "--n-calibration", "8"]
    assert (
        main(["train", "--data", str(DATA), "--base", str(wordy_encoder), "--output", str(run), *options])
        == 0
    )
    assert "exact" in capsys.readouterr().out
    assert main(["export", "--model", str(run), "--output", str(exported), "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "max |logit difference|" in printed
    assert "calibration:" in printed

    from qa_extractive import Predictor

    questions = [e.question for e in load_examples(DATA).examples[:5]]
    for question, answer in zip(questions, Predictor(exported).answer_batch(questions), strict=True):
        assert question.context[answer.start : answer.end] == answer.text
        assert answer.candidates


def test_a_recipe_of_two_stages_goes_from_one_to_the_next(
    tiny_encoder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qa_extractive.training.corpora import READERS

    monkeypatch.setitem(READERS, "squad", lambda path, rng: list(examples))
    settings = {"max_steps": 2, "batch_size": 4, "n_dev": 10, "n_calibration": 20}
    recipe = {
        "sources": [{"reader": "squad", "path": "x.json"}],
        "train": settings,
        "later_stages": [{"seed": 18, "max_steps": 3}],
    }
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    command = ["train", "--recipe", str(tmp_path / "recipe.json"), "--data-root", str(tmp_path), "--output"]
    whole, second = str(tmp_path / "whole"), str(tmp_path / "second")
    assert main([*command, whole, "--base", str(tiny_encoder)]) == 0
    first = tmp_path / "whole" / "stage-1"
    assert json.loads((first / "training_report.json").read_text())["n_steps"] == 2
    assert json.loads((tmp_path / "whole" / "training_report.json").read_text())["n_steps"] == 3
    assert main([*command, second, "--base", str(first), "--from-stage", "2"]) == 0
    once, again = _weights(tmp_path / "whole"), _weights(tmp_path / "second")
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not all(torch.equal(once[name], weight) for name, weight in _weights(first).items())

    (tmp_path / "whole" / "training_report.json").unlink()
    assert main([*command, whole, "--base", str(tiny_encoder), "--resume"]) == 0, "the first is not run again"
    assert main([*command, second, "--from-stage", "3"]) == 2


def test_a_base_may_be_a_pickle_if_allowed_or_a_packed_model(
    wordy_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "cache"))
    pickled = tmp_path / "pickled"
    shutil.copytree(wordy_encoder, pickled)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    options = ["train", "--data", str(DATA), "--max-steps", "1", "--n-dev", "0", "--output"]
    assert main([*options, str(tmp_path / "a"), "--base", str(pickled)]) == 2
    assert "--allow-pickle" in capsys.readouterr().err
    assert main([*options, str(tmp_path / "b"), "--base", str(pickled), "--allow-pickle"]) == 0
    packed = str(tmp_path / "tiny.tar.gz")
    exported = ["--output", str(tmp_path / "b-onnx"), "--quantize", "none"]
    assert main(["export", "--model", str(tmp_path / "b"), *exported, "--pack", packed]) == 0
    assert main([*options, str(tmp_path / "c"), "--base", packed]) == 0


@pytest.fixture
def averaging_recipe(examples: list[Example], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two short stages whose mean is the model."""
    from qa_extractive.training.corpora import READERS

    monkeypatch.setitem(READERS, "squad", lambda path, rng: list(examples))
    return {
        "sources": [{"reader": "squad", "path": "x.json"}],
        "train": {"max_steps": 2, "batch_size": 4, "n_dev": 10, "n_calibration": 20, "learning_rate": 1e-2},
        "later_stages": [{"seed": 18}],
        "average_stages": True,
    }


def test_a_recipe_may_average_its_stages(
    tiny_encoder: Path,
    averaging_recipe: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = averaging_recipe | {"later_stages": [{"seed": 18, "max_steps": 3}]}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    output = tmp_path / "model"
    command = ["train", "--recipe", str(tmp_path / "recipe.json"), "--data-root", str(tmp_path)]
    command += ["--base", str(tiny_encoder), "--output", str(output)]
    assert main([*command, "--from-stage", "2"]) == 2
    assert f"put the model of an earlier one into {output / 'stage-1'}" in capsys.readouterr().err
    assert main(command) == 0
    assert "the mean of 2 stages" in capsys.readouterr().out
    first, second, mean = (_weights(f) for f in (output / "stage-1", output / "stage-2", output))
    assert not all(torch.equal(first[name], second[name]) for name in first)
    for name, weight in mean.items():
        assert torch.allclose(weight, (first[name] + second[name]) / 2, atol=1e-7)
    report = json.loads((output / "training_report.json").read_text())
    assert (report["n_averaged"], report["n_steps"]) == (2, 3)
    assert (output / "calibration.json").is_file()
    assert (output / "fresh_examples.jsonl.gz").is_file()


def test_pruning_heads_learn_from_papers_read_apart_in_every_second_step(
    skim_plain_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    plain: Any = SpanReader.forward

    def spy(self: SpanReader, *args: Any, apart: Any = None, **inputs: Any) -> Any:
        if self.training:
            seen.append(apart is not None)
        return plain(self, *args, apart=apart, **inputs)

    monkeypatch.setattr(SpanReader, "forward", spy)
    config = TrainConfig(
        max_steps=4,
        batch_size=4,
        n_dev=0,
        n_calibration=0,
        skim_layers=[2, 3],
        skim_only=True,
        cached_layers=2,
    )
    examples = made_examples(0, 40)
    train(examples, base=str(skim_plain_checkpoint), output=tmp_path / "deep", config=config)
    assert seen == [False, True, False, True]
    trained = load_span_reader(tmp_path / "deep").config
    assert (trained.cached_layers, trained.cached_grid) == (2, 4)
    seen.clear()
    shallow = dataclasses.replace(config, cached_layers=None, max_steps=2)
    train(examples, base=str(skim_plain_checkpoint), output=tmp_path / "shallow", config=shallow)
    assert seen == [False, False]


def test_papers_are_read_apart_in_a_share_of_the_steps(
    skim_plain_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a step also reads the whole, without labels, and learns to agree with it."""
    seen: list[tuple[int, bool, bool]] = []
    plain: Any = SpanReader.forward

    def spy(self: SpanReader, *args: Any, apart: Any = None, **inputs: Any) -> Any:
        if self.training:
            seen.append((apart.n_layers if apart else 0, "answerable" in inputs, torch.is_grad_enabled()))
        return plain(self, *args, apart=apart, **inputs)

    monkeypatch.setattr(SpanReader, "forward", spy)
    config = TrainConfig(
        max_steps=12,
        batch_size=4,
        n_dev=0,
        n_calibration=0,
        cached_layers=2,
        apart_shares={"1": 0.3, "2": 0.4},
    )
    examples = made_examples(0, 40)
    train(examples, base=str(skim_plain_checkpoint), output=tmp_path / "first", config=config)
    steps = [each for each in seen if each[1]]
    assert len(steps) == 12
    assert {n_layers for n_layers, _, _ in steps} == {0, 1, 2}
    assert all(grad for _, _, grad in steps)
    wholes = [each for each in seen if not each[1]]
    assert len(wholes) == sum(n_layers > 0 for n_layers, _, _ in steps)
    assert set(wholes) == {(0, False, False)}
    first, seen[:] = list(seen), []
    train(examples, base=str(skim_plain_checkpoint), output=tmp_path / "again", config=config)
    assert seen == first, "the steps are drawn by the seed"


def test_a_step_that_reads_papers_apart_learns_what_the_whole_says(
    skim_plain_checkpoint: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        max_steps=1, batch_size=8, n_dev=0, n_calibration=0, cached_layers=2, apart_shares={"2": 1.0}
    )
    model, tokenizer = load_base(str(skim_plain_checkpoint), config)
    windower = Windower(tokenizer, window_for(model.encoder.config))
    windows = label_windows(windower, made_examples(0, 8))
    trainer = SpanTrainer(model, windows, tmp_path, config, windower=windower, dev=[])
    batch = collate(windows)
    with torch.no_grad():
        labels = model(**batch, apart=model.apart).loss
        loss = trainer.compute_loss(model, batch)
        assert float(loss) > float(labels)
        config.apart_shares.clear()
        assert float(trainer.compute_loss(model, batch)) == float(model(**batch).loss)


@pytest.mark.parametrize("shares", [{"two": 0.1}, {"0": 0.1}, {"1": -0.1}, {"1": 0.6, "2": 0.6}], ids=str)
def test_shares_of_steps_that_are_none_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(DataError, match="apart_shares must"):
        TrainConfig(apart_shares=shares)


def test_papers_cannot_be_read_apart_in_more_layers_than_there_are(skim_plain_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="must lie between 1 and 3, got 4"):
        load_base(str(skim_plain_checkpoint), TrainConfig(apart_shares={"4": 0.5}))


def test_a_recipe_may_end_with_skim_heads_on_its_model(
    tiny_encoder: Path,
    averaging_recipe: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = averaging_recipe | {"skim_stage": {"skim_layers": [1], "max_steps": 3}}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe))
    command = ["train", "--recipe", str(path), "--data-root", str(tmp_path), "--output"]
    whole, again = tmp_path / "whole", tmp_path / "again"
    assert main([*command, str(whole), "--base", str(tiny_encoder), "--lora-rank", "2"]) == 0
    assert "stage 3 of 3: pruning heads" in capsys.readouterr().out
    mean, weights = _weights(whole / "mean"), _weights(whole)
    assert all(torch.equal(weights[name], weight) for name, weight in mean.items())
    assert all(".0." in name and name.startswith("skim_heads") for name in set(weights) - set(mean))
    assert main([*command, str(again), "--base", str(whole / "mean"), "--from-stage", "3"]) == 0
    assert all(torch.equal(weight, weights[name]) for name, weight in _weights(again).items())
    assert main([*command, str(tmp_path / "other"), "--from-stage", "4"]) == 2
    assert "has 3 stages" in capsys.readouterr().err
    del recipe["average_stages"]
    path.write_text(json.dumps(recipe))
    assert main([*command, str(tmp_path / "last"), "--base", str(tiny_encoder)]) == 0
    second, weights = _weights(tmp_path / "last" / "stage-2"), _weights(tmp_path / "last")
    assert all(torch.equal(weights[name], weight) for name, weight in second.items())


def test_weights_of_other_shapes_have_no_mean(
    tiny_encoder: Path, make_reader_checkpoint: Callable[..., Path]
) -> None:
    folders = [make_reader_checkpoint("bert", intermediate_size=size) for size in (32, 64)]
    with pytest.raises(DataError, match="differ in their weights"):
        mean_weights(folders, TrainConfig())


def test_bad_records_are_reported_and_strict_stops(
    tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.csv"
    rows = [f"How many {i}?,We counted {i} patients in the trial {i}.,{i} patients" for i in range(12)]
    data.write_text(
        "\n".join(["question,context,answer", *rows, ",No question here.,none", ""]), encoding="utf-8"
    )
    options = ["train", "--data", str(data), "--base", str(tiny_encoder), "--max-steps", "1", "--n-dev", "0"]
    assert main([*options, "--output", str(tmp_path / "a"), "--n-calibration", "2"]) == 0
    assert "row 13" in capsys.readouterr().out
    assert main([*options, "--output", str(tmp_path / "b"), "--strict"]) == 2
    assert "row 13" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_killed_for_good_resumes_to_the_same_weights(wordy_encoder: Path, tmp_path: Path) -> None:
    def start(output: Path, *more: str) -> subprocess.Popen[bytes]:
        options = ["--max-steps", "60", "--batch-size", "4", "--n-dev", "4", "--n-calibration", "8"]
        where = ["--data", str(DATA), "--base", str(wordy_encoder), "--output", str(output)]
        command = [sys.executable, "train.py", *where, *options, "--save-minutes", "0.0001", *more]
        return subprocess.Popen(command, cwd=DATA.parents[1], stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait() == 0
    killed = tmp_path / "killed"
    n_kills = 0
    for wanted in (5, 20, 40):
        process = start(killed, *(["--resume"] if n_kills else []))
        while process.poll() is None and not list(killed.glob(f"checkpoints/checkpoint-{wanted}*")):
            time.sleep(0.01)
        process.kill()
        n_kills += process.wait() == -signal.SIGKILL
    assert n_kills > 0
    assert start(killed, "--resume").wait() == 0
    expected, found = _weights(tmp_path / "whole"), _weights(killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)

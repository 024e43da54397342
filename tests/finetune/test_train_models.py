"""Several models in one run: what is refused beforehand, what fails alone, what a resumed run skips."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from qa_extractive import Predictor
from qa_extractive.cli import main
from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.finetune import models_run
from qa_extractive.finetune.models_file import ModelsFile
from qa_extractive.training.run import train as train_model

pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")

SMALL: dict[str, Any] = {"max_steps": 1, "batch_size": 4, "n_dev": 0, "n_calibration": 0}


@pytest.fixture
def folder(trial_rows: Callable[[Sequence[int]], str], tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text(trial_rows(range(8)), encoding="utf-8")
    (tmp_path / "test.csv").write_text(trial_rows(range(20, 30)), encoding="utf-8")
    return tmp_path


def _file(folder: Path, models: Any, **values: Any) -> Path:
    path = folder / "models.json"
    given = {"data": "train.csv", "test": ["test.csv"], "common": SMALL, "models": models, **values}
    path.write_text(json.dumps(given), encoding="utf-8")
    return path


def test_settings_are_those_of_training_the_model_s_own_before_the_common_ones(folder: Path) -> None:
    path = _file(folder, [{"name": "a"}, {"name": "b", "max_steps": 7, "quantize": "int4"}], hold_out=None)
    with pytest.raises(DataError, match="hold_out is None"):
        ModelsFile.load(path)
    path = _file(
        folder, [{"name": "a"}, {"name": "b", "max_steps": 7, "quantize": "int4", "learning_rate": 1}]
    )
    models = ModelsFile.load(path)
    assert [run.config.max_steps for run in models.runs] == [1, 7]
    assert models.runs[0].config == TrainConfig(**SMALL)
    assert models.runs[1].config.learning_rate == 1, "a whole number is a float too"
    assert [run.quantize for run in models.runs] == ["auto", "int4"]
    assert models.data == (folder / "train.csv",)


@pytest.mark.parametrize(
    ("models", "values", "said"),
    [
        ([{"name": "a", "max_step": 1}], {}, "model 'a': unknown setting 'max_step'"),
        ([{"name": "a"}], {"dta": "x"}, "unknown setting 'dta'"),
        ([{"name": "a", "max_steps": "ten"}], {}, "model 'a': max_steps is 'ten'"),
        ([{"name": "a", "train_embeddings": 1}], {}, "train_embeddings is 1"),
        ([{"name": "a", "epochs": -1}], {}, "model 'a': epochs must be positive"),
        ([{"name": "a", "mismatch_shares": {"x": "y"}}], {}, "mismatch_shares"),
        ([{"name": "a", "quantize": "int2"}], {}, "quantize must be one of"),
        ([{"name": "a"}, {"name": "A"}], {}, "two models are named 'a'"),
        ([{"name": "../a"}], {}, "named '../a'"),
        ([{"base": "default"}], {}, "named None"),
        (["a"], {}, "named None"),
        ([], {}, "'data' and 'models' are needed"),
        ([{"name": "a"}], {"data": "none.csv"}, "none.csv does not exist"),
        ([{"name": "a"}], {"test": "none.csv"}, "none.csv does not exist"),
        ([{"name": "a", "base": "./none"}], {}, "model 'a': base ./none does not exist"),
        ([{"name": "a", "base": "none.tar.gz"}], {}, "base none.tar.gz does not exist"),
        ([{"name": "a"}], {"hold_out": 3}, "'test' or 'hold_out'"),
        ([{"name": "a"}], {"n_bootstrap": -1}, "n_bootstrap must be at least 0"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_on_one_line_before_anything_is_trained(
    folder: Path, models: Any, values: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(folder, models, **values)
    assert main(["sweep", str(path), "--output", str(folder / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert str(path) in error
    assert len(error.splitlines()) == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is not JSON"), ("[]", "no JSON object"), ('{"data": 1, "data": 2}', "given twice")],
)
def test_a_file_that_is_none(folder: Path, text: str, said: str) -> None:
    (folder / "models.json").write_text(text)
    with pytest.raises(DataError, match=said):
        ModelsFile.load(folder / "models.json")
    with pytest.raises(DataError, match="does not exist"):
        ModelsFile.load(folder / "other.json")


def test_models_are_compared_one_fails_alone_and_a_resumed_run_repeats_nothing(
    trial_rows: Callable[[Sequence[int]], str],
    folder: Path,
    tiny_checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = folder / "broken"
    broken.mkdir()
    models: list[dict[str, Any]] = [
        {"name": "first", "base": str(tiny_checkpoint), "quantize": "none"},
        {"name": "broken", "base": "broken"},
        {"name": "later", "base": str(tiny_checkpoint), "learning_rate": 0.01},
    ]
    output = folder / "out"
    command = ["sweep", str(_file(folder, models)), "--output", str(output)]

    original, trained = train_model, []

    def train(*args: Any, **kwargs: Any) -> Any:
        trained.append(kwargs["output"].parent.name)
        if trained == ["first", "broken", "later"]:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(models_run, "train", train)
    assert main(command) == 130, "stopped in the third"
    assert not (output / "comparison.md").exists()
    assert main(command) == 2
    assert "--resume" in capsys.readouterr().err

    trained.clear()
    assert main([*command, "--resume"]) == 1, "one failed"
    assert trained == ["broken", "later"], "the first was there"
    printed = capsys.readouterr().out
    assert "broken failed: " in printed
    values = json.loads((output / "comparison.json").read_text(encoding="utf-8"))
    assert list(values["models"]) == ["first", "broken", "later"]
    assert values["models"]["broken"]["failure"]
    assert values["models"]["broken"]["figures"] is None
    first, later = values["models"]["first"], values["models"]["later"]
    assert later["settings"]["learning_rate"] == 0.01
    assert later["training"]["n_steps"] == 1
    assert later["size_bytes"] < first["size_bytes"], "int8 and fp32"
    assert later["figures"]["n_rows"] == 10
    assert len(later["figures"]["f1_interval"]) == 2
    assert {c["figure"] for c in values["comparisons"]} == {"f1", "em", "auroc", "aurc"}
    assert {(c["system"], c["against"]) for c in values["comparisons"]} == {("later", "first")}
    text = (output / "comparison.md").read_text(encoding="utf-8")
    assert "| broken " in text
    assert "broken failed: " in text
    assert all(line in printed for line in ("| first ", "| later "))
    assert str(folder) not in json.dumps(values["models"]["first"]), "no path of this machine"
    assert (
        Predictor(output / "later" / "model").answer("What fell?", "The risk fell to 3 percent.").candidates
    )

    _file(folder, [models[0], {**models[2], "learning_rate": 0.02}])
    assert main([*command, "--resume"]) == 2
    assert "holds a model of another config" in capsys.readouterr().err
    (folder / "train.csv").write_text(trial_rows(range(9)), encoding="utf-8")
    _file(folder, models[:1])
    assert main([*command, "--resume"]) == 2
    assert "holds a model of another data" in capsys.readouterr().err

"""Weights come from safetensors, or as plain tensors where that is allowed; no checkpoint runs code."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from qa_extractive._utils.atomic_folder import atomic_folder  # noqa: E402
from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import TrainConfig  # noqa: E402
from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.export import exporter  # noqa: E402
from qa_extractive.model.checkpoint import load_checkpoint  # noqa: E402
from qa_extractive.model.span_reader import SpanReader  # noqa: E402
from qa_extractive.training.run import load_base  # noqa: E402

WEIGHTS = "pytorch_model.bin"


@pytest.fixture
def pickled(tiny_qa_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint with its weights in a ``.bin`` only."""
    from safetensors.torch import load_file

    folder = shutil.copytree(tiny_qa_checkpoint, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / WEIGHTS)
    (folder / "model.safetensors").unlink()
    return folder


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = str(marker)

    def __reduce__(self) -> Any:
        return open, (self._marker, "w")


def load(folder: Path, kind: str, **options: Any) -> Any:
    return (load_checkpoint if kind == "checkpoint" else SpanReader.from_encoder)(str(folder), **options)


@pytest.mark.parametrize("kind", ["checkpoint", "encoder"])
def test_pickled_weights_need_permission(pickled: Path, tiny_qa_checkpoint: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=r"safetensors.*--allow-pickle") as caught:
        load(pickled, kind)
    assert "\n" not in str(caught.value)
    torch.manual_seed(1)
    found = load(pickled, kind, allow_pickle=True)
    torch.manual_seed(1)
    expected = load(tiny_qa_checkpoint, kind)
    states = [(each.model if kind == "checkpoint" else each).state_dict() for each in (found, expected)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("form", ["torch", "pickle"])
@pytest.mark.parametrize("kind", ["checkpoint", "encoder"])
def test_a_malicious_pickle_is_not_run(pickled: Path, tmp_path: Path, kind: str, form: str) -> None:
    marker = tmp_path / "was here"
    state = {"qa_outputs.weight": Evil(marker)}
    if form == "torch":
        torch.save(state, pickled / WEIGHTS)
        torch.load(pickled / WEIGHTS, weights_only=False)["qa_outputs.weight"].close()
    else:
        (pickled / WEIGHTS).write_bytes(pickle.dumps(state))
        pickle.loads((pickled / WEIGHTS).read_bytes())["qa_outputs.weight"].close()
    assert marker.exists(), "unpickled carelessly, it would have made its file"
    marker.unlink()
    for allow_pickle in (False, True):
        with pytest.raises(ModelError) as caught:
            load(pickled, kind, allow_pickle=allow_pickle)
        assert "\n" not in str(caught.value)
        assert not marker.exists()


def test_safetensors_are_taken_where_both_are_there(
    pickled: Path, tiny_qa_checkpoint: Path, tmp_path: Path
) -> None:
    shutil.copyfile(tiny_qa_checkpoint / "model.safetensors", pickled / "model.safetensors")
    (pickled / WEIGHTS).write_bytes(b"no weights at all")
    load_checkpoint(str(pickled), allow_pickle=True)


def test_code_in_a_checkpoint_is_not_run(tiny_qa_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_qa_checkpoint, tmp_path / "remote")
    marker = tmp_path / "was here"
    names = {
        "AutoConfig": "evil.Config",
        "AutoModelForQuestionAnswering": "evil.Model",
        "AutoModel": "evil.Model",
    }
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil", "auto_map": names}))
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    for kind in ("checkpoint", "encoder"):
        with pytest.raises(ModelError) as caught:
            load(folder, kind)
        assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_an_adapter_is_refused(tiny_qa_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_qa_checkpoint, tmp_path / "adapter")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/other"}')
    with pytest.raises(ModelError, match="is an adapter: merge it into its model"):
        load_checkpoint(str(folder))


@pytest.mark.parametrize("given", [[], ["--allow-pickle"]])
def test_the_option_of_export(
    pickled: Path,
    tmp_path: Path,
    given: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[bool] = []

    def loading(name: str, *, allow_pickle: bool) -> Any:
        asked.append(allow_pickle)
        raise ModelError("asked")

    monkeypatch.setattr(exporter, "load_checkpoint", loading)
    assert main(["export", "--model", str(pickled), "--output", str(tmp_path / "out"), *given]) == 2
    assert capsys.readouterr().err == "error: asked\n"
    assert asked == [bool(given)]


# ---------------------------------------------------------------- broken checkpoints

SPOILT_SIZES: list[tuple[str, Any]] = [
    ("hidden_size", "wide"),
    ("hidden_size", None),
    ("hidden_size", 32.5),
    ("hidden_size", -32),
    ("hidden_size", float("nan")),
    ("hidden_size", [32]),
    ("hidden_size", 60_000),
    ("num_hidden_layers", 10**9),
    ("num_hidden_layers", True),
    ("num_attention_heads", 0),
    ("num_attention_heads", 5),
    ("vocab_size", 9_000_000),
    ("vocab_size", 10**400),
    ("max_position_embeddings", "x"),
    ("max_position_embeddings", 10**15),
    ("type_vocab_size", -1),
    ("hidden_act", "evil"),
    ("hidden_act", 5),
    ("hidden_dropout_prob", "x"),
    ("layer_norm_eps", "x"),
]


def refused(folder: Path, *loaders: Any) -> None:
    """Each of them says in one line what is wrong, and names the folder."""
    for loader in loaders:
        with pytest.raises(ModelError) as caught:
            loader(str(folder))
        assert str(folder) in str(caught.value)
        assert str(caught.value).isprintable(), caught.value


def base_of(name: str) -> Any:
    return load_base(name, TrainConfig())


@pytest.mark.parametrize(("name", "value"), SPOILT_SIZES, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("kind", ["reader", "plain"])
def test_sizes_of_a_config_that_are_none(
    tiny_checkpoint: Path, tiny_qa_checkpoint: Path, tmp_path: Path, kind: str, name: str, value: Any
) -> None:
    source = tiny_checkpoint if kind == "reader" else tiny_qa_checkpoint
    folder = shutil.copytree(source, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (config["encoder"] if kind == "reader" else config)[name] = value
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, load_checkpoint, base_of)


@pytest.mark.parametrize("kind", ["reader", "plain"])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_truncated_weights(
    tiny_checkpoint: Path, tiny_qa_checkpoint: Path, tmp_path: Path, kind: str, share: float
) -> None:
    folder = shutil.copytree(tiny_checkpoint if kind == "reader" else tiny_qa_checkpoint, tmp_path / "model")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: int(len(content) * share)])
    refused(folder, load_checkpoint, base_of)


CONFIGS = {
    "deep": "[" * 10_000 + "]" * 10_000,
    "no encoder": '{"model_type": "span-reader"}',
    "encoder 5": '{"model_type": "span-reader", "encoder": 5}',
    "list of types": '{"model_type": ["bert"]}',
    "huge": '{"model_type": "bert", "x": "' + "x" * (1 << 20) + '"}',
    "5": "5",
    "empty": "",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_that_are_none(tiny_checkpoint: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    (folder / "config.json").write_text(CONFIGS[name])
    refused(folder, load_checkpoint, base_of)


@pytest.mark.parametrize("layers", [list(range(5000)), "2", [2, 3, 4, 5]], ids=["many", "text", "four"])
def test_skim_layers_that_there_are_not(tiny_checkpoint: Path, tmp_path: Path, layers: Any) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"skim_layers": layers}))
    refused(folder, load_checkpoint, base_of)


@pytest.mark.parametrize("file", ["tokenizer.json", "reader.json", "calibration.json"])
def test_other_files_of_a_checkpoint(tiny_checkpoint: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    for content in ("{}", "[" * 10_000, "\x00"):
        (folder / file).write_text(content)
        refused(folder, load_checkpoint)


SPOILT_ARCHITECTURES: dict[str, Any] = {
    "wide": lambda values: values["config"]["encoder"].update(hidden_size=60_000),
    "other width": lambda values: values["config"]["encoder"].update(hidden_size=64),
    "text": lambda values: values["config"]["encoder"].update(num_hidden_layers="2"),
    "no encoder": lambda values: values["config"].update(encoder=7),
    "no weights": lambda values: values.update(weights={}),
    "weights of none": lambda values: values.update(weights=5),
    "slice of text": lambda values: next(iter(values["weights"].values())).update(last="x"),
    "another place": lambda values: next(iter(values["weights"].values())).update(initializer="nowhere"),
}


@pytest.mark.parametrize("change", SPOILT_ARCHITECTURES)
def test_architectures_that_are_not_those_of_the_graph(
    tiny_export: Path, tmp_path: Path, change: str
) -> None:
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    base_of(str(folder))
    values = json.loads((folder / "architecture.json").read_text())
    SPOILT_ARCHITECTURES[change](values)
    (folder / "architecture.json").write_text(json.dumps(values))
    refused(folder, base_of)


# ---------------------------------------------------------------- where an export goes


@pytest.mark.parametrize("name", ["a" * 300, "loop", "nowhere", "file", "file/below", "full"])
def test_outputs_that_cannot_be_folders(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing" / "folder")
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").symlink_to("/dev/full")
    before = sorted(tmp_path.iterdir())
    given = ["export", "--model", str(tmp_path), "--output", str(tmp_path / name)]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_with_the_longest_name_and_a_link_to_one(tmp_path: Path) -> None:
    """Neither the name of what is being filled nor what replaces a link gets in the way."""
    long = tmp_path / ("a" * 255)
    link = tmp_path / "link"
    link.symlink_to(long)
    for content in ("1", "2"):
        with atomic_folder(long if content == "1" else link, marker="marker") as folder:
            (folder / "marker").write_text(content)
        assert (long / "marker").read_text() == content
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a" * 255, "link"]

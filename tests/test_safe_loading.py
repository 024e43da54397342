"""Weights come from safetensors, or as plain tensors where that is allowed; no checkpoint runs code."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("optimum")

from qa_extractive.cli import main  # noqa: E402
from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.export import exporting  # noqa: E402
from qa_extractive.export.checkpoint import load_checkpoint  # noqa: E402
from qa_extractive.model import SpanReader  # noqa: E402

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

    monkeypatch.setattr(exporting, "load_checkpoint", loading)
    assert main(["export", "--model", str(pickled), "--output", str(tmp_path / "out"), *given]) == 2
    assert capsys.readouterr().err == "error: asked\n"
    assert asked == [bool(given)]

"""The context cache on disk: found by later processes, never a bit off, never believed."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

pytest.importorskip("torch")

import qa_extractive
from qa_extractive.errors import ModelError
from qa_extractive.inference import onnx_backend, paper_files
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend
from qa_extractive.inference.windows import Window
from qa_extractive.predictor import DEFAULT_MODEL, Predictor
from qa_extractive.settings import CACHED, EXACT, FAST, FULL
from qa_extractive.types import Question

CONTEXTS = [
    "Two hundred adults took the drug for 12 weeks. Pain fell by 31 percent. Nobody left the trial.",
    "The placebo group was smaller, and no dose was given to it.",
    "Death was rare in both arms of the trial, and the dose was 5 mg for all patients. " * 9,
]
ASKED = ["Which dose was given?", "By how much did the pain of the patients fall in the trial?", "Who left?"]
QUESTIONS = [Question(asked, context) for context in CONTEXTS for asked in ASKED]


@pytest.fixture
def n_read(papers_read: list[Window]) -> Callable[[], int]:
    """How many papers were read since it was last asked."""

    def asked() -> int:
        n = len(papers_read)
        papers_read.clear()
        return n

    return asked


def _cached(model: Path, folder: Path | None, n_threads: int = 1) -> Predictor:
    return Predictor(model, effort=CACHED, threshold=0, kept_folder=folder, n_threads=n_threads)


@pytest.mark.parametrize("model", ["tiny", "embedded"])
def test_no_bit_depends_on_what_is_on_disk(
    skim_export: Path, tmp_path: Path, n_read: Callable[[], int], model: str
) -> None:
    folder = skim_export if model == "tiny" else DEFAULT_MODEL
    expected = _cached(folder, None).answer_batch(QUESTIONS)
    n_papers = n_read()
    draw = random.Random(5)
    for kept, n_threads in enumerate([1, 2, 3, 1, 2]):
        order = draw.sample(range(len(QUESTIONS)), len(QUESTIONS))
        found = _cached(folder, tmp_path, n_threads).answer_batch([QUESTIONS[i] for i in order])
        assert found == [expected[i] for i in order]
        assert n_read() == (0 if kept else n_papers)
    predictor = _cached(folder, tmp_path)
    backend = predictor.backend
    assert isinstance(backend, OnnxBackend)
    assert backend._files is not None
    for window in predictor.windower.windows(QUESTIONS):
        key = backend._inputs.key_of_paper(window)
        loaded = backend._files.find(key, window.n_tokens - window.first)
        made = backend._read_paper(backend._sessions.get(1), window)
        assert loaded is not None
        for name, values in made.feed.items():
            assert loaded.feed[name].shape == values.shape
            assert loaded.feed[name].tobytes() == values.tobytes()


_LATER = """
import json, sys
from qa_extractive import Predictor
from qa_extractive.inference.onnx_backend import OnnxBackend
def read(*_):
    raise SystemExit("read again")
OnnxBackend._read_paper = read
model, folder, *asked = sys.argv[1:]
predictor = Predictor(model, effort="cached", threshold=0, kept_folder=folder, n_threads=1)
print(json.dumps(predictor.answer(*asked).to_dict()))
"""


def test_a_later_process_asks_another_question_without_reading_the_paper(
    skim_export: Path, tmp_path: Path
) -> None:
    _cached(skim_export, tmp_path).answer("Which dose was given?", CONTEXTS[0])
    command = [sys.executable, "-c", _LATER, str(skim_export), str(tmp_path), "Was given which dose?"]
    done = subprocess.run([*command, CONTEXTS[0]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    expected = _cached(skim_export, None).answer("Was given which dose?", CONTEXTS[0]).to_dict()
    assert json.loads(done.stdout) == json.loads(json.dumps(expected))
    other = subprocess.run([*command, CONTEXTS[1]], capture_output=True, text=True, check=False)
    assert "read again" in other.stderr


def test_what_the_values_depend_on_is_in_the_key(
    skim_export: Path, tmp_path: Path, n_read: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = tmp_path / "kept", QUESTIONS[:1]

    def n_new(model: Path = skim_export, precision: str = "native") -> int:
        settings: dict[str, Any] = {"kept_folder": folder, "precision": precision, "n_threads": 1}
        Predictor(model, effort=CACHED, **settings).answer_batch(asked)
        return n_read()

    assert [n_new(), n_new()] == [1, 0]
    other = shutil.copytree(skim_export, tmp_path / "model")
    assert n_new(other) == 0, "the same model"
    with (other / MODEL_FILE).open("ab") as file:
        file.write(b"\x32\x00")  # doc_string, empty: the same graph in other bytes
    assert n_new(other) == 1
    assert [n_new(precision=EXACT), n_new(precision=EXACT)] == [1, 0]
    form = onnx_backend.weights_form()
    other_form = "signed" if form == "unsigned" else "unsigned"
    for module, name, value in (
        (paper_files, "cpu_kind", lambda: ("Another CPU", "AVX2")),
        (ort, "__version__", "1.99.0"),
        (ort, "get_build_info", lambda: "a build of one's own"),
        (paper_files, "FORMAT", "qa_extractive 99"),
        (qa_extractive, "__version__", "9.9.9"),
        (onnx_backend, "weights_form", lambda: other_form),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(module, name, value, raising=False)
            assert [n_new(), n_new()] == [1, 0], name
    assert n_new() == 0
    asked = [Question(ASKED[1], CONTEXTS[0])]
    assert n_new() == 1, "the paper begins at another position"


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


BROKEN: dict[str, Callable[[bytes, bytes], bytes]] = {
    "empty": lambda *_: b"",
    "half": lambda own, _: own[: len(own) // 2],
    "header only": lambda own, _: own[:64],
    "a value short": lambda own, _: own[:-4],
    "a value long": lambda own, _: own + own[-4:],
    "zeros": lambda own, _: bytes(len(own)),
    "zeros from the middle on": lambda own, _: own[: len(own) // 2].ljust(len(own), b"\0"),
    "not a number": lambda own, _: own[:64] + np.full(len(own) // 4 - 16, np.nan, np.float32).tobytes(),
    "another format": lambda own, _: _flip(own, 3),
    "another key": lambda own, _: _flip(own, 20),
    "another checksum": lambda own, _: _flip(own, 49),
    "another first bit": lambda own, _: _flip(own, 64),
    "another last bit": lambda own, _: _flip(own, len(own) - 1),
    "another paper": lambda _, other: other,
    "another paper under this key": lambda own, other: own[:64] + other[64:],
    "a pickle": lambda *_: pickle.dumps(os.getcwd),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_read_anew_and_replaced(
    skim_export: Path, tmp_path: Path, n_read: Callable[[], int], name: str
) -> None:
    asked = Question("Who left?", CONTEXTS[0]), Question("Who left?", CONTEXTS[0].replace("12", "14"))
    predictor = _cached(skim_export, tmp_path)
    expected = predictor.answer_batch(asked[:1])
    (path,) = tmp_path.iterdir()
    predictor.answer_batch(asked[1:])
    (second,) = {*tmp_path.iterdir()} - {path}
    own, other = path.read_bytes(), second.read_bytes()
    assert len(own) == len(other), "as many tokens"
    assert own != other
    path.write_bytes(BROKEN[name](own, other))
    n_read()
    assert _cached(skim_export, tmp_path).answer_batch(asked[:1]) == expected
    assert n_read() == 1
    assert path.read_bytes() == own
    assert _cached(skim_export, tmp_path).answer_batch(asked[:1]) == expected
    assert n_read() == 0


def test_any_flipped_bit_is_seen(skim_export: Path, tmp_path: Path, n_read: Callable[[], int]) -> None:
    _cached(skim_export, tmp_path).answer_batch(QUESTIONS[:1])
    (path,) = tmp_path.iterdir()
    own, draw = path.read_bytes(), random.Random(11)
    predictor = _cached(skim_export, tmp_path)
    backend = predictor.backend
    assert isinstance(backend, OnnxBackend)
    assert backend._files is not None
    (window,) = predictor.windower.windows(QUESTIONS[:1])
    wanted = backend._inputs.key_of_paper(window), window.n_tokens - window.first
    assert backend._files.find(*wanted) is not None
    for _ in range(200):
        place, bit = draw.randrange(len(own)), 1 << draw.randrange(8)
        path.write_bytes(own[:place] + bytes([own[place] ^ bit]) + own[place + 1 :])
        assert backend._files.find(*wanted) is None, (place, bit)


def test_a_folder_that_cannot_be_written_costs_one_warning(
    skim_export: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    expected = _cached(skim_export, None).answer_batch(QUESTIONS)
    predictor = _cached(skim_export, tmp_path / "file" / "papers", 2)
    assert predictor.answer_batch(QUESTIONS) == expected
    assert predictor.answer_batch(QUESTIONS) == expected
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "Not a directory" in said.message
    (tmp_path / "blocked").mkdir()
    _cached(skim_export, tmp_path / "blocked").answer_batch(QUESTIONS[:1])
    (path,) = (tmp_path / "blocked").iterdir()
    path.unlink()
    path.mkdir()
    assert _cached(skim_export, tmp_path / "blocked").answer_batch(QUESTIONS) == expected
    assert len(caplog.records) == 2


def test_the_folder_has_a_limit(skim_export: Path, tmp_path: Path) -> None:
    predictor = Predictor(skim_export, effort=CACHED, kept_folder=tmp_path, kept_folder_mb=1, n_threads=1)
    texts = [f"Trial {i}: the dose was 5 mg for all patients. " + "They were well. " * 20 for i in range(20)]
    most = 0
    for text in texts:
        predictor.answer("Which dose was given?", text)
        sizes = [path.stat().st_size for path in tmp_path.iterdir()]
        most = max(most, sum(sizes))
    assert 500_000 < most <= 1_000_000 < len(texts) * min(sizes)


def test_it_goes_with_the_effort_cached(
    skim_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for effort in (FULL, FAST):
        with pytest.raises(ModelError, match=f"kept_folder goes with the effort 'cached', not '{effort}'"):
            Predictor(skim_export, effort=effort, kept_folder=tmp_path)
    assert not list(tmp_path.iterdir())
    for wrong in (7, "", b"here", "a\0b"):
        with pytest.raises(ModelError, match="kept_folder must be a folder or None"):
            Predictor(skim_export, effort=CACHED, kept_folder=wrong)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    predictor = Predictor(skim_export, effort=CACHED, kept_folder="here", n_threads=1)
    predictor.answer_batch(QUESTIONS[:1])
    monkeypatch.chdir(skim_export)
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.settings.kept_folder == str(tmp_path / "here")
    copy.answer_batch(QUESTIONS[1:2])
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert len(list((tmp_path / "here").iterdir())) == 2

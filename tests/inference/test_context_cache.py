"""The effort "cached": papers read apart from questions, kept, and found again."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import TensorProto  # noqa: E402

from qa_extractive._utils.lru import LruCache  # noqa: E402
from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import ReaderConfig, WindowConfig  # noqa: E402
from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.evaluation.systems import open_system  # noqa: E402
from qa_extractive.export.exporter import export  # noqa: E402
from qa_extractive.export.passes.context_cache import add_context_cache  # noqa: E402
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend  # noqa: E402
from qa_extractive.inference.onnx_inputs import (  # noqa: E402
    OLD_GRID,
    PAPER_STATES,
    GraphInputs,
)
from qa_extractive.inference.windows import Window, Windower  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, pad_windows  # noqa: E402
from qa_extractive.predictor import Predictor  # noqa: E402
from qa_extractive.settings import CACHED, FAST  # noqa: E402
from qa_extractive.types import Example, Question  # noqa: E402

ROOM = 100_000_000
CONTEXTS = [
    "The drug was given to 512 patients. The risk of bleeding fell to 9 percent. Placebo did nothing.",
    "Nothing was measured in the trial.",
    "The trial had two arms. " * 4 + "The risk of death was reduced. " + "Patients were old. " * 5,
]
ASKED = ["What was the risk?", "What did the placebo do in the trial, and which dose was it?", "Who?"]
QUESTIONS = [Question(asked, context) for context in CONTEXTS for asked in ASKED]


@pytest.fixture
def windows(skim_checkpoint: Path) -> list[Window]:
    """One of each question."""
    config = ReaderConfig.load(skim_checkpoint).window
    found = Windower.load(skim_checkpoint, config, with_sentences=True).windows(QUESTIONS)
    assert len(found) == len(QUESTIONS)
    return found


@pytest.fixture
def n_read(papers_read: list[Window]) -> Callable[[], int]:
    """How many papers were read."""
    return lambda: len(papers_read)


def _starts(folder: Path, windows: list[Window]) -> list[int]:
    session = ort.InferenceSession(str(folder / MODEL_FILE))
    inputs = GraphInputs(session, folder / MODEL_FILE, None)
    return [int(inputs.of_paper(window)["position_ids"][0, 0]) for window in windows]


def _torch_logits(model: Any, window: Window, start: int) -> np.ndarray:
    """Start logits; the first layer hides the question, which stands right before it, from the context."""
    with torch.inference_mode():
        inputs = pad_windows([window])
        n_context = window.n_tokens - window.first
        positions = [0, *range(start - window.first + 1, start + n_context)]
        hidden = model.encoder.embeddings(
            input_ids=inputs["input_ids"],
            token_type_ids=inputs["token_type_ids"],
            position_ids=torch.tensor([positions]),
        )
        for number, layer in enumerate(model.encoder.encoder.layer):
            seen = np.ones((window.n_tokens, window.n_tokens), dtype=bool)
            if number == 0:
                seen[window.first :, : window.first] = False
            output = layer(hidden, torch.from_numpy(np.where(seen, 0.0, -1e9).astype(np.float32))[None, None])
            hidden = output[0] if isinstance(output, tuple) else output
        return np.asarray(model.span_head(hidden)[0, :, 0].numpy())


def test_the_context_does_not_see_the_question_in_the_lowest_layer(
    skim_checkpoint: Path, skim_export: Path, windows: list[Window]
) -> None:
    model = SpanReader.from_pretrained(skim_checkpoint, attn_implementation="eager").eval()
    logits = OnnxBackend(skim_export, kept_papers=ROOM).run(windows)
    whole = OnnxBackend(skim_export).run(windows)
    apart, to_whole = [], []
    for window, start, found, other in zip(
        windows, _starts(skim_export, windows), logits, whole, strict=True
    ):
        assert start % OLD_GRID == 0
        assert 0 <= start - window.first < OLD_GRID
        apart.append(np.abs(found.start - _torch_logits(model, window, start)).mean())
        to_whole.append(np.abs(found.start - other.start).mean())
    assert np.mean(apart) < np.mean(to_whole) / 2, "closer to what it should be than to the windows whole"


def test_an_answer_does_not_depend_on_what_is_kept(skim_export: Path) -> None:
    predictor = Predictor(skim_export, effort=CACHED, threshold=0)
    expected = predictor.answer_batch(QUESTIONS)
    assert predictor.answer_batch(QUESTIONS) == expected, "papers are kept now"
    fresh = [Predictor(skim_export, effort=CACHED, threshold=0).answer_batch([q])[0] for q in QUESTIONS]
    assert fresh == expected
    single = Predictor(skim_export, effort=CACHED, threshold=0, n_threads=1)
    assert single.answer_batch(QUESTIONS[::-1]) == expected[::-1]


def test_threads_share_what_is_kept_and_agree(skim_export: Path) -> None:
    predictor = Predictor(skim_export, effort=CACHED, threshold=0)
    expected = Predictor(skim_export, effort=CACHED, threshold=0).answer_batch(QUESTIONS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: predictor.answer_batch(QUESTIONS[i:] + QUESTIONS[:i]), range(8)))
    for i, answers in enumerate(found):
        assert answers == expected[i:] + expected[:i]


def test_a_paper_is_read_once_for_questions_about_as_long(
    skim_export: Path, n_read: Callable[[], int]
) -> None:
    predictor = Predictor(skim_export, effort=CACHED, n_threads=1)
    predictor.answer("What was the risk?", CONTEXTS[0])
    assert n_read() == 1
    predictor.answer("Which dose was it?", CONTEXTS[0])
    assert n_read() == 1, "as many tokens"
    predictor.answer("What was the risk of death in the group?", CONTEXTS[0])
    assert n_read() == 2, "the paper begins elsewhere"
    predictor.answer("What was the risk?", CONTEXTS[2])
    assert n_read() == 3, "another paper"
    predictor.answer_batch([Question("What was the risk?", c) for c in (CONTEXTS[2], CONTEXTS[0])])
    assert n_read() == 3


def test_papers_not_asked_about_for_longest_make_room(
    skim_export: Path, windows: list[Window], n_read: Callable[[], int]
) -> None:
    one_paper = OnnxBackend(skim_export, 1, kept_papers=ROOM)
    one_paper.run(windows[:1])
    assert one_paper._papers is not None
    backend = OnnxBackend(skim_export, 1, kept_papers=one_paper._papers.total)
    before = n_read()
    short = [w for w in windows if w.question_index == 3]
    backend.run(windows[:1])
    backend.run(short)
    backend.run(windows[:1])
    assert n_read() - before == 3, "there is room for one of the two"
    nothing = OnnxBackend(skim_export, 1, kept_papers=1)
    for found, expected in zip(nothing.run(windows), backend.run(windows), strict=True):
        assert np.array_equal(found.start, expected.start)
    assert nothing._papers is not None
    assert len(nothing._papers) == 0


def test_windows_without_a_context_and_as_long_as_can_be(skim_export: Path) -> None:
    predictor = Predictor(skim_export, effort=CACHED, threshold=0)
    long = "The trial had two arms and the risk fell to 9 percent. " * 40
    contexts = ["", " \n ", "\u200b", long, "a"]
    questions = [Question(asked, context, "a title of it") for context in contexts for asked in ASKED]
    answers = predictor.answer_batch(questions)
    assert [bool(a.text) for a in answers[:6]] == [False] * 6
    assert all(
        a.text and q.context[a.start : a.end] == a.text
        for q, a in zip(questions[9:], answers[9:], strict=True)
    )
    windows = predictor.windower.windows(questions)
    starts = _starts(skim_export, [w for w in windows if w.n_context_tokens])
    assert not any(start % OLD_GRID for start in starts), "several windows of a text leave room for that"
    assert predictor.answer_batch(questions) == answers
    firsts = [w.first for w in predictor.windower.windows([Question(asked, "a") for asked in ASKED])]
    full = [Question(asked, "a " * (127 - n)) for asked, n in zip(ASKED, firsts, strict=True)]
    windows = predictor.windower.windows(full)
    assert [w.n_tokens for w in windows] == [128] * len(ASKED), "all positions there are"
    assert _starts(skim_export, windows) == firsts, "rounding up would not fit"
    assert any(first % OLD_GRID for first in firsts)
    assert [predictor.answer_batch([question])[0] for question in full] == predictor.answer_batch(full)


def test_sentences_are_left_out_as_at_the_effort_fast(skim_export: Path, windows: list[Window]) -> None:
    backend = OnnxBackend(skim_export, keep_above=1e30, kept_papers=ROOM)
    for window, logits in zip(windows, backend.run(windows), strict=True):
        assert window.sentences is not None
        own = logits.start[window.first : window.first + window.n_context_tokens]
        assert len(set(window.sentences[own > -1e4])) == 1, "the best one only"
        assert len(logits.start) == window.n_tokens


def test_it_has_a_calibration_and_an_identity_of_its_own(skim_export: Path) -> None:
    cached, fast = Predictor(skim_export, effort=CACHED, kept_mb=7), Predictor(skim_export, effort=FAST)
    assert "made" in cached.calibration.fitted_on
    assert cached.calibration != fast.calibration
    assert cached.identity() != fast.identity()
    copy = pickle.loads(pickle.dumps(cached))
    assert (copy.effort, copy.settings.kept_mb) == (CACHED, 7)
    assert copy.answer_batch(QUESTIONS) == cached.answer_batch(QUESTIONS)


def test_it_is_an_option_and_a_system_to_compare(
    skim_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question, context = QUESTIONS[0].question, QUESTIONS[0].context
    expected = Predictor(skim_export, effort=CACHED).answer(question, context)
    command = ["infer", "--model", str(skim_export), "--effort", "cached", "--kept-mb", "9"]
    assert main([*command, "--question", question, "--context", context, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answerable"] == pytest.approx(expected.answerable, abs=1e-6)
    assert open_system(f"cached:{skim_export}", ()).answer_batch(QUESTIONS[:1]) == [expected]
    assert main([*command[:-1], "0", "--question", question, "--context", context]) == 2
    assert "kept_mb must be a whole number of at least 1" in capsys.readouterr().err


def test_models_that_cannot_say_so(
    skim_export: Path, tiny_export: Path, skim_checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"no effort 'cached'.*skim_layers"):
        Predictor(tiny_export, effort=CACHED)
    with pytest.raises(ModelError, match="there is no effort 'slow': use 'full', 'fast', 'cached'"):
        Predictor(skim_export, effort="slow")
    with pytest.raises(ModelError, match="has no context cache"):
        OnnxBackend(tiny_export, kept_papers=ROOM)
    folder = tmp_path / "fast_only"
    shutil.copytree(skim_export, folder)
    config = ReaderConfig.load(folder)
    assert config.skim is not None
    replace(config, skim=replace(config.skim, papers_apart=False)).save(folder)
    assert Predictor(folder, effort=FAST).answer_batch(QUESTIONS)
    with pytest.raises(ModelError, match="no effort 'cached'"):
        Predictor(folder, effort=CACHED)
    export(skim_checkpoint, tmp_path / "int4", quantize="int4", calibrate=(), n_threads=2)
    assert not add_context_cache(onnx.load(str(tmp_path / "int4" / MODEL_FILE)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("position_ids", lambda value: setattr(value.type.tensor_type, "elem_type", TensorProto.INT32)),
        (PAPER_STATES, lambda value: value.type.tensor_type.shape.dim[2].ClearField("dim_value")),
    ],
    ids=["another type", "no size"],
)
def test_a_file_of_another_make_is_refused(
    skim_export: Path, tmp_path: Path, name: str, change: Callable[[Any], None]
) -> None:
    model = onnx.load(str(skim_export / MODEL_FILE))
    change(next(each for each in model.graph.input if each.name == name))
    onnx.save(model, str(tmp_path / MODEL_FILE))
    with pytest.raises(ModelError):
        OnnxBackend(tmp_path)


def test_windows_of_kept_contexts_are_those_of_new_ones(
    skim_checkpoint: Path, skim_examples: list[Example]
) -> None:
    config = WindowConfig(60, 8, 20, 8)
    asked = [*QUESTIONS, *(e.question for e in skim_examples[:30])]
    asked += [Question("What [SEP] was \ud800 it?", "a  [CLS] b \ud800 " + c, "the title") for c in CONTEXTS]
    expected = Windower.load(skim_checkpoint, config).windows(asked)
    assert len(expected) > len(asked), "some are cut"
    keeping = Windower.load(skim_checkpoint, config, kept_tokens=200)
    for _ in range(2):
        for found, window in zip(keeping.windows(asked), expected, strict=True):
            assert (found.question_index, found.first) == (window.question_index, window.first)
            for name in ("token_ids", "type_ids", "offsets"):
                assert np.array_equal(getattr(found, name), getattr(window, name)), name


def test_the_oldest_values_make_room() -> None:
    kept: LruCache[str, str] = LruCache(5, len)
    made: list[str] = []

    def get(key: str, value: str) -> str:
        def make() -> str:
            made.append(key)
            return value

        return kept.get(key, make)

    assert [get("a", "12"), get("b", "34"), get("a", "12")] == ["12", "34", "12"]
    get("c", "56")
    assert kept.find("b") is None, "asked for before a"
    assert (kept.find("a"), kept.total, len(kept)) == ("12", 4, 2)
    assert get("d", "123456") == "123456", "larger than all the room"
    assert kept.find("d") is None
    assert made == ["a", "b", "c", "d"]

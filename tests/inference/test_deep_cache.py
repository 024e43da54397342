"""Several lower layers that read papers apart: what they compute, and what is kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qa_extractive._utils.bounded_folder import BoundedFolder  # noqa: E402
from qa_extractive.config import ReaderConfig  # noqa: E402
from qa_extractive.errors import ModelError  # noqa: E402
from qa_extractive.export.dequantize import load_rebuilt  # noqa: E402
from qa_extractive.export.exporter import export  # noqa: E402
from qa_extractive.inference.backend import WindowLogits  # noqa: E402
from qa_extractive.inference.onnx_backend import OnnxBackend  # noqa: E402
from qa_extractive.inference.windows import Window, Windower  # noqa: E402
from qa_extractive.model.checkpoint import load_span_reader  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, pad_windows  # noqa: E402
from qa_extractive.predictor import Predictor  # noqa: E402
from qa_extractive.settings import CACHED, FAST, FULL  # noqa: E402
from qa_extractive.types import Example, Question  # noqa: E402

ROOM = 100_000_000
CONTEXTS = [
    "The drug was given to 512 patients. The risk of bleeding fell to 9 percent. Placebo did nothing.",
    "Nothing was measured in the trial.",
    "The trial had two arms and the risk fell to 9 percent. Patients were old. " * 12,
]
ASKED = ["Who?", "What was the risk?", "What did the placebo do in the trial, and which dose was it?"]
QUESTIONS = [
    Question(asked, context, title)
    for context in CONTEXTS
    for asked in ASKED
    for title in (None, "A trial of the drug")
]
MOST_OFF = 2e-4  # of a logit: float products in another order

Exported = Callable[[int, int], Path]


@pytest.fixture(scope="module")
def deep_checkpoint(skim_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader with pruning heads in two more layers, six in all."""
    folder = tmp_path_factory.mktemp("deep")
    shutil.copytree(skim_checkpoint, folder, dirs_exist_ok=True)
    config = SpanReader.from_pretrained(skim_checkpoint).config
    config.encoder["num_hidden_layers"] = 6
    config.skim_layers = [2, 3, 5]
    torch.manual_seed(9)
    model = SpanReader(config)
    with torch.no_grad():
        model.span_head.weight.mul_(40.0)
        for name, weight in model.named_parameters():
            if name.startswith("skim_heads.") and name.endswith("output.weight"):
                weight.mul_(40.0)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def exported(deep_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Its export with int8 weights and float products, by layers apart and grid."""
    made: dict[tuple[int, int], Path] = {}

    def export_once(n_layers: int, grid: int) -> Path:
        if (n_layers, grid) not in made:
            folder = tmp_path_factory.mktemp("deep_export") / "model"
            export(
                deep_checkpoint,
                folder,
                quantize="int8-weights",
                calibrate=(),
                n_threads=1,
                cached_layers=n_layers,
                cached_grid=grid,
            )
            made[n_layers, grid] = folder
        return made[n_layers, grid]

    return export_once


def _windows(folder: Path, grid: int, *, questions: list[Question] | None = None) -> list[Window]:
    config = ReaderConfig.load(folder).window
    windower = Windower.load(folder, config, with_sentences=True, grid=grid)
    return windower.windows(QUESTIONS if questions is None else questions)


def _same(found: list[WindowLogits], expected: list[WindowLogits]) -> bool:
    return all(
        np.array_equal(a.start, b.start)
        and np.array_equal(a.end, b.end)
        and a.answerability == b.answerability
        and np.array_equal(np.asarray(a.verdict), np.asarray(b.verdict))
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("grid", [4, 64])
@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_the_graph_computes_what_torch_does(exported: Exported, n_layers: int, grid: int) -> None:
    folder = exported(n_layers, grid)
    model = load_rebuilt(folder)  # its weights are those of the graph
    assert (model.config.cached_layers, model.config.cached_grid) == (n_layers, grid)
    windows = _windows(folder, grid)
    assert len(windows) > len(QUESTIONS), "some texts have several"
    found = OnnxBackend(folder, 1, kept_papers=ROOM).run(windows)
    whole = OnnxBackend(folder, 1).run(windows)
    to_whole = []
    for window, logits, other in zip(windows, found, whole, strict=True):
        with torch.inference_mode():
            expected = model(**pad_windows([window]), apart=model.apart)
            together = model(**pad_windows([window]))
        np.testing.assert_allclose(logits.start, expected.start_logits[0], atol=MOST_OFF)
        np.testing.assert_allclose(logits.end, expected.end_logits[0], atol=MOST_OFF)
        assert logits.verdict is not None
        np.testing.assert_allclose(logits.verdict, expected.verdict_logits[0], atol=MOST_OFF)
        assert logits.answerability == pytest.approx(float(expected.answerability_logit), abs=MOST_OFF)
        np.testing.assert_allclose(other.start, together.start_logits[0], atol=MOST_OFF)
        to_whole.append(np.abs(logits.start - other.start).max())
    assert np.mean(to_whole) > 50 * MOST_OFF, "it is another function than that of whole windows"


@pytest.mark.parametrize(("n_layers", "grid"), [(2, 4), (4, 64)])
def test_what_is_on_disk_gives_the_same_bits(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_layers: int, grid: int
) -> None:
    folder = exported(n_layers, grid)
    windows = _windows(folder, grid)
    expected = OnnxBackend(folder, 1, kept_papers=ROOM).run(windows)
    on_disk = BoundedFolder(tmp_path, ROOM)
    assert _same(OnnxBackend(folder, 2, kept_papers=ROOM, paper_folder=on_disk).run(windows), expected)
    monkeypatch.setattr(OnnxBackend, "_read_paper", None)
    later = OnnxBackend(folder, 1, kept_papers=ROOM, paper_folder=on_disk)
    assert _same(later.run(windows[::-1]), expected[::-1])


@pytest.mark.parametrize(("n_layers", "grid"), [(1, 64), (4, 4), (4, 64)])
def test_no_bit_depends_on_what_is_kept_or_on_the_batch(
    deep_checkpoint: Path, tmp_path: Path, n_layers: int, grid: int
) -> None:
    folder = tmp_path / "int8"
    settings: dict[str, Any] = {"cached_layers": n_layers, "cached_grid": grid}
    export(deep_checkpoint, folder, quantize="int8", calibrate=(), n_threads=1, **settings)
    windows = _windows(folder, grid)
    for keep_above in (None, 0.0):
        kept = OnnxBackend(folder, 1, keep_above, ROOM)
        expected = kept.run(windows)
        assert _same(kept.run(windows), expected), "now all is kept"
        assert _same(OnnxBackend(folder, 1, keep_above, 1).run(windows), expected), "nothing is kept"
        assert _same(OnnxBackend(folder, 3, keep_above, ROOM).run(windows[::-1])[::-1], expected)
        stream = OnnxBackend(folder, 2, keep_above, ROOM).run_stream([windows[:5], windows[5:]])
        assert _same([each for part in stream for each in part], expected)
        alone = [OnnxBackend(folder, 2, keep_above, ROOM).run([window])[0] for window in windows[::4]]
        assert _same(alone, expected[::4])


def test_one_kept_paper_serves_questions_of_every_length(exported: Exported) -> None:
    for grid, n_expected in ((4, 3), (64, 1)):
        folder = exported(4, grid)
        asked = [" ".join(["what"] * n) + "?" for n in (1, 5, 9)]
        questions = [Question(each, CONTEXTS[0]) for each in asked]
        backend = OnnxBackend(folder, 1, kept_papers=ROOM)
        backend.run(_windows(folder, grid, questions=questions))
        assert backend._papers is not None
        assert len(backend._papers) == n_expected


def test_the_windows_of_a_long_text_are_shared_too(exported: Exported) -> None:
    questions = [Question(" ".join(["what"] * n) + "?", CONTEXTS[2]) for n in (1, 5, 9, 14)]
    windows = _windows(exported(4, 64), 64, questions=questions)
    by_question = [[w for w in windows if w.question_index == i] for i in range(len(questions))]
    assert len(by_question[0]) > 1
    for own in by_question[1:]:
        for first, other in zip(by_question[0], own, strict=True):
            assert np.array_equal(first.context_ids, other.context_ids)
            assert np.array_equal(first.offsets, other.offsets)
    assert windows[0].context_ids[-32:].tolist() == windows[1].context_ids[:32].tolist(), "the stride"
    backend = OnnxBackend(exported(4, 64), 1, kept_papers=ROOM)
    backend.run(windows)
    assert backend._papers is not None
    assert len(backend._papers) == len(by_question[0])


def test_heads_below_the_cut_leave_nothing_out_of_papers_read_apart(exported: Exported) -> None:
    """Those above do; in windows read whole all of them do."""
    folder = exported(4, 64)
    windows = [
        w for w in _windows(folder, 64) if w.sentences is not None and w.sentences[0] != w.sentences[-1]
    ]
    assert windows
    model = load_rebuilt(folder)
    for window, logits in zip(windows, OnnxBackend(folder, 1, 1e30, ROOM).run(windows), strict=True):
        with torch.inference_mode():
            scores = model(**pad_windows([window]), apart=model.apart).skim_logits[0, -1].numpy()
        own = slice(window.first, window.first + window.n_context_tokens)
        assert window.sentences is not None
        best = window.sentences[int(np.argmax(scores[own]))]
        assert set(window.sentences[logits.start[own] > -1e4]) == {best}, "the best by the head in layer 5"


def test_all_efforts_of_an_export(
    deep_checkpoint: Path, skim_examples: list[Example], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    settings: dict[str, Any] = {"cached_layers": 4, "cached_grid": 64}
    answered = Predictor(_plain(deep_checkpoint, tmp_path / "plain"), threshold=0)
    examples = _with_own_answers(answered, skim_examples)
    export(deep_checkpoint, folder, quantize="int8", calibrate=examples, n_threads=2, **settings)
    skim = ReaderConfig.load(folder).skim
    assert skim is not None
    assert skim.papers_apart
    assert skim.keep_above_cached not in (None, skim.keep_above), "fitted to logits of its own"
    assert ReaderConfig.load(folder).keep_above(CACHED) == skim.keep_above_cached
    assert ReaderConfig.load(folder).keep_above(FAST) == skim.keep_above
    cached = Predictor(folder, effort=CACHED, threshold=0)
    expected = cached.answer_batch(QUESTIONS)
    assert cached.answer_batch(QUESTIONS[::-1])[::-1] == expected
    assert [Predictor(folder, effort=CACHED, threshold=0).answer_batch([q])[0] for q in QUESTIONS[::5]] == (
        expected[::5]
    )
    assert Predictor(folder, effort=FULL, threshold=0).answer_batch(QUESTIONS) != expected


def _plain(checkpoint: Path, folder: Path) -> Path:
    export(checkpoint, folder, quantize="int8", calibrate=(), n_threads=2)
    return folder


def _with_own_answers(predictor: Predictor, examples: list[Example]) -> list[Example]:
    """Examples whose references are what the model answers."""
    answers = predictor.answer_batch([example.question for example in examples])
    return [
        replace(each, references=(answer.text,), spans=(answer.candidates[0],), answerable=True)
        if each.answerable
        else each
        for each, answer in zip(examples, answers, strict=True)
    ]


def test_it_is_refused_where_there_are_no_such_layers(deep_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cached_layers must lie between 1 and 5, got 6"):
        export(deep_checkpoint, tmp_path / "a", quantize="int8", calibrate=(), cached_layers=6)
    with pytest.raises(ModelError, match="cached_grid must lie between 1 and 512, got 1000"):
        export(deep_checkpoint, tmp_path / "b", quantize="int8", calibrate=(), cached_grid=1000)
    model = load_span_reader(deep_checkpoint)
    model.config.cached_layers = "four"
    model.save_pretrained(tmp_path / "c")
    with pytest.raises(ModelError, match="cached_layers must lie between 1 and 5, got 'four'"):
        load_span_reader(tmp_path / "c")

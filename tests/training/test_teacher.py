"""A teacher with other special tokens reads the student's windows, and what it says is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402

from qa_extractive.cli import main  # noqa: E402
from qa_extractive.config import TrainConfig, WindowConfig  # noqa: E402
from qa_extractive.errors import DataError, ModelError  # noqa: E402
from qa_extractive.inference.backend import WindowLogits  # noqa: E402
from qa_extractive.inference.windows import Window, Windower  # noqa: E402
from qa_extractive.model.losses import ABSENT  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, TorchBackend  # noqa: E402
from qa_extractive.predictor import DEFAULT_MODEL, Predictor  # noqa: E402
from qa_extractive.training.run import load_tokenizer, train  # noqa: E402
from qa_extractive.training.teacher import (  # noqa: E402
    AveragedBackend,
    KeptBackend,
    TranslatedBackend,
    distillation_from,
)
from qa_extractive.types import Example, Question, Span  # noqa: E402

WORDS = "what fell did it fall the risk by nine percent in both groups . ? | a b".split()


def _tokenizer(words: Sequence[str], names: tuple[str, str, str, str], between: int) -> Tokenizer:
    """A tokenizer of whole words whose template has so many separators between two texts."""
    begin, end, pad, unknown = names
    vocabulary = {word: i for i, word in enumerate([pad, begin, end, unknown, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    separators = " ".join([f"{end}:0"] * between)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin}:0 $A:0 {end}:0",
        pair=f"{begin}:0 $A:0 {separators} $B:1 {end}:1",
        special_tokens=[(begin, 1), (end, 2)],
    )
    return tokenizer


STUDENTS = _tokenizer(WORDS, ("[CLS]", "[SEP]", "[PAD]", "[UNK]"), 1)
TEACHERS = _tokenizer(WORDS[::-1], ("<s>", "</s>", "<pad>", "<unk>"), 2)
QUESTIONS = [
    Question("What fell?", "The risk fell by nine percent in both groups. It fell."),
    Question("Did it fall?", "It fell by nine percent.", "The risk"),
]


class Noting:
    """A backend whose start logits are the token numbers it was given, and its end logits their places."""

    def __init__(self) -> None:
        self.read: list[Window] = []

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        self.read += windows
        return [
            WindowLogits(
                w.token_ids.astype(np.float32),
                np.arange(w.n_tokens, dtype=np.float32),
                float(w.n_tokens),
                np.arange(4, dtype=np.float32),
            )
            for w in windows
        ]


def _windows(tokenizer: Tokenizer) -> list[Window]:
    return Windower(tokenizer, WindowConfig()).windows(QUESTIONS)


def test_it_reads_what_its_own_tokenizer_makes_of_the_texts() -> None:
    backend = Noting()
    TranslatedBackend(backend, TEACHERS, STUDENTS, max_tokens=64).run(_windows(STUDENTS))
    for read, own in zip(backend.read, _windows(TEACHERS), strict=True):
        assert read.token_ids.tolist() == own.token_ids.tolist()
        assert read.first == own.first
        assert read.type_ids.tolist() == own.type_ids.tolist()


def test_its_logits_come_at_the_students_places() -> None:
    windows = _windows(STUDENTS)
    for window, logits in zip(
        windows, TranslatedBackend(Noting(), TEACHERS, STUDENTS, max_tokens=64).run(windows), strict=True
    ):
        assert logits.start.shape == logits.end.shape == (window.n_tokens,)
        inside = range(window.first, window.first + window.n_context_tokens)
        words = [TEACHERS.id_to_token(int(logits.start[i])) for i in inside]
        assert words == [STUDENTS.id_to_token(int(window.token_ids[i])) for i in inside]
        assert TEACHERS.id_to_token(int(logits.start[0])) == "<s>"
        assert [logits.end[i] - i for i in inside] == [1] * len(inside), "one separator more"
        assert logits.answerability == window.n_tokens + 1
        assert logits.verdict is not None
        assert logits.verdict.tolist() == [0, 1, 2, 3]


def test_what_it_is_too_short_for_cannot_be_chosen() -> None:
    window = _windows(STUDENTS)[0]
    backend = Noting()
    (logits,) = TranslatedBackend(backend, TEACHERS, STUDENTS, max_tokens=12).run([window])
    assert backend.read[0].n_tokens == 12
    n_read = 12 - (window.first + 1) - 1
    assert (logits.start[window.first : window.first + n_read] != ABSENT).all()
    assert (logits.start[window.first + n_read :] == ABSENT).all()


def test_another_vocabulary_is_refused() -> None:
    other = _tokenizer([*WORDS[:5], "other"], ("<s>", "</s>", "<pad>", "<unk>"), 2)
    with pytest.raises(ModelError, match="lacks 13 of the student's 22 words"):
        TranslatedBackend(Noting(), other, STUDENTS, max_tokens=64)


class Saying:
    """A backend that says the same of every window."""

    def __init__(self, start: list[float], answerability: float | None, verdict: list[float] | None) -> None:
        self.start, self.answerability, self.verdict = start, answerability, verdict

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        start = np.array(self.start, dtype=np.float32)
        verdict = None if self.verdict is None else np.array(self.verdict, dtype=np.float32)
        return [WindowLogits(start, start, self.answerability, verdict) for _ in windows]


def test_several_teachers_are_the_mean_of_their_distributions_where_a_span_may_be() -> None:
    # Places 0, 3 and 4 may be chosen; whatever is said of the question, at 1 and 2, does not count.
    window = Window(0, np.arange(5), np.zeros(5, np.int64), 3, np.zeros((2, 2), dtype=np.int64))
    one = Saying([0.0, 50.0, 50.0, np.log(3), -99.0], 1.0, [2.0, 0.0, 0.0, 0.0])
    other = Saying([np.log(7), ABSENT, 9.0, -99.0, 0.0], 3.0, [0.0, 2.0, 0.0, 0.0])
    (mixed,) = AveragedBackend([one, other]).run([window])
    assert np.exp(mixed.start[[0, 3, 4]]) == pytest.approx([(1 / 4 + 7 / 8) / 2, 3 / 8, 1 / 16], rel=1e-5)
    assert (mixed.start[1:3] == ABSENT).all()
    assert mixed.answerability == 2.0
    assert mixed.verdict is not None
    assert mixed.verdict.tolist() == [1.0, 1.0, 0.0, 0.0]
    (mixed,) = AveragedBackend([one, Saying([0.0] * 5, None, None)]).run([window])
    assert mixed.answerability is None
    assert mixed.verdict is None


def test_what_was_said_is_not_computed_again(tmp_path: Path) -> None:
    windows = _windows(STUDENTS)
    first, second, other = Noting(), Noting(), Noting()
    said = KeptBackend(first, tmp_path, "weights").run(windows)
    again = KeptBackend(second, tmp_path, "weights").run(windows)
    KeptBackend(other, tmp_path, "other weights").run(windows)
    assert len(first.read) == 2
    assert not second.read
    assert len(other.read) == 2
    for one, two, window in zip(said, again, windows, strict=True):
        assert one.start.tolist() == two.start.tolist() == window.token_ids.tolist()
        assert one.end.tolist() == two.end.tolist()
        assert one.answerability == two.answerability
        assert one.verdict is not None
        assert two.verdict is not None
        assert one.verdict.tolist() == two.verdict.tolist()


def test_heads_that_a_teacher_lacks_are_none(tmp_path: Path) -> None:
    class Plain:
        def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
            return [
                WindowLogits(np.zeros(w.n_tokens, np.float32), np.ones(w.n_tokens, np.float32), None)
                for w in windows
            ]

    for _ in range(2):
        for logits in KeptBackend(Plain(), tmp_path, "w").run(_windows(STUDENTS)):
            assert logits.answerability is None
            assert logits.verdict is None


def test_a_recipe_without_its_teacher_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.csv").write_text("question,context,answer\nWhat fell?,The risk fell.,The risk\n")
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"sources": [], "train": {"distillation_weight": 1.0}}')
    code = main(
        [
            "train",
            "--recipe",
            str(recipe),
            "--data-root",
            str(tmp_path),
            "--base",
            "x",
            "--output",
            str(tmp_path / "o"),
        ]
    )
    assert code != 0
    assert "give --teacher" in capsys.readouterr().err


def test_a_teacher_that_no_stage_listens_to_is_refused(
    make_reader_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_checkpoint("mpnet", max_position_embeddings=130)
    with pytest.raises(DataError, match="no stage that is run has a distillation_weight"):
        distillation_from([str(folder)], base=str(folder), output=tmp_path, config=TrainConfig())


def test_the_embedded_model_teaches_by_its_name_and_a_folder_without_weights_does_not(tmp_path: Path) -> None:
    config = TrainConfig(distillation_weight=1.0)
    distillation = distillation_from(["default"], base="default", output=tmp_path, config=config)
    windows = Windower(load_tokenizer(DEFAULT_MODEL), WindowConfig()).windows(QUESTIONS[:1])
    (said,), (expected,) = distillation.teacher.run(windows), Predictor().backend.run(windows)
    places = [0, *range(windows[0].first, windows[0].first + windows[0].n_context_tokens)]
    wanted = expected.start[places] - np.logaddexp.reduce(expected.start[places].astype(np.float64))
    assert said.start[places] == pytest.approx(wanted, abs=1.0), "int8 roundings apart"
    assert said.start[places].argmax() == wanted.argmax()
    assert said.verdict is not None
    with pytest.raises(ModelError, match="was not written by"):
        distillation_from([str(tmp_path)], base="default", output=tmp_path, config=config)


def test_a_checkpoint_teaches_through_its_folder(
    make_reader_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_checkpoint("bert")
    config = TrainConfig(distillation_weight=0.5, distillation_sources=["asked"], distillation_windows=7)
    distillation = distillation_from([str(folder)], base=str(folder), output=tmp_path / "out", config=config)
    assert distillation.weight == 0.5
    assert distillation.sources == frozenset({"asked"})
    assert distillation.n_most == 7
    assert not (tmp_path / "out").exists(), "nothing is written before it is asked"


def _examples(n: int) -> list[Example]:
    made = []
    for i in range(n):
        context = f"We treated {20 + i} patients with the drug. The risk of mortality fell to {i} percent."
        span = Span.cut(context, context.index("fell"), context.index("fell") + 4)
        question = Question(f"How did the risk change in trial {i}?", context)
        made.append(Example(str(i), question, ("fell",), (span,), True, f"d{i}", "asked"))
    return made


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_student_comes_nearer_to_a_teacher_of_another_kind(
    make_reader_checkpoint: Callable[..., Path],
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
) -> None:
    teacher, base = make_reader_checkpoint("mpnet", max_position_embeddings=130), str(tiny_checkpoint)
    config = TrainConfig(
        max_steps=12, batch_size=4, learning_rate=3e-3, head_learning_rate=3e-3, mismatch_share=0,
        removal_share=0, n_dev=0, n_calibration=0, save_minutes=60.0, precision=precision,
        distillation_weight=20.0,
    )  # fmt: skip
    examples, distances = _examples(8), []
    for name in ("free", "taught"):
        output = tmp_path / name
        taught = distillation_from([str(teacher)], base=base, output=output, config=config)
        train(
            examples,
            base=base,
            output=output,
            config=config,
            distillation=taught if name == "taught" else None,
        )
        windows = Windower(load_tokenizer(base), WindowConfig()).windows([e.question for e in examples])
        said = TorchBackend(SpanReader.from_pretrained(output)).run(windows)
        wanted = taught.teacher.run(windows)
        distances.append(np.mean([_apart(*each) for each in zip(said, wanted, windows, strict=True)]))
    assert distances[1] < 0.7 * distances[0]

    kept = sorted((tmp_path / "taught" / "teacher").iterdir())
    assert kept
    monkeypatch.setattr(TranslatedBackend, "run", None)  # all that it is asked again is kept
    taught.teacher.run(windows)
    assert sorted((tmp_path / "taught" / "teacher").iterdir()) == kept


def _apart(one: WindowLogits, other: WindowLogits, window: Window) -> float:
    places = [0, *range(window.first, window.first + window.n_context_tokens)]
    first, second = (np.exp(each.start[places] - each.start[places].max()) for each in (one, other))
    return float(np.abs(first / first.sum() - second / second.sum()).sum())

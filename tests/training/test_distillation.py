"""The distillation loss against values worked out by hand, and what a run learns from a teacher."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qa_extractive.config import TrainConfig  # noqa: E402
from qa_extractive.errors import DataError, ModelError  # noqa: E402
from qa_extractive.finetune.teachers import SpanTeacher, open_span_model, open_teacher  # noqa: E402
from qa_extractive.inference.backend import WindowLogits  # noqa: E402
from qa_extractive.inference.windows import Window  # noqa: E402
from qa_extractive.model.span_reader import SpanReader, TorchBackend  # noqa: E402
from qa_extractive.training.distillation import Distillation, collate_with_targets, distillation_loss  # noqa: E402
from qa_extractive.training.run import LOG_FILE, load_base, load_tokenizer, train  # noqa: E402
from qa_extractive.training.window_labels import LabelledWindow  # noqa: E402
from qa_extractive.types import Example, Question, Span  # noqa: E402

LN2, LN3 = math.log(2), math.log(3)
MASK = torch.tensor([[True, True, False]])


def loss_of(student: list[float], teacher: list[float], **settings: Any) -> float:
    """The loss of one window of three tokens, the last of them masked; its ends agree."""
    values = {
        "temperature": 1.0,
        "answerability_weight": 0.0,
        "s": 0.0,
        "t": 0.0,
        "has_teacher": 1.0,
    } | settings
    same = torch.zeros(1, 3)
    output = {
        "start_logits": torch.tensor([student]),
        "end_logits": same,
        "answerability_logit": torch.tensor([values["s"]]),
    }
    target = {
        "teacher_start": torch.tensor([teacher]),
        "teacher_end": same,
        "teacher_answerability": torch.tensor([values["t"]]),
        "has_teacher": torch.tensor([values["has_teacher"]]),
    }
    names = ("temperature", "answerability_weight")
    return float(distillation_loss(output, target, MASK, **{name: values[name] for name in names}))


def test_verdicts_are_learned_where_the_teacher_sees_an_answerable_yes_no_question() -> None:
    # Teacher: yes 1/2, no 1/2; the student says yes 1/4, no 1/4, mixed 1/4, none 1/4: KL = ln 2.
    half = [0.0, 0.0, -99.0, -99.0]
    no_question = [-99.0, -99.0, -99.0, 0.0]
    nothing = [math.nan] * 4

    def loss(verdicts: list[list[float]], answerability: list[float], weight: float = 1.0) -> float:
        n = len(verdicts)
        same = torch.zeros(n, 3)
        output = {
            "start_logits": same,
            "end_logits": same,
            "answerability_logit": torch.zeros(n),
            "verdict_logits": torch.zeros(n, 4),
        }
        target = {
            "teacher_start": same,
            "teacher_end": same,
            "teacher_answerability": torch.tensor(answerability),
            "teacher_verdict": torch.tensor(verdicts),
            "has_teacher": torch.ones(n),
        }
        mask = MASK.expand(n, 3)
        weights = {"answerability_weight": 0.0, "verdict_weight": weight}
        return float(distillation_loss(output, target, mask, temperature=1.0, **weights))

    assert loss([half], [99.0]) == pytest.approx(LN2)
    assert loss([half], [99.0], weight=0.0) == 0.0
    assert loss([half, no_question, nothing], [99.0, 99.0, 99.0]) == pytest.approx(LN2), (
        "the others do not count"
    )
    assert loss([half], [-99.0]) == pytest.approx(0.0), "no answer, no verdict"
    assert loss([half], [math.nan]) == pytest.approx(LN2 / 2), "an unknown one counts half"


def test_the_loss_is_the_divergence_worked_out_by_hand() -> None:
    # Teacher (3/4, 1/4) over the two open positions, student (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
    by_hand = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert loss_of([0.0, 0.0, 9.0], [LN3, 0.0, -7.0]) == pytest.approx(by_hand / 2)
    # At temperature 2 logits of twice the size say the same, and the loss counts four times.
    assert loss_of([0.0, 0.0, 0.0], [2 * LN3, 0.0, 0.0], temperature=2.0) == pytest.approx(4 * by_hand / 2)
    # Teacher sigmoid(ln 3) = 3/4, student 1/2: the same divergence, times its weight.
    answered = {"t": LN3, "answerability_weight": 0.5}
    assert loss_of([1.0, 2.0, 3.0], [1.0, 2.0, -3.0], **answered) == pytest.approx(by_hand / 2)


def test_the_loss_is_zero_where_both_agree_and_where_there_is_no_teacher() -> None:
    assert loss_of([1.0, 3.0, 5.0], [2.0, 4.0, 0.0], s=1.5, t=1.5, answerability_weight=1.0) == pytest.approx(
        0.0
    )
    assert loss_of([0.0, 0.0, 0.0], [LN3, 0.0, 0.0], has_teacher=0.0, t=3.0, answerability_weight=1.0) == 0.0
    no_head = loss_of([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], t=float("nan"), s=4.0, answerability_weight=1.0)
    assert no_head == 0.0


def _labelled(n: int) -> LabelledWindow:
    ids = np.arange(n, dtype=np.int64)
    return LabelledWindow(Window(0, ids, ids * 0, 1, np.zeros((n - 1, 2), dtype=np.int64)), (), 0.0, None)


def test_targets_are_padded_like_their_windows() -> None:
    logits = WindowLogits(np.ones(2, dtype=np.float32), np.full(2, 2, dtype=np.float32), None)
    batch = collate_with_targets([(_labelled(3), None), (_labelled(2), logits)])
    assert batch["teacher_start"].tolist() == [[0, 0, 0], [1, 1, 0]]
    assert batch["teacher_end"].tolist() == [[0, 0, 0], [2, 2, 0]]
    assert batch["has_teacher"].tolist() == [0, 1]
    assert torch.isnan(batch["teacher_answerability"]).all()
    assert batch["input_ids"].shape == (2, 3)


def _examples(n: int) -> list[Example]:
    made = []
    for i in range(n):
        context = f"We treated {20 + i} patients with the drug. The risk of mortality fell to {i} percent."
        start = context.index("fell")
        span = Span.cut(context, start, start + 4)
        question = Question(f"How did the risk change in trial {i}?", context)
        made.append(Example(str(i), question, ("fell",), (span,), True, f"d{i}", "small"))
    return made


STEPS = TrainConfig(
    max_steps=12, batch_size=4, learning_rate=3e-3, head_learning_rate=3e-3,
    mismatch_share=0, removal_share=0, n_dev=0, n_calibration=0, save_minutes=60.0,
)  # fmt: skip


def _distance(folder: Path, teacher: SpanReader, windows: Sequence[Window]) -> float:
    student = SpanReader.from_pretrained(folder)
    pairs = zip(TorchBackend(student).run(windows), TorchBackend(teacher).run(windows), strict=True)
    return float(np.mean([np.abs(_probs(a.start) - _probs(b.start)).sum() for a, b in pairs]))


def _probs(logits: Any) -> Any:
    exp = np.exp(logits - logits.max())
    return exp / exp.sum()


def test_an_anchor_keeps_a_student_near_its_base(tiny_checkpoint: Path, tmp_path: Path) -> None:
    base = str(tiny_checkpoint)
    model, _ = load_base(base, STEPS)
    windower = open_span_model(base).windower
    examples = _examples(8)
    asked = [dataclasses.replace(e, question=Question("What dose?", e.question.context)) for e in examples]
    train(examples, base=base, output=tmp_path / "free", config=STEPS)
    anchor = Distillation(TorchBackend(model), weight=20.0, rehearsal=tuple(asked))
    train(examples, base=base, output=tmp_path / "anchored", config=STEPS, distillation=anchor)
    windows = windower.windows([e.question for e in asked])
    free, anchored = (_distance(tmp_path / name, model, windows) for name in ("free", "anchored"))
    assert anchored < 0.6 * free
    assert (tmp_path / "anchored" / LOG_FILE).read_text().startswith("[")


def test_only_the_sources_named_are_taught(tiny_checkpoint: Path) -> None:
    model = open_span_model(str(tiny_checkpoint))
    examples = [dataclasses.replace(e, source=s) for e, s in zip(_examples(3), "aba", strict=True)]
    windows = [
        LabelledWindow(w, (), 0.0, None) for w in model.windower.windows([e.question for e in examples])
    ]
    targets = Distillation(model.backend, sources=frozenset("a")).targets(windows, examples)
    assert [target is not None for target in targets] == [True, False, True]
    first = Distillation(model.backend, sources=frozenset("a"), n_most=1).targets(windows, examples)
    assert [target is not None for target in first] == [True, False, False]
    with pytest.raises(DataError, match="positive"):
        Distillation(model.backend, temperature=0.0)


def test_teachers_of_every_kind_answer_and_give_logits_where_they_can(
    tiny_checkpoint: Path, tiny_export: Path
) -> None:
    questions = [e.question for e in _examples(3)] + [Question("What " * 300, "Risk fell.")]
    for names in ([str(tiny_checkpoint)], [str(tiny_export)], [str(tiny_checkpoint), str(tiny_export)]):
        teacher = open_teacher(names)
        answers = teacher.answer_rows(questions)
        assert [hasattr(answer, "candidates") for answer in answers] == [True, True, True, False]
        assert "too long" in str(answers[-1])
        assert teacher.backend_for(load_tokenizer(tiny_checkpoint)) is not None
    embedded = open_teacher(["default"])
    assert embedded.backend_for(load_tokenizer(tiny_checkpoint)) is None
    assert embedded.make(None, 3) is None  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="different tokenizers"):
        open_teacher(["default", str(tiny_checkpoint)])
    with pytest.raises(ModelError, match="ensemble"):
        open_teacher(["openai:x", "default"])
    with pytest.raises(ModelError, match="needs a model"):
        SpanTeacher([])

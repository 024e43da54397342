"""Learning from another model's logits beside the labels, or instead of them. Needs the [train] extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.inference.backend import Backend, WindowLogits
from qa_extractive.inference.windows import Windower
from qa_extractive.model.losses import bernoulli_divergence, span_divergence
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.training.batching import WindowDataset, collate
from qa_extractive.training.trainer import SpanTrainer
from qa_extractive.training.window_labels import LabelledWindow
from qa_extractive.types import NO_VERDICT, VERDICT_CLASSES, Example

_TARGETS = ("teacher_start", "teacher_end", "teacher_answerability", "teacher_verdict", "has_teacher")

DistillationWindow = tuple[LabelledWindow, WindowLogits | None]


@dataclass(frozen=True, slots=True, eq=False)
class Distillation:
    """What a run learns from a teacher.

    Attributes:
        teacher: Reads the student's windows, so it must have the student's tokenizer.
        weight: Of its loss beside that of the labels; positive.
        temperature: Divides both models' span logits; positive.
        sources: Sources of the examples that it teaches; None for all.
        n_most: Windows that it teaches at most, the first ones; None for all.
        rehearsal: Questions that it alone teaches: whatever labels they have are not read.
    """

    teacher: Backend
    weight: float = 1.0
    temperature: float = 1.0
    sources: frozenset[str] | None = None
    rehearsal: tuple[Example, ...] = ()
    n_most: int | None = None

    def __post_init__(self) -> None:
        """Raise DataError unless weight and temperature are positive."""
        if not (self.weight > 0 and self.temperature > 0):
            raise DataError(
                f"distillation needs a positive weight and temperature, not {self.weight} and "
                f"{self.temperature}"
            )

    def targets(
        self, windows: Sequence[LabelledWindow], examples: Sequence[Example]
    ) -> list[WindowLogits | None]:
        """The teacher's logits of each window of an example that it teaches; None for the others.

        Args:
            windows: Windows of the examples, in any order.
            examples: What ``question_index`` of a window counts.
        """
        chosen = [i for i, each in enumerate(windows) if self._teaches(examples[each.window.question_index])]
        chosen = chosen[: self.n_most]
        logits = self.teacher.run([windows[i].window for i in chosen])
        found = dict(zip(chosen, logits, strict=True))
        return [found.get(i) for i in range(len(windows))]

    def _teaches(self, example: Example) -> bool:
        return self.sources is None or example.source in self.sources


class DistillationDataset(WindowDataset):
    """Labelled windows, each with the teacher's logits or None."""

    def __init__(self, windows: Sequence[LabelledWindow], targets: Sequence[WindowLogits | None]) -> None:
        """Take both; they are not copied."""
        super().__init__(windows)
        self.targets = targets

    def __getitem__(self, index: int) -> DistillationWindow:  # type: ignore[override]
        """One window and its target."""
        return self.windows[index], self.targets[index]


def collate_with_targets(windows: Sequence[DistillationWindow]) -> dict[str, torch.Tensor]:
    """``collate`` of the windows and the teacher's logits, padded alike.

    ``has_teacher`` is 1 where there are any, shape (n_windows,); ``teacher_answerability`` and
    ``teacher_verdict``, shape (n_windows, n_verdicts), are NaN where the teacher has no such head.
    """
    batch = collate([labelled for labelled, _ in windows])
    shape = batch["input_ids"].shape
    start, end = torch.zeros(shape), torch.zeros(shape)
    answerability, has_teacher = torch.full(shape[:1], float("nan")), torch.zeros(shape[:1])
    verdict = torch.full((shape[0], len(VERDICT_CLASSES)), float("nan"))
    for i, (_, target) in enumerate(windows):
        if target is None:
            continue
        start[i, : len(target.start)] = torch.from_numpy(target.start.copy())
        end[i, : len(target.end)] = torch.from_numpy(target.end.copy())
        has_teacher[i] = 1.0
        if target.answerability is not None:
            answerability[i] = target.answerability
        if target.verdict is not None:
            verdict[i] = torch.from_numpy(target.verdict.copy())
    values = (start, end, answerability, verdict, has_teacher)
    return batch | dict(zip(_TARGETS, values, strict=True))


class DistillationTrainer(SpanTrainer):
    """``SpanTrainer`` whose loss has a part for the teacher's logits."""

    def __init__(
        self,
        model: SpanReader,
        windows: Sequence[LabelledWindow],
        output: Path,
        config: TrainConfig,
        *,
        windower: Windower,
        dev: Sequence[Example],
        distillation: Distillation,
        targets: Sequence[WindowLogits | None],
    ) -> None:
        """Take the arguments of ``SpanTrainer``, the teacher's settings and its logits of the windows."""
        super().__init__(model, windows, output, config, windower=windower, dev=dev)
        self.distillation = distillation
        self.train_dataset: DistillationDataset = DistillationDataset(windows, targets)
        self.data_collator = collate_with_targets

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The loss of the labels plus ``weight`` times that of the teacher."""
        target = {name: inputs[name] for name in _TARGETS}
        labelled = {name: value for name, value in inputs.items() if name not in target}
        loss, output = super().compute_loss(model, labelled, *args, **kwargs | {"return_outputs": True})
        soft = distillation_loss(
            output,
            target,
            inputs["context_mask"],
            temperature=self.distillation.temperature,
            answerability_weight=self.config.answerability_weight,
            verdict_weight=self.config.verdict_weight,
        )
        return loss + self.distillation.weight * soft


def distillation_loss(
    output: Mapping[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    context_mask: torch.Tensor,
    *,
    temperature: float,
    answerability_weight: float,
    verdict_weight: float = 0.0,
) -> torch.Tensor:
    """How far a student is from its teacher: 0 where both say the same; a scalar.

    The squared temperature times the mean, over starts and ends, of the Kullback-Leibler divergence of the
    student's distribution over the positions of the mask from the teacher's (Hinton et al. 2015, arXiv
    1503.02531); plus those of the answerability and of the verdict, at temperature 1. Averaged over the
    windows with a teacher; the verdict over those that the teacher takes for answerable yes/no questions.

    Args:
        output: ``start_logits`` and ``end_logits``, shape (n_windows, n_tokens), and
            ``answerability_logit``, (n_windows,), of the student; ``verdict_logits`` if there is that head.
        target: What ``collate_with_targets`` adds.
        context_mask: True where a span may lie and at position 0, shape (n_windows, n_tokens).
        temperature: Divides the span logits of both.
        answerability_weight: Weight of the answerability beside the spans.
        verdict_weight: Weight of the verdict beside the spans.
    """
    has_teacher = target["has_teacher"]
    spans = sum(
        span_divergence(output[f"{end}_logits"], target[f"teacher_{end}"], context_mask, temperature)
        for end in ("start", "end")
    )
    logit, teacher = output["answerability_logit"].float(), target["teacher_answerability"]
    known = has_teacher * torch.isfinite(teacher)
    answerability = bernoulli_divergence(logit, torch.nan_to_num(teacher))
    span_loss = (spans / 2 * has_teacher).sum() / has_teacher.sum().clamp(min=1.0)
    loss = span_loss + answerability_weight * (answerability * known).sum() / known.sum().clamp(min=1.0)
    verdicts = output.get("verdict_logits")
    if verdict_weight and verdicts is not None and "teacher_verdict" in target:
        loss = loss + verdict_weight * _verdict_divergence(verdicts, target)
    return loss


def _verdict_divergence(logits: torch.Tensor, target: Mapping[str, torch.Tensor]) -> torch.Tensor:
    teacher = target["teacher_verdict"]
    known = target["has_teacher"] * torch.isfinite(teacher).all(-1)
    log_p = torch.nan_to_num(teacher).log_softmax(-1)
    weights = known * (1 - log_p[:, VERDICT_CLASSES.index(NO_VERDICT)].exp())
    weights = weights * torch.nan_to_num(target["teacher_answerability"]).sigmoid()
    divergence = (log_p.exp() * (log_p - logits.float().log_softmax(-1))).sum(-1)
    return (divergence * weights).sum() / weights.sum().clamp(min=1.0)

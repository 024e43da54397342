"""What ``--model`` names: a system that answers questions, whatever is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qa_extractive.errors import QAError
from qa_extractive.evaluation.baselines import open_baseline
from qa_extractive.records import Answer, Example, Question

if TYPE_CHECKING:
    from qa_extractive.predictor import Predictor

DEFAULT = "default"
_LATER = {
    "hf": "export the checkpoint with export_onnx.py and give its folder",
    "openai": "leave it out",
}


class System(Protocol):
    """A named reader; one that cannot answer raises a QAError."""

    @property
    def name(self) -> str:
        """The name it is reported under."""
        ...

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers in the order of the questions; none depends on the others."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSystem:
    """An exported model."""

    name: str
    predictor: Predictor

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers at the threshold that the model was shipped with."""
        return self.predictor.answer_batch(questions)


def open_system(model: str, examples: Sequence[Example], *, name: str | None = None) -> System:
    """The system that ``--model`` names, ready to answer.

    Args:
        model: ``default``, the folder of an exported model, or ``baseline:KIND``.
        examples: The data it is going to answer, which some baselines count.
        name: What to report a folder's model under; None for the name of the folder.

    Raises:
        QAError: There is no such system; a ModelError where its folder is none.
    """
    if is_folder(model):
        from qa_extractive.predictor import Predictor

        return ModelSystem(name or Path(model).resolve().name, Predictor(model))
    if model == DEFAULT:
        from qa_extractive.predictor import Predictor

        return ModelSystem(DEFAULT, Predictor())
    kind, _, rest = model.partition(":")
    if kind == "baseline":
        return open_baseline(rest, examples)
    raise QAError(f"{model}: systems of {kind}: come with a later version: {_LATER[kind]}")


def is_folder(model: str) -> bool:
    """Whether ``--model`` names a folder: all but ``default`` and what starts with a known ``KIND:``."""
    return model != DEFAULT and model.partition(":")[0] not in {"baseline", *_LATER}

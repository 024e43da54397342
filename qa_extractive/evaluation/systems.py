"""What ``--model`` names: a system that answers questions, whatever is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from qa_extractive.errors import QAError
from qa_extractive.evaluation.baselines import open_baseline
from qa_extractive.settings import CACHED, EXACT, FAST, NATIVE
from qa_extractive.types import Answer, Example, Question

if TYPE_CHECKING:
    from qa_extractive.evaluation.chat_endpoint import EndpointSettings
    from qa_extractive.predictor import Predictor

DEFAULT = "default"
_EFFORTS = (FAST, CACHED)
KINDS = ("baseline", *_EFFORTS, EXACT, "hf", "torch", "openai")


class System(Protocol):
    """A named reader; one that cannot answer raises a QAError.

    One that runs here may have ``n_threads``, the CPUs it works on at once (taken to be 1), and one that
    is paid for by use ``usage``, a ``Usage`` of what it used since it was opened.
    """

    @property
    def name(self) -> str:
        """The name it is reported under."""
        ...

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers in the order of the questions; none depends on the others."""
        ...


@runtime_checkable
class RowSystem(Protocol):
    """A system whose rows fail one by one, so that the others need not be asked again."""

    def answer_rows(self, questions: Sequence[Question]) -> list[Answer | QAError]:
        """The answers in the order of the questions, or why there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSystem:
    """An exported model."""

    name: str
    predictor: Predictor

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers at the threshold that the model was shipped with."""
        return self.predictor.answer_batch(questions)

    @property
    def n_threads(self) -> int:
        """Windows run at once."""
        return self.predictor.n_threads


def open_system(
    model: str,
    examples: Sequence[Example],
    *,
    name: str | None = None,
    endpoint: EndpointSettings | None = None,
    precision: str = NATIVE,
) -> System:
    """The system that ``--model`` names, ready to answer.

    Args:
        model: ``default``; the folder of an exported model; either after ``fast:`` or ``cached:``, at
            that effort, or after ``exact:``, in that precision; ``hf:ID``, hub id or folder of any
            question-answering checkpoint, exported once; ``torch:FOLDER`` as ``train.py`` writes it;
            ``baseline:KIND``; ``openai:NAME``, a model behind a chat endpoint.
        examples: The data it is going to answer, which some baselines count.
        name: What to report a model of a folder under; None for the name of the folder, after its kind.
        endpoint: Where an ``openai:`` model answers; None for OpenAI's own.
        precision: Of exported models, as of ``Predictor``.

    Raises:
        QAError: There is no such system, or it cannot be had; a ModelError where its folder is none.
    """
    kind, rest = _kind_and_rest(model)
    folder = folder_of(model)
    if name is None and folder is not None:
        name = prefix_of(model) + folder.resolve().name
    if kind == "baseline":
        return open_baseline(rest, examples)
    if kind == "openai":
        from qa_extractive.evaluation.generative import open_generative

        return open_generative(rest, endpoint)
    if kind == "torch":
        from qa_extractive.evaluation.torch_system import open_torch

        return open_torch(Path(rest), name or model)
    from qa_extractive.predictor import Predictor

    if kind in _EFFORTS:
        return ModelSystem(name or model, Predictor(folder, effort=kind, precision=precision))
    if kind == EXACT:
        return ModelSystem(name or model, Predictor(folder, precision=EXACT))
    if kind == "hf":
        return ModelSystem(name or model, Predictor.from_pretrained(rest, precision=precision))
    return ModelSystem(name or DEFAULT, Predictor(folder, precision=precision))


def folder_of(model: str) -> Path | None:
    """The folder that ``--model`` names, whether it exists or not; None where it names something else.

    All but ``default`` and what starts with a known ``KIND:`` is a folder; so is what follows ``torch:``,
    what follows an effort or a precision but for ``default``, and what follows ``hf:`` where there is such
    a folder.
    """
    kind, rest = _kind_and_rest(model)
    is_folder = kind == "torch" or (kind == "hf" and bool(rest) and Path(rest).is_dir())
    if is_folder or (kind in ("", *_EFFORTS, EXACT) and rest != DEFAULT):
        return Path(rest)
    return None


def prefix_of(model: str) -> str:
    """The ``KIND:`` that ``--model`` starts with, colon included; empty where it starts with none."""
    kind, _ = _kind_and_rest(model)
    return f"{kind}:" if kind else ""


def _kind_and_rest(model: str) -> tuple[str, str]:
    """What stands before and after the colon of a known kind; no kind and all of it otherwise."""
    kind, colon, rest = model.partition(":")
    return (kind, rest) if colon and kind in KINDS else ("", model)

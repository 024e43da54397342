"""What a student learns from: a span model, several of them together, or a model behind an endpoint.

All answer questions as a ``System`` does. A span model can also read the student's windows and give its
logits of every token, if both have the same tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from qa_extractive.config import DecodeConfig, read_json
from qa_extractive.data.contexts import Context
from qa_extractive.errors import ModelError, QAError
from qa_extractive.evaluation.chat_endpoint import EndpointSettings
from qa_extractive.evaluation.systems import DEFAULT
from qa_extractive.evaluation.torch_system import TorchSystem
from qa_extractive.finetune.made_questions import MadeQuestion
from qa_extractive.inference.backend import Backend
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.onnx_backend import MODEL_FILE
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE, read_tokenizer
from qa_extractive.inference.windows import Windower
from qa_extractive.model.checkpoint import load_checkpoint
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.model.torch_backend import TorchBackend
from qa_extractive.predictor import Predictor
from qa_extractive.training.teacher import AveragedBackend
from qa_extractive.types import Answer, Question

_ENDPOINT = "openai:"


class Teacher(Protocol):
    """Answers questions, and may make them and give logits."""

    @property
    def name(self) -> str:
        """The name it is reported under."""
        ...

    def answer_rows(self, questions: Sequence[Question]) -> list[Answer | QAError]:
        """The answers in the order of the questions, or why there is none."""
        ...

    def make(self, context: Context, n_questions: int) -> list[MadeQuestion] | None:
        """Questions for a text; None where it makes none and they are made by rule."""
        ...

    def backend_for(self, tokenizer: Tokenizer) -> Backend | None:
        """What reads the windows of a student with this tokenizer; None where that cannot be."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SpanModel:
    """The parts of a span model.

    Attributes:
        name: What it is reported under.
        windower: Cuts questions into its windows.
        backend: Runs them.
        decode: Span length and beam.
        calibration: Its own.
        tokenizer: As JSON, without truncation and padding.
    """

    name: str
    windower: Windower
    backend: Backend
    decode: DecodeConfig
    calibration: Calibration
    tokenizer: str


class SpanTeacher:
    """A span model, or several with one tokenizer whose distributions are averaged."""

    def __init__(self, models: Sequence[SpanModel]) -> None:
        """Take the models; windows, span length and calibration are those of the first.

        Raises:
            ModelError: There is none, or they have different tokenizers.
        """
        if not models:
            raise ModelError("a teacher needs a model: give --teacher M")
        first = models[0]
        other = next((model for model in models if model.tokenizer != first.tokenizer), None)
        if other is not None:
            raise ModelError(
                f"{other.name} and {first.name} have different tokenizers: an ensemble needs one"
            )
        self._tokenizer = first.tokenizer
        self._backend = first.backend if len(models) == 1 else AveragedBackend([m.backend for m in models])
        self._windower = first.windower
        self._system = TorchSystem(
            " + ".join(model.name for model in models),
            windower=first.windower,
            backend=self._backend,
            decode=first.decode,
            calibration=first.calibration,
        )

    @property
    def name(self) -> str:
        """The names of the models."""
        return self._system.name

    def answer_rows(self, questions: Sequence[Question]) -> list[Answer | QAError]:
        """The answers in the order of the questions; an error for one that is too long."""
        fits = [self._windower.accepts(question) for question in questions]
        kept = [question for question, fit in zip(questions, fits, strict=True) if fit]
        answers = iter(self._system.answer_batch(kept))
        too_long = QAError("the question is too long for the teacher: shorten it")
        return [next(answers) if fit else too_long for fit in fits]

    def make(self, context: Context, n_questions: int) -> None:
        """It makes no questions."""
        return

    def backend_for(self, tokenizer: Tokenizer) -> Backend | None:
        """Its backend, where the tokenizer is its own."""
        return self._backend if tokenizer_json(tokenizer) == self._tokenizer else None


def open_teacher(
    names: Sequence[str], *, endpoint: EndpointSettings | None = None, description: str = ""
) -> Teacher:
    """The teacher of ``--teacher``: one name, or several span models as an ensemble.

    Args:
        names: ``default``, the folder of an exported model or of any checkpoint, ``hf:ID``; ``openai:NAME``
            goes alone.
        endpoint: Where an ``openai:`` model answers.
        description: Of the task, for a model that makes questions.

    Raises:
        QAError: A model cannot be had, or they do not go together.
    """
    chats = [name for name in names if name.startswith(_ENDPOINT)]
    if chats and len(names) > 1:
        raise ModelError(f"{chats[0]} cannot be part of an ensemble: give it as the only --teacher")
    if chats:
        from qa_extractive.finetune.chat_teacher import open_chat_teacher

        return open_chat_teacher(chats[0][len(_ENDPOINT) :], endpoint, description)
    return SpanTeacher([open_span_model(name) for name in names])


def open_span_model(name: str) -> SpanModel:
    """A span model by its name; see ``open_teacher``."""
    kind, colon, rest = system_name(name).partition(":")
    if colon and kind == "torch":
        return _from_checkpoint(Path(rest))
    if colon and kind == "hf":
        predictor = Predictor.from_pretrained(rest)
    else:
        predictor = Predictor(None if name == DEFAULT else name)
    return SpanModel(
        name=DEFAULT if name == DEFAULT else _shown(predictor),
        windower=predictor.windower,
        backend=predictor.backend,
        decode=predictor.config.decode,
        calibration=predictor.calibration,
        tokenizer=tokenizer_json(read_tokenizer(predictor.folder / TOKENIZER_FILE)),
    )


def _shown(predictor: Predictor) -> str:
    """The hub id, or the last part of a folder: no path of this machine."""
    folder = Path(predictor.model_name)
    return folder.name if folder.is_dir() else predictor.model_name


def system_name(name: str) -> str:
    """The name as ``evaluation.systems`` takes it: a checkpoint's folder with its kind before it."""
    folder = Path(name)
    if is_span_checkpoint(folder):
        return f"torch:{name}"
    if folder.is_dir() and (folder / "config.json").is_file() and not (folder / MODEL_FILE).is_file():
        return f"hf:{name}"
    return name


def is_span_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint as ``train.py`` writes it, and no exported model."""
    path = folder / "config.json"
    if not path.is_file() or (folder / MODEL_FILE).is_file():
        return False
    return bool(read_json(path).get("model_type") == SpanReader.config_class.model_type)


def _from_checkpoint(folder: Path) -> SpanModel:
    checkpoint = load_checkpoint(str(folder))
    if not isinstance(checkpoint.model, SpanReader):  # the same file said so
        raise ModelError(f"{folder} was not written by train.py")
    return SpanModel(
        name=checkpoint.name,
        windower=Windower(checkpoint.tokenizer, checkpoint.reader.window),
        backend=TorchBackend(checkpoint.model),
        decode=checkpoint.reader.decode,
        calibration=checkpoint.calibration,
        tokenizer=tokenizer_json(checkpoint.tokenizer),
    )


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """What a tokenizer does to a text, as JSON; two that do the same have the same."""
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    return str(plain.to_str())

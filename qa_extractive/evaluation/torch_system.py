"""A torch checkpoint as ``train.py`` writes it, run as it is. Needs the [train] extra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qa_extractive.config import DecodeConfig
from qa_extractive.errors import DataError, ModelError
from qa_extractive.inference.answers import to_answer
from qa_extractive.inference.backend import Backend
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.pipeline import read
from qa_extractive.inference.windows import Windower
from qa_extractive.settings import AnswerSettings
from qa_extractive.types import Answer, Question


class TorchSystem:
    """A checkpoint in fp32, with its own windows, decoding, calibration and threshold."""

    def __init__(
        self,
        name: str,
        *,
        windower: Windower,
        backend: Backend,
        decode: DecodeConfig,
        calibration: Calibration,
        n_threads: int = 1,
    ) -> None:
        """Take the parts of a model; ``open_torch`` reads them from a folder."""
        self.name = name
        self.n_threads = n_threads
        self._windower = windower
        self._backend = backend
        self._decode = decode
        self._calibration = calibration

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers at the checkpoint's own threshold.

        Raises:
            DataError: A question is too long; the message gives its index.
        """
        for i, question in enumerate(questions):
            try:
                self._windower.check(question)
            except DataError as error:
                raise DataError(f"questions[{i}]: {error}") from None
        settings = AnswerSettings(self._calibration.threshold)
        predictions = read(questions, self._windower, self._backend, self._decode, top_k=settings.n_decoded)
        return [
            to_answer(question, prediction, self._calibration, settings)
            for question, prediction in zip(questions, predictions, strict=True)
        ]


def open_torch(folder: Path, name: str) -> TorchSystem:
    """The checkpoint of a folder, on the CPU.

    Args:
        folder: Folder written by ``train.py``; one without a calibration takes the plain logistic of
            the span's margin over "no span".
        name: What to report it under.

    Raises:
        ModelError: The [train] extra is missing, or the folder is no such checkpoint.
    """
    if not folder.is_dir():
        raise ModelError(f"torch:{folder} is not a folder: give one written by train.py")
    try:
        import torch

        from qa_extractive.model.checkpoint import load_checkpoint
        from qa_extractive.model.span_reader import SpanReader
        from qa_extractive.model.torch_backend import TorchBackend
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{error.name} is missing, which torch:{folder} needs: pip install 'qa-extractive[train]'"
        ) from None
    checkpoint = load_checkpoint(str(folder))
    if not isinstance(checkpoint.model, SpanReader):
        raise ModelError(f"torch:{folder} was not written by train.py: give it as hf:{folder}")
    return TorchSystem(
        name,
        windower=Windower(checkpoint.tokenizer, checkpoint.reader.window),
        backend=TorchBackend(checkpoint.model),
        decode=checkpoint.reader.decode,
        calibration=checkpoint.calibration,
        n_threads=torch.get_num_threads(),
    )

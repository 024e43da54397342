"""A larger model as teacher of a recipe's stage reads the student's windows. Needs the [train] extra."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from qa_extractive._utils.digests import file_digest
from qa_extractive.config import ReaderConfig, TrainConfig
from qa_extractive.errors import DataError, ModelError
from qa_extractive.inference.backend import Backend, FloatArray, WindowLogits
from qa_extractive.inference.windows import Window
from qa_extractive.model.losses import ABSENT
from qa_extractive.model.torch_backend import TorchBackend
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.training.distillation import Distillation
from qa_extractive.training.run import load_base, load_tokenizer

_WEIGHTS = ("model.safetensors", "model.onnx")
_MOST_FOREIGN = 0.01  # of a student's words that the teacher may lack
_KEPT_TOGETHER = 1024  # windows whose logits share a file


@dataclass(frozen=True, slots=True)
class _Template:
    """The special tokens around a pair of texts."""

    before: list[int]
    between: list[int]
    after: list[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> _Template:
        encoding = tokenizer.encode("a", "b")
        places = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
        first, second = places[0], places[-1]
        n_used = sum(encoding.attention_mask)  # a tokenizer may pad
        ids = encoding.ids
        return cls(ids[:first], ids[first + 1 : second], ids[second + 1 : n_used])


class TranslatedBackend:
    """A model that reads the windows of a student whose tokenizer cuts texts into the same words."""

    def __init__(self, backend: Backend, own: Tokenizer, students: Tokenizer, *, max_tokens: int) -> None:
        """Take the model, both tokenizers and the most tokens that the model reads at once.

        Raises:
            ModelError: The model lacks more than one in a hundred of the student's words.
        """
        self._backend = backend
        self._template, self._students = _Template.of(own), _Template.of(students)
        self._ids = _translation(own, students)
        self._max_tokens = max_tokens

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """Its logits of each window at the student's positions, in order.

        Tokens beyond the most that it reads cannot be chosen.
        """
        translated = [self._translated(window) for window in windows]
        logits = self._backend.run(translated)
        return [_moved(*each) for each in zip(logits, translated, windows, strict=True)]

    def _translated(self, window: Window) -> Window:
        template, students = self._template, self._students
        asked = window.token_ids[len(students.before) : window.first - len(students.between)]
        lead = [*template.before, *self._ids[asked], *template.between]
        n_context = self._max_tokens - len(lead) - len(template.after)
        context = self._ids[window.context_ids[:n_context]]
        ids = np.array([*lead, *context, *template.after], dtype=np.int64)
        return replace(
            window,
            token_ids=ids,
            type_ids=np.array([0] * len(lead) + [1] * (len(ids) - len(lead)), dtype=np.int64),
            first=len(lead),
            offsets=window.offsets[: len(context)],
            sentences=None,
        )


def _translation(own: Tokenizer, students: Tokenizer) -> npt.NDArray[np.int64]:
    """The model's number of each of the student's tokens."""
    found = [own.token_to_id(students.id_to_token(i) or "") for i in range(students.get_vocab_size())]
    unused = {i for i in range(len(found)) if (students.id_to_token(i) or "[").startswith("[")}
    n_foreign = sum(each is None for i, each in enumerate(found) if i not in unused)
    if n_foreign > _MOST_FOREIGN * len(found):
        raise ModelError(f"the teacher lacks {n_foreign} of the student's {len(found)} words: give another")
    unknown = own.encode(chr(0x2A6A5), add_special_tokens=False).ids[0]
    return np.array([unknown if each is None else each for each in found], dtype=np.int64)


def _moved(logits: WindowLogits, read: Window, window: Window) -> WindowLogits:
    start, end = (_at_places(each, read, window) for each in (logits.start, logits.end))
    return WindowLogits(start, end, logits.answerability, logits.verdict)


def _at_places(logits: FloatArray, read: Window, window: Window) -> FloatArray:
    moved = np.full(window.n_tokens, ABSENT, dtype=np.float32)
    moved[0] = logits[0]
    n = read.n_context_tokens
    moved[window.first : window.first + n] = logits[read.first : read.first + n]
    return moved


class KeptBackend:
    """A backend whose logits are kept in a folder: a run that was stopped need not compute them anew."""

    def __init__(self, backend: Backend, folder: Path, name: str) -> None:
        """Take the backend, the folder and a name that tells its weights from others."""
        self._backend, self._folder, self._name = backend, folder, name

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """The logits of each window, in order, in half precision."""
        self._folder.mkdir(parents=True, exist_ok=True)
        found: list[WindowLogits] = []
        for begin in range(0, len(windows), _KEPT_TOGETHER):
            found += self._together(windows[begin : begin + _KEPT_TOGETHER])
        return found

    def _together(self, windows: Sequence[Window]) -> list[WindowLogits]:
        key = hashlib.sha256(self._name.encode())
        for window in windows:
            key.update(window.token_ids.tobytes() + b"|")
        path = self._folder / f"{key.hexdigest()[:32]}.npz"
        if not path.is_file():
            _save(path, self._backend.run(windows))
        return _load(path, windows)


def _save(path: Path, logits: Sequence[WindowLogits]) -> None:
    verdicts = [each.verdict for each in logits if each.verdict is not None]
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        start=np.concatenate([each.start for each in logits]).astype(np.float16),
        end=np.concatenate([each.end for each in logits]).astype(np.float16),
        answerability=np.array([np.nan if e.answerability is None else e.answerability for e in logits]),
        verdict=np.array(verdicts if len(verdicts) == len(logits) else ()),
    )
    part.replace(path)


def _load(path: Path, windows: Sequence[Window]) -> list[WindowLogits]:
    with np.load(path, allow_pickle=False) as kept:
        names = ("start", "end", "answerability", "verdict")
        starts, ends, heads, verdicts = (kept[name].astype(np.float32) for name in names)
    ends_at = np.cumsum([window.n_tokens for window in windows])
    return [
        WindowLogits(
            starts[stop - window.n_tokens : stop],
            ends[stop - window.n_tokens : stop],
            None if np.isnan(heads[i]) else float(heads[i]),
            verdicts[i] if len(verdicts) else None,
        )
        for i, (window, stop) in enumerate(zip(windows, ends_at, strict=True))
    ]


class _InBfloat16(TorchBackend):
    """Matrix products in bfloat16, as in training."""

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        with torch.autocast(self.model.device.type, dtype=torch.bfloat16):
            return super().run(windows)


class AveragedBackend:
    """Several models as one: the logarithm of the mean of their distributions over starts and ends.

    Only the places count where a span may be: what models say of the others differs and means nothing.
    Answerability and verdict are means of logits; None unless all models have them.
    """

    def __init__(self, backends: Sequence[Backend]) -> None:
        """Take models that read the same windows."""
        self._backends = backends

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """The averaged logits of each window, in order."""
        by_model = [backend.run(windows) for backend in self._backends]
        return [_averaged(own, window) for window, *own in zip(windows, *by_model, strict=True)]


def _averaged(logits: Sequence[WindowLogits], window: Window) -> WindowLogits:
    places = [0, *range(window.first, window.first + window.n_context_tokens)]
    heads = [each.answerability for each in logits if each.answerability is not None]
    verdicts = [each.verdict for each in logits if each.verdict is not None]
    return WindowLogits(
        _mean_at(places, [each.start for each in logits]),
        _mean_at(places, [each.end for each in logits]),
        float(np.mean(heads)) if len(heads) == len(logits) else None,
        np.mean(verdicts, axis=0) if len(verdicts) == len(logits) else None,
    )


def _mean_at(places: Sequence[int], logits: Sequence[FloatArray]) -> FloatArray:
    """The logarithm of the mean distribution over these places, ``ABSENT`` elsewhere."""
    chosen = np.stack([each[places] for each in logits]).astype(np.float64)
    log_probs = chosen - np.logaddexp.reduce(chosen, axis=1, keepdims=True)
    mean = np.full(logits[0].shape, ABSENT, dtype=np.float32)
    mean[places] = np.logaddexp.reduce(log_probs, axis=0) - np.log(len(logits))
    return mean


def distillation_from(
    folders: Sequence[str], *, base: str, output: Path, config: TrainConfig
) -> Distillation:
    """What a stage learns from checkpoints of ``train.py`` or exported models.

    Args:
        folders: The teachers', or "default" for the embedded model; of several the mean is learned from.
        base: What the stage starts from, whose tokenizer the student keeps.
        output: The stage's folder; the teachers' logits are kept in its subfolder ``teacher``.
        config: Weight, sources, number of windows and precision.

    Raises:
        ModelError: A folder holds no such model, or its words are others.
        DataError: The stage gives the teacher no weight.
    """
    if not config.distillation_weight:
        raise DataError("--teacher: no stage that is run has a distillation_weight")
    students = load_tokenizer(_folder(base))
    backends = [_kept_teacher(_folder(each), students, output / "teacher", config) for each in folders]
    return Distillation(
        AveragedBackend(backends),
        config.distillation_weight,
        sources=frozenset(config.distillation_sources) or None,
        n_most=config.distillation_windows,
    )


def _folder(name: str) -> Path:
    return DEFAULT_MODEL if name == "default" else Path(name)


def _kept_teacher(folder: Path, students: Tokenizer, kept: Path, config: TrainConfig) -> Backend:
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(f"{folder} was not written by train.py or export_onnx.py: no teacher for a recipe")
    model, own = load_base(str(folder), replace(config, apart_shares={}, skim_layers=[], verdict_weight=0.0))
    max_tokens = ReaderConfig.load(folder).window.max_tokens
    reads = _InBfloat16 if config.precision == "bf16" else TorchBackend
    translated = TranslatedBackend(reads(model), own, students, max_tokens=max_tokens)
    return KeptBackend(translated, kept, file_digest(weights))

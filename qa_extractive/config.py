"""The settings that travel with a model, and those of a training run, as JSON.

``ReaderConfig`` decides answers, so it is saved with the model (``reader.json``) and nothing in it
can be overridden silently. ``TrainConfig`` decides how a model came to be.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from qa_extractive.errors import DataError, ModelError, shortened
from qa_extractive.settings import CACHED, FULL, check_effort

READER_FILE = "reader.json"
FORMAT_VERSION = 1
PRECISIONS = ("fp32", "bf16")
MAX_JSON_BYTES = 1 << 20  # of a file of settings; the largest of an exported model has 28,000
_MOST_TOKENS = 16_384
_MOST_READINGS = 100  # of a token, in as many windows
_MOST_KEEP_ABOVE = 1_000_000
_WEIGHTS = ("mismatch_share", "removal_share", "swap_share", "verdict_weight", "distillation_weight")
_COUNTS = ("n_dev", "n_calibration", "n_fresh", "eval_steps", "patience", "lora_rank", "crop_neighbours")


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """How a question and its context become token windows.

    Attributes:
        max_tokens: Tokens of a window, special tokens included.
        stride_tokens: Context tokens that two neighbouring windows share.
        max_question_tokens: A question of more tokens is a DataError.
        max_title_tokens: A title is cut to this many tokens.
    """

    max_tokens: int = 512
    stride_tokens: int = 128
    max_question_tokens: int = 128
    max_title_tokens: int = 48

    def __post_init__(self) -> None:
        """Raise ModelError for what is no count, or where a window would leave no room for context."""
        counts, amounts = (1, _MOST_TOKENS), (0, _MOST_TOKENS)
        _check_counts(self, max_tokens=counts, max_question_tokens=counts)
        _check_counts(self, stride_tokens=amounts, max_title_tokens=amounts)
        room = self.max_tokens - self.max_question_tokens - self.max_title_tokens - 8
        if room <= self.stride_tokens:
            raise ModelError(
                f"max_tokens {self.max_tokens} leaves {room} tokens of context beside the longest "
                f"question and title, which must exceed stride_tokens {self.stride_tokens}: "
                "raise one or lower the others"
            )
        n_readings = self.max_tokens / (room - self.stride_tokens)
        if n_readings > _MOST_READINGS:
            raise ModelError(
                f"stride_tokens {self.stride_tokens} has texts read {n_readings:.0f} times over: lower it"
            )


@dataclass(frozen=True, slots=True)
class DecodeConfig:
    """How logits become spans.

    Attributes:
        max_answer_tokens: The longest span, in tokens.
        n_best: Start and end positions considered in each window.
    """

    max_answer_tokens: int = 120
    n_best: int = 20

    def __post_init__(self) -> None:
        """Raise ModelError unless both are counts; the pairs looked at are the square of ``n_best``."""
        _check_counts(self, max_answer_tokens=(1, _MOST_TOKENS), n_best=(1, 1000))


def _check_counts(config: WindowConfig | DecodeConfig, **ranges: tuple[int, int]) -> None:
    """Raise ModelError unless settings are whole numbers within these bounds."""
    for name, (least, most) in ranges.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ModelError(
                f"{name} must be a whole number from {least} to {most:,}, got {shortened(value)}"
            )


@dataclass(frozen=True, slots=True)
class PruningConfig:
    """Which sentences the upper layers read at the efforts "fast" and "cached".

    Attributes:
        keep_above: Least score of a sentence, a logit, by each pruning head; the best sentence of a
            window is always read.
        papers_apart: Whether the lower layers can read papers apart from their questions, as the effort
            "cached" wants it.
        keep_above_cached: The least score at the effort "cached"; None for ``keep_above``.
    """

    keep_above: float
    papers_apart: bool = False
    keep_above_cached: float | None = None

    def __post_init__(self) -> None:
        """Raise ModelError unless both are finite numbers."""
        _check_limit("keep_above", self.keep_above)
        if self.keep_above_cached is not None:
            _check_limit("keep_above_cached", self.keep_above_cached)
        if not isinstance(self.papers_apart, bool):
            raise ModelError(f"papers_apart must be true or false, got {shortened(self.papers_apart)}")


def _check_limit(name: str, value: object) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) < _MOST_KEEP_ABOVE:  # type: ignore[arg-type]
        raise ModelError(f"{name} must be a number, got {shortened(value)}")


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """All that decides answers beside the weights and the calibration.

    Attributes:
        window: How texts are cut.
        decode: How logits become spans.
        skim: What the efforts "fast" and "cached" leave out; None where the model has neither.
    """

    window: WindowConfig = field(default_factory=WindowConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    skim: PruningConfig | None = None
    format_version: int = FORMAT_VERSION

    def keep_above(self, effort: str) -> float | None:
        """``PruningConfig.keep_above`` of an effort, None where all is read; ModelError if there is none."""
        check_effort(effort)
        if effort == FULL:
            return None
        if self.skim is None or (effort == CACHED and not self.skim.papers_apart):
            raise ModelError(
                f"this model has no effort {effort!r}: "
                f"use {FULL!r}, or an int8 model trained with skim_layers"
            )
        own = self.skim.keep_above_cached if effort == CACHED else None
        return self.skim.keep_above if own is None else own

    def save(self, folder: Path) -> None:
        """Write ``reader.json`` into a folder."""
        values = dataclasses.asdict(self)
        if self.skim is None:
            del values["skim"]
        elif self.skim.keep_above_cached is None:
            del values["skim"]["keep_above_cached"]
        (folder / READER_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ReaderConfig:
        """Read ``reader.json`` from a folder; ModelError if it is missing or not understood."""
        path = folder / READER_FILE
        values = read_json(path)
        if values.get("format_version") != FORMAT_VERSION:
            raise ModelError(
                f"{path}: format version {shortened(values.get('format_version'))} is not {FORMAT_VERSION}: "
                "export the model again with this version of qa_extractive"
            )
        return from_dict(cls, values, str(path))


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a model is trained; saved with it as ``train.json``.

    Attributes:
        epochs: Passes over the examples, if neither ``max_steps`` nor ``max_minutes`` ends it sooner.
        max_steps: Optimizer steps, or None; the schedule ends with them.
        max_minutes: Wall-clock minutes of training, or None; the schedule ends with them.
        batch_size: Windows an optimizer step.
        learning_rate: Peak of a linear warm-up and linear decay to zero.
        head_learning_rate: The same for the two new heads.
        layer_decay: Factor on the learning rate for each layer further from the heads.
        warmup_share: Share of the run that warms up.
        weight_decay: Of AdamW; not on biases and layer norms.
        dropout: Of the encoder while training.
        precision: "fp32", or "bf16": matrix products of the training passes in bfloat16, weights and the
            optimizer in fp32; 3.5 times as fast on a CPU with AVX512_BF16, slower on one without.
        train_embeddings: Whether the token embeddings learn.
        lora_rank: Rank of the adapters that learn in place of the encoder, merged at the end; 0 for none.
        lora_alpha: The adapters count times this over ``lora_rank``; None for twice the rank.
        gradient_checkpointing: Whether each layer is computed again on the way back instead of kept.
        answerability_weight: Weight of the answerability loss beside the span loss.
        verdict_weight: Weight of the verdict loss beside the span loss; 0 for no such head.
        skim_layers: Layers, counted from 1, in which a small head tells which sentences are to be read on,
            between attention and feed-forward.
        skim_weight: Weight of the loss of these heads beside the span loss.
        skim_only: Whether nothing but these heads learns.
        cached_layers: Lower layers in which the effort "cached" reads papers apart, at least 1; None for as
            many as the base has, 1 at first.
        apart_shares: Share of the steps in which papers are read apart, by the number of layers; the model's
            own reading of paper and question together is then learned from beside the labels.
        cached_grid: Papers read so begin at positions that are multiples of this; None for the base's, 4 at
            first.
        distillation_weight: Weight of the loss against a teacher's logits beside that of the labels, for a
            run with ``--teacher``; 0 for none.
        distillation_sources: Sources of the examples that the teacher teaches; empty for all.
        distillation_windows: Most windows that the teacher reads, the first of those; None for all.
        mismatch_share: Question-context pairs from different documents, per answerable example.
        removal_share: Contexts without their answering sentence, per answerable example.
        mismatch_shares: ``mismatch_share`` by the example's source, where it differs.
        removal_shares: ``removal_share`` by the example's source, where it differs.
        swap_share: Questions with one number, name or group exchanged for one that the context lacks, per
            answerable example.
        swap_shares: ``swap_share`` by the example's source, where it differs.
        crop_share: Share of the training examples whose context is cut to a few sentences around the answer;
            see ``training.crops``.
        crop_shares: ``crop_share`` by the example's source, where it differs.
        crop_neighbours: Most sentences kept before those of the answer, and most kept after them.
        balanced_sources: Sources of whose answerable questions more are asked of other contexts the more a
            model that reads nothing but the question takes them for answerable, instead of a fixed share.
        train_window_tokens: ``max_tokens`` of the windows while training.
        n_dev: Examples held out (whole documents) to choose the checkpoint.
        n_calibration: Examples held out (whole documents) to fit the calibration.
        calibration_answerable_share: Share of answerable ones that these are to have, the others being fewer
            where it takes that; None for a half as far as there are enough of both.
        n_fresh: Examples held out (whole documents) for nothing but a last measurement.
        held_out_share: Most of the documents of a source that each of these three may take.
        base_weight: Share of the base's weights in the result, the others being those at the end of the run:
            models between both ends often read better than either (Wortsman et al. 2022, arXiv 2109.01903).
        eval_steps: Steps between evaluations on the development split; 0 for the end only.
        patience: Evaluations without gain that end the run; 0 for no early stopping.
        save_minutes: Minutes between resumable checkpoints.
        seed: Of every random choice.
        split_seed: Of the choice of held-out documents; None for ``seed``. Stages of a run share it.
    """

    epochs: float = 1.0
    max_steps: int | None = None
    max_minutes: float | None = None
    batch_size: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 1.0
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    dropout: float = 0.0
    precision: str = "fp32"
    train_embeddings: bool = True
    lora_rank: int = 0
    lora_alpha: int | None = None
    gradient_checkpointing: bool = False
    answerability_weight: float = 0.5
    verdict_weight: float = 0.0
    skim_layers: list[int] = field(default_factory=list)
    skim_weight: float = 0.2
    skim_only: bool = False
    cached_layers: int | None = None
    cached_grid: int | None = None
    apart_shares: dict[str, float] = field(default_factory=dict)
    distillation_weight: float = 0.0
    distillation_sources: list[str] = field(default_factory=list)
    distillation_windows: int | None = None
    mismatch_share: float = 0.1
    removal_share: float = 0.05
    mismatch_shares: dict[str, float] = field(default_factory=dict)
    removal_shares: dict[str, float] = field(default_factory=dict)
    swap_share: float = 0.0
    swap_shares: dict[str, float] = field(default_factory=dict)
    crop_share: float = 0.0
    crop_shares: dict[str, float] = field(default_factory=dict)
    crop_neighbours: int = 3
    balanced_sources: list[str] = field(default_factory=list)
    train_window_tokens: int = 384
    n_dev: int = 500
    n_calibration: int = 2000
    calibration_answerable_share: float | None = None
    n_fresh: int = 0
    held_out_share: float = 0.15
    base_weight: float = 0.0
    eval_steps: int = 0
    patience: int = 0
    save_minutes: float = 5.0
    seed: int = 17
    split_seed: int | None = None

    def __post_init__(self) -> None:
        """Raise DataError for a setting outside its range."""
        positive = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "head_learning_rate": self.head_learning_rate,
            "layer_decay": self.layer_decay,
            "train_window_tokens": self.train_window_tokens,
            "max_steps": 1 if self.max_steps is None else self.max_steps,
            "max_minutes": 1 if self.max_minutes is None else self.max_minutes,
            "distillation_windows": 1 if self.distillation_windows is None else self.distillation_windows,
            "lora_alpha": 1 if self.lora_alpha is None else self.lora_alpha,
        }
        for name, value in positive.items():
            if not value > 0:
                raise DataError(f"{name} must be positive, got {value}")
        for name in (*_WEIGHTS, *_COUNTS):
            if not getattr(self, name) >= 0:
                raise DataError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("mismatch_shares", "removal_shares", "swap_shares"):
            if not all(share >= 0 for share in getattr(self, name).values()):
                raise DataError(f"{name} must not be negative, got {getattr(self, name)}")
        self._check_alpha()
        self._check_pruning()
        self._check_apart()
        if self.precision not in PRECISIONS:
            raise DataError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        self._check_shares()

    def _check_shares(self) -> None:
        if not all(0 <= share <= 1 for share in (self.crop_share, *self.crop_shares.values())):
            raise DataError("crop_share and crop_shares must lie in [0, 1]")
        for name in ("warmup_share", "dropout", "held_out_share", "base_weight"):
            if not 0 <= getattr(self, name) < 1:
                raise DataError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        share = self.calibration_answerable_share
        if share is not None and not 0 < share < 1:
            raise DataError(f"calibration_answerable_share must lie between 0 and 1, got {share}")

    def _check_apart(self) -> None:
        """``read_apart`` checks the numbers of layers against the model's."""
        if not all(str(each).isdecimal() and int(each) for each in self.apart_shares):
            raise DataError(f"apart_shares must name numbers of layers, got {self.apart_shares}")
        shares = list(self.apart_shares.values())
        if not all(share >= 0 for share in shares) or sum(shares) > 1:
            raise DataError(f"apart_shares must lie in [0, 1] in all, got {self.apart_shares}")

    def _check_alpha(self) -> None:
        if self.lora_alpha is not None and not self.lora_rank:
            raise DataError("lora_alpha needs a lora_rank: there are no adapters without")

    def _check_pruning(self) -> None:
        """``add_pruning_heads`` checks the layers against the model's."""
        if not isinstance(self.skim_layers, list) or not all(type(each) is int for each in self.skim_layers):
            raise DataError(f"skim_layers must be a list of whole numbers, got {self.skim_layers!r}")
        if self.skim_only and (self.lora_rank or not self.skim_layers):
            raise DataError("skim_only needs skim_layers, and no lora_rank: nothing else learns")


ConfigT = TypeVar("ConfigT", ReaderConfig, WindowConfig, DecodeConfig, PruningConfig, TrainConfig)


def from_dict(cls: type[ConfigT], values: dict[str, Any], where: str) -> ConfigT:
    """A config from parsed JSON; ModelError names the file and a setting that is not known, or wrong."""
    if not isinstance(values, dict):
        raise ModelError(f"{where}: {shortened(values)} is not an object of settings")
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ModelError(f"{where}: unknown setting {shortened(unknown[0])}; known are {', '.join(known)}")
    nested: dict[str, Any] = {"window": WindowConfig, "decode": DecodeConfig, "skim": PruningConfig}
    parsed = {k: from_dict(nested[k], v, where) if k in nested else v for k, v in values.items()}
    try:
        return cls(**parsed)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from None
    except TypeError as error:
        raise ModelError(f"{where}: a setting has a value of the wrong type: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder; ModelError if it is missing, too large or not one."""
    try:
        values = json.loads(read_bounded(path, MAX_JSON_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number or a nesting without end
        raise ModelError(f"{path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds no JSON object")
    return values


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a file of a model, which is read no further than it may be long.

    Raises:
        ModelError: It is missing, no plain file (a pipe would be waited for), too large or not readable.
    """
    try:
        if not path.is_file() and path.exists():
            raise ModelError(f"{path} cannot be read: it is not a regular file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: give a folder written by export_onnx.py or train.py") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > max_bytes:
        raise ModelError(f"{path} has more than {max_bytes:,} bytes, the most that such a file may have")
    return content

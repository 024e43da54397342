"""Torch checkpoints as they come in: written by ``train.py``, or any Hugging Face QA model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from qa_extractive.config import ReaderConfig, WindowConfig, read_json
from qa_extractive.errors import ModelError, reason_of, shortened
from qa_extractive.inference.calibration import CALIBRATION_FILE, Calibration, uncalibrated
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE, read_tokenizer
from qa_extractive.model.progress_bars import without_progress_bars
from qa_extractive.model.safe_loading import loading_reason, safe_loading
from qa_extractive.model.size_checks import check_sizes
from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig

_ADAPTER_FILE = "adapter_config.json"
_PADDED_POSITIONS = frozenset(
    "roberta xlm-roberta xlm-roberta-xl roberta-prelayernorm xmod camembert longformer mpnet data2vec-text "
    "ibert".split()
)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A torch model with all that decides its answers.

    Attributes:
        name: The folder's name, or the hub id.
        folder: Its folder; None if it came from the hub.
        model: In fp32 and evaluation mode; a ``SpanReader`` or a question-answering model.
        encoder_config: Config of the encoder.
        tokenizer: The fast tokenizer.
        reader: Windows and decoding.
        calibration: Its own, or the plain logistic of the margin.
    """

    name: str
    folder: Path | None
    model: PreTrainedModel
    encoder_config: PretrainedConfig
    tokenizer: Tokenizer
    reader: ReaderConfig
    calibration: Calibration

    @property
    def encoder_type(self) -> str:
        """The ``model_type`` of the encoder."""
        return str(self.encoder_config.model_type)


def load_checkpoint(name: str, *, allow_pickle: bool = False) -> Checkpoint:
    """A checkpoint by its folder or hub id; no code of its own is run.

    Args:
        name: Folder or hub id.
        allow_pickle: Whether weights may be read from ``.bin`` files (``safe_loading``); what
            ``train.py`` writes is safetensors always.

    Raises:
        ModelError: It is missing, broken, no question-answering model or has no fast tokenizer.
    """
    folder = folder_of(name)
    if folder is None:
        return _load_question_answering(name, None, allow_pickle)
    values = read_json(folder / "config.json")
    if values.get("model_type") == SpanReaderConfig.model_type:
        return _load_reader(folder)
    check_sizes(values, folder)
    return _load_question_answering(name, folder, allow_pickle)


def folder_of(name: str) -> Path | None:
    """The folder of that name, None where there is none; ModelError for what no folder can be called."""
    try:
        return Path(name) if Path(name).is_dir() else None
    except (OSError, ValueError) as error:  # a name of more than 255 bytes, or with a zero in it
        raise ModelError(f"model {name!a:.60} cannot be found: {reason_of(error)}") from None


def load_span_reader(folder: Path, **settings: Any) -> SpanReader:
    """The model of a checkpoint of ``train.py``, with further arguments of ``from_pretrained``.

    Raises:
        ModelError: Its config or its weights are broken, or do not belong together.
    """
    values = read_json(folder / "config.json")
    encoder, layers = values.get("encoder"), values.get("skim_layers", [])
    if not isinstance(encoder, dict) or not isinstance(layers, list):
        raise ModelError(f"{folder} is not a checkpoint of train.py: no encoder, or no list of skim_layers")
    check_sizes(encoder, folder)
    if len(layers) > encoder.get("num_hidden_layers", 0):
        raise ModelError(f"{folder} is not a checkpoint of train.py: more skim_layers than layers")
    try:
        with without_progress_bars():
            model: SpanReader = SpanReader.from_pretrained(folder, use_safetensors=True, **settings)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None
    except Exception as error:  # neither transformers' nor safetensors' errors share a base class
        raise ModelError(f"{folder} is not a checkpoint of train.py: {reason_of(error)}") from None
    return model


def _load_reader(folder: Path) -> Checkpoint:
    model = load_span_reader(folder)
    has_calibration = (folder / CALIBRATION_FILE).is_file()
    return Checkpoint(
        name=folder.resolve().name,
        folder=folder,
        model=model.float().eval(),
        encoder_config=model.encoder.config,
        tokenizer=read_tokenizer(folder / TOKENIZER_FILE),
        reader=ReaderConfig.load(folder),
        calibration=Calibration.load(folder) if has_calibration else uncalibrated(),
    )


def _load_question_answering(name: str, folder: Path | None, allow_pickle: bool) -> Checkpoint:
    if folder and (folder / _ADAPTER_FILE).is_file():  # it would bring in another model and other weights
        raise ModelError(f"{folder} is an adapter: merge it into its model and give that")
    model = _question_answering_model(name, allow_pickle)
    tokenizer = fast_tokenizer(name)
    _check_vocabulary(name, model, tokenizer.backend_tokenizer)
    return Checkpoint(
        name=folder.resolve().name if folder else name,
        folder=folder,
        model=model.float().eval(),
        encoder_config=model.config,
        tokenizer=tokenizer.backend_tokenizer,
        reader=ReaderConfig(window=window_for(model.config, tokenizer.model_max_length)),
        calibration=uncalibrated(),
    )


def _question_answering_model(name: str, allow_pickle: bool) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        with without_progress_bars():
            model, report = AutoModelForQuestionAnswering.from_pretrained(
                name, config=config, output_loading_info=True, **safe_loading(allow_pickle)
            )
    except Exception as error:  # neither transformers' nor safetensors' errors share a base class
        reason = loading_reason(error, allow_pickle)
        raise ModelError(f"{name} cannot be loaded as a question-answering model: {reason}") from None
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])[0]
        raise ModelError(f"{name} is not a question-answering checkpoint: it lacks {missing}; train it first")
    return model


def _check_vocabulary(name: str, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    """Raise ModelError where the tokenizer gives tokens that the model has no vectors for."""
    n_known = int(model.get_input_embeddings().weight.shape[0])
    token, largest = max(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    if largest >= n_known:
        raise ModelError(
            f"{name}: its tokenizer gives ids up to {largest} ({token[:40]!r}), but the model has {n_known} "
            "word embeddings: give it the tokenizer that it was trained with, or resize its embeddings"
        )


def fast_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a folder or hub id; ModelError if it has none."""
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(f"{name} has no tokenizer that can be loaded: {reason_of(error)}") from None
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(f"{name} has no fast tokenizer (tokenizer.json)")
    return tokenizer


def window_for(config: PretrainedConfig, tokenizer_limit: int = 512) -> WindowConfig:
    """The longest windows that a model can read, at most 512 tokens; narrower parts for short ones."""
    n_positions = config.to_dict().get("max_position_embeddings", 512)
    padding = (config.pad_token_id or 0) + 1 if config.model_type in _PADDED_POSITIONS else 0
    for value in (n_positions, padding, tokenizer_limit):
        if not isinstance(value, (int, float)):
            raise ModelError(f"max_position_embeddings must be a whole number, got {shortened(value)}")
    n_tokens = int(
        max(1, min(512, n_positions - padding, tokenizer_limit))
    )  # positions begin after a padding
    return WindowConfig(
        max_tokens=n_tokens,
        stride_tokens=min(128, n_tokens // 4),
        max_question_tokens=min(128, n_tokens // 4),
        max_title_tokens=min(48, n_tokens // 10),
    )

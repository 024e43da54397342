"""A training run from examples to a calibrated checkpoint. Needs the [train] extra."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from qa_extractive._utils.digests import file_digest
from qa_extractive.config import ReaderConfig, TrainConfig, read_json
from qa_extractive.data.example_jsonl import examples_to_jsonl
from qa_extractive.errors import DataError
from qa_extractive.export.dequantize import ARCHITECTURE_FILE, load_rebuilt
from qa_extractive.inference.calibration import CALIBRATION_FILE, Calibration
from qa_extractive.inference.calibration_fit import fit
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE, read_tokenizer
from qa_extractive.inference.windows import Windower
from qa_extractive.model.checkpoint import fast_tokenizer, load_span_reader, window_for
from qa_extractive.model.progress_bars import without_progress_bars
from qa_extractive.model.size_checks import check_sizes
from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.training.card import write_card
from qa_extractive.training.distillation import Distillation, DistillationTrainer
from qa_extractive.training.distributed import barrier, init_processes, n_processes, run_on_main_process
from qa_extractive.training.lora import add_adapters, merge_adapters, require_peft
from qa_extractive.training.progress import Watch, Watcher
from qa_extractive.training.report import TrainReport
from qa_extractive.training.splits import Splits, build_splits
from qa_extractive.training.trainer import (
    CHECKPOINTS,
    SpanTrainer,
    development_f1,
    last_checkpoint,
    read,
)
from qa_extractive.training.window_labels import label_windows
from qa_extractive.types import Example

logger = logging.getLogger(__name__)

TRAIN_FILE = "train.json"
LOG_FILE = "training_log.json"
CALIBRATION_EXAMPLES_FILE = "calibration_examples.jsonl.gz"
FRESH_EXAMPLES_FILE = "fresh_examples.jsonl.gz"
_WEIGHT_FILES = ("model.safetensors", "model.onnx")


def train(
    examples: Sequence[Example],
    *,
    base: str,
    output: Path,
    config: TrainConfig,
    resume: bool = False,
    allow_pickle: bool = False,
    distillation: Distillation | None = None,
    watch: Watch | None = None,
) -> TrainReport:
    """Train on labelled examples and write a calibrated checkpoint folder.

    Args:
        examples: Labelled, from any number of sources.
        base: What to start from; see ``load_base``.
        output: Folder to write; its ``checkpoints`` subfolder makes the run resumable.
        config: The settings.
        resume: Continue from the last checkpoint in ``output``, if there is one.
        allow_pickle: Whether a plain encoder's weights may lie in a pickle; see ``model.safe_loading``.
        distillation: A teacher to learn from beside the labels; None for none.
        watch: Told after every step how far the run is; None for nobody.

    Raises:
        DataError: No example is labelled, or ``output`` holds another run.
        ModelError: The base cannot be used.
    """
    if config.lora_rank:
        require_peft()
    init_processes()
    run_on_main_process(lambda: _claim(output, config, base, resume))
    model, tokenizer = load_base(base, config, allow_pickle=allow_pickle)
    began = _kept_weights(model) if config.base_weight else {}
    if config.lora_rank:
        add_adapters(model, config)
    if config.gradient_checkpointing:
        model.recompute_layers()
    reader = ReaderConfig(window=window_for(model.encoder.config))
    windower = Windower(tokenizer, reader.window)
    splits = prepare(examples, windower, config)
    trainer = _trainer(model, tokenizer, windower, splits, output, config, distillation)
    if watch is not None:
        trainer.add_callback(Watcher(watch, trainer.progress))
    checkpoint = run_on_main_process(lambda: last_checkpoint(output)) if resume else None
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.progress.tick()
    n_trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    if config.lora_rank:
        merge_adapters(trainer.model)
    _mix(trainer.model, began, config.base_weight)

    def finish() -> TrainReport:
        report = _report(base, splits, trainer, n_trained, result.training_loss)
        save_model(output, trainer.model, tokenizer, reader, windower, splits, base_calibration(base))
        log = json.dumps(trainer.state.log_history, indent=1)
        (output / LOG_FILE).write_text(f"{log}\n", encoding="utf-8")
        report.save(output)
        write_card(output, report, config)
        return report

    report = run_on_main_process(finish)
    barrier()  # or one of them might still be writing there
    run_on_main_process(lambda: shutil.rmtree(output / CHECKPOINTS, ignore_errors=True))
    return report


def _kept_weights(model: SpanReader) -> dict[str, torch.Tensor]:
    """A copy of the weights that a run starts from."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def _mix(model: SpanReader, began: Mapping[str, torch.Tensor], share: float) -> None:
    """Move the weights back towards those of the beginning, a share of the way, in place."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in began:
                weight.lerp_(began[name].to(weight.device), share)


def _trainer(
    model: SpanReader,
    tokenizer: Tokenizer,
    windower: Windower,
    splits: Splits,
    output: Path,
    config: TrainConfig,
    distillation: Distillation | None,
) -> SpanTrainer:
    """The trainer of the labelled windows, and of what only a teacher teaches where there is one."""
    rehearsed = _rehearsed(distillation, windower)
    learned = [*splits.train, *rehearsed]
    window = dataclasses.replace(
        windower.config, max_tokens=min(windower.config.max_tokens, config.train_window_tokens)
    )
    windows = label_windows(
        Windower(tokenizer, window, with_sentences=bool(model.config.skim_layers)), learned
    )
    if not rehearsed and not any(w.span_weight or w.answerable is not None for w in windows):
        raise DataError("no training example is labelled: check the answer column and the alignment report")
    if distillation is None:
        return SpanTrainer(model, windows, output, config, windower=windower, dev=splits.dev)
    return DistillationTrainer(
        *(model, windows, output, config),
        windower=windower,
        dev=splits.dev,
        distillation=distillation,
        targets=distillation.targets(windows, learned),
    )


def _rehearsed(distillation: Distillation | None, windower: Windower) -> list[Example]:
    """What only the teacher teaches, without labels."""
    if distillation is None:
        return []
    unlabelled = [dataclasses.replace(e, spans=(), answerable=None) for e in distillation.rehearsal]
    return [example for example in unlabelled if windower.accepts(example.question)]


def prepare(examples: Sequence[Example], windower: Windower, config: TrainConfig) -> Splits:
    """What is trained on and what is held out, of the examples that fit a window."""
    return build_splits(_readable(examples, windower), config)


def _readable(examples: Sequence[Example], windower: Windower) -> list[Example]:
    kept = [example for example in examples if windower.accepts(example.question)]
    if len(kept) < len(examples):
        n_left_out = len(examples) - len(kept)
        logger.warning("%d examples left out: question too long for a window", n_left_out)
    if examples and not kept:
        raise DataError(
            f"every question exceeds {windower.config.max_question_tokens} tokens, all this base reads"
        )
    return kept


def _claim(output: Path, config: TrainConfig, base: str, resume: bool) -> None:
    """Write the settings of the run, or refuse a folder that holds a run with others."""
    path = output / TRAIN_FILE
    settings = {"base": describe_base(base), **dataclasses.asdict(config), "n_processes": n_processes()}
    if path.is_file():
        if not resume:
            raise DataError(f"{output} holds a training run already: give --resume or another --output")
        defaults = {**dataclasses.asdict(TrainConfig()), "n_processes": 1}  # of runs older than a setting
        found = {**defaults, **json.loads(path.read_text(encoding="utf-8"))}
        differing = [name for name in settings if found.get(name) != settings[name]]
        if differing:
            name = differing[0]
            was, now = found.get(name), settings[name]
            raise DataError(f"{output} holds a run with {name}={was!r}, not {now!r}: cannot resume")
    output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load_base(base: str, config: TrainConfig, *, allow_pickle: bool = False) -> tuple[SpanReader, Tokenizer]:
    """The model to start from and its tokenizer; ModelError if either cannot be had.

    Args:
        base: "default" for the embedded model, dequantized; the folder of an exported model, the same;
            the folder of a checkpoint of ``train.py``; or a folder or hub id of a plain encoder.
        config: The dropout, the loss weight and the seed of the fresh heads.
        allow_pickle: Whether a plain encoder's weights may lie in a pickle; see ``model.safe_loading``.
    """
    torch.manual_seed(config.seed)
    folder = DEFAULT_MODEL if base == "default" else Path(base)
    if (folder / ARCHITECTURE_FILE).is_file():
        model = load_rebuilt(folder)
    elif _is_reader(folder):
        model = load_span_reader(folder, attn_implementation="sdpa")
    else:
        if (folder / "config.json").is_file():
            check_sizes(read_json(folder / "config.json"), folder)
        model = SpanReader.from_encoder(base, allow_pickle=allow_pickle)
    model.config.answerability_weight = config.answerability_weight
    if config.verdict_weight:
        model.add_verdict_head()
        model.config.verdict_weight = config.verdict_weight
    if config.skim_layers:
        model.add_pruning_heads(config.skim_layers)
        model.config.skim_weight = config.skim_weight
    own = model.config
    n_layers, grid = config.cached_layers or own.cached_layers, config.cached_grid or own.cached_grid
    for each in (*map(int, config.apart_shares), n_layers):
        model.read_apart(each, grid)  # which checks it; the last one stays
    if config.precision == "bf16" and not torch.cuda.is_available():
        model.use_eager_attention()  # torch's fused attention gains nothing from bfloat16
    _set_dropout(model, config.dropout)
    return model, load_tokenizer(folder if folder.is_dir() else base)


def describe_base(base: str) -> str:
    """The base by what it is, not where it lies: a folder by its name and the hash of its weights."""
    weights = next((w for w in _WEIGHT_FILES if (Path(base) / w).is_file()), None)
    if weights is None:
        return base
    digest = file_digest(Path(base) / weights)
    return f"{Path(base).resolve().name}/{weights} sha256:{digest[:16]}"


def _is_reader(folder: Path) -> bool:
    path = folder / "config.json"
    return path.is_file() and read_json(path).get("model_type") == SpanReaderConfig.model_type


class _NoDropout(torch.nn.Identity):
    """In place of ``Dropout(0)``, which still draws its random numbers: a third of the time of a step."""

    p = 0.0


def _set_dropout(model: SpanReader, rate: float) -> None:
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.Dropout | _NoDropout):
                setattr(module, name, torch.nn.Dropout(rate) if rate else _NoDropout())
            elif type(child).__name__ == "StableDropout":
                child.p = rate
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = rate


def load_tokenizer(base: str | Path) -> Tokenizer:
    """The fast tokenizer of a folder or hub id; ModelError if it has none."""
    path = Path(base) / TOKENIZER_FILE
    if path.is_file():
        return read_tokenizer(path)
    return fast_tokenizer(str(base)).backend_tokenizer


def _report(base: str, splits: Splits, trainer: SpanTrainer, n_trained: int, loss: float) -> TrainReport:
    negatives = [e.fields.get("negative", "given") for e in splits.train if e.answerable is False]
    return TrainReport(
        base=describe_base(base),
        n_examples=dict(sorted(Counter(e.source for e in splits.train).items())),
        n_negatives=dict(sorted(Counter(negatives).items())),
        n_windows=len(trainer.train_dataset),
        n_steps=trainer.state.global_step,
        minutes=round(trainer.progress.elapsed_seconds / 60, 2),
        final_loss=round(loss, 5),
        dev_f1=scored(trainer.model, trainer.windower, splits),
        n_dev=len(splits.dev),
        n_calibration=len(splits.calibration),
        n_fresh=len(splits.fresh),
        threads=torch.get_num_threads(),
        n_parameters=sum(p.numel() for p in trainer.model.parameters()),
        n_trained=n_trained,
        n_processes=n_processes(),
    )


def scored(model: SpanReader, windower: Windower, splits: Splits) -> float | None:
    """The development score, in [0, 1]; None without development examples."""
    if not splits.dev:
        return None
    return round(development_f1(read(model, windower, splits.dev), splits.dev), 5)


def save_model(
    output: Path,
    model: SpanReader,
    tokenizer: Tokenizer,
    reader: ReaderConfig,
    windower: Windower,
    splits: Splits,
    fallback: Calibration | None = None,
) -> None:
    """Write a checkpoint with its calibration and the examples held out for it, if any, and for nothing."""
    output.mkdir(parents=True, exist_ok=True)
    with without_progress_bars():
        model.save_pretrained(output)
    tokenizer.save(str(output / TOKENIZER_FILE))
    reader.save(output)
    calibrate_torch(model, windower, splits.calibration, fallback).save(output)
    if splits.calibration:  # an export calibrates on them where they are there
        examples_to_jsonl(output / CALIBRATION_EXAMPLES_FILE, splits.calibration)
    else:
        (output / CALIBRATION_EXAMPLES_FILE).unlink(missing_ok=True)
    examples_to_jsonl(output / FRESH_EXAMPLES_FILE, splits.fresh)


def base_calibration(base: str) -> Calibration | None:
    """That of the model started from; None where it has none, as a plain encoder."""
    folder = DEFAULT_MODEL if base == "default" else Path(base)
    return Calibration.load(folder) if (folder / CALIBRATION_FILE).is_file() else None


def calibrate_torch(
    model: SpanReader, windower: Windower, examples: Sequence[Example], fallback: Calibration | None
) -> Calibration:
    """The calibration of a torch checkpoint on held-out examples, or ``fallback`` where they are too few."""
    predictions = read(model, windower, examples) if examples else []
    fitted_on = f"torch fp32 logits of {len(examples)} held-out examples"
    return fit(predictions, examples, fitted_on=fitted_on, fallback=fallback)

"""The transformers Trainer with our batches, schedule, development score and checkpoints."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from qa_extractive._utils.files import write_whole
from qa_extractive.config import DecodeConfig, TrainConfig
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.windows import Windower
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.metrics.thresholds import best_cut
from qa_extractive.model.apart import Apart
from qa_extractive.model.losses import bernoulli_divergence, span_divergence
from qa_extractive.model.span_reader import PRUNING_HEADS, SpanReader
from qa_extractive.model.torch_backend import TorchBackend
from qa_extractive.training.batching import LengthSampler, WindowDataset, collate
from qa_extractive.training.distributed import is_main_process, n_processes, run_on_main_process
from qa_extractive.training.window_labels import LabelledWindow
from qa_extractive.types import Example

_ELAPSED_FILE = "elapsed.json"
CHECKPOINTS = "checkpoints"
_TOKENS_AT_ONCE = 5440


class Progress:
    """How far a run is, in [0, 1]: by steps, or by minutes where these run out first.

    Attributes:
        elapsed_seconds: Seconds of training at the last ``tick``, those before a resume included.
    """

    def __init__(self, n_steps: int, max_minutes: float | None) -> None:
        """Take the steps of the whole run and the minutes it may take, resumed ones included."""
        self.n_steps = n_steps
        self.max_seconds = None if max_minutes is None else 60.0 * max_minutes
        self.elapsed_seconds = 0.0
        self._began: float | None = None

    def begin(self, earlier_seconds: float = 0.0) -> None:
        """Start the clock, at the seconds that were used before a resume."""
        self._began = time.monotonic() - earlier_seconds
        self.tick()

    def tick(self) -> None:
        """Read the clock: that of the first process, so that all end and save at the same step."""
        if self._began is not None:
            began = self._began
            self.elapsed_seconds = run_on_main_process(lambda: time.monotonic() - began)

    def fraction(self, step: int) -> float:
        """The share of the run that lies behind after ``step`` steps."""
        by_steps = step / max(1, self.n_steps)
        by_time = 0.0 if self.max_seconds is None else self.elapsed_seconds / self.max_seconds
        return min(1.0, max(by_steps, by_time))


class SpanTrainer(Trainer):
    """Trainer for ``SpanReader``."""

    optimizer: Optimizer | None
    lr_scheduler: LambdaLR | None
    control: Any

    def __init__(
        self,
        model: SpanReader,
        windows: Sequence[LabelledWindow],
        output: Path,
        config: TrainConfig,
        *,
        windower: Windower,
        dev: Sequence[Example],
    ) -> None:
        """Set up a run whose checkpoints go below ``output``."""
        self.config = config
        self.windower = windower
        self.dev = dev
        dataset = WindowDataset(windows)
        steps_per_epoch = -(-len(dataset) // (config.batch_size * n_processes()))
        n_steps = config.max_steps or max(1, round(config.epochs * steps_per_epoch))
        self.progress = Progress(n_steps, config.max_minutes)
        super().__init__(
            model=model,
            args=_arguments(output, config, n_steps, has_dev=bool(dev)),
            data_collator=collate,
            train_dataset=dataset,
            eval_dataset=dataset if dev else None,  # never read: ``evaluate`` scores ``dev``
            callbacks=_callbacks(config, self.progress, has_dev=bool(dev)),
        )
        self.remove_callback(PrinterCallback)  # it prints raw dicts; ``watching`` tells how far a run is

    def _get_train_sampler(self, *_: Any, **__: Any) -> LengthSampler:
        lengths = [each.window.n_tokens for each in self.train_dataset.windows]
        # The batches of all processes in one step are neighbours: of like length, and so done at once.
        return LengthSampler(lengths, self.config.batch_size * n_processes(), self.config.seed)

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """One step's backward passes; on a CPU a batch of long windows goes in parts, to spare memory."""
        n_windows, n_tokens = inputs["input_ids"].shape
        at_once = n_windows if torch.cuda.is_available() else max(1, _TOKENS_AT_ONCE // n_tokens)
        if at_once >= n_windows:
            whole: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)
            return whole
        model.train()
        total = torch.zeros((), device=self.args.device)
        for begin in range(0, n_windows, at_once):
            part = self._prepare_inputs({k: v[begin : begin + at_once] for k, v in inputs.items()})
            # Processes exchange gradients once a step, whatever the number of their parts.
            is_last = begin + at_once >= n_windows
            with nullcontext() if is_last else self.accelerator.no_sync(model):
                loss = self.compute_loss(model, part) * (len(part["input_ids"]) / n_windows)
                self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The loss of a batch; its matrix products in bfloat16 where ``config.precision`` says so.

        In steps that read papers apart, the model's own reading of the same windows as a whole is learned
        from beside the labels; pruning heads learn from the labels alone.
        """
        apart = self._apart()
        if apart is None:
            with self._precision():
                return super().compute_loss(model, inputs, *args, **kwargs)
        whole = None
        if not self.config.skim_only:
            with self._precision():  # of its own: the weights it casts have no gradients
                whole = _unlabelled(model, inputs)
        also = kwargs.pop("return_outputs", False)
        with self._precision():
            inputs = {**inputs, "apart": apart}
            loss, output = super().compute_loss(model, inputs, *args, **kwargs | {"return_outputs": True})
        if whole is not None:
            loss = loss + self._divergence(output, whole, inputs)
        return (loss, output) if also else loss

    def _apart(self) -> Apart | None:
        """How this step reads papers; the same in all processes, and after a resume."""
        own = self.model.apart
        if self.config.skim_only:
            return own if own.n_layers > 1 and self.state.global_step % 2 else None
        drawn = random.Random(f"{self.config.seed}:{self.state.global_step}").random()
        for n_layers, share in self.config.apart_shares.items():
            if drawn < share:
                return Apart(int(n_layers), own.grid)
            drawn -= share
        return None

    def _divergence(self, output: Any, whole: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """How far the reading of papers apart is from that of the whole, a scalar."""
        mask, config = inputs["context_mask"], self.config
        start, end = (
            span_divergence(output[name], whole[name], mask) for name in ("start_logits", "end_logits")
        )
        loss = (start + end).mean() / 2
        answerability = bernoulli_divergence(
            output.answerability_logit.float(), whole.answerability_logit.float()
        )
        return loss + config.answerability_weight * answerability.mean()

    def _precision(self) -> torch.autocast:
        enabled = self.config.precision == "bf16"
        return torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=enabled)

    def create_optimizer(self, *_: Any, **__: Any) -> Optimizer:
        """AdamW with rates by layer; see ``parameter_groups``."""
        if self.optimizer is None:
            self.optimizer = AdamW(
                parameter_groups(self.model, self.config), fused=not torch.cuda.is_available()
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LambdaLR:
        """Linear warm-up and linear decay over the run's progress in steps or minutes."""
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.create_optimizer(), self._rate)
        return self.lr_scheduler

    def _rate(self, step: int) -> float:
        warmup = max(1e-9, self.config.warmup_share)
        fraction = self.progress.fraction(step)
        if fraction < warmup:
            return max(fraction, 1.0 / max(1, self.progress.n_steps)) / warmup if step else 1e-3
        return max(0.0, (1.0 - fraction) / (1.0 - warmup))

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """``eval_f1``: mean F1 of the development examples at the best threshold of the margin."""
        metrics = {"eval_f1": run_on_main_process(self._development_f1)}
        self.model.train()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _development_f1(self) -> float:
        with self._precision():
            return development_f1(read(self.model, self.windower, self.dev), self.dev)


@torch.no_grad()
def _unlabelled(model: Any, inputs: dict[str, Any]) -> Any:
    """The logits that a model gives of a batch read as a whole."""
    return model(**{name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")})


def read(model: SpanReader, windower: Windower, examples: Sequence[Example]) -> list[RawPrediction]:
    """The predictions that a torch model gives of examples."""
    questions = [example.question for example in examples]
    windows = windower.windows(questions)
    return decode(questions, windows, TorchBackend(model).run(windows), DecodeConfig())


def development_f1(predictions: Sequence[RawPrediction], examples: Sequence[Example]) -> float:
    """Mean F1 where the best threshold on the first feature decides whether to answer, in [0, 1]."""
    gains: list[tuple[float, float]] = []
    for prediction, example in zip(predictions, examples, strict=True):
        if prediction.candidates:
            span = prediction.candidates[0]
            text = example.question.context[span.start : span.end]
            gain = best_token_f1(text, example.references) if example.answerable else -1.0
            gains.append((float(prediction.features()[0]), gain))
    gains.sort(reverse=True)  # of equal margins the better answers first
    best = best_cut(
        [margin for margin, _ in gains],
        [gain for _, gain in gains],
        start=sum(not example.answerable for example in examples),
        parts_ties=True,
    )
    return best.total / max(1, len(examples))


def parameter_groups(model: SpanReader, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters with their learning rates: heads, then layers with ``layer_decay``; no decay on norms."""
    n_layers = model.encoder.config.num_hidden_layers
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if config.skim_only:
            parameter.requires_grad = PRUNING_HEADS in name
        elif not config.train_embeddings and "word_embeddings" in name:
            parameter.requires_grad = False
        if not parameter.requires_grad:
            continue
        decay = 0.0 if parameter.ndim < 2 else config.weight_decay
        groups.setdefault((_learning_rate(name, n_layers, config), decay), []).append(parameter)
    return [{"params": own, "lr": rate, "weight_decay": decay} for (rate, decay), own in groups.items()]


def _learning_rate(name: str, n_layers: int, config: TrainConfig) -> float:
    if not name.startswith("encoder."):
        return config.head_learning_rate
    parts = name.split(".")
    layer = int(parts[parts.index("layer") + 1]) if "layer" in parts else -1
    return float(config.learning_rate * config.layer_decay ** (n_layers - 1 - layer))


def _arguments(output: Path, config: TrainConfig, n_steps: int, *, has_dev: bool) -> TrainingArguments:
    evaluates = bool(config.eval_steps) and has_dev
    strategy = "steps" if evaluates else "no"
    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(output / CHECKPOINTS),
        per_device_train_batch_size=config.batch_size,
        max_steps=n_steps,
        learning_rate=config.learning_rate,
        eval_strategy=strategy,
        eval_steps=config.eval_steps or None,
        save_strategy=strategy,
        save_steps=config.eval_steps or 500,
        save_total_limit=2,
        load_best_model_at_end=evaluates,
        metric_for_best_model="f1",
        greater_is_better=True,
        logging_steps=max(1, min(25, n_steps // 10)),
        disable_tqdm=True,
        use_cpu=not on_gpu,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        label_names=["start_positions", "end_positions"],
        ddp_find_unused_parameters=False,  # every parameter has its part in every loss
        seed=config.seed,
        data_seed=config.seed,
        report_to=[],
    )


def _callbacks(config: TrainConfig, progress: Progress, *, has_dev: bool) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [Clock(progress, config.save_minutes)]
    if config.patience and config.eval_steps and has_dev:
        callbacks.append(EarlyStoppingCallback(config.patience))
    return callbacks


class Clock(TrainerCallback):
    """Ends the run with its progress, scored and saved, and asks for a checkpoint every few minutes."""

    def __init__(self, progress: Progress, save_minutes: float) -> None:
        """Take the progress of the run and the minutes between checkpoints."""
        self.progress = progress
        self.save_seconds = 60.0 * save_minutes
        self._saved = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the seconds that an earlier, killed run had used."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _ELAPSED_FILE
        earlier = json.loads(path.read_text())["seconds"] if state.global_step and path.is_file() else 0.0
        self.progress.begin(earlier)
        self._saved = self.progress.elapsed_seconds

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Read the clock once a step, before the learning rate and the end are decided by it."""
        self.progress.tick()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop at the end of the progress; save when it is time."""
        if self.progress.fraction(state.global_step) >= 1.0:
            control.should_training_stop = True
            if (
                args.load_best_model_at_end
            ):  # or the end, where the rate has come to rest, could not be chosen
                control.should_evaluate = control.should_save = True
        elif self.progress.elapsed_seconds - self._saved > self.save_seconds:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the seconds used with the checkpoint; it is whole once they are there."""
        self.progress.tick()
        self._saved = self.progress.elapsed_seconds
        if is_main_process():
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _ELAPSED_FILE
            write_whole(path, json.dumps({"seconds": self.progress.elapsed_seconds}))


def last_checkpoint(output: Path) -> str | None:
    """The newest whole checkpoint below ``output``, or None; what a kill left half written is removed."""
    whole: list[tuple[int, Path]] = []
    for folder in (output / CHECKPOINTS).glob("checkpoint-*"):
        if (folder / _ELAPSED_FILE).is_file():
            whole.append((int(folder.name.rpartition("-")[2]), folder))
        else:
            shutil.rmtree(folder)
    return str(max(whole)[1]) if whole else None

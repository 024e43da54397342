"""The models of an ensemble: what each starts from and learns, and what it hands on."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from qa_extractive.config import TrainConfig, WindowConfig
from qa_extractive.inference.windows import Windower
from qa_extractive.model.apart import Apart
from qa_extractive.model.losses import ABSENT
from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig
from qa_extractive.training.ensemble.data import WINDOWS_FILE, judged_examples
from qa_extractive.training.ensemble.encoded import EncodedWindows
from qa_extractive.training.ensemble.encoder import is_bfloat16_fast
from qa_extractive.training.ensemble.judging import evaluate
from qa_extractive.training.ensemble.loop import DeviceWindows, LoopConfig, Targets, predict, train
from qa_extractive.training.ensemble.warm_up import warm_up
from qa_extractive.training.run import load_base
from qa_extractive.types import VERDICT_CLASSES

logger = logging.getLogger(__name__)

_LEAST_LOG = -30.0
_WARM_UP_RATE = 2e-4


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a plan.

    Attributes:
        name: Of its files.
        config: How it is trained.
        readings: Numbers of the readings of the data that it learns from.
        base: As of ``load_base``; the architecture where ``mean_of`` gives the weights.
        mean_of: Members whose mean weights it starts from.
        targets: Members whose mean probabilities it learns beside the labels.
        writes_targets: Readings of which its own probabilities are kept.
        shares: Of some parts of the data, the share that it reads.
        without: Parts of the data that it does not read.
        warm_up: Seconds of filling in masked tokens before.
        repeats_layers: How often each layer of the base stands in it.
        judged_apart: (layers, grid) of papers read apart, at which it is judged too.
        is_kept: Whether its weights are.
    """

    name: str
    config: LoopConfig
    readings: tuple[int, ...] = (0,)
    base: str = "default"
    mean_of: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    writes_targets: tuple[int, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    warm_up: float = 0.0
    repeats_layers: int = 1
    judged_apart: tuple[tuple[int, int], ...] = ()
    is_kept: bool = True

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Member:
        """A member of parsed JSON; ValueError or TypeError for what is not known or missing."""
        own = dict(values)
        settings = dict(own.pop("config"))
        settings["apart"] = tuple((share, Apart(n, grid)) for share, n, grid in settings.get("apart", ()))
        own = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
        for kind, given in ((cls, own), (LoopConfig, settings)):
            unknown = set(given) - {each.name for each in dataclasses.fields(kind)}
            if unknown:
                raise ValueError(f"unknown setting {min(unknown)!r} of member {own.get('name')!r}")
        return cls(**own, config=LoopConfig(**settings))


def fit(member: Member, folder: Path, work: Path) -> dict[str, Any]:
    """Train a member, keep what it hands on in ``work``, and judge it; what was done and found."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arrays = EncodedWindows.load(folder / WINDOWS_FILE)
    windows = DeviceWindows(arrays, device)
    model, windower = starting_model(member, work)
    model.to(device)
    log: dict[str, Any] = {"name": member.name}
    if member.warm_up:
        settings = dataclasses.replace(
            member.config, seconds=member.warm_up, max_steps=None, learning_rate=_WARM_UP_RATE
        )
        log["warm_up_loss"] = warm_up(model, windows, settings)
    targets = load_targets(work, member.targets, device) if member.targets else None
    log |= train(model, windows, chosen_windows(member, arrays), member.config, targets)
    if member.is_kept:
        save_file(_plain(model.state_dict()), work / f"{member.name}.safetensors")
    if is_bfloat16_fast(device):
        model.to(torch.bfloat16)
    if member.writes_targets:
        numbers = np.flatnonzero(np.isin(arrays.variant, member.writes_targets))
        write_targets(work / f"{member.name}.targets.pt", model, windows, numbers)
    sets = judged_examples(folder)
    log["together"] = evaluate(model, windower, sets)
    for n_layers, grid in member.judged_apart:
        log[f"apart {n_layers}"] = evaluate(model, windower, sets, Apart(n_layers, grid))
    (work / f"{member.name}.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    return log


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def chosen_windows(member: Member, arrays: EncodedWindows) -> npt.NDArray[np.int64]:
    """The numbers of the windows that a member learns from."""
    chosen = np.flatnonzero(np.isin(arrays.variant, member.readings))
    parts = arrays.source_names[arrays.source[chosen]]
    drawn = np.random.default_rng(member.config.seed).random(len(chosen))
    kept = ~np.isin(parts, member.without)
    for part, share in member.shares.items():
        kept &= (parts != part) | (drawn < share)
    return chosen[kept]


def starting_model(member: Member, work: Path) -> tuple[SpanReader, Windower]:
    """The fp32 model that a member starts from, without pruning heads; and what makes its windows."""
    model, tokenizer = load_base(member.base, TrainConfig(verdict_weight=member.config.verdict_weight))
    model = without_pruning_heads(model)
    if member.mean_of:
        model.load_state_dict(mean_state(member.mean_of, work))
    if member.repeats_layers > 1:
        model = deeper(model, member.repeats_layers)
    model.float().train(False)
    return model, Windower(tokenizer, WindowConfig())


def mean_state(names: Sequence[str], work: Path) -> dict[str, torch.Tensor]:
    """The mean of the weights of some members."""
    states = [load_file(work / f"{name}.safetensors") for name in names]
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def without_pruning_heads(model: SpanReader) -> SpanReader:
    """The model without the heads that learn last."""
    if model.config.skim_layers:
        model.config.skim_layers = []
        del model.skim_heads
    return model


def deeper(model: SpanReader, times: int) -> SpanReader:
    """A model in which each layer stands several times, one copy after the other."""
    n_layers = model.encoder.config.num_hidden_layers
    values = {name: value for name, value in model.config.to_dict().items() if name != "model_type"}
    values["encoder"] = {**model.config.encoder, "num_hidden_layers": times * n_layers}
    grown = SpanReader(SpanReaderConfig(**values))
    state = model.state_dict()
    grown.load_state_dict({name: state[_of_copy(name, times)].clone() for name in grown.state_dict()})
    return grown


def _of_copy(name: str, times: int) -> str:
    parts = name.split(".")
    if "layer" in parts:
        at = parts.index("layer") + 1
        parts[at] = str(int(parts[at]) // times)
    return ".".join(parts)


def write_targets(
    path: Path, model: SpanReader, windows: DeviceWindows, numbers: npt.NDArray[np.int64]
) -> None:
    """Keep what a model says of some windows."""
    n_windows, device = len(windows.lengths), windows.device
    ends = np.cumsum(windows.lengths[numbers])
    starts = np.full(n_windows, -1, np.int64)
    starts[numbers] = ends - windows.lengths[numbers]
    spans = torch.zeros((int(ends[-1]), 2), dtype=torch.float16, device=device)
    answerable = torch.zeros(n_windows, device=device)
    verdict = torch.zeros((n_windows, len(VERDICT_CLASSES)), device=device)
    for own, batch, output in predict(model, windows, numbers):
        mask = batch["context_mask"]
        logs = [
            output[f"{end}_logits"].float().masked_fill(~mask, ABSENT).log_softmax(-1).clamp(min=_LEAST_LOG)
            for end in ("start", "end")
        ]
        place = torch.arange(mask.shape[1], device=device)
        valid = place < batch["n_tokens"][:, None]
        rows = (torch.from_numpy(starts[own]).to(device)[:, None] + place)[valid]
        spans[rows] = torch.stack(logs, -1)[valid].half()
        index = torch.from_numpy(own).to(device)
        answerable[index] = output["answerability_logit"].float().sigmoid()
        verdict[index] = output["verdict_logits"].float().softmax(-1)
    kept = {"spans": spans, "answerable": answerable, "verdict": verdict}
    torch.save({"starts": torch.from_numpy(starts), **{k: v.cpu() for k, v in kept.items()}}, path)


def load_targets(work: Path, names: Sequence[str], device: torch.device) -> Targets:
    """The mean of the probabilities of several members."""
    total: dict[str, torch.Tensor] = {}
    starts = torch.zeros(0, dtype=torch.int64)
    for name in names:
        own = torch.load(work / f"{name}.targets.pt", map_location=device)
        starts = own["starts"]
        probs = {
            "spans": own["spans"].float().exp(),
            "answerable": own["answerable"],
            "verdict": own["verdict"],
        }
        for key, value in probs.items():
            total[key] = total[key] + value / len(names) if key in total else value / len(names)
    logs = total["spans"].clamp(min=1e-12).log().clamp(min=_LEAST_LOG).half()
    return Targets(starts, logs, total["answerable"], total["verdict"])

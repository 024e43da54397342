"""What ``torchrun`` starts in ``test_torchrun.py``: ``train`` with these arguments, and notes of what it did.

Environment: ``NOTES``, a folder for one JSON file a process; ``FAIL_AT``, "rank:step" at which one of them
fails; ``TOKENS_AT_ONCE``, which makes parts of a batch; ``FAST_CLOCK``, a rank whose clock is three times as
fast.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from qa_extractive.cli import main
from qa_extractive.training import trainer

RANK = os.environ.get("RANK", "0")
notes: dict[str, Any] = {"read": [], "rates": [], "written": []}


def _note_batches() -> None:
    original = trainer.SpanTrainer.training_step

    def step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].sum(1).tolist(), strict=True)
        notes["read"].append([hash(tuple(ids[:n])) for ids, n in rows])
        if os.environ.get("FAIL_AT") == f"{RANK}:{self.state.global_step}":
            raise RuntimeError("the memory\nis full")
        return original(self, model, inputs, *args, **kwargs)

    trainer.SpanTrainer.training_step = step  # type: ignore[method-assign]


def _note_rates() -> None:
    original = trainer.SpanTrainer._rate

    def rate(self: Any, step: int) -> float:
        found = original(self, step)
        notes["rates"].append(found)
        return found

    trainer.SpanTrainer._rate = rate  # type: ignore[method-assign]


def _note_writing() -> None:
    def noted(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike) and "w" in str(arguments[1]):
            notes["written"].append(os.fspath(arguments[0]))

    sys.addaudithook(noted)


def _note_model() -> None:
    original = trainer.SpanTrainer.train

    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        notes["steps"] = self.state.global_step
        notes["weights"] = {
            name: float(weight.double().sum()) for name, weight in self.model.state_dict().items()
        }
        return result

    trainer.SpanTrainer.train = train


if os.environ.get("FAST_CLOCK") == RANK:
    real = time.monotonic
    vars(trainer).update(time=SimpleNamespace(monotonic=lambda: 3 * real()))
for prepare in (_note_batches, _note_rates, _note_writing, _note_model):
    prepare()
if "TOKENS_AT_ONCE" in os.environ:
    trainer._TOKENS_AT_ONCE = int(os.environ["TOKENS_AT_ONCE"])
torch.set_num_threads(1)
code = main(["train", *sys.argv[1:]])
notes["threads"] = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
(Path(os.environ["NOTES"]) / f"{RANK}.json").write_text(json.dumps(notes))
sys.exit(code)

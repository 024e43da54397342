"""A plan of several steps, the members of each trained side by side, and the best mean of them at its end."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qa_extractive.config import ReaderConfig
from qa_extractive.errors import DataError
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.training.ensemble.data import held_out, judged_examples
from qa_extractive.training.ensemble.encoder import is_bfloat16_fast
from qa_extractive.training.ensemble.judging import Figures, evaluate
from qa_extractive.training.ensemble.members import Member, starting_model
from qa_extractive.training.recipe import Recipe
from qa_extractive.training.run import load_tokenizer, save_model

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``"ensemble"`` of a recipe says.

    Attributes:
        n_readings: How often the data is read, each time with negatives and wordings of its own.
        steps: Members that are trained side by side; each step may use those before.
        candidates: Sets of members, the best mean of which is the result; none where they are only compared.
        at_once: Members that are trained at once, at most.
        n_judged: Most held-out SQuAD examples that members are judged on, and most of the other sources.
    """

    n_readings: int
    steps: tuple[tuple[Member, ...], ...]
    candidates: tuple[tuple[str, ...], ...]
    at_once: int = 8
    n_judged: int = 1000

    @classmethod
    def load(cls, path: Path, base: str = "default") -> Plan:
        """Read the plan of a recipe; DataError where there is none, or one that does not hold together.

        Args:
            path: The recipe.
            base: What members start from that name no base of their own.
        """
        Recipe.load(path)  # which says what is wrong with a file that is none
        values = json.loads(path.read_text(encoding="utf-8")).get("ensemble")
        if not isinstance(values, dict):
            raise DataError(f'{path} has no "ensemble": it is a recipe for train.py')
        try:
            steps = tuple(_members({"base": base, **step}) for step in values["steps"])
            candidates = tuple(tuple(names) for names in values.get("candidates", ()))
            numbers = {name: values[name] for name in ("at_once", "n_judged") if name in values}
            plan = cls(values["n_readings"], steps, candidates, **numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: its ensemble is not understood: {error!r}") from None
        plan.check(path)
        return plan

    def mean_of(self, names: Sequence[str]) -> Member:
        """A member that is the mean of others, not trained further."""
        first = next(member for step in self.steps for member in step if member.name == names[0])
        return Member(" + ".join(names), first.config, base=first.base, mean_of=tuple(names))

    def check(self, path: Path) -> None:
        """Raise DataError where a member needs one that does not come before it, or two share a name."""
        for name in ("n_readings", "at_once", "n_judged"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise DataError(
                    f"{path}: {name} must be a positive whole number, got {getattr(self, name)!r}"
                )
        known: set[str] = set()
        for step in self.steps:
            needed = {name for member in step for name in (*member.mean_of, *member.targets)}
            if needed - known:
                raise DataError(f"{path}: member {min(needed - known)!r} is needed before it is trained")
            names = [member.name for member in step]
            if len(set(names)) < len(names) or known & set(names):
                raise DataError(f"{path}: two members have one name, {min(names)!r} for one")
            known |= set(names)
        for name in (name for names in self.candidates for name in names):
            if name not in known:
                raise DataError(f"{path}: candidate {name!r} is no member")


def _members(step: Mapping[str, Any]) -> tuple[Member, ...]:
    common = {name: value for name, value in step.items() if name != "members"}
    found = []
    for own in step["members"]:
        config = {**common.get("config", {}), **own.get("config", {})}
        found.append(Member.from_values({**common, **own, "config": config}))
    return tuple(found)


def run_plan(plan: Plan, recipe: Path, work: Path, base: str = "default") -> None:
    """Train all members, each in a process of its own; DataError where one fails.

    Members that ``work`` holds already are left as they are: a stopped plan goes on.

    Args:
        plan: That of the recipe.
        recipe: Its file.
        work: The folder ``members`` of the output; the data lies beside it.
        base: As of ``Plan.load``.
    """
    began = time.monotonic()
    for number, step in enumerate(plan.steps, 1):
        pending = [member for member in step if not (work / f"{member.name}.json").is_file()]
        running: list[subprocess.Popen[bytes]] = []
        while pending or running:
            while pending and len(running) < plan.at_once:
                running.append(_started(pending.pop(0), recipe, work, base))
            time.sleep(_POLL_SECONDS)
            running = [process for process in running if process.poll() is None]
        for member in step:
            _require(member, work)
        logger.info("step %d of %d ended after %.0f s", number, len(plan.steps), time.monotonic() - began)


def _started(member: Member, recipe: Path, work: Path, base: str) -> subprocess.Popen[bytes]:
    options = ["--recipe", str(recipe), "--output", str(work.parent), "--base", base, "--member", member.name]
    with (work / f"{member.name}.log").open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "qa_extractive", "ensemble", *options],
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def _require(member: Member, work: Path) -> None:
    path = work / f"{member.name}.json"
    if not path.is_file():
        lines = (work / f"{member.name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        raise DataError(f"member {member.name} failed, see {work / member.name}.log: {(lines or ['?'])[-1]}")
    logger.info("%s", " ".join(path.read_text(encoding="utf-8").split()))


def choose(plan: Plan, folder: Path, work: Path) -> tuple[tuple[str, ...], dict[str, dict[str, Figures]]]:
    """The candidate whose mean scores best, and the figures of all by their names joined with " + "."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sets = judged_examples(folder)
    found: dict[str, dict[str, Figures]] = {}
    best: tuple[float, tuple[str, ...]] | None = None
    for names in plan.candidates:
        model, windower = starting_model(plan.mean_of(names), work)
        if is_bfloat16_fast(device):
            model.to(device, torch.bfloat16)
        own = evaluate(model, windower, sets)
        found[" + ".join(names)] = own
        logger.info("%s: score %.4f %s", " + ".join(names), score(own), json.dumps(own))
        if best is None or score(own) > best[0]:
            best = (score(own), names)
    if best is None:
        raise DataError("the plan names no candidates")
    return best[1], found


def score(figures: Mapping[str, Figures]) -> float:
    """What the choice is made by: F1 and AUROC on questions as people ask them; verdicts and others half."""
    asked, squad, science = figures["asked"], figures["squad"], figures["science"]
    half = asked.get("verdict", 0.0) + squad["f1"] + squad.get("auroc", 0.0) + science["f1"]
    return asked["f1"] + asked.get("auroc", 0.0) + 0.5 * half


def write_mean(plan: Plan, names: Sequence[str], folder: Path, work: Path, output: Path) -> None:
    """Write the mean of some members as a calibrated checkpoint."""
    model, windower = starting_model(plan.mean_of(names), work)
    tokenizer = load_tokenizer(DEFAULT_MODEL)
    reader = ReaderConfig(window=windower.config)
    save_model(output, model, tokenizer, reader, windower, held_out(folder))

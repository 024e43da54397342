"""A recipe: which third-party files, how much of each, and the training settings, as one JSON file."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qa_extractive.config import TrainConfig, from_dict
from qa_extractive.errors import DataError, ModelError
from qa_extractive.training.corpora import READERS
from qa_extractive.training.own_questions import own_questions
from qa_extractive.training.splits import CALIBRATES
from qa_extractive.types import Example

OWN_QUESTIONS = "own_questions"


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a recipe.

    Attributes:
        reader: A key of ``corpora.READERS``.
        path: The file, relative to the data root.
        n: Most examples to take, drawn at random; None for all.
        max_context_words: Leave out examples whose context is longer; None for none.
        copies: How often each example is read; readers that draw wordings or orders draw them anew.
        calibrates: Whether its examples fit the calibration and are not trained on. Where any source's do,
            nothing is held out of the others for it.
        questions: With the reader "own_questions", the file of the project's own questions, beside the
            recipe; ``path`` is then the corpus of the abstracts they ask about.
    """

    reader: str
    path: str
    n: int | None = None
    max_context_words: int | None = None
    copies: int = 1
    calibrates: bool = False
    questions: Path | None = None

    def __post_init__(self) -> None:
        """Raise DataError for a reader that does not exist."""
        if self.reader not in (*READERS, OWN_QUESTIONS):
            known = ", ".join((*READERS, OWN_QUESTIONS))
            raise DataError(f"recipe: unknown reader {self.reader!r}; known are {known}")
        if (self.reader == OWN_QUESTIONS) != (self.questions is not None):
            raise DataError(f'recipe: "questions" goes with the reader {OWN_QUESTIONS!r}, see {self.path}')
        if self.copies < 1 or (self.n is not None and self.n < 1):
            raise DataError(f"recipe: n and copies of {self.path} must be positive or left out")

    def read(self, data_root: Path, seed: int) -> list[Example]:
        """Its examples, the same for the same seed."""
        rng = random.Random(f"{seed}:{self.path}")
        examples = self._read_once(data_root, rng)
        if self.n is not None and self.n < len(examples):
            examples = rng.sample(examples, self.n)
        kept = {example.id for example in examples}
        for copy in range(1, self.copies):
            again = [e for e in self._read_once(data_root, rng) if e.id in kept]
            examples += [replace(e, id=f"{e.id}~{copy}", fields={**e.fields, "copy": copy}) for e in again]
        if self.calibrates:
            examples = [replace(e, fields={**e.fields, CALIBRATES: True}) for e in examples]
        return examples

    def _read_once(self, data_root: Path, rng: random.Random) -> list[Example]:
        path = data_root / self.path
        if self.questions is not None:
            examples = own_questions(self.questions, path, rng)
        else:
            examples = READERS[self.reader](path, rng)
        if self.max_context_words is None:
            return examples
        return [e for e in examples if len(e.question.context.split()) <= self.max_context_words]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What ``recipes/*.json`` holds.

    Attributes:
        about: In words.
        sources: The data; every stage reads it anew, with wordings and orders of its own seed.
        stages: Settings of the runs, each of which starts from the model of the one before. All hold out
            the same documents.
        later_sources: The data of a later stage that has its own, by the number of the stage, from 2; the
            stages after it read the same.
        average_stages: Whether the mean of the weights of all stages is the model, instead of the last one.
        skim_stage: Settings of a run in which the pruning heads of that model learn; None for no such heads.
    """

    about: str
    sources: tuple[Source, ...]
    stages: tuple[TrainConfig, ...]
    average_stages: bool = False
    skim_stage: TrainConfig | None = None
    later_sources: Mapping[int, tuple[Source, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe; DataError says what is wrong with it."""
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            sources = _sources(values["sources"], path.parent)
            first = from_dict(TrainConfig, values["train"], str(path))
            common = {**values["train"], "split_seed": _split_seed(first)}
            changes = [dict(each) for each in values.get("later_stages", ())]
            later_sources = {
                number: _sources(each.pop("sources"), path.parent)
                for number, each in enumerate(changes, 2)
                if "sources" in each
            }
            later = [from_dict(TrainConfig, {**common, **each}, str(path)) for each in changes]
            skim = values.get("skim_stage")
            if skim is not None:
                skim = from_dict(TrainConfig, {**common, "skim_only": True, **skim}, str(path))
            others = [*later, *([skim] if skim else [])]
            if any(_split_seed(stage) != _split_seed(first) for stage in others):
                raise DataError(
                    f"{path}: all stages must share one split_seed, or one trains on what another held out"
                )
            average_stages = values.get("average_stages", False)
            if not isinstance(average_stages, bool):
                raise DataError(f"{path}: average_stages must be true or false, got {average_stages!r}")
            stages = (first, *later)
            return cls(values.get("about", ""), sources, stages, average_stages, skim, later_sources)
        except FileNotFoundError:
            raise DataError(f"{path} does not exist: give a recipe such as recipes/default.json") from None
        except OSError as error:
            raise DataError(f"{path!s:.200} cannot be read: {error.strerror}") from None
        except (AttributeError, KeyError, ModelError, RecursionError, TypeError, ValueError) as error:
            raise DataError(f"{path} is not a recipe: {error}") from None

    @property
    def train(self) -> TrainConfig:
        """The settings of the first stage."""
        return self.stages[0]

    def examples(self, data_root: Path, stage: int = 1) -> list[Example]:
        """The examples of a stage, of its sources in order; the stage of the pruning heads comes last."""
        configs = (*self.stages, *([self.skim_stage] if self.skim_stage else []))
        own = [number for number in self.later_sources if number <= stage]
        sources = self.later_sources[max(own)] if own else self.sources
        seed = configs[stage - 1].seed
        return [example for source in sources for example in source.read(data_root, seed)]


def _sources(values: Sequence[dict[str, Any]], folder: Path) -> tuple[Source, ...]:
    return tuple(_source(source, folder) for source in values)


def _source(values: dict[str, Any], folder: Path) -> Source:
    """The source; its own questions lie in the recipe's folder."""
    own = values.get("questions")
    return Source(**values) if own is None else Source(**{**values, "questions": folder / own})


def _split_seed(config: TrainConfig) -> int:
    return config.seed if config.split_seed is None else config.split_seed

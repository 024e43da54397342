"""Turns of all systems, interleaved: A B C, then B C A, each round with texts that none has met."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from qa_extractive.settings import CACHED, FAST
from speed_parts.texts import INPUTS, Asked, make
from speed_parts.worker import WorkerError

log = logging.getLogger(__name__)

_TRIALS = {"abstracts": 1.0, "passages": 0.2}  # what settings are tried on, and how much of it
_N_WARMING = 4
PAUSE_S = 0.2  # for the threads of the one before to stop spinning
TRIAL = -1


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        title: In words.
        system: A class of ``systems``.
        settings: Of them the fastest in a trial is taken, for long and for short texts each.
    """

    title: str
    system: str
    settings: tuple[str, ...]


OURS, ONE_BY_ONE, TORCH_ROW = "ours", "ours, one question at a time", "torch"
OURS_FAST, OURS_CACHED = "ours, effort fast", "ours, effort cached, papers asked about before"
ROWS = (
    Row(OURS, "Ours", ("batch",)),
    Row(ONE_BY_ONE, "Ours", ("one by one",)),
    Row(OURS_FAST, "Ours", (FAST,)),
    Row(OURS_CACHED, "Ours", (CACHED,)),
    Row("transformers pipeline, batch 20", "Pipeline", ("batch 20",)),
    Row("transformers pipeline, batch 1", "Pipeline", ("batch 1",)),
    Row("optimum fp32, padded batch of 20", "Optimum", ("fp32",)),
    Row("optimum int8, padded batch of 20", "Optimum", ("int8",)),
    Row(TORCH_ROW, "Torch", ("one window a pass", "padded batch of 20")),
    Row(
        "OpenVINO",
        "OpenVino",
        tuple(
            f"{precision}, {hint}"
            for precision in ("fp32", "bf16", "int8 dynamic", "int8 static")
            for hint in ("throughput", "latency")
        ),
    ),
)
FASTER_S = 4.0  # ours may take so many times as long a turn as the others: it reads more texts


class Block(NamedTuple):
    """What all systems are asked in a round: an input, and on how many threads."""

    input: str
    n_threads: int


class Turn(NamedTuple):
    """One measurement.

    Attributes:
        seconds: Of the texts that were asked.
        share: Of the input that they are.
        spans: The best span of each.
    """

    seconds: float
    share: float
    spans: list[tuple[int, int]]

    @property
    def whole_s(self) -> float:
        """Seconds for the whole input."""
        return self.seconds / self.share


# (row, setting, n_threads, texts) -> seconds, spans
Answer = Callable[[Row, str, int, Sequence[Asked]], tuple[float, list[tuple[int, int]]]]
# (n_threads) -> operations a second of each kind of product
Rates = Callable[[int], dict[str, float]]


@dataclass
class Measured:
    """What the rounds came to.

    Attributes:
        turns: By block, one dictionary a round, of titles of rows.
        rates: By block, the rates of products in each round.
        settings: The one taken, by title, number of threads and whether texts are short.
        trials: Seconds of each setting that was tried, by the same.
        errors: Of rows that failed, by title.
    """

    turns: dict[Block, list[dict[str, Turn]]] = field(default_factory=dict)
    rates: dict[Block, list[dict[str, float]]] = field(default_factory=dict)
    settings: dict[tuple[str, int, bool], str] = field(default_factory=dict)
    trials: dict[tuple[str, int, bool], dict[str, float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def is_short(input_name: str) -> bool:
    """Whether the settings of short texts are taken."""
    return input_name == "passages"


def choose_settings(measured: Measured, rows: Sequence[Row], threads: Sequence[int], answer: Answer) -> None:
    """Try every setting on texts of both kinds, after some to warm it up, and take the fastest of each kind.

    On fewer threads only the fastest two of those on most are tried. A setting that fails is out.
    """
    for row, name in itertools.product(rows, _TRIALS):
        settings: Sequence[str] = row.settings
        for n_threads in sorted(threads, reverse=True):
            tried: dict[str, float] = {}
            for setting in settings:
                try:
                    tried[setting] = _trial(row, setting, n_threads, name, answer)
                except WorkerError as error:
                    log.warning("%s, %s, %d threads: %s", row.title, setting, n_threads, error)
                    measured.errors[row.title if len(row.settings) == 1 else f"{row.title}, {setting}"] = str(
                        error
                    )
            if tried:
                key = row.title, n_threads, is_short(name)
                settings = sorted(tried, key=lambda setting: tried[setting])[:2]
                measured.trials[key], measured.settings[key] = tried, settings[0]
        log.info("tried %s on %s", row.title, name)


def _trial(row: Row, setting: str, n_threads: int, name: str, answer: Answer) -> float:
    """Seconds for the whole of an input, some of which is asked."""
    answer(row, setting, n_threads, make(name, TRIAL)[:_N_WARMING])
    texts = make(name, TRIAL - n_threads, _TRIALS[name])
    return answer(row, setting, n_threads, texts)[0] * len(INPUTS[name].words) / len(texts)


def share_of(measured: Measured, row: Row, block: Block, cap_s: float) -> float:
    """How much of an input a row reads, so that a turn takes about ``cap_s`` at most; the first two all."""
    kind = INPUTS[block.input]
    tried = "passages" if is_short(block.input) else "abstracts"
    key = row.title, block.n_threads, is_short(block.input)
    seconds = min(measured.trials[key].values()) * sum(kind.words) / sum(INPUTS[tried].words)
    share = min(1.0, (FASTER_S if row.title == OURS else 1.0) * cap_s / seconds)
    if not kind.batch:
        return max(share, 0.1)  # the shortest paper has 2,000 words
    n_batches = len(kind.words) / kind.batch
    return max(1.0, int(share * n_batches)) / n_batches


def texts_of(block: Block, number: int, share: float = 1.0) -> list[Asked]:
    """The texts of a round, which are those of no other round, nor of another number of threads."""
    return make(block.input, 1000 * block.n_threads + number, share)


def rows_of(measured: Measured, rows: Sequence[Row], block: Block) -> list[Row]:
    """The rows that are measured on a block: those that work, and that differ on it."""
    able = [r for r in rows if (r.title, block.n_threads, is_short(block.input)) in measured.settings]
    return [row for row in able if row.title != ONE_BY_ONE or len(INPUTS[block.input].words) > 1]


def run_round(
    measured: Measured,
    rows: Sequence[Row],
    block: Block,
    number: int,
    cap_s: float,
    answer: Answer,
    rates: Rates,
) -> None:
    """Ask every row once, each round another one first, and measure the rates of products beside."""
    asked = rows_of(measured, rows, block)
    turns: dict[str, Turn] = {}
    first = number % max(1, len(asked))
    for row in [*asked[first:], *asked[:first]]:
        share = share_of(measured, row, block, cap_s)
        setting = measured.settings[row.title, block.n_threads, is_short(block.input)]
        time.sleep(PAUSE_S)
        try:
            seconds, spans = answer(row, setting, block.n_threads, texts_of(block, number, share))
        except WorkerError as error:
            log.warning("%s, %s: %s", row.title, block.input, error)
            measured.errors[row.title] = str(error)
        else:
            turns[row.title] = Turn(seconds, share, spans)
    time.sleep(PAUSE_S)
    measured.rates.setdefault(block, []).append(rates(block.n_threads))
    measured.turns.setdefault(block, []).append(turns)


def schedule(blocks: Sequence[Block], most_threads: int, least_rounds: int) -> Iterator[Block]:
    """Blocks without end, those of most threads twice as often once all had ``least_rounds``."""
    main = [block for block in blocks if block.n_threads == most_threads]
    for number in itertools.count():
        yield from blocks if number < least_rounds or number % 2 else main


def run_rounds(
    measured: Measured,
    blocks: Sequence[Block],
    run: Callable[[Block, int], None],
    *,
    budget_s: float,
    least_rounds: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Rounds until the next one would not fit into the budget; at least so many of every block.

    Args:
        measured: What ``run`` fills.
        blocks: The most important first.
        run: Runs a round of a block, given its number.
        budget_s: From now on.
        least_rounds: Even if they exceed the budget.
        clock: Seconds.
    """
    began = clock()
    last: dict[Block, float] = {}
    skipped: set[Block] = set()
    for block in schedule(blocks, max(b.n_threads for b in blocks), least_rounds):
        number = len(measured.turns.get(block, []))
        if number >= least_rounds and clock() - began + last[block] > budget_s:
            skipped.add(block)
            if len(skipped) == len(blocks):
                return
            continue
        started = clock()
        run(block, number)
        last[block] = clock() - started
        log.info("%s, %d threads: round %d in %.1f s", *block, number + 1, last[block])

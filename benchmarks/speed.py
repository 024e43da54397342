"""How fast the predictor is beside what else runs the same weights, and beside what the processor can do.

    python benchmarks/speed.py [--minutes 8] [--threads 1 2] [--inputs NAME ...] [--rows NAME ...]

Every row of the table is a process of its own; they take turns, a round of an input at a time, each round
with texts that none has met. Ratios are of the times in the same round: their median, least and largest.
Needs the extras [train] and [report] and, for its row, [bench]; what is not there is left out, with a line.
Rounds go on until the minutes are over, at least ``--least-rounds`` of each input; a turn of a slow system
reads a part of the texts (``--cap-s``). Writes ``results/speed.json``, the tables of ``results/speed.md`` and
``results/speed.svg``; with another ``--output`` neither page nor plot.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from speed_parts.fresh import fresh_starts
from speed_parts.limits import KINDS, operations
from speed_parts.report import plot, result_of, spread, write_page
from speed_parts.rounds import (
    OURS,
    ROWS,
    Block,
    Measured,
    Row,
    choose_settings,
    run_round,
    run_rounds,
    texts_of,
)
from speed_parts.texts import INPUTS, Asked, make
from speed_parts.worker import Worker, WorkerError

from qa_extractive.config import ReaderConfig
from qa_extractive.evaluation.circumstances import shown_command
from qa_extractive.inference.windows import Windower
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.types import Question

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/speed.json"
PAGE, PLOT = ROOT / "benchmarks/results/speed.md", ROOT / "benchmarks/results/speed.svg"
COMMAND = "python benchmarks/speed.py"
N_OVERHEADS = 9  # of a batch; 3 of many texts
PACKAGES = (
    "onnxruntime",
    "tokenizers",
    "numpy",
    "torch",
    "transformers",
    "optimum",
    "optimum-onnx",
    "openvino",
)
# What decides how fast int8 is, and whether it saturates.
FLAGS = {
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
}

log = logging.getLogger("speed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write what came out."""
    options = _options(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(relativeCreated)8.0f ms  %(message)s", stream=sys.stderr
    )
    began = time.perf_counter()
    busy = busy_share(1.0)
    if busy is not None and busy > 0.05:
        log.warning(
            "the CPUs are %.0f %% busy with something else: the figures will not be comparable", 100 * busy
        )
    fresh = fresh_starts(DEFAULT_MODEL, make("abstracts", -100), options.starts)
    rows = [row for row in ROWS if row.title in options.rows]
    blocks = [Block(name, n) for n in sorted(options.threads, reverse=True) for name in options.inputs]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if {row.title for row in rows} - {each.title for each in ROWS if each.system == "Ours"}:
            _make_models(folder)
        workers = _started(stack, rows, folder)
        measured = Measured()
        _load(rows, workers, max(options.threads))
        limits = stack.enter_context(_closing(Worker("speed_parts.limits", "Limits", DEFAULT_MODEL)))
        limits.ready()
        ways = {n: {kind: limits.call("choose", kind, n)[1] for kind in KINDS} for n in options.threads}

        def answer(row: Row, setting: str, n_threads: int, asked: Sequence[Asked]) -> Any:
            return workers[row.title].call("answer", setting, n_threads, asked)[1]

        def rates(n_threads: int) -> dict[str, float]:
            return {kind: limits.call("rate", kind, n_threads)[1] for kind in KINDS}

        choose_settings(measured, rows, options.threads, answer)
        _forget_the_rest(measured, workers)
        overhead = [_overhead(workers[OURS], block) for block in blocks] if OURS in workers else []
        left_s = 60 * options.minutes - (time.perf_counter() - began)
        run_rounds(
            measured,
            blocks,
            lambda block, i: run_round(measured, rows, block, i, options.cap_s, answer, rates),
            budget_s=left_s,
            least_rounds=options.least_rounds,
        )
    result = {
        "command": shown_command([*COMMAND.split(), *(sys.argv[1:] if arguments is None else arguments)]),
        "machine": machine(),
        "busy_before": busy,
        "versions": _versions(),
        "minutes": (time.perf_counter() - began) / 60,
        "threads": max(options.threads),
        "all_threads": sorted(options.threads),
        "fresh": fresh,
        "overhead": overhead,
        "ways_to_multiply": ways,
        **result_of(measured, _n_operations()),
    }
    options.output.write_text(json.dumps(_rounded(result), indent=1) + "\n", encoding="utf-8")
    if options.output == RESULTS:
        write_page(PAGE, _rounded(result))
        plot(result, PLOT)
    print_table(result)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    titles = [row.title for row in ROWS]
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--least-rounds", type=int, default=1, help="of each input, even if they take longer")
    parser.add_argument(
        "--cap-s", type=float, default=2.0, help="of a turn; ours may take four times as long"
    )
    parser.add_argument("--starts", type=int, default=5, help="of fresh processes of ours")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--inputs", nargs="+", choices=list(INPUTS), default=list(INPUTS))
    parser.add_argument("--rows", nargs="+", choices=titles, default=titles)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if OURS not in options.rows:
        parser.error(f"--rows needs {OURS!r}: ratios are over it")
    if min(*options.threads, options.minutes, options.cap_s, options.least_rounds, options.starts) <= 0:
        parser.error("--threads, --minutes, --cap-s, --least-rounds and --starts must be positive")
    return options


def _make_models(folder: Path) -> None:
    """Write the weights for the others, in a process that then ends."""
    log.info("writing the weights for the other systems")
    with _closing(Worker("speed_parts.models", "Models", DEFAULT_MODEL, folder)) as maker:
        maker.ready()
        maker.call("make")


@contextmanager
def _closing(worker: Worker) -> Iterator[Worker]:
    try:
        yield worker
    finally:
        worker.close()


def _started(stack: ExitStack, rows: Sequence[Row], folder: Path) -> dict[str, Worker]:
    """A process for each row."""
    workers = {
        row.title: stack.enter_context(
            _closing(Worker("speed_parts.systems", row.system, DEFAULT_MODEL, folder))
        )
        for row in rows
    }
    for worker in workers.values():
        worker.ready()
    return workers


def _load(rows: Sequence[Row], workers: dict[str, Worker], n_threads: int) -> None:
    """Have every process import what it needs, side by side; what fails will do so again when it is tried."""

    def load(row: Row) -> None:
        with suppress(WorkerError):
            workers[row.title].call("load", row.settings[0], n_threads)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(load, rows))


def _forget_the_rest(measured: Measured, workers: dict[str, Worker]) -> None:
    """Free what the settings that were not taken hold."""
    kept: dict[tuple[str, int], list[str]] = {}
    for (title, n_threads, _), setting in measured.settings.items():
        kept.setdefault((title, n_threads), []).append(setting)
    for (title, n_threads), settings in kept.items():
        with suppress(WorkerError):  # it will fail again when it is asked, and be said to
            workers[title].call("keep", settings, n_threads)


def _overhead(ours: Worker, block: Block) -> dict[str, Any]:
    """Shares of a batch's time outside the graph; medians."""
    found = []
    has_many = len(INPUTS[block.input].words) > 100
    for i in range(3 if has_many else N_OVERHEADS):
        share = 0.2 if has_many else 1.0
        found.append(ours.call("overhead", block.n_threads, texts_of(block, 900 + i, share))[1])
    parts = {part: spread([each[part] for each in found]) for part in found[0]}
    return {"input": block.input, "n_threads": block.n_threads, **parts}


def _n_operations() -> Any:
    """Of the whole input of a block in a round, cut into windows as ours."""
    windower = Windower.load(DEFAULT_MODEL, ReaderConfig.load(DEFAULT_MODEL).window)

    def count(block: Block, number: int) -> float:
        questions = [Question(*each) for each in texts_of(block, number)]
        return operations(DEFAULT_MODEL, [window.n_tokens for window in windower.windows(questions)])

    return count


def _rounded(value: Any) -> Any:
    """Numbers to five digits, so that results can be read."""
    if isinstance(value, dict):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def print_table(result: dict[str, Any]) -> None:
    """Ratios with their spread, for the terminal."""
    for cell in result["cells"]:
        over, seconds = cell["over_ours"], cell["seconds"]
        ratio = f"{over['p50']:6.2f}x ({over['min']:.2f}-{over['max']:.2f})" if over else ""
        where = f"{cell['input']:10} {cell['n_threads']} threads"
        print(f"{where}  {cell['row']:34} {seconds['p50']:9.3f} s {ratio}  {cell['n_rounds']} rounds")


def machine() -> str:
    """The CPU, how many of them, and its instructions that matter."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {key.strip(): value.strip() for key, value in named.items()}
    flags = ", ".join(sorted(FLAGS & set(values.get("flags", values.get("Features", "")).split())))
    name = values.get("model name", platform.processor() or "CPU")
    cores = f"{os.cpu_count()} cores of {name} ({platform.machine()}; {flags})"
    return f"{cores}, Python {platform.python_version()}"


def busy_share(seconds: float) -> float | None:
    """Share of all CPUs' time used while this process waited; None where the system does not tell."""
    if not Path("/proc/stat").is_file():
        return None
    first = _cpu_times()
    time.sleep(seconds)
    spent = [b - a for a, b in itertools.zip_longest(first, _cpu_times(), fillvalue=0)]
    return 1.0 - (spent[3] + spent[4]) / max(1, sum(spent[:8]))


def _cpu_times() -> list[int]:
    return [int(each) for each in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]]


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()

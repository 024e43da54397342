"""Memory and throughput of large tables; run what tells times on an otherwise quiet machine.

The figures go to benchmarks/results/NOTES-scale.md.

    python benchmarks/scale.py tiny --output runs/tiny              a tiny random model (needs [train])
    python benchmarks/scale.py memory --model runs/tiny             peak memory at 10,000 and 1,000,000 rows
    python benchmarks/scale.py papers --model runs/tiny             20 questions to each of 100,000 papers
    python benchmarks/scale.py overlap --data TABLE [--rows 5000]   infer.py against the bare predictor
    python benchmarks/scale.py ray --data T.parquet --actors 1 2    rows/s by the number of actors
    python benchmarks/scale.py cost --rows-per-core-s R             36 million abstracts on n cores

TABLE needs columns for questions and contexts; it is read again from its start where it has fewer rows.
Each prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import string
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qa_extractive.data.columns import ColumnNames, question_from_row, resolve_columns
from qa_extractive.predictor import Predictor
from qa_extractive.tables.reading import read_rows, write_rows
from qa_extractive.types import Question

ROOT = Path(__file__).resolve().parents[1]
N_ABSTRACTS = 36_000_000


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    tiny = commands.add_parser("tiny")
    tiny.add_argument("--output", type=Path, required=True)
    memory = commands.add_parser("memory")
    memory.add_argument("--model", default="default")
    memory.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    memory.add_argument("--suffix", default="csv")
    papers = commands.add_parser("papers")
    papers.add_argument("--model", default="default")
    papers.add_argument("--papers", type=int, nargs="+", default=[10_000, 100_000])
    papers.add_argument("--kept-mb", type=int, default=100)
    overlap = commands.add_parser("overlap")
    overlap.add_argument("--data", type=Path, required=True)
    overlap.add_argument("--rows", type=int, default=5000)
    overlap.add_argument("--repeats", type=int, default=3)
    ray = commands.add_parser("ray")
    ray.add_argument("--data", type=Path, required=True)
    ray.add_argument("--actors", type=int, nargs="+", default=[1, 2])
    cost = commands.add_parser("cost")
    cost.add_argument("--rows-per-core-s", type=float, required=True)
    cost.add_argument("--cores", type=int, nargs="+", default=[2, 16, 64, 256, 1024])
    options = parser.parse_args()
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}"
    result = {
        "memory": measure_memory,
        "papers": measure_papers,
        "overlap": measure_overlap,
        "ray": measure_ray,
        "cost": cost_table,
    }
    if options.command == "tiny":
        make_tiny(options.output)
    else:
        print(json.dumps({"machine": machine, **result[options.command](options)}, indent=1))


def run_infer(*arguments: object) -> dict[str, float]:
    """Run ``infer.py``: rows/s as it says itself, seconds and peak memory of the process."""
    command = [str(ROOT / "infer.py"), *map(str, arguments), "--log-json", "--overwrite"]
    log, figures = _run(command)
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {"rows_per_s": events[-1]["rows_per_s"], **figures}


def _run(arguments: Sequence[str]) -> tuple[str, dict[str, float]]:
    """What a command of ours says on stderr, and its seconds and peak memory."""
    command = [sys.executable, *arguments]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = os.posix_spawn(
            command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, log.fileno(), 2)]
        )
        _, status, usage = os.wait4(process, 0)
        log.seek(0)
        said = log.read().decode()
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{arguments[0]} failed: {said[-500:]}")
    return said, {"seconds": time.perf_counter() - started, "peak_mb": usage.ru_maxrss / 1024}


def measure_papers(options: argparse.Namespace) -> dict[str, object]:
    """Peak memory of ``qa-extractive table`` with 20 questions, by the number of distinct short papers."""
    questions = [f"What was the effect {each}?" for each in string.ascii_lowercase[:20]]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        papers, table = Path(folder, "papers.jsonl"), Path(folder, "table.csv")
        for n_papers in options.papers:
            with papers.open("w") as file:
                for i in range(n_papers):
                    text = f"The drug reduced the risk of {i} patients."
                    file.write(json.dumps({"title": f"Paper {i}", "abstract": text}) + "\n")
            asked = ["--questions", *questions, "--output", str(table), "--overwrite", "--quiet"]
            model = ["--model", options.model, "--effort", "cached", "--kept-mb", str(options.kept_mb)]
            _, figures = _run(["-m", "qa_extractive", "table", str(papers), *asked, *model])
            found.append({"papers": n_papers, "questions": len(questions), **figures})
    return {"model": options.model, "kept_mb": options.kept_mb, "runs": found}


def measure_memory(options: argparse.Namespace) -> dict[str, object]:
    """Peak memory by the number of distinct rows."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in options.rows:
            path = Path(folder, f"rows.{options.suffix}")
            with write_rows(path, ["id", "question", "context"]) as writer:
                for i in range(n_rows):
                    text = f"The drug reduced the risk of {i} patients."
                    writer.write({"id": f"{i:08}", "question": "What was the effect?", "context": text})
            found.append({"rows": n_rows, **run_infer("--batch", path, "--model", options.model)})
    return {"model": options.model, "suffix": options.suffix, "runs": found}


def measure_overlap(options: argparse.Namespace) -> dict[str, object]:
    """Throughput through ``infer.py`` and of the predictor alone, in turns; medians."""
    questions = list(itertools.islice(_endless(options.data), options.rows))
    alone, through = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        with write_rows(path, ["question", "context", "title"]) as writer:
            for each in questions:
                writer.write({"question": each.question, "context": each.context, "title": each.title})
        for _ in range(options.repeats):
            through.append(run_infer("--batch", path)["rows_per_s"])
            alone.append(_bare_rate(questions))
    alone.sort()
    through.sort()
    middle = options.repeats // 2
    share = through[middle] / alone[middle]
    return {"rows": options.rows, "bare_rows_per_s": alone, "infer_rows_per_s": through, "share": share}


def _bare_rate(questions: list[Question]) -> float:
    predictor = Predictor()
    predictor.answer_batch(questions[:20])
    started = time.perf_counter()
    predictor.answer_batch(questions)
    return len(questions) / (time.perf_counter() - started)


def _endless(path: Path) -> itertools.chain[Question]:
    """The questions of a table, over and over; the contexts of later rounds differ by a word."""
    reader = read_rows(path)
    columns = resolve_columns(reader.columns, ColumnNames())
    given = [question_from_row(row, columns) for row in reader if row.error is None]
    rounds = (
        [Question(q.question, f"{q.context} {n}" if n else q.context, q.title) for q in given]
        for n in itertools.count()
    )
    return itertools.chain.from_iterable(rounds)


def measure_ray(options: argparse.Namespace) -> dict[str, object]:
    """Rows/s on a local Ray, the start of Ray and of the actors included."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for n_actors in options.actors:
            output = Path(folder, "out.parquet")
            asked = ("--batch", options.data, "--output", output, "--engine", "ray", "--actors", n_actors)
            found.append({"actors": n_actors, **run_infer(*asked)})
    return {"runs": found}


def cost_table(options: argparse.Namespace) -> dict[str, object]:
    """Hours for all abstracts by the number of cores, if these scale."""
    core_hours = N_ABSTRACTS / options.rows_per_core_s / 3600
    hours = {str(n): round(core_hours / n, 1) for n in options.cores}
    return {"abstracts": N_ABSTRACTS, "core_hours": round(core_hours), "hours_by_cores": hours}


def make_tiny(output: Path) -> None:
    """Export a model of two layers with random weights."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig

    from qa_extractive.config import DecodeConfig, PruningConfig, ReaderConfig, WindowConfig
    from qa_extractive.export.exporter import export
    from qa_extractive.model.span_reader import SpanReader, SpanReaderConfig

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = [*string.ascii_letters, *string.digits, *string.punctuation]
    pieces = [*marks, *characters, *(f"##{c}" for c in string.ascii_letters + string.digits)]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(marks)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    torch.manual_seed(17)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(pieces), max_position_embeddings=128, pad_token_id=0, **sizes)
    with tempfile.TemporaryDirectory() as folder:
        reader = SpanReader(SpanReaderConfig(encoder=config.to_dict(), skim_layers=[2]))
        reader.eval().save_pretrained(folder)
        tokenizer.save(str(Path(folder, "tokenizer.json")))
        window = WindowConfig(max_tokens=128, stride_tokens=32, max_question_tokens=64, max_title_tokens=16)
        reader_config = ReaderConfig(window, DecodeConfig(max_answer_tokens=12))
        reader_config.save(Path(folder))
        export(Path(folder), output, quantize="int8", n_threads=1)
    # Without examples to fit them on there are no limit and no calibrations yet.
    replace(reader_config, skim=PruningConfig(0.0, papers_apart=True)).save(output)
    for effort in ("fast", "cached"):
        shutil.copyfile(output / "calibration.json", output / f"calibration_{effort}.json")


if __name__ == "__main__":
    main()

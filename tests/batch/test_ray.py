"""The Ray engine writes what the local one writes, whatever is killed. Each test starts a Ray: minutes."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.batch import BatchJob, Summary
from qa_extractive.batch.destination import Existing
from qa_extractive.cli import main
from qa_extractive.errors import DataError, ModelError, QAError
from qa_extractive.predictor import Predictor
from qa_extractive.tables.reading import write_rows

Expected = tuple[Path, bytes, dict[str, Any]]  # the table, its output, the closing event
Parts = tuple[Predictor, BatchJob, Any, Any]

ROOT = Path(__file__).parents[2]
N_ROWS = 5000


def table(path: Path, n: int = N_ROWS) -> Path:
    """Rows of some types, of which some fail and some are repeated; two row groups."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    with write_rows(path, ["id", "question", "abstract", "year", "tags"]) as writer:
        for i in range(n):
            question = None if i % 97 == 5 else "What was the effect?"
            context = f"The drug reduced the risk of {i % 3000} patients."
            row = {"id": f"{i:05}", "question": question, "abstract": context}
            writer.write(row | {"year": 2000 + i % 20, "tags": ["a"] * (i % 3)})
    return path


def command(tiny_export: Path, *arguments: object) -> list[str]:
    script = [sys.executable, str(ROOT / "infer.py"), *map(str, arguments), "--model", str(tiny_export)]
    return [*script, "--log-json"]


def run(tiny_export: Path, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        command(tiny_export, *arguments), capture_output=True, text=True, timeout=280, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def on_ray(path: Path, output: Path, *further: str) -> tuple[object, ...]:
    return ("--batch", path, "--output", output, "--engine", "ray", "--actors", 2, *further)


@pytest.fixture
def expected(tiny_export: Path, tmp_path: Path) -> Expected:
    path = table(tmp_path / "t.parquet")
    code, events = run(tiny_export, "--batch", path, "--output", tmp_path / "local.parquet")
    assert code == 1  # some rows failed
    return path, (tmp_path / "local.parquet").read_bytes(), events[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ray_writes_what_the_local_engine_writes(
    tiny_export: Path, tmp_path: Path, expected: Expected
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'qa-extractive[ray]'")
    path, content, figures = expected
    output = tmp_path / "ray.parquet"
    code, events = run(tiny_export, *on_ray(path, output))
    assert code == 1
    assert output.read_bytes() == content
    assert not (tmp_path / "ray.parquet.partial").exists()
    same = ("rows", "answered", "abstained", "failed")
    assert {name: events[-1][name] for name in same} == {name: figures[name] for name in same}
    code, events = run(tiny_export, *on_ray(path, output, "--resume"))
    assert (code, events[-1]["event"], events[-1]["resumed"]) == (0, "finished", N_ROWS)


def actors() -> list[int]:
    """The processes of the actors that answer, by what Ray calls them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.startswith(b"ray::") and b"_PartActor" in text:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the processes in /proc")
@pytest.mark.parametrize("victim", ["actor", "driver"])
def test_nothing_is_lost_where_something_is_killed(
    tiny_export: Path, tmp_path: Path, expected: Expected, victim: str
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'qa-extractive[ray]'")
    path, content, _ = expected
    output = tmp_path / "ray.parquet"
    parts = tmp_path / "ray.parquet.partial"
    process = subprocess.Popen(command(tiny_export, *on_ray(path, output)), stderr=subprocess.PIPE)
    assert process.stderr is not None
    while len(list(parts.glob("rows-*.arrow"))) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    if victim == "actor":
        os.kill(actors()[0], signal.SIGKILL)
        assert process.wait(280) == 1
    else:
        process.kill()
        process.wait()
        n_parts = len(list(parts.glob("rows-*.arrow")))
        assert run(tiny_export, *on_ray(path, output))[0] == 2  # not without --resume
        code, events = run(tiny_export, *on_ray(path, output, "--resume"))
        assert (code, events[-1]["rows"]) == (1, N_ROWS)
        assert events[-1]["resumed"] >= 400 * (n_parts - 1)
    process.stderr.close()
    assert output.read_bytes() == content


# ---------------------------------------------------------------- without a cluster


def test_what_ray_refuses(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path / "t.parquet", 3)
    (tmp_path / "t.csv").write_text("question,context\na,b\n")

    def refused(*arguments: object) -> str:
        assert main(["infer", *map(str, arguments), "--model", str(tiny_export)]) == 2
        return capsys.readouterr().err

    assert "reads and writes Parquet" in refused("--batch", tmp_path / "t.csv", "--engine", "ray")
    assert "reads and writes" in refused("--batch", path, "--engine", "ray", "--output", tmp_path / "o.csv")
    assert "--errors does not go" in refused(
        "--batch", path, "--engine", "ray", "--errors", tmp_path / "e.csv"
    )
    assert "--actors go with --engine ray" in refused("--batch", path, "--actors", "2")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'qa-extractive[ray]'" in refused("--batch", path, "--engine", "ray")


class FakeRay(types.ModuleType):
    """What of Ray the engine calls, in this process: parts are made one after the other, last first."""

    class exceptions:  # noqa: N801 - as Ray has it
        class RayError(Exception):
            cause: Exception | None = None

    def __init__(self) -> None:
        super().__init__("ray")
        self.data = types.ModuleType("ray.data")
        context = types.SimpleNamespace(get_current=types.SimpleNamespace)
        vars(self.data).update(DataContext=context, ActorPoolStrategy=dict, from_items=self.from_items)
        self.asked: list[int] = []

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 8.0}

    def put(self, value: object) -> bytes:
        return pickle.dumps(value)

    def get(self, value: bytes) -> Any:
        return pickle.loads(value)

    def from_items(self, items: list[dict[str, int]], override_num_blocks: int) -> FakeRay:
        assert override_num_blocks == len(items)
        self.items = items
        return self

    def map_batches(
        self,
        actor: Callable[..., Any],
        *,
        fn_constructor_args: tuple[Any, ...],
        batch_size: int,
        compute: dict[str, int],
        num_cpus: int,
        **restarts: int,
    ) -> FakeRay:
        assert (batch_size, num_cpus, restarts) == (1, 2, {"max_restarts": -1, "max_task_retries": -1})
        self.actor, self.n_actors = actor(*fn_constructor_args), compute["size"]
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        for item in reversed(self.items):
            self.asked.append(item["first"])
            try:
                yield {"counts": self.actor({"first": [item["first"]]})["counts"][0]}
            except QAError as error:
                wrapped = self.exceptions.RayError("a traceback")
                wrapped.cause = error
                raise wrapped from error


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setitem(sys.modules, "ray.data", fake.data)
    return fake


def test_a_run_is_stopped_continued_and_equal_to_the_local_one(
    tiny_export: Path, tmp_path: Path, fake_ray: FakeRay
) -> None:
    from qa_extractive.batch import answer_table
    from qa_extractive.batch.ray import Cluster, answer_table_on_ray
    from qa_extractive.predictor import Predictor

    path, output = table(tmp_path / "t.parquet", 1500), tmp_path / "o.parquet"
    predictor, cluster = Predictor(tiny_export, n_threads=1), Cluster(n_threads=2)
    seen: list[object] = []

    def on_ray(existing: Existing, **options: Any) -> Summary:
        job = BatchJob.open(path, output, existing=existing)
        return answer_table_on_ray(predictor, job, cluster, on_part=seen.append, **options)

    first = on_ray("refuse", should_stop=lambda: len(seen) == 3)
    assert (first.is_complete, first.n_rows, fake_ray.asked) == (False, 700, [1200, 800])
    assert fake_ray.n_actors == 4
    with pytest.raises(DataError, match="holds 700 rows of a run that was stopped"):
        on_ray("refuse")
    with pytest.raises(DataError, match=r"more than 8 rows failed \(11 empty question\)"):
        on_ray("resume", max_errors=8)
    last = on_ray("resume")
    assert (last.is_complete, last.n_rows, last.n_resumed) == (True, 1500, 1100)
    assert fake_ray.asked == [1200, 800, 400, 0]
    local = BatchJob.open(path, tmp_path / "local.parquet")
    summary = answer_table(predictor, local)
    assert output.read_bytes() == local.output.read_bytes()
    assert (last.n_answered, last.n_abstained) == (summary.n_answered, summary.n_abstained)
    assert [(f.kind, f.n_rows, f.first) for f in last.failures] == [
        (f.kind, f.n_rows, f.first) for f in summary.failures
    ]
    assert on_ray("resume").n_resumed == 1500
    assert {p.name for p in tmp_path.iterdir()} == {
        "t.parquet", "o.parquet", "o.parquet.run.json", "local.parquet", "local.parquet.run.json",
    }  # fmt: skip


@pytest.mark.parametrize("questions", [("What fell?", "Who took part?", "Why?"), ("What fell?",)])
def test_the_same_questions_of_every_row_as_the_local_engine_asks_them(
    tiny_export: Path, tmp_path: Path, fake_ray: FakeRay, questions: tuple[str, ...]
) -> None:
    from qa_extractive.batch import answer_table
    from qa_extractive.batch.ray import Cluster, answer_table_on_ray
    from qa_extractive.predictor import Predictor

    path, predictor = table(tmp_path / "t.parquet", 500), Predictor(tiny_export, n_threads=1)
    seen: list[object] = []

    def job(name: str, existing: Existing = "refuse") -> BatchJob:
        return BatchJob.open(path, tmp_path / name, existing=existing, questions=questions)

    def on_ray(existing: Existing, **options: Any) -> Summary:
        cluster = Cluster(n_threads=2)
        return answer_table_on_ray(
            predictor, job("o.parquet", existing), cluster, on_part=seen.append, **options
        )

    n_rows = 500 * len(questions)
    first = on_ray("refuse", should_stop=lambda: len(seen) == 2)
    assert (first.is_complete, fake_ray.asked) == (False, [(n_rows - 1) // 400 * 400])
    last, local = on_ray("resume"), answer_table(predictor, job("local.parquet"))
    assert (last.is_complete, last.n_rows, last.n_answered) == (True, n_rows, local.n_answered)
    assert (tmp_path / "o.parquet").read_bytes() == (tmp_path / "local.parquet").read_bytes()
    other = BatchJob.open(path, tmp_path / "o.parquet", existing="resume", questions=("Another?",))
    with pytest.raises(DataError, match="was started with something else, questions: "):
        answer_table_on_ray(predictor, other, Cluster(n_threads=2))


def test_an_error_of_an_actor_is_one_line(
    tiny_export: Path, tmp_path: Path, fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qa_extractive.batch.ray import Cluster, answer_table_on_ray
    from qa_extractive.predictor import Predictor

    def broken(self: Predictor, prepared: object) -> None:
        raise ModelError("model.onnx failed")

    job = BatchJob.open(table(tmp_path / "t.parquet", 10), tmp_path / "o.parquet")
    monkeypatch.setattr(Predictor, "answer_prepared", broken)
    with pytest.raises(ModelError, match=r"^model\.onnx failed$"):
        answer_table_on_ray(Predictor(tiny_export), job, Cluster(n_threads=2))
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


@pytest.fixture
def parts(tiny_export: Path, tmp_path: Path) -> Parts:
    """The folder of a run of which every part is made, as its actors make them."""
    from qa_extractive.batch import local as tables
    from qa_extractive.batch import ray
    from qa_extractive.batch.arrow import AnswerKernel
    from qa_extractive.predictor import Predictor

    predictor = Predictor(tiny_export, n_threads=1)
    job = BatchJob.open(table(tmp_path / "t.parquet", 1000), tmp_path / "o.parquet", existing="resume")
    now = tables.run_fingerprint(predictor, job.reader.path, job.destination, job.names, False, "ray")
    folder = ray._PartFolder(job.destination, now)
    work = ray._PartWork(job, folder.path, AnswerKernel(predictor), False)
    return predictor, job, folder, work


def test_parts_made_in_any_order_are_joined_to_the_local_output(tmp_path: Path, parts: Parts) -> None:
    from qa_extractive.batch import answer_table
    from qa_extractive.batch.summary import Counts, Tally

    predictor, job, folder, work = parts
    with folder:
        tally = Tally(Counts())
        for first in (800, 0, 400, 0):  # one of them twice, as after a retry
            counts = work.make(first)
        for counts in folder.found().values():
            tally.add_counts(counts)
        folder.join([0, 400, 800], tally.counts())
    local = BatchJob.open(job.reader.path, tmp_path / "local.parquet")
    summary = answer_table(predictor, local)
    assert job.output.read_bytes() == local.output.read_bytes()
    assert (tally.counts().n_rows, tally.counts().failures) == (1000, summary.failures)
    assert not folder.path.exists()


def test_parts_of_another_run_are_not_used(parts: Parts) -> None:
    from qa_extractive.batch.ray import _PartFolder

    _, job, folder, work = parts
    with folder:
        folder.save(work.make(0))
    with _PartFolder(job.destination, folder._fingerprint) as again:
        assert [*again.found()] == [0]
    with pytest.raises(DataError, match="engine: 'ray', now 'local'"):
        _PartFolder(job.destination, folder._fingerprint | {"engine": "local"}).__enter__()
    assert [*folder.found()] == [0]
    fresh = BatchJob.open(job.reader.path, job.output, existing="overwrite")
    with _PartFolder(fresh.destination, folder._fingerprint) as empty:
        assert not empty.found()

"""The same table by the workers of a Ray cluster, which must see the folders of the table and the output.

Ray Data hands out parts by their row numbers; an actor reads one, answers it and leaves it as a file in
``<output>.partial``, whole or not at all. Whatever is killed, what is there stays, and the rest is done
again. The driver joins the parts, in their order, into the bytes that the local engine would have written.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from qa_extractive._utils.cpus import available_cpus
from qa_extractive._utils.files import atomic_file, name_new_file, replace_file, sync
from qa_extractive.batch.arrow import AnswerKernel
from qa_extractive.batch.destination import Destination, remove_ray_folder
from qa_extractive.batch.fingerprint import Fingerprint
from qa_extractive.batch.local import BatchJob, finished_before, row_types, run_fingerprint
from qa_extractive.batch.parts import PART_ROWS
from qa_extractive.batch.questions import asked_batch
from qa_extractive.batch.state import RunState
from qa_extractive.batch.summary import Counts, Summary, Tally
from qa_extractive.data.columns import ColumnNames
from qa_extractive.errors import DataError, QAError, reason_of
from qa_extractive.predictor import Predictor
from qa_extractive.rows.cells import added_columns, answer_types, answer_values, kept_names
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_types import arrow_array, as_types
from qa_extractive.tables.growing import partial_path, write_parquet_groups
from qa_extractive.tables.parquet import ParquetSlices
from qa_extractive.tables.writing import writing

_COUNTS_KEY = b"qa_extractive"
_MAX_BLOCKS = 10_000


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where and how wide to run.

    Attributes:
        address: Of a Ray cluster, as ``ray.init`` takes it; None for a Ray on this machine.
        n_actors: Predictors at work at once; None for as many as there are CPUs for.
        n_threads: CPUs of each, and windows that it runs at once.
    """

    address: str | None = None
    n_actors: int | None = None
    n_threads: int = 1


def answer_table_on_ray(
    predictor: Predictor,
    job: BatchJob,
    cluster: Cluster,
    *,
    with_candidates: bool = False,
    max_errors: int | None = None,
    on_part: Callable[[Counts], object] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Answer a Parquet table; the output is that of ``answer_table``.

    Args:
        predictor: Its model and settings are shipped to the actors.
        job: The table and the output, both Parquet, in folders that all workers see.
        cluster: Where to run.
        with_candidates: Whether to add ``candidates``.
        max_errors: Stop when more rows than this have failed.
        on_part: Called with the counts of all rows so far, at the start and after each part.
        should_stop: Asked after each part whether to leave the rest to another run.

    Raises:
        DataError: Ray is missing, the files are no Parquet, or what ``answer_table`` raises.
        ModelError: The model failed.
    """
    _check(job)
    job.check_questions(predictor)
    names = ColumnNames(job.columns.question, job.columns.context, job.columns.title)
    kernel = AnswerKernel(predictor, names, with_candidates=with_candidates, n_threads=cluster.n_threads)
    with job.destination.locked():
        now = run_fingerprint(
            predictor, job.reader.path, job.destination, job.names, with_candidates, "ray", job.questions
        )
        done = finished_before(job.destination, now)
        if done is not None:
            return done
        with _PartFolder(job.destination, now) as folder:
            run = _RayRun(folder, job, cluster, _PartWork(job, folder.path, kernel, with_candidates))
            return run.answer(max_errors, on_part, should_stop)


def _check(job: BatchJob) -> None:
    for path in (job.reader.path, job.destination.output):
        if path.suffix.lower() != ".parquet":
            raise DataError(
                f"{path}: --engine ray reads and writes Parquet: convert it, or leave --engine out"
            )
    if job.destination.errors is not None:
        raise DataError("--errors does not go with --engine ray: select the rows with an error afterwards")
    _require_ray()


def _require_ray() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise DataError("--engine ray needs Ray: pip install 'qa-extractive[ray]'") from None


# ---------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class _RayRun:
    folder: _PartFolder
    job: BatchJob
    cluster: Cluster
    work: _PartWork

    def answer(
        self,
        max_errors: int | None,
        on_part: Callable[[Counts], object],
        should_stop: Callable[[], bool],
    ) -> Summary:
        found = self.folder.found()
        earlier = Tally(Counts())
        for counts in found.values():
            earlier.add_counts(counts)
        tally = Tally(earlier.counts())
        self.folder.save(tally.counts())  # before there are parts: without it they would be nobody's
        on_part(tally.counts())
        n_rows = self.job.rows.n_rows
        firsts = [first for first in range(0, n_rows, PART_ROWS) if first not in found]
        for counts in self._parts(firsts) if firsts else ():
            self._check_source()
            tally.add_counts(counts)
            self.folder.save(tally.counts())
            on_part(tally.counts())
            _check_errors(tally.counts(), max_errors)
            if should_stop() and tally.counts().n_rows < n_rows:
                return tally.summary(tally.counts(), is_complete=False)
        self._check_source()
        self.folder.join(range(0, n_rows, PART_ROWS), tally.counts())
        return tally.summary(tally.counts(), is_complete=True)

    def _check_source(self) -> None:
        try:
            self.job.source.check()
        except DataError:
            self.folder.spoil()
            raise

    def _parts(self, firsts: Sequence[int]) -> Iterator[Counts]:
        """Have the parts made; the counts of each, in no order."""
        ray = _started(self.cluster.address)
        data = importlib.import_module("ray.data")
        data.DataContext.get_current().enable_progress_bars = False
        parts = data.from_items(
            [{"first": first} for first in firsts], override_num_blocks=min(len(firsts), _MAX_BLOCKS)
        )
        n_actors = self.cluster.n_actors or _n_actors(ray, self.cluster.n_threads)
        made = parts.map_batches(
            _PartActor,
            fn_constructor_args=(ray.put(self.work),),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(n_actors, len(firsts))),
            num_cpus=self.cluster.n_threads,
            max_restarts=-1,
            max_task_retries=-1,
        )
        try:
            for row in made.iter_rows():
                yield Counts.from_dict(json.loads(row["counts"]))
        except ray.exceptions.RayError as error:
            raise _own_error(error) from error


def _started(address: str | None) -> ModuleType:
    """Ray, joined or started."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports home otherwise
    ray = _require_ray()
    if not ray.is_initialized():
        where: dict[str, Any] = {"address": address}
        if address is None:
            where = {"address": "local", "num_cpus": available_cpus(), "include_dashboard": False}
        try:
            with _own_sigterm():
                ray.init(**where, log_to_driver=False, logging_level="error")
        except Exception as error:  # Ray raises bare ones where its processes do not start in time
            raise DataError(f"no Ray at {address or 'this machine'}: {reason_of(error)}") from error
    return ray


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM, which Ray would replace."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _n_actors(ray: ModuleType, n_threads: int) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)) // n_threads)


def _own_error(error: Exception) -> Exception:
    """What this package raised in an actor, or the error as it is."""
    inner: BaseException | None = error
    while inner is not None:
        cause = getattr(inner, "cause", None)  # Ray's own error is of the same class and holds a traceback
        for each in (cause, inner):
            if isinstance(each, QAError):
                return each
        inner = inner.__cause__
    return error


def _check_errors(counts: Counts, max_errors: int | None) -> None:
    if max_errors is not None and counts.n_failed > max_errors:
        kinds = ", ".join(f"{each.n_rows:,} {each.kind}" for each in counts.failures)
        raise DataError(
            f"more than {max_errors:,} rows failed ({kinds}): correct them, or go on with --resume and a "
            "higher --max-errors"
        )


class _PartFolder:
    """The folder of the finished parts.

    Attributes:
        path: The folder.
    """

    def __init__(self, destination: Destination, fingerprint: Fingerprint) -> None:
        self.path = partial_path(destination.output)
        self._destination = destination
        self._fingerprint = fingerprint
        self._replaces = destination.existing == "overwrite"

    def __enter__(self) -> _PartFolder:
        state = self._destination.left()
        goes_on = self._destination.existing == "resume" and state is not None and not state.is_finished
        if state is not None and goes_on:
            state.require_same(self._fingerprint, self._destination.output)
            self._replaces = state.replaces
        else:
            self.save(Counts())  # from here on the folder is this run's
            self._destination.remove_partials(state)
        with writing(self._destination.output):
            self.path.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.path.exists() and not any(self.path.glob("rows-*.arrow")):
            remove_ray_folder(self.path)
            self._destination.state_path.unlink(missing_ok=True)

    def found(self) -> dict[int, Counts]:
        """The finished parts: the counts of each by its first row."""
        parts: dict[int, Counts] = {}
        for path in sorted(self.path.glob("rows-*.arrow")):
            parts[int(path.stem.removeprefix("rows-"))] = _part_counts(path)
        return parts

    def save(self, counts: Counts) -> None:
        """Note how many rows are finished."""
        self._destination.save(RunState(self._fingerprint, (), counts, replaces=self._replaces))

    def spoil(self) -> None:
        """Let no run go on with these parts: some may have been made of another table."""
        self._fingerprint = {**self._fingerprint, "input": "changed"}
        self.save(Counts())

    def join(self, firsts: Sequence[int], counts: Counts) -> None:
        """Make the output of the parts and remove them."""
        arrow, _ = require_pyarrow()
        output = self._destination.output
        temporary = self.path / "joined.tmp"
        paths = [part_path(self.path, first) for first in firsts]
        schema = _read_part(arrow, paths[0]).schema.remove_metadata()
        with writing(output):
            temporary.unlink(missing_ok=True)  # left by a kill; it may be the output itself by now
            with temporary.open("xb") as file:
                write_parquet_groups((_plain(arrow, path) for path in paths), schema, file)
                sync(file)
            self._name(temporary, output)
        size = output.stat().st_size
        self._destination.save(RunState(self._fingerprint, (), counts, size, self._replaces))
        self._destination.remove_partial()

    def _name(self, temporary: Path, output: Path) -> None:
        if self._replaces:
            replace_file(temporary, output)
            return
        try:
            name_new_file(temporary, output)
        except FileExistsError:
            raise DataError(
                f"{output} appeared during the run and was left as it is: move it away, then --resume"
            ) from None


def part_path(folder: Path, first: int) -> Path:
    """The file of the part that begins with a row; the first row of the table is 0."""
    return folder / f"rows-{first:012}.arrow"


def _read_part(arrow: ModuleType, path: Path) -> Any:
    """The one record batch of a part."""
    with arrow.OSFile(str(path)) as source, arrow.ipc.open_stream(source) as batches:
        return batches.read_next_batch()


def _plain(arrow: ModuleType, path: Path) -> Any:
    return _read_part(arrow, path).replace_schema_metadata(None)


def _part_counts(path: Path) -> Counts:
    arrow, _ = require_pyarrow()
    with arrow.OSFile(str(path)) as source, arrow.ipc.open_stream(source) as batches:
        return Counts.from_dict(json.loads(batches.schema.metadata[_COUNTS_KEY]))


# ---------------------------------------------------------------- the workers


class _PartWork:
    """Reads, answers and writes a part; pickled with the model."""

    def __init__(self, job: BatchJob, folder: Path, kernel: AnswerKernel, with_candidates: bool) -> None:
        arrow, _ = require_pyarrow()
        kept = kept_names(job.written, added_columns(with_candidates, job.with_votes))
        self._path = job.reader.path.resolve()
        self._columns = job.rows.columns
        self._questions = job.questions
        self._n_rows = job.rows.n_rows
        self._folder = folder
        self._kernel = kernel
        self._added = (with_candidates, job.with_votes)
        self._types = {kept[name]: kind for name, kind in row_types(job).items() if name in kept}
        self._written = list(job.written)
        self._answer_types = answer_types(arrow, with_candidates, job.with_votes)
        self._slices: ParquetSlices | None = None

    def make(self, first: int) -> Counts:
        """Make the part that begins with a row; its counts."""
        if self._slices is None:
            self._slices = ParquetSlices(self._path)
        rows = range(first, min(first + PART_ROWS, self._n_rows))
        batch, numbers = asked_batch(self._slices, rows, self._questions)
        batch = batch.rename_columns(self._columns)
        tally = Tally(Counts())
        results = self._kernel.results(batch, numbers)
        for result in results:
            tally.add(result)
        values = answer_values([result.outcome for result in results], *self._added)
        answers = [arrow_array(cells, self._answer_types[name], name) for name, cells in values.items()]
        written = as_types(batch.select(self._written), self._types)
        self._write(first, [*written.columns, *answers], tally.counts())
        return tally.counts()

    def _write(self, first: int, columns: Sequence[Any], counts: Counts) -> None:
        arrow, _ = require_pyarrow()
        metadata = {_COUNTS_KEY: json.dumps(counts.to_dict()).encode()}
        schema = arrow.schema(list((self._types | self._answer_types).items()), metadata)
        batch = arrow.record_batch(columns, schema=schema)
        target = part_path(self._folder, first)
        with (
            writing(target),
            atomic_file(target, target.with_suffix(f".{os.getpid()}.tmp")) as file,
            arrow.ipc.new_stream(file, schema) as stream,
        ):
            stream.write_batch(batch)


class _PartActor:
    """What Ray Data keeps alive: one predictor for many parts."""

    def __init__(self, work: Any) -> None:
        self._work: _PartWork = importlib.import_module("ray").get(work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        made = [self._work.make(int(first)) for first in batch["first"]]
        return {"counts": [json.dumps(counts.to_dict()) for counts in made]}

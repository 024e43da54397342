"""Arrow record batch in, Arrow record batch out: the piece of work that a cluster's engine distributes.

It is pickled with the files of its model, so that a worker needs this package and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qa_extractive.data.columns import ColumnNames, TableColumns, resolve_columns
from qa_extractive.predictor import Predictor
from qa_extractive.rows.answer_rows import answer_rows
from qa_extractive.rows.cells import added_columns, answer_types, answer_values, kept_names
from qa_extractive.rows.recent_questions import RecentQuestions
from qa_extractive.rows.results import RowResult
from qa_extractive.settings import AnswerSettings
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_types import arrow_array
from qa_extractive.tables.arrow_values import python_cells
from qa_extractive.tables.reading import Row

_NAMES = ColumnNames()


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model as bytes, and the settings of the predictor that it came from.

    Attributes:
        files: Content by name of each file of its folder.
        settings: Of the predictor, all of them.
        n_threads: Windows run at once.
    """

    files: tuple[tuple[str, bytes], ...]
    settings: AnswerSettings
    n_threads: int

    @classmethod
    def of(cls, predictor: Predictor, n_threads: int) -> ShippedModel:
        """The model of a predictor."""
        paths = sorted(path for path in predictor.folder.iterdir() if path.is_file())
        files = tuple((path.name, path.read_bytes()) for path in paths)
        return cls(files, predictor.settings, n_threads)

    def load(self) -> Predictor:
        """A predictor that gives the same answers."""
        with TemporaryDirectory(prefix="qa-extractive-") as folder:  # it is read once, when loading
            for name, content in self.files:
                Path(folder, name).write_bytes(content)
            return Predictor(folder, **asdict(self.settings), n_threads=self.n_threads)


class AnswerKernel:
    """Answers the rows of record batches; pickled with its model, which each process loads when first used.

    Questions that it answered shortly before are not computed again.
    """

    def __init__(
        self,
        predictor: Predictor,
        names: ColumnNames = _NAMES,
        *,
        with_candidates: bool = False,
        n_threads: int = 1,
    ) -> None:
        """Take the model and the settings of a predictor.

        Args:
            predictor: Gives the answers; not kept.
            names: Columns named by the user.
            with_candidates: Whether to add ``candidates``.
            n_threads: Windows run at once, in each process.
        """
        self._model = ShippedModel.of(predictor, n_threads)
        self._names = names
        self._with_candidates = with_candidates
        self._predictor: Predictor | None = None
        self._recent = RecentQuestions()

    def __call__(self, batch: Any) -> Any:
        """The rows with the columns of their answers.

        Args:
            batch: A ``pyarrow.RecordBatch``.

        Raises:
            DataError: A column is missing.
        """
        results = self.results(batch)
        arrow, _ = require_pyarrow()
        schema = self.schema(batch.schema)
        values = answer_values([result.outcome for result in results], self._with_candidates)
        kinds = answer_types(arrow, self._with_candidates)
        columns = [arrow_array(cells, kinds[name], name) for name, cells in values.items()]
        return arrow.record_batch([*batch.columns, *columns], schema=schema)

    def map(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Each record batch with its answers; what Spark's ``mapInArrow`` takes."""
        return map(self, batches)

    def on_table(self, table: Any) -> Any:
        """A ``pyarrow.Table`` with its answers; what ``datasets.Dataset.map`` takes."""
        arrow, _ = require_pyarrow()
        return arrow.Table.from_batches(map(self, table.to_batches()), self.schema(table.schema))

    def schema(self, schema: Any) -> Any:
        """The schema of the output for one of the input, as ``pyarrow.Schema``."""
        arrow, _ = require_pyarrow()
        kept = kept_names(schema.names, added_columns(self._with_candidates))
        fields = [field.with_name(kept[field.name]) for field in schema]
        return arrow.schema([*fields, *answer_types(arrow, self._with_candidates).items()])

    def results(self, batch: Any, numbers: Sequence[int] | None = None) -> list[RowResult]:
        """What becomes of each row of a record batch; without the numbers of its rows they count from 1."""
        asked = resolve_columns(batch.schema.names, self._names, remedy="ColumnNames({part}='NAME')")
        rows = _rows(batch, asked, numbers)
        return [
            result
            for each in answer_rows(self._predictor_here(), rows, asked, self._recent)
            for result in each.results
        ]

    def _predictor_here(self) -> Predictor:
        if self._predictor is None:
            self._predictor = self._model.load()
        return self._predictor

    def __getstate__(self) -> dict[str, Any]:
        return {"_model": self._model, "_names": self._names, "_with_candidates": self._with_candidates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._predictor, self._recent = None, RecentQuestions()


def _rows(batch: Any, asked: TableColumns, numbers: Sequence[int] | None) -> Iterator[Row]:
    parts = [name for name in (asked.question, asked.context, asked.title) if name is not None]
    columns = [python_cells(batch.column(name)) for name in parts]
    numbers = range(1, batch.num_rows + 1) if numbers is None else numbers
    for number, *cells in zip(numbers, *columns, strict=True):
        wrong = (f"column {name!r}: {why}" for name, (_, why) in zip(parts, cells, strict=True) if why)
        yield Row(number, {n: value for n, (value, _) in zip(parts, cells, strict=True)}, next(wrong, None))

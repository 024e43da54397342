"""What a training run did, as a record that is saved with the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qa_extractive.errors import DataError

REPORT_FILE = "training_report.json"


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run did; saved as ``training_report.json``.

    Attributes:
        base: The encoder or checkpoint started from.
        n_examples: Training examples by source, negatives included.
        n_negatives: Of these, the unanswerable ones by kind.
        n_windows: Training windows.
        n_steps: Optimizer steps done.
        minutes: Wall-clock minutes of training.
        final_loss: Mean training loss.
        dev_f1: On the development examples at their best threshold, in [0, 1]; None without any.
        n_dev: Development examples.
        n_calibration: Calibration examples.
        n_fresh: Examples kept for a last measurement.
        threads: CPU threads of torch.
        n_averaged: Stages whose weights were averaged; the other figures are those of the last one.
        n_parameters: Parameters of the model; None where an older version wrote the report.
        n_trained: Parameters that learned, adapters that were merged included; None likewise.
        n_processes: Processes that shared the run; each step read a batch of every one.
    """

    base: str
    n_examples: dict[str, int]
    n_negatives: dict[str, int]
    n_windows: int
    n_steps: int
    minutes: float
    final_loss: float
    dev_f1: float | None
    n_dev: int
    n_calibration: int
    n_fresh: int
    threads: int
    n_averaged: int = 1
    n_parameters: int | None = None
    n_trained: int | None = None
    n_processes: int = 1

    @classmethod
    def load(cls, folder: Path) -> TrainReport:
        """Read ``training_report.json``; DataError where there is none that can be read."""
        path = folder / REPORT_FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise DataError(f"{path} is not a report of a training run: {error}") from None

    def save(self, folder: Path) -> None:
        """Write ``training_report.json`` into a folder."""
        (folder / REPORT_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

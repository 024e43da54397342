"""What a training run did, as a record that is saved with the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

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

    def save(self, folder: Path) -> None:
        """Write ``training_report.json`` into a folder."""
        (folder / REPORT_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

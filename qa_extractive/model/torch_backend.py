"""The torch model behind the seam that onnxruntime serves through. Needs the [train] extra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.windows import Window

if TYPE_CHECKING:
    from qa_extractive.model.span_reader import SpanReader


class TorchBackend:
    """The torch model behind the ``Backend`` protocol; windows are run in batches of like length."""

    def __init__(self, model: SpanReader, *, batch_size: int = 32) -> None:
        """Take a model; it is put into evaluation mode."""
        self.model = model.eval()
        self.batch_size = batch_size

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """The logits of each window, in order."""
        order = sorted(range(len(windows)), key=lambda i: windows[i].n_tokens)
        results: dict[int, WindowLogits] = {}
        for begin in range(0, len(order), self.batch_size):
            chosen = order[begin : begin + self.batch_size]
            for i, logits in zip(chosen, self._run_batch([windows[i] for i in chosen]), strict=True):
                results[i] = logits
        return [results[i] for i in range(len(windows))]

    @torch.inference_mode()
    def _run_batch(self, windows: list[Window]) -> list[WindowLogits]:
        device = self.model.device
        output = self.model(**{k: v.to(device) for k, v in pad_windows(windows).items()})
        start, end = output.start_logits.float().cpu().numpy(), output.end_logits.float().cpu().numpy()
        answerability = output.answerability_logit.float().cpu().numpy()
        verdicts = None if output.verdict_logits is None else output.verdict_logits.float().cpu().numpy()
        return [
            WindowLogits(
                start[i, : w.n_tokens],
                end[i, : w.n_tokens],
                float(answerability[i]),
                None if verdicts is None else verdicts[i],
            )
            for i, w in enumerate(windows)
        ]


def pad_windows(windows: Sequence[Window]) -> dict[str, torch.Tensor]:
    """``input_ids``, ``attention_mask`` and ``token_type_ids``, each of shape (n_windows, n_tokens)."""
    shape = (len(windows), max(w.n_tokens for w in windows))
    ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for i, window in enumerate(windows):
        ids[i, : window.n_tokens] = window.token_ids
        types[i, : window.n_tokens] = window.type_ids
        mask[i, : window.n_tokens] = 1
    named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return {name: torch.from_numpy(array) for name, array in named.items()}

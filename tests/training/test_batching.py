"""Batches: every window once, like lengths together, the same order every time; tensors by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qa_extractive.inference.windows import Window  # noqa: E402
from qa_extractive.training.batching import LengthSampler, WindowDataset, collate  # noqa: E402
from qa_extractive.training.window_labels import LabelledWindow  # noqa: E402


def _sampler(n: int, batch_size: int = 8, seed: int = 17) -> LengthSampler:
    return LengthSampler(np.random.default_rng(2).integers(5, 500, n).tolist(), batch_size, seed)


def _order(sampler: LengthSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 400, 401, 1234])
def test_every_window_comes_once_in_each_epoch(n: int) -> None:
    sampler = _sampler(n)
    assert len(sampler) == n
    for epoch in range(3):
        assert sorted(_order(sampler, epoch)) == list(range(n))


def test_the_order_depends_on_the_seed_and_the_epoch_alone() -> None:
    first = _order(_sampler(1000), 0)
    sampler = _sampler(1000)
    assert _order(sampler, 1) != first
    assert _order(sampler, 0) == first, "a resumed epoch comes back, whatever was drawn before"
    assert list(sampler) == first
    assert _order(_sampler(1000, seed=18), 0) != first
    assert first != sorted(first)


def test_windows_of_a_batch_are_of_like_length_and_batches_in_random_order() -> None:
    sampler = _sampler(2000, batch_size=10)
    lengths = sampler.lengths[_order(sampler, 0)].reshape(-1, 10)
    n_padded = (lengths.max(axis=1, keepdims=True) - lengths).sum()
    unsorted = sampler.lengths.reshape(-1, 10)
    n_padded_unsorted = (unsorted.max(axis=1, keepdims=True) - unsorted).sum()
    assert n_padded < 0.05 * n_padded_unsorted
    steps = np.diff(lengths.mean(axis=1))
    assert 0.3 < (steps > 0).mean() < 0.7, "lengths do not rise or fall through the epoch"


def test_the_rest_that_fills_no_batch_comes_last() -> None:
    sampler = _sampler(85, batch_size=8)  # 80 sorted together fill ten batches, as do 400; 5 are left
    assert len(_order(sampler, 0)) == 85
    lengths = sampler.lengths[_order(sampler, 0)]
    for batch in range(10):
        own = lengths[8 * batch : 8 * batch + 8]
        assert np.array_equal(own, np.sort(own)), "batches start at multiples of the batch size"


def _labelled(
    n_question: int,
    n_context: int,
    positions: tuple[tuple[int, int], ...] = (),
    weight: float = 1.0,
    answerable: float | None = 0.0,
) -> LabelledWindow:
    first = n_question + 2
    ids = np.arange(100, 100 + first + n_context + 1)
    types = np.array([0] * first + [1] * (n_context + 1))
    offsets = np.array([(2 * i, 2 * i + 1) for i in range(n_context)], dtype=np.int64).reshape(-1, 2)
    return LabelledWindow(Window(0, ids, types, first, offsets), positions, weight, answerable)


def test_tensors_by_hand() -> None:
    batch = collate(
        [
            _labelled(1, 2, ((3, 4),), 0.5, 1.0),
            _labelled(2, 3),
            _labelled(1, 1, ((3, 3), (3, 3)), 0.0, None),
        ]
    )
    assert batch["input_ids"].tolist() == [
        [100, 101, 102, 103, 104, 105, 0, 0],
        [100, 101, 102, 103, 104, 105, 106, 107],
        [100, 101, 102, 103, 104, 0, 0, 0],
    ]
    assert batch["attention_mask"].sum(1).tolist() == [6, 8, 5]
    assert batch["token_type_ids"].tolist() == [
        [0, 0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 1, 1, 0, 0, 0],
    ]
    assert batch["context_mask"].int().tolist() == [
        [1, 0, 0, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 1, 1, 1, 0],
        [1, 0, 0, 1, 0, 0, 0, 0],
    ], "the context, and position 0 for 'no span'; neither question nor [SEP] nor padding"
    assert batch["start_positions"].tolist() == [[3] + [-1] * 7, [0] + [-1] * 7, [3, 3] + [-1] * 6]
    assert batch["end_positions"].tolist() == [[4] + [-1] * 7, [0] + [-1] * 7, [3, 3] + [-1] * 6]
    assert batch["span_weight"].tolist() == [0.5, 1.0, 0.0]
    assert batch["answerable"].tolist() == [1.0, 0.0, -1.0]
    assert {str(v.dtype) for k, v in batch.items() if k in ("input_ids", "start_positions")} == {
        "torch.int64"
    }
    assert batch["context_mask"].dtype == torch.bool


def test_more_right_spans_than_fit_are_cut_to_the_best() -> None:
    positions = tuple((3 + i, 3 + i) for i in range(10))
    batch = collate([_labelled(1, 12, positions)])
    assert batch["start_positions"].tolist() == [[3, 4, 5, 6, 7, 8, 9, 10]]


def test_the_data_set_is_the_windows_as_given() -> None:
    windows = [_labelled(1, i) for i in range(3)]
    dataset = WindowDataset(windows)
    assert len(dataset) == 3
    assert all(dataset[i] is windows[i] for i in range(3))

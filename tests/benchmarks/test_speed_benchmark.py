"""``benchmarks/speed.py``: unseen texts, fair turns, bounded time, and the page that it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from qa_extractive.predictor import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")
    import speed
    from speed_parts import report, rounds, texts
    from speed_parts.limits import Limits, operations
    from speed_parts.rounds import Block, Measured, Row, Turn
    from speed_parts.worker import Worker, WorkerError

OTHER = "transformers pipeline, batch 20"
ROWS = tuple(row for row in rounds.ROWS if row.title in (rounds.OURS, OTHER, rounds.TORCH_ROW))


@pytest.mark.parametrize("name", list(texts.INPUTS))
def test_texts_have_the_lengths_they_should_and_are_never_met_twice(name: str) -> None:
    first, again, other = texts.make(name, 1), texts.make(name, 1), texts.make(name, 2)
    assert first == again
    assert not {each.context for each in first} & {each.context for each in other}
    for made in (first, other):
        lengths = sorted(len(each.context.split()) for each in made)
        assert lengths == sorted(texts.INPUTS[name].words)
        assert all(each.question.strip() for each in made)


def test_a_share_is_of_whole_batches_or_of_the_one_text() -> None:
    assert len(texts.make("corpus", 1, 0.06)) == 60
    assert len(texts.make("corpus", 1, 0.001)) == 20
    paper = texts.make("paper", 1, 0.1)
    assert [len(each.context.split()) for each in paper] == [2000]


def test_rounds_and_numbers_of_threads_share_no_text() -> None:
    blocks = [Block("passages", 1), Block("passages", 2)]
    contexts = [t.context for b in blocks for i in range(3) for t in rounds.texts_of(b, i)]
    assert len(set(contexts)) == len(contexts) == 600


def test_operations_by_hand() -> None:
    """6 layers of width 384 and 1536, 12 heads; a window of 10 tokens."""
    layer = 2 * 10 * 384 * (3 * 384 + 384 + 2 * 1536) + 2 * 2 * 10 * 10 * 384
    heads = 2 * 10 * 384 * 2 + 2 * 384 * 384 + 2 * 384
    assert operations(DEFAULT_MODEL, [10]) == 6 * layer + heads
    assert operations(DEFAULT_MODEL, [10, 10]) == 2 * operations(DEFAULT_MODEL, [10])


def test_products_of_both_kinds_have_a_rate() -> None:
    limits = Limits(DEFAULT_MODEL)
    for kind in ("fp32", "int8"):
        name = f"onnxruntime {kind} 128 x 384 x 384"
        for each in limits._ways(kind, 2):
            if each == name:
                break
        assert limits._rate(name, 2, 0.01) > 1e8  # a tenth of a GOP/s: any CPU


@pytest.fixture
def workers_find_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started take over where this one looks for modules."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


class Clock:
    """Seconds that pass only where a system answers."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rounds_take_turns_and_end_in_time() -> None:
    clock, measured = Clock(), Measured()
    blocks = [Block("abstracts", 2), Block("paper", 2), Block("abstracts", 1)]
    costs = dict(zip(blocks, (10.0, 30.0, 20.0), strict=True))
    done: list[tuple[Block, int]] = []

    def run(block: Block, number: int) -> None:
        clock.now += costs[block]
        done.append((block, number))
        measured.turns.setdefault(block, []).append({})

    rounds.run_rounds(measured, blocks, run, budget_s=260.0, least_rounds=2, clock=clock)
    assert [block for block, _ in done[:6]] == blocks * 2
    assert clock.now <= 260.0
    assert len(measured.turns[blocks[0]]) > len(measured.turns[blocks[2]]) >= 2
    assert all([n for b, n in done if b == block] == [*range(len(measured.turns[block]))] for block in blocks)
    clock, measured, done = Clock(), Measured(), []
    rounds.run_rounds(measured, blocks, run, budget_s=1.0, least_rounds=1, clock=clock)
    assert [block for block, _ in done] == blocks


def measured_by(answer: Any, n_rounds: int = 3, cap_s: float = 100.0) -> Measured:
    """Some rounds of systems that take as long as ``answer`` says."""
    measured, block = Measured(), Block("abstracts", 2)
    rounds.choose_settings(measured, ROWS, [2], answer)
    for i in range(n_rounds):
        rounds.run_round(
            measured, ROWS, block, i, cap_s, answer, lambda n: {"fp32": 1e11 * n, "int8": 4e11 * n}
        )
    return measured


def test_a_round_asks_all_the_same_texts_another_one_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PAUSE_S", 0.0)
    asked: list[tuple[str, str, tuple[texts.Asked, ...]]] = []

    def answer(
        row: Row, setting: str, n_threads: int, each: Sequence[texts.Asked]
    ) -> tuple[float, list[tuple[int, int]]]:
        asked.append((row.title, setting, tuple(each)))
        return (2.0 if setting == "one window a pass" else 1.0), [(0, 5)] * len(each)

    measured = measured_by(answer)
    assert measured.settings[rounds.TORCH_ROW, 2, False] == "padded batch of 20"
    turns = asked[-9:]
    for i in range(0, 9, 3):
        assert len({each for _, _, each in turns[i : i + 3]}) == 1
    assert len({title for title, _, _ in turns[::3]}) == 3
    tried = {each for _, _, each in asked[:-9]}
    assert len(tried) == 4  # of both kinds of texts, some to warm up and some to measure
    assert not tried & {each for _, _, each in turns}


def test_fewer_threads_try_the_two_fastest_settings_only() -> None:
    row = Row("x", "X", ("a", "b", "c"))
    seconds = {"a": 3.0, "b": 1.0, "c": 2.0}
    tried: list[tuple[int, str]] = []

    def answer(
        _: Row, setting: str, n_threads: int, each: Sequence[texts.Asked]
    ) -> tuple[float, list[tuple[int, int]]]:
        tried.append((n_threads, setting))
        return seconds[setting] / n_threads, []

    measured = Measured()
    rounds.choose_settings(measured, [row], [1, 2], answer)
    assert {setting for n, setting in tried if n == 2} == {"a", "b", "c"}
    assert {setting for n, setting in tried if n == 1} == {"b", "c"}
    assert set(measured.settings.values()) == {"b"}
    assert measured.trials["x", 1, False] == {"b": 1.0, "c": 2.0}
    assert measured.trials["x", 1, True] == {"b": 5.0, "c": 10.0}  # a fifth of the passages is asked


def test_a_row_that_fails_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PAUSE_S", 0.0)

    def answer(row: Row, *_: Any) -> tuple[float, list[tuple[int, int]]]:
        if row.title == OTHER:
            raise WorkerError("no such library")
        return 1.0, [(0, 5)] * 20

    measured = measured_by(answer)
    assert set(measured.turns[Block("abstracts", 2)][0]) == {rounds.OURS, rounds.TORCH_ROW}
    result = finished(measured)
    assert "no such library" in report.tables(result)["ratios"]
    assert report.tables(result)["targets"].count(report.NOT_MEASURED) >= 4


def test_a_slow_system_reads_a_part() -> None:
    measured = Measured()
    seconds = {rounds.OURS: 1.0, OTHER: 4.0, rounds.TORCH_ROW: 1.0}
    for title, n in seconds.items():
        for short in (False, True):
            measured.trials[title, 2, short] = {"any": n}
    share = {row.title: rounds.share_of(measured, row, Block("corpus", 2), 2.0) for row in ROWS}
    assert share == {rounds.OURS: 0.16, OTHER: 0.02, rounds.TORCH_ROW: 0.04}
    assert all(rounds.share_of(measured, row, Block("abstracts", 2), 0.1) == 1.0 for row in ROWS)


def finished(measured: Measured) -> dict[str, Any]:
    """A result as ``speed.main`` puts it together."""
    parts = ("work", "idle", "total")
    return {
        "command": "python benchmarks/speed.py",
        "machine": "2 cores",
        "busy_before": 0.01,
        "versions": {"onnxruntime": "1"},
        "minutes": 7.5,
        "threads": 2,
        "all_threads": [2],
        "fresh": {
            "first_answer_s": {"p50": 0.31, "min": 0.3, "max": 0.4},
            "peak_mb": {"p50": 150.2, "min": 150.0, "max": 151.0},
        },
        "overhead": [
            {"input": "abstracts", "n_threads": 2}
            | {part: {"p50": 0.01 * (i + 1), "min": 0.0, "max": 0.1} for i, part in enumerate(parts)}
        ],
        **report.result_of(measured, lambda block, i: 2e11),
    }


def test_ratios_are_of_the_same_round_with_their_spread() -> None:
    block, measured = Block("abstracts", 2), Measured()
    spans = [(0, 5)] * 20
    wrong = [(0, 5)] * 15 + [(6, 9)] * 5
    for i, (ours, other) in enumerate([(1.0, 3.0), (2.0, 4.0), (1.0, 2.5)]):
        turns = {
            rounds.OURS: Turn(ours, 1.0, wrong),
            OTHER: Turn(other / 2, 0.5, spans[:10]),
            rounds.TORCH_ROW: Turn(2.0, 1.0, spans),
        }
        measured.turns.setdefault(block, []).append(turns)
        measured.rates.setdefault(block, []).append({"fp32": (1 + i) * 1e11, "int8": 4e11})
    result = json.loads(json.dumps(finished(measured)))
    cells = {cell["row"]: cell for cell in result["cells"]}
    assert cells[OTHER]["over_ours"] == {"p50": 2.5, "min": 2.0, "max": 3.0}
    assert cells[OTHER]["share_read"] == 0.5
    assert cells["fp32 limit"]["seconds"] == {"p50": 1.0, "min": pytest.approx(2 / 3), "max": 2.0}
    equal = {each["row"]: each["equal"] for each in result["agreement"]}
    assert equal == {rounds.OURS: 0.75, rounds.TORCH_ROW: 1.0}  # the other read other texts
    tables = report.tables(result)
    assert f"| {OTHER} (over ours) | 3.4x | 8x | 2.50x (2.00-3.00) |" in tables["targets"]
    assert "| ours over the fp32 matrix-product limit | 0.95 | 0.6 | 1.50 (0.50-2.00) |" in tables["targets"]
    assert "| non-model overhead of the total | 6 % | 3 % | 3.0 % |" in tables["targets"]
    assert "| peak memory for 20 abstracts | 350 MB | 200 MB | 150 MB (to 151 MB) |" in tables["targets"]
    assert "20 abstracts, 2 threads: transformers pipeline, batch 20 50%" in tables["ratios"]


def test_a_limit_is_over_by_the_inverse() -> None:
    assert report._inverse({"over_ours": {"p50": 0.5, "min": 0.4, "max": 0.8}}) == "2.00 (1.25-2.50)"


def test_the_plot_has_no_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(rounds, "PAUSE_S", 0.0)
    result = finished(measured_by(lambda *_: (1.0, [(0, 5)] * 20)))
    for name in ("a.svg", "b.svg"):
        report.plot(result, tmp_path / name)
    first = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert first == (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "dc:date" not in first


@pytest.mark.usefixtures("workers_find_the_benchmarks")
def test_a_worker_answers_fails_and_ends() -> None:
    worker = Worker("speed_parts.limits", "Limits", DEFAULT_MODEL)
    try:
        worker.ready()
        with pytest.raises(WorkerError, match=r"KeyError"):
            worker.call("rate", "no such kind", 1)
        with pytest.raises(WorkerError, match="no_such"):
            worker.call("no_such")
    finally:
        worker.close()
    with pytest.raises(WorkerError):
        worker.call("rate", "fp32", 1)
    broken = Worker("speed_parts.limits", "NoSuchClass")
    with pytest.raises(WorkerError, match="NoSuchClass"):
        broken.ready()
    broken.close()


def test_the_page_holds_what_was_measured() -> None:
    result = json.loads(speed.RESULTS.read_text(encoding="utf-8")) if speed.RESULTS.is_file() else None
    page = speed.PAGE.read_text(encoding="utf-8")
    for name, table in report.tables(result).items():
        assert f"{report.BEGIN.format(name)}\n\n{table}\n\n{report.END}" in page, name


def test_parts_of_a_page_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = [f"{report.BEGIN.format(name)}\nold\n{report.END}\n\nkept {name}\n" for name in report.PARTS]
    page.write_text("top\n" + "\n".join(marks), encoding="utf-8")
    report.write_page(page, None)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("top\n")
    assert "old" not in text
    assert all(f"kept {name}\n" in text for name in report.PARTS)
    report.write_page(page, None)
    assert page.read_text(encoding="utf-8") == text
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for machine"):
        report.write_page(page, None)


@pytest.mark.parametrize("arguments", [["--rows", "torch"], ["--threads", "0"], ["--minutes", "-1"]])
def test_options_that_measure_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.main(arguments)
    assert "error" in capsys.readouterr().err


@pytest.mark.usefixtures("workers_find_the_benchmarks")
def test_ours_is_measured_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On short abstracts and few of them in a row: what is measured is the same."""
    busy_share = speed.busy_share
    monkeypatch.setattr(speed, "busy_share", lambda _: busy_share(0.1))
    monkeypatch.setattr(speed, "N_OVERHEADS", 2)
    monkeypatch.setitem(texts.INPUTS, "abstracts", texts.Input("20 abstracts", (30,) * 20, 20))
    output = tmp_path / "speed.json"
    options = ["--minutes", "0.01", "--least-rounds", "1", "--inputs", "abstracts", "--threads", "1"]
    own = [rounds.OURS, rounds.ONE_BY_ONE, rounds.OURS_FAST, rounds.OURS_CACHED]
    rows = ["--rows", *own]
    speed.main([*options, *rows, "--starts", "1", "--output", str(output)])
    result = json.loads(output.read_text(encoding="utf-8"))
    cells = {cell["row"]: cell for cell in result["cells"]}
    assert {*cells} == {*own, *report.LIMITS}
    assert cells[rounds.OURS]["over_ours"]["p50"] == 1.0
    assert cells["fp32 limit"]["seconds"]["p50"] > 0.0
    assert 0.0 < result["overhead"][0]["total"]["p50"] < 1.0
    assert result["fresh"]["peak_mb"]["p50"] > 50
    assert result["errors"] == {}
    assert "ours" in capsys.readouterr().out
    assert report.tables(result)["targets"].count(report.NOT_MEASURED) == 4

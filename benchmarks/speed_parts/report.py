"""Measurements to JSON, to the tables of benchmarks/results/speed.md and to a plot."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qa_extractive.metrics import best_token_f1
from speed_parts.rounds import (
    ONE_BY_ONE,
    OURS,
    OURS_CACHED,
    OURS_FAST,
    ROWS,
    TORCH_ROW,
    Block,
    Measured,
    texts_of,
)
from speed_parts.texts import INPUTS

BEGIN, END = "<!-- made by benchmarks/speed.py: {} -->", "<!-- end -->"
PARTS = ("machine", "targets", "ratios", "limits", "overhead", "agreement")
NOT_MEASURED = "not measured"
LIMITS = ("fp32 limit", "int8 limit")
_KEY_INPUT = "abstracts"

_TARGETS: tuple[tuple[str, str, str, str], ...] = (
    ("transformers pipeline, batch 20", "3.4x", "8x", "over ours"),
    ("transformers pipeline, batch 1", "1.7x", "4x", "over ours"),
    ("optimum int8, padded batch of 20", "1.8x", "4x", "over ours"),
    ("OpenVINO", "1.3x", "3x", "its best setting, over ours"),
)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and largest."""
    return {"p50": statistics.median(values), "min": min(values), "max": max(values)}


def result_of(measured: Measured, n_operations: Callable[[Block, int], float]) -> dict[str, Any]:
    """The measurements as plain values.

    Args:
        measured: Turns and rates.
        n_operations: Of the whole input of a block in a round.
    """
    cells = []
    for block, rounds in measured.turns.items():
        cells += [_cell(measured, block, row.title) for row in ROWS]
        for kind, title in zip(("fp32", "int8"), LIMITS, strict=True):
            seconds = [n_operations(block, i) / rates[kind] for i, rates in enumerate(measured.rates[block])]
            ours = [turns.get(OURS) for turns in rounds]
            ratios = [s / o.whole_s for s, o in zip(seconds, ours, strict=True) if o is not None]
            cells.append(_values(block, title, seconds, ratios))
    return {
        "cells": [cell for cell in cells if cell is not None],
        "settings": _named(measured.settings),
        "trials": _named(measured.trials),
        "rates": [
            {"input": b.input, "n_threads": b.n_threads, "gflops": [_giga(r) for r in rates]}
            for b, rates in measured.rates.items()
        ],
        "agreement": agreement(measured),
        "errors": measured.errors,
    }


def _named(values: dict[tuple[str, int, bool], Any]) -> list[dict[str, Any]]:
    return [
        {"row": row, "n_threads": n, "texts": "short" if short else "long", "value": value}
        for (row, n, short), value in values.items()
    ]


def _giga(rates: dict[str, float]) -> dict[str, float]:
    return {kind: round(rate / 1e9, 1) for kind, rate in rates.items()}


def _cell(measured: Measured, block: Block, title: str) -> dict[str, Any] | None:
    rounds = measured.turns[block]
    paired = [(turns[title], turns.get(OURS)) for turns in rounds if title in turns]
    if not paired:
        return None
    seconds = [turn.whole_s for turn, _ in paired]
    ratios = [turn.whole_s / ours.whole_s for turn, ours in paired if ours is not None]
    return _values(block, title, seconds, ratios) | {"share_read": min(turn.share for turn, _ in paired)}


def _values(block: Block, title: str, seconds: Sequence[float], ratios: Sequence[float]) -> dict[str, Any]:
    return {
        "input": block.input,
        "n_threads": block.n_threads,
        "row": title,
        "n_rounds": len(seconds),
        "seconds": spread(seconds),
        "over_ours": spread(ratios) if ratios else None,
    }


def agreement(measured: Measured) -> list[dict[str, Any]]:
    """Of each row, how its best spans compare with those of fp32 in torch on the same texts.

    Only rounds in which both read the whole input count.
    """
    found = []
    for block, rounds in measured.turns.items():
        if block.n_threads != max(b.n_threads for b in measured.turns) or len(INPUTS[block.input].words) < 2:
            continue
        for row in ROWS:
            pairs = [pair for i, turns in enumerate(rounds) for pair in _pairs(block, i, turns, row.title)]
            if pairs:
                equal = statistics.fmean(a.strip() == b.strip() for a, b in pairs)
                f1 = statistics.fmean(best_token_f1(a, [b]) for a, b in pairs)
                found.append(
                    {
                        "row": row.title,
                        "input": block.input,
                        "n_spans": len(pairs),
                        "equal": round(equal, 4),
                        "token_f1": round(f1, 4),
                    }
                )
    return found


def _pairs(block: Block, number: int, turns: dict[str, Any], title: str) -> list[tuple[str, str]]:
    """The best span of a row and of torch, for each text of a round."""
    own, right = turns.get(title), turns.get(TORCH_ROW)
    if own is None or right is None:
        return []
    n = min(len(own.spans), len(right.spans))
    if own.share != right.share:
        return []
    contexts = [each.context for each in texts_of(block, number, own.share)[:n]]
    return [
        (context[a:b], context[c:d])
        for context, (a, b), (c, d) in zip(contexts, own.spans, right.spans, strict=True)
    ]


# --- The page ---


def tables(result: dict[str, Any] | None) -> dict[str, str]:
    """The Markdown of each part of the page; "not measured" where there are no results."""
    return {
        "machine": _machine(result),
        "targets": _targets(result),
        "ratios": _ratios(result),
        "limits": _limits(result),
        "overhead": _overhead(result),
        "agreement": _agreement(result),
    }


def write_page(page: Path, result: dict[str, Any] | None) -> None:
    """Put the parts between their marks; ValueError if one has none."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables(result).items():
        begin = BEGIN.format(name)
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(END)
        if not (found and closed):
            raise ValueError(f"{page} has no place for {name}: write {begin} and {END}")
        text = f"{head}{begin}\n\n{table}\n\n{END}{tail}"
    page.write_text(text, encoding="utf-8")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])


def _machine(result: dict[str, Any] | None) -> str:
    if result is None:
        return f"Machine: {NOT_MEASURED}."
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    busy = result["busy_before"]
    quiet = NOT_MEASURED if busy is None else f"{busy:.0%} busy before the run"
    return (
        f"{result['machine']}; {quiet}. {versions}. `{result['command']}`, {result['minutes']:.1f} minutes."
    )


def _find(result: dict[str, Any] | None, title: str, name: str, n_threads: int | None = None) -> Any:
    if result is None:
        return None
    wanted = result["threads"] if n_threads is None else n_threads
    for cell in result["cells"]:
        if (cell["row"], cell["input"], cell["n_threads"]) == (title, name, wanted):
            return cell
    return None


def _ratio(cell: Any) -> str:
    """A ratio with its spread: ``2.14x (2.10-2.20)``."""
    over = cell and cell["over_ours"]
    if not over:
        return NOT_MEASURED
    return f"{over['p50']:.2f}x ({over['min']:.2f}-{over['max']:.2f})"


def _inverse(cell: Any, unit: str = "") -> str:
    """Ours over another row, whose ratios are its times over ours."""
    over = cell and cell["over_ours"]
    if not over:
        return NOT_MEASURED
    return f"{1 / over['p50']:.2f}{unit} ({1 / over['max']:.2f}-{1 / over['min']:.2f})"


def _targets(result: dict[str, Any] | None) -> str:
    rows = [
        [f"{title} ({note})", floor, aim, _ratio(_find(result, title, _KEY_INPUT))]
        for title, floor, aim, note in _TARGETS
    ]
    limit = _inverse(_find(result, LIMITS[0], _KEY_INPUT))
    rows.append(["ours over the fp32 matrix-product limit", "0.95", "0.6", limit])
    for title, floor, aim in ((OURS_FAST, "1.5x", "3x"), (OURS_CACHED, "1.8x", "4x")):
        faster = _inverse(_find(result, title, _KEY_INPUT), "x")
        rows.append([f"ours over {title.removeprefix('ours, ')}; its F1 below", floor, aim, faster])
    share = _overhead_share(result, _KEY_INPUT)
    rows.append(["non-model overhead of the total", "6 %", "3 %", share])
    rows.append(
        ["process start to first answer", "1.5 s", "0.6 s", _fresh(result, "first_answer_s", "{:.2f} s")]
    )
    rows.append(["peak memory for 20 abstracts", "350 MB", "200 MB", _fresh(result, "peak_mb", "{:.0f} MB")])
    return _table(["20 abstracts", "floor", "aim", "measured"], rows)


def _fresh(result: dict[str, Any] | None, name: str, form: str) -> str:
    values = result and result["fresh"].get(name)
    if not values:
        return NOT_MEASURED
    return f"{form.format(values['p50'])} (to {form.format(values['max'])})"


def _overhead_share(result: dict[str, Any] | None, name: str) -> str:
    if result is None:
        return NOT_MEASURED
    for each in result["overhead"]:
        if (each["input"], each["n_threads"]) == (name, result["threads"]):
            return f"{100 * each['total']['p50']:.1f} %"
    return NOT_MEASURED


def _ratios(result: dict[str, Any] | None) -> str:
    head = ["", *(kind.title for kind in INPUTS.values())]
    rows = []
    for n_threads in (1, 2) if result is None else result["all_threads"]:
        cells = [_find(result, OURS, name, n_threads) for name in INPUTS]
        rows.append([f"**{n_threads} thread{'s' * (n_threads > 1)}**: ours", *map(_seconds, cells)])
        for row in ROWS[1:]:
            found = [_find(result, row.title, name, n_threads) for name in INPUTS]
            cells = [
                "-" if row.title == ONE_BY_ONE and len(kind.words) == 1 else _ratio(cell)
                for cell, kind in zip(found, INPUTS.values(), strict=True)
            ]
            rows.append([row.title + _setting(result, row.title, n_threads), *cells])
    rounds = [] if result is None else [*_rounds(result), "![Times over ours](speed.svg)"]
    return "\n\n".join([_table(head, rows), *rounds])


def _seconds(cell: Any) -> str:
    if not cell:
        return NOT_MEASURED
    seconds = cell["seconds"]
    return f"{seconds['p50']:.3g} s ({seconds['min']:.3g}-{seconds['max']:.3g})"


def _setting(result: dict[str, Any] | None, title: str, n_threads: int) -> str:
    """The setting that was best, of those that have several."""
    if result is None or len(next(row.settings for row in ROWS if row.title == title)) < 2:
        return ""
    taken = {
        s["texts"]: s["value"] for s in result["settings"] if (s["row"], s["n_threads"]) == (title, n_threads)
    }
    names = [f"{name} texts: {setting}" for name, setting in taken.items()]
    return f" ({'; '.join(names)})" if names else ""


def _rounds(result: dict[str, Any]) -> list[str]:
    """How many rounds there were, who read less than all, and what failed."""
    n_rounds = {
        (cell["input"], cell["n_threads"]): cell["n_rounds"]
        for cell in result["cells"]
        if cell["row"] == OURS
    }
    lines = [
        "Rounds: "
        + "; ".join(f"{INPUTS[n].title}, {_threads(t)}: {r}" for (n, t), r in n_rounds.items())
        + "."
    ]
    read: dict[str, list[str]] = {}
    for cell in result["cells"]:
        if cell.get("share_read", 1.0) < 1.0:
            where = f"{INPUTS[cell['input']].title}, {_threads(cell['n_threads'])}"
            read.setdefault(where, []).append(f"{cell['row']} {cell['share_read']:.0%}")
    if read:
        lines.append(
            "Read a part only, its time scaled: "
            + "; ".join(f"{w}: {', '.join(r)}" for w, r in read.items())
            + "."
        )
    if result["errors"]:
        lines.append("Failed: " + "; ".join(f"{row}: {line}" for row, line in result["errors"].items()) + ".")
    return lines


def _limits(result: dict[str, Any] | None) -> str:
    head = ["ours over", *(kind.title for kind in INPUTS.values())]
    rows = []
    for n_threads in (1, 2) if result is None else result["all_threads"]:
        for title in LIMITS:
            cells = [_inverse(_find(result, title, name, n_threads)) for name in INPUTS]
            rows.append(
                [
                    f"{title}, {_threads(n_threads)}{_rate(result, title, n_threads)}",
                    *cells,
                ]
            )
    return _table(head, rows)


def _threads(n_threads: int) -> str:
    return f"{n_threads} thread{'s' * (n_threads > 1)}"


def _rate(result: dict[str, Any] | None, title: str, n_threads: int) -> str:
    """The median rate that a limit is made of."""
    if result is None:
        return ""
    kind = title.split()[0]
    found = [r[kind] for each in result["rates"] if each["n_threads"] == n_threads for r in each["gflops"]]
    return f" ({statistics.median(found):.0f} GOP/s)" if found else ""


def _overhead(result: dict[str, Any] | None) -> str:
    head = ["share of the cores' time", "work (tokenize, schedule, decode)", "idle", "all"]
    if result is None:
        return _table(head, [[INPUTS[_KEY_INPUT].title, *[NOT_MEASURED] * 3]])
    rows = []
    for each in result["overhead"]:
        shares = [f"{100 * each[part]['p50']:.2f} %" for part in ("work", "idle", "total")]
        rows.append([f"{INPUTS[each['input']].title}, {_threads(each['n_threads'])}", *shares])
    return _table(head, rows)


def _agreement(result: dict[str, Any] | None) -> str:
    names = [name for name, kind in INPUTS.items() if len(kind.words) > 1]
    head = ["best span equal to fp32 torch's / token F1", *(INPUTS[name].title for name in names)]
    rows = []
    for row in ROWS:
        cells = []
        for name in names:
            found = [] if result is None else result["agreement"]
            cell = next((a for a in found if (a["row"], a["input"]) == (row.title, name)), None)
            cells.append(
                f"{100 * cell['equal']:.1f} % / {100 * cell['token_f1']:.1f} (n = {cell['n_spans']})"
                if cell
                else NOT_MEASURED
            )
        rows.append([row.title, *cells])
    return _table(head, rows)


def plot(result: dict[str, Any], path: Path) -> None:
    """Times over ours, one panel an input, with the range of the rounds; an SVG without a date."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "speed"
    from matplotlib import pyplot

    names = [name for name in INPUTS if _find(result, OURS, name)]
    figure, axes = pyplot.subplots(1, len(names), figsize=(3.2 * len(names), 3.6), sharey=True, squeeze=False)
    titles = [*(row.title for row in ROWS[1:]), *LIMITS]
    for axis, name in zip(axes[0], names, strict=True):
        for y, title in enumerate(reversed(titles)):
            over = (_find(result, title, name) or {}).get("over_ours")
            if over:
                error = [[over["p50"] - over["min"]], [over["max"] - over["p50"]]]
                axis.barh(y, over["p50"], xerr=error, color="#b0b0b0" if title in LIMITS else "#4477aa")
        axis.axvline(1.0, color="black", linewidth=0.8)
        axis.set_title(INPUTS[name].title, fontsize=9)
        axis.set_xlabel("time over ours")
    axes[0][0].set_yticks(range(len(titles)), list(reversed(titles)), fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

"""The results as Markdown for people, from what the JSON file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SIGNS = {"at least": "≥", "at most": "≤", "interval above": "interval >"}


def markdown(result: Mapping[str, Any]) -> str:
    """All parts, a table each."""
    return "\n".join([_head(result), *(_part(name, part) for name, part in result["parts"].items())])


def _head(result: Mapping[str, Any]) -> str:
    settings = result["settings"]
    lines = [
        "# Quality\n",
        f"`{result['command']}`\n",
        f"Model `{result['model']['name']}`, model.onnx sha256 {settings['model_files']['model.onnx'][:16]}; "
        f"seed {settings['seed']}; {result['machine']}.\n",
        f"Shares lie in [0, 1]; in brackets 95 % intervals of {settings['n_bootstrap']:,} resamples of whole "
        "documents. A row that the model fails on counts as an empty answer and as "
        "the worst probability.\n",
    ]
    if settings["limit"] is not None:
        lines.append(f"**At most {settings['limit']} rows of each set: a trial run, no result.**\n")
    return "\n".join(lines)


def _part(name: str, part: Mapping[str, Any]) -> str:
    counts = f"{part['n_rows']:,} rows of {part['n_documents']:,} documents, {part['n_failed']:,} failed"
    blocks = [f"## {name}: {part['title']}\n", f"{counts}.\n"]
    titles = ["measure", "value", "n", "floor, aim", "verdict"]
    blocks.append(_table(titles, [_figure(figure) for figure in part["figures"]]))
    if part["table"]:
        columns = list(part["table"][0])
        cells = [[_cell(line[column]) for column in columns] for line in part["table"]]
        blocks.append(_table([column.replace("_", " ") for column in columns], cells))
    return "\n".join([*blocks, *(f"{note}\n" for note in part["notes"])])


def _figure(figure: Mapping[str, Any]) -> list[str]:
    goal = figure.get("goal")
    value = _cell(figure["value"]) + (f" {_cell(figure['interval'])}" if figure["interval"] else "")
    return [figure["name"], value, f"{figure['n']:,}", _goal(goal), _verdict(figure, goal)]


def _goal(goal: Mapping[str, Any] | None) -> str:
    if goal is None:
        return ""
    aim = "" if goal["aim"] is None else f", aim {goal['aim']:g}"
    return f"{_SIGNS[goal['rule']]} {goal['floor']:g}{aim}"


def _verdict(figure: Mapping[str, Any], goal: Mapping[str, Any] | None) -> str:
    if goal is None:
        return ""
    words = "not defined" if figure["met"] is None else "met" if figure["met"] else "missed"
    if goal["aim"] is not None and figure["value"] is not None:
        value, aim = figure["value"], goal["aim"]
        is_reached = value <= aim if goal["rule"] == "at most" else value >= aim
        words += f", aim {'met' if is_reached else 'missed'}"
    return f"{words} ({figure['remark']})" if figure["remark"] else words


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_cell, value))}]"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

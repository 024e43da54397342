"""Figures -> pictures, by matplotlib: SVG whose bytes depend on nothing but the figures.

Systems differ by colour, marker and line style, so that they can be told apart without colour too; the
colours are those of Okabe and Ito (2008), for people of any colour vision.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from qa_extractive.errors import QAError
from qa_extractive.evaluation.figures import Evaluation, Reliability
from qa_extractive.evaluation.slices import SliceFigures
from qa_extractive.metrics.bootstrap import Interval
from qa_extractive.report.blocks import plain

MIN_BIN_ROWS = 10
GRID, QUIET = (
    "#dddddd",
    "#777777",
)  # the colours that are not a system's; ``inline_svg`` makes them the page's
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_MARKERS = "os^DvPX"
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_PERCENTILES = (("o", 7, "median"), ("|", 9, "95 %"), ("|", 16, "99 %"))
_MAX_LABEL_CHARACTERS = 40
_SETTINGS: Any = {
    "svg.hashsalt": "qa_extractive",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "savefig.transparent": True,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), "#000000"
    ),
}


def require_report_extra() -> None:
    """Raise QAError with the pip command where matplotlib or jinja2 is missing."""
    # While it looks for fonts, the first time, it warns of having to: nothing that a user can act on.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    for module, needs in (("matplotlib.figure", "plots need matplotlib"), ("jinja2", "it needs jinja2")):
        try:
            import_module(module)
        except ImportError:
            raise QAError(f"{needs}: pip install 'qa-extractive[report]'") from None


def f1_by_length(systems: Sequence[tuple[str, Sequence[SliceFigures]]]) -> bytes:
    """F1 of each part of the rows by input length, a line for each system.

    Args:
        systems: The name of each system and its figures of the same parts, shortest inputs first.
    """
    parts = systems[0][1]
    with _picture(7.2, 4.0) as (figure, axes):
        for i, (name, own) in enumerate(systems):
            shift = 0.5 * (i - (len(systems) - 1) / 2) / max(len(systems), 4)
            points = [(x + shift, part) for x, part in enumerate(own) if part.f1 is not None]
            axes.errorbar(
                [x for x, _ in points],
                [100 * (part.f1 or 0.0) for _, part in points],
                yerr=_whiskers([(part.f1, part.f1_interval) for _, part in points]),
                label=_label(name),
                capsize=2.5,
                elinewidth=1.0,
                **_style(i),
            )
        axes.set_xticks(range(len(parts)), [f"{part.value}\n{part.n_scored:,} rows" for part in parts])
        axes.set_xlim(-0.6, len(parts) - 0.4)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("tokens of question, title and context")
        axes.set_ylabel("token F1, %")
        return _svg(figure, axes)


def f1_by_cost(evaluations: Sequence[Evaluation]) -> bytes:
    """F1 as shipped against the seconds for 1,000 questions."""
    with _picture(7.2, 3.8) as (figure, axes):
        for i, evaluation in enumerate(evaluations):
            seconds, f1 = evaluation.latency.s_per_1000, evaluation.shipped.squad.f1
            if seconds is None or f1 is None:
                continue
            axes.errorbar(
                [seconds],
                [100 * f1],
                yerr=_whiskers([(f1, evaluation.shipped.f1_interval)]),
                label=_label(evaluation.system),
                capsize=3,
                **(_style(i) | {"linestyle": "none", "markersize": max(6.0, 11.0 - i)}),
            )
        axes.set_xscale("log")
        axes.margins(x=0.15)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("seconds for 1,000 questions (logarithmic): better to the left")
        axes.set_ylabel("token F1, %: better above")
        _plain_ticks(axes)
        return _svg(figure, axes)


def reliability(evaluations: Sequence[Evaluation]) -> bytes:
    """What was promised and what came true, of ``answerable`` and of ``score``."""
    panels: tuple[tuple[str, Callable[[Evaluation], Reliability]], ...] = (
        ("answerable: the context answers it", lambda e: e.answerable_reliability),
        ("score: the best span is right", lambda e: e.score_reliability),
    )
    with _picture(8.0, 4.8, n_panels=2) as (figure, both):
        for axes, (title, part) in zip(both, panels, strict=True):
            axes.plot([0, 100], [0, 100], color=QUIET, linewidth=1.0, label="as promised")
            for i, evaluation in enumerate(evaluations):
                points = merged_bins(part(evaluation))
                axes.plot(
                    [100 * promised for promised, _, _ in points],
                    [100 * rate for _, rate, _ in points],
                    label=_label(evaluation.system),
                    **_style(i),
                )
            axes.set_title(title, fontsize=10)
            axes.set_xlim(-3, 103)
            axes.set_ylim(-3, 103)
            axes.set_aspect("equal")
            axes.set_xlabel("promised, %")
        both[0].set_ylabel("came true, %")
        return _svg(figure, both[0])


def risk_coverage(evaluations: Sequence[Evaluation]) -> bytes:
    """The share of wrong answers over the share of rows answered, the surest first."""
    with _picture(7.2, 4.0) as (figure, axes):
        for i, evaluation in enumerate(evaluations):
            curve = evaluation.selective
            few = len(curve.coverages) < 20
            axes.plot(
                [100 * coverage for coverage in curve.coverages],
                [100 * risk for risk in curve.risks],
                label=_label(evaluation.system),
                **(_style(i) | {} if few else _style(i) | {"markevery": 0.12}),
            )
        axes.set_xlim(-3, 103)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("coverage: share of the questions answered, %")
        axes.set_ylabel("risk: share of these\nanswers that are wrong, %")
        return _svg(figure, axes)


def latency(evaluations: Sequence[Evaluation]) -> bytes:
    """Median, 95th and 99th percentile of the seconds a batch takes, a line for each system."""
    timed = [(i, e) for i, e in enumerate(evaluations) if e.latency.p50_s is not None]
    with _picture(7.2, 1.3 + 0.42 * len(timed)) as (figure, axes):
        for y, (i, evaluation) in enumerate(timed):
            own, colour = evaluation.latency, COLOURS[i % len(COLOURS)]
            axes.plot([own.p50_s, own.p99_s], [y, y], color=colour, linewidth=2)
            for x, (marker, size, _) in zip((own.p50_s, own.p95_s, own.p99_s), _PERCENTILES, strict=True):
                axes.plot([x], [y], marker=marker, markersize=size, markeredgewidth=2, color=colour)
        for marker, size, name in _PERCENTILES:
            signs = {"marker": marker, "markersize": size, "markeredgewidth": 2, "linestyle": "none"}
            axes.plot([], [], color=QUIET, label=name, **signs)
        axes.set_xscale("log")
        axes.margins(x=0.1)
        axes.set_yticks(range(len(timed)), [_label(e.system) for _, e in timed])
        axes.set_ylim(len(timed) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("seconds a batch (logarithmic)")
        _plain_ticks(axes)
        return _svg(figure, axes)


def merged_bins(bins: Reliability, min_rows: int = MIN_BIN_ROWS) -> list[tuple[float, float, int]]:
    """The bins as (promised, came true, rows), neighbours put together until each has so many rows."""
    found: list[tuple[float, float, int]] = []
    for own in zip(bins.mean_probs, bins.rates, bins.n_rows, strict=True):
        if found and (found[-1][2] < min_rows):
            found[-1] = _together(found[-1], own)
        else:
            found.append(own)
    if len(found) > 1 and found[-1][2] < min_rows:
        last = found.pop()
        found[-1] = _together(found[-1], last)
    return found


def _together(left: tuple[float, float, int], right: tuple[float, float, int]) -> tuple[float, float, int]:
    n = left[2] + right[2]
    return (left[0] * left[2] + right[0] * right[2]) / n, (left[1] * left[2] + right[1] * right[2]) / n, n


@contextmanager
def _picture(width: float, height: float, n_panels: int = 1) -> Iterator[tuple[Any, Any]]:
    """A figure of so many inches and its axes, under the settings of all pictures."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script the font lacks
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(1, n_panels)


def _svg(figure: Any, axes: Any) -> bytes:
    """The picture with a legend of the labels of these axes below it."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        n_columns = max(1, min(len(labels), 90 // (max(map(len, labels)) + 8)))
        figure.legend(handles, labels, loc="outside lower center", ncols=n_columns)
    stream = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing)
    written = stream.getvalue()
    return written[written.index(b"<svg") :]  # without the address of a document type


def _style(i: int) -> dict[str, Any]:
    """Colour, marker and line of a system; later ones are smaller, so that none hides another."""
    return {
        "markersize": max(4.0, 8.0 - i),
        "color": COLOURS[i % len(COLOURS)],
        "marker": _MARKERS[(i + i // len(COLOURS)) % len(_MARKERS)],
        "linestyle": _LINES[i % len(_LINES)],
    }


def _label(name: str) -> str:
    """A name for a legend, which leaves out names that start with an underscore."""
    text = plain(name, _MAX_LABEL_CHARACTERS)
    return f" {text}" if text.startswith("_") else text


def _whiskers(values: Sequence[tuple[float | None, Interval | None]]) -> list[list[float]]:
    """How far the intervals reach below and above, in percent; 0 without one."""
    ends = [(value or 0.0, interval or (value or 0.0,) * 2) for value, interval in values]
    below = [100 * max(0.0, value - low) for value, (low, _) in ends]
    return [below, [100 * max(0.0, high - value) for value, (_, high) in ends]]


def _plain_ticks(axes: Any) -> None:
    """0.01, 0.1, 1 ... instead of powers of ten, and 2 and 5 between where there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    subs = (1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())

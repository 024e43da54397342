"""A report as one HTML file for light and dark screens and for print: no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from qa_extractive.report.blocks import Block, Bullets, Paragraph, Plot, Section, Table, sections
from qa_extractive.report.inline_svg import inline_svg

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #ffffff; --rule: #c4c8cc; --soft: #f3f5f7;
  --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181b; --rule: #4a4f55; --soft: #23272c; --link: #8ab8ee;
    --plot-0: #4ba3e0; --plot-1: #f0803c; --plot-2: #2fc79b; --plot-3: #df9dc4; --plot-5: #f2b233;
    --plot-6: #7cc6f2; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.7em; } h2 { font-size: 1.35em; margin-top: 2.5rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1.1em; margin-top: 1.8rem; } h4 { font-size: 1em; }
h1, h2, h3, h4 { line-height: 1.25; overflow-wrap: anywhere; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.875em; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.35rem; }
th, td { border: 1px solid var(--rule); padding: 0.25rem 0.55rem; vertical-align: top; text-align: right; }
thead th { background: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child, .text th, .text td { text-align: left; }
tbody th { font-weight: 600; overflow-wrap: break-word; max-width: 16rem; }
td { overflow-wrap: break-word; } .figures td { white-space: nowrap; } .text td { min-width: 6rem; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; max-width: 46rem; height: auto; color: var(--ink);
  border: 1px solid var(--rule); padding: 0.5rem; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figcaption { font-size: 0.875em; max-width: 46rem; margin-top: 0.35rem; }
@media print {
  :root { --ink: #000000; --paper: #ffffff; --rule: #888888; --soft: #eeeeee; --link: #000000; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  .wide { overflow: visible; } table { font-size: 8pt; } th, td { padding: 0.15rem 0.3rem; }
  .figures td { white-space: normal; } .text td { min-width: 0; }
  figure, tr { break-inside: avoid; } h2, h3, h4, caption { break-after: avoid; }
  figure svg { border: 0; padding: 0; max-width: 16cm; }
}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: Section) -> str:
    """The whole file."""
    return "\n".join(_document(report)) + "\n"


def _document(report: Section) -> Iterator[str]:
    title = escape(report.title)
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield '<head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>"
    yield f"<style>{_STYLE}</style></head>"
    yield f"<body><header><h1>{title}</h1></header>"
    yield from _contents(report)
    yield "<main>"
    yield from _blocks(report, 1, "s")
    yield "</main></body></html>"


def _contents(report: Section) -> Iterator[str]:
    """Links to the sections, and to those right within them."""
    yield '<nav aria-label="Contents"><ul>'
    for i, section in enumerate(sections(report.blocks), start=1):
        inner = [
            f'<a href="#s-{i}-{j}">{escape(part.title)}</a>'
            for j, part in enumerate(sections(section.blocks), start=1)
        ]
        below = f": {', '.join(inner)}" if inner else ""
        yield f'<li><a href="#s-{i}">{escape(section.title)}</a>{below}</li>'
    yield "</ul></nav>"


def _blocks(section: Section, level: int, name: str) -> Iterator[str]:
    n_sections = 0
    for number, block in enumerate(section.blocks):
        if isinstance(block, Section):
            n_sections += 1
            inner = f"{name}-{n_sections}"
            heading = f"h{min(level + 1, 6)}"
            yield f'<section aria-labelledby="{inner}">'
            yield f'<{heading} id="{inner}">{escape(block.title)}</{heading}>'
            yield from _blocks(block, level + 1, inner)
            yield "</section>"
        else:
            yield from _block(block, f"{name}-p{number}")


def _block(block: Block, name: str) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield f"<p>{escape(block.text)}</p>"
    elif isinstance(block, Bullets):
        yield f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in block.items)}</ul>"
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Plot):
        yield from _plot(block, name)


def _table(table: Table) -> Iterator[str]:
    kind, separator = ("text", ", ") if table.is_text else ("figures", ",&nbsp;")
    yield f'<div class="wide"><table class="{kind}">'
    yield f"<caption>{escape(table.caption)}</caption>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    yield f"<thead><tr>{head}</tr></thead><tbody>"
    for first, *rest in table.rows:
        # The two ends of an interval stay on one line.
        cells = "".join(f"<td>{escape(cell).replace(', ', separator)}</td>" for cell in rest)
        yield f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _plot(plot: Plot, name: str) -> Iterator[str]:
    if plot.svg is None:
        yield f"<p>{escape(plot.caption)} {escape(plot.alt)}</p>"
        return
    picture = inline_svg(plot.svg, name, plot.alt)
    yield f"<figure>{picture}<figcaption>{escape(plot.caption)}</figcaption></figure>"

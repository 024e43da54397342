"""A report as one HTML file for light and dark screens and for print: no script, nothing loaded."""

from __future__ import annotations

from qa_extractive.report.blocks import Section, sections
from qa_extractive.report.inline_svg import inline_svg


def html(report: Section) -> str:
    """The whole file, of ``templates/report.html``; needs the [report] extra."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("qa_extractive.report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    pages.globals.update(kind=lambda block: type(block).__name__, picture=inline_svg, sections=sections)
    return pages.get_template("report.html").render(report=report)

"""BibTeX: each entry is a paper or skipped once; LaTeX becomes text in which numbers keep their value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers import bibtex
from qa_extractive.papers.latex import text_of_latex
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import Paper


def outcomes(tmp_path: Path, content: str, name: str = "a.bib") -> list[Any]:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return [each if isinstance(each, Skipped) else each[1] for each in read_papers(tmp_path / name)]


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        ("", ""),
        ("no LaTeX: 20% of a_b & c^d", "no LaTeX: 20% of a_b & c^d"),
        (
            r"Gr{\"u}n, {\'{e}}l\`eve, \v{S}e\v s, \c{c}, {\AA}ngstr\"{o}m, na\"{\i}ve, \ss{}, {\O}, \'\i",
            "Grün, élève, Šeš, ç, Ångström, naïve, ß, Ø, í",
        ),
        (r"10\textsuperscript{6} and 10$^{-6}$ and $10^6$", "10^6 and 10^-6 and 10^6"),
        (r"$3.2 \times 10^{7}$ cells, 4$\pm$0.5 ml, $ \pm $ 2", "3.2×10^7 cells, 4±0.5 ml, ± 2"),
        (r"H$_2$O, CO\textsubscript{2}, 5\textsuperscript{th}, m~s$^{-1}$", "H2O, CO2, 5th, m s^-1"),
        (r"{\textless} 0.05{\%}, $<$0.05, p {\textgreater}= 3", "< 0.05%, <0.05, p >= 3"),
        (r"1--2 --- ``moss'' 10\,000 \& \_ \# \{ \}", "1–2 — “moss” 10 000 & _ # { }"),
        (
            r"{\textmu}m, \textmu{}m, $\mu$m, 20{\textdegree}C, \ensuremath{\alpha}, {\textalpha}",
            "μm, μm, μm, 20°C, α, α",
        ),
        (
            r"\textit{Moss} {\bf holds} \emph{3} \unknown{l} of \(x^2\) $95\%$ $50%$ a",
            "Moss holds 3 l of x^2 95% 50% a",
        ),
        ("It cost $5 and $7, or $5/$7, or $9", "It cost $5 and $7, or $5/$7, or $9"),
        (r"It cost \$5 and \$7", "It cost $5 and $7"),
        (r"{{CD4}{+}} cells {of} {mice", "CD4+ cells of mice"),
        (r"a} b \textit{c", "a b c"),
        (r"\href{https://example.org}{moss} \url{https://example.org/a_b}", "moss https://example.org/a_b"),
        (r"\~{} \^{} C:\new", r"~ ^ C:\new"),
    ],
)
def test_latex(latex: str, text: str) -> None:
    assert text_of_latex(latex).strip() == text


@pytest.mark.parametrize(
    "source", ["{" * 100_000, "\\textsuperscript{" * 5_000, "$" * 99_999, "\\'{" * 50_000]
)
def test_latex_without_end(source: str) -> None:
    assert len(text_of_latex(source)) <= len(source)


ENTRY = r"""% Made by hand
@string{rt = "Roofs " # {To} # "day"}
@preamble{"\newcommand{\x}{y}"}
@comment{@article{not, title={No}, abstract={No}}}
@ARTICLE{moss1,
  Author = {Gr{\"u}n, {\"A}nne and Roe, Jr., Rick and {The Moss and Fern Group} and Jo van Peat and others},
  title = "{Moss} on {"}roofs{"}", subtitle = {a survey},
  abstract = {Held {\textless}i{\textgreater}3{\textless}/i{\textgreater} l,
     mail @ {home}.},
  journal = rt, month = may, year = 2019, doi = {https://doi.org/10.9999/moss\_1}, pmid = {81000001},
}
@inproceedings(fern, title={Ferns (a, b)}, abstract={It fell.}, date={2018-05-01}, booktitle={Walls},
  url={https://doi.org/10.9999/fern_1}, eprint={81000002}, eprinttype={pubmed})
"""


@pytest.mark.parametrize("name", ["a.bib", "a.txt"])
def test_entries(tmp_path: Path, name: str) -> None:
    assert outcomes(tmp_path, ENTRY, name) == [
        Paper(
            'Moss on "roofs": a survey', "Held 3 l, mail @ home.", pmid="81000001", doi="10.9999/moss_1",
            year=2019, journal="Roofs Today",
            authors=("Änne Grün", "Rick Roe Jr.", "The Moss and Fern Group", "Jo van Peat"),
        ),
        Paper("Ferns (a, b)", "It fell.", pmid="81000002", doi="10.9999/fern_1", year=2018, journal="Walls"),
    ]  # fmt: skip


GOOD = "@article{k, title={T}, abstract={It fell.}}\n"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("@article{x, title={T} year={2019}, abstract={A}}\n", "no comma before 'year"),
        ("@article{x, title={T, abstract={A}}\n", "Unexpected"),
        ("@article{x, title={T}}, abstract={A}}\n", "a brace closes it"),
        ('@article{x, title="T, abstract={A}}\n', "Unexpected"),
        ("@article{x, title}\n", "Expected"),
        ("@article{x, title=, abstract={A} {B}}\n", "no comma before"),
    ],
)
def test_a_broken_entry_stops_no_other(tmp_path: Path, bad: str, reason: str) -> None:
    found = outcomes(tmp_path, GOOD + bad + GOOD)
    paper = Paper("T", "It fell.")
    assert [found[0], found[2]] == [paper, paper]  # both entries of one key
    assert len(found) == 3
    assert (found[1].record, found[1].kind) == (2, "broken BibTeX")
    assert reason in found[1].reason


def test_odd_entries(tmp_path: Path) -> None:
    content = (
        "@article{a, abstract={One.}} @article{b, abstract={Two.}}\n"
        "@article{\n title={T}, abstract={Three.}}\n"
        "@article{, abstract={Four.}, abstract={No.}}\n@misc{e, abstract={}, ABSTRACT={Five.}}\n"
        "@misc{f, abstract={[No abstract available]}}\n@misc{g, abstract = unknown # { six.}}"
    )
    found = outcomes(tmp_path, content)
    assert [each.abstract for each in found if isinstance(each, Paper)] == [
        "One.", "Two.", "Three.", "Four.", "Five.", "unknown six.",
    ]  # fmt: skip
    assert [(each.record, each.kind) for each in found if isinstance(each, Skipped)] == [(6, "no text")]


def test_macros_that_grow_without_end(tmp_path: Path) -> None:
    macros = '@string{a0 = "moss moss moss moss"}\n'
    macros += "".join(f"@string{{a{i} = {' # '.join([f'a{i - 1}'] * 10)}}}\n" for i in range(1, 30))
    (paper,) = outcomes(tmp_path, macros + "@misc{k, abstract = a2 # { fell.} # a29}")
    assert len(paper.abstract) < 10_000


def test_entries_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bibtex, "MAX_RECORD_CHARACTERS", 1000)
    found = outcomes(tmp_path, GOOD + "@misc{k, abstract={" + "moss \n" * 300 + "}}")
    assert found[0] == Paper("T", "It fell.")
    assert (found[1].record, found[1].kind) == (None, "too large")


def test_other_files_of_this_name(tmp_path: Path) -> None:
    (only,) = outcomes(tmp_path, "Nothing but words.")
    assert only.kind == "no paper"


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bibtexparser", None)
    (only,) = outcomes(tmp_path, GOOD)
    assert only.kind == "unreadable"
    assert "pip install 'qa-extractive[papers]'" in only.reason

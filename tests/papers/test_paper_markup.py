"""Formulas, superscripts and citations in papers: numbers keep their value, a formula stands there once."""

from __future__ import annotations

import io

import pytest

from qa_extractive.papers.fragments import plain_text
from qa_extractive.papers.markup import text_of
from qa_extractive.papers.safe_xml import elements
from qa_extractive.papers.tex import text_of_tex, without_documents


def read(markup: str) -> str:
    """The text of a passage."""
    document = f'<p xmlns:mml="http://www.w3.org/1998/Math/MathML">{markup}</p>'
    (element,) = elements(io.BytesIO(document.encode()), ["p"])
    return text_of(element)


def math(markup: str) -> str:
    """The text of a formula in MathML, whose elements are written here without their prefix."""
    return read(
        f"<mml:math>{markup.replace('</', '<!').replace('<', '<mml:').replace('<mml:!', '</mml:')}</mml:math>"
    )


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("1.5 × 10<sup>8</sup> CFU", "1.5 × 10^8 CFU"),
        (
            "10<sup>-3</sup>, 10<sup>\u22123</sup>, 10<sup>\u20133</sup> mol",
            "10^-3, 10^\u22123, 10^\u20133 mol",
        ),
        ("10<sup>3.2</sup> and 10<sup>1/2</sup>", "10^3.2 and 10^(1/2)"),
        ("10<i><sup>9</sup></i> and 10<b><i><sup>8</sup></i></b>", "10^9 and 10^8"),
        ("10<sup> 7</sup> and 10<sup>7 </sup>eggs", "10^7 and 10^7 eggs"),
        ("10 <sup>7</sup> eggs, 10 <sup>-7</sup> M", "10^7 eggs, 10^-7 M"),
        ("10<sup>\u2212</sup><sup>4</sup> M", "10^\u22124 M"),
        ("10\u2212<sup>4</sup> M", "10^\u22124 M"),
        ("10<sup>6</sup>eggs", "10^6 eggs"),
        ("10<sup>4</sup>\u201310<sup>5</sup>, 10<sup>4\u20135</sup>", "10^4\u201310^5, 10^(4\u20135)"),
        ("10<sup>10<sup>2</sup></sup>", "10^(10^2)"),
        (
            "2<sup>\u2212\u0394\u0394Ct</sup>, e<sup>\u2212kt</sup>, x<sup>n+1</sup>",
            "2^\u2212\u0394\u0394Ct, e^\u2212kt, x^(n+1)",
        ),
        (
            "kg m<sup>\u22122</sup> s<sup>-1</sup>, 3 m<sup>2</sup>, mm <sup>3</sup>.",
            "kg m^\u22122 s^-1, 3 m^2, mm^3.",
        ),
        (
            "Zn<sup>2+</sup>, Cl<sup>\u2212</sup>, SO<sub>4</sub><sup>2\u2212</sup>",
            "Zn2+, Cl\u2212, SO4^2\u2212",
        ),
        ("CD8<sup>+</sup>CD25<sup>low</sup>", "CD8+CD25^low"),
        ("Mg<sup>2 +</sup> and Ca <sup>2+</sup>, 2<sup>n + x</sup>", "Mg2+ and Ca2+, 2^(n + x)"),
        (
            "CO <sub>2</sub> rose, IC <sub>50</sub>, log <sub>10</sub> 3, PM <sub>2.5</sub>, V<sub>max</sub>",
            "CO2 rose, IC50, log10 3, PM2.5, Vmax",
        ),
        ("Fe <sub>3</sub> O <sub>4</sub>, the <sub>2</sub>F", "Fe3 O4, the 2F"),
        # numbers of sources without a reference
        ("It is known.<sup>1,2</sup> So we asked.<sup>3</sup>", "It is known. So we asked."),
        ("known<sup>4\u20136</sup> well<sup>7,8</sup>, (as told).<sup>2</sup>", "known well, (as told)."),
        (
            "5 cm.<sup>2</sup>, 5 mice<sup>2</sup>, 2.<sup>5</sup>, 0.05<sup>1,2</sup>",
            "5 cm.^2, 5 mice^2, 2.^5, 0.05^1,2",
        ),
        ("a dose.<sup>14</sup>C was", "a dose.14C was"),
        ('10<sup>5 <xref ref-type="bibr">3</xref></sup> of them', "10^5 of them"),
        ('10<sup>\u22125,<xref ref-type="bibr">3</xref></sup> M', "10^\u22125 M"),
        ("<sup>32</sup>P, <sup>99m</sup>Tc, 5 <sup>18</sup>F, [<sup>11</sup>C]", "32P, 99mTc, 5 18F, [11C]"),
        ("the 3<sup>rd</sup>, 21 <sup>o</sup>C, 21<sup>o</sup>C", "the 3rd, 21 \u00b0C, 21\u00b0C"),
        (
            "a dose of 7.<sup>2</sup> Then 4.1<sup>b</sup> and 4.1<sup>*</sup>",
            "a dose of 7.^2 Then 4.1^b and 4.1*",
        ),
        ("1<sup>1</sup>/<sub>4</sub> h", "1 1/4 h"),
        ("x\u0304<sup>2</sup>", "x\u0304^2"),
        (
            "(a+b)<sup>2</sup>, R<sup>2</sup>=0.7, p=3\u00d710<sup>-9</sup>",
            "(a+b)^2, R^2=0.7, p=3\u00d710^-9",
        ),
        (
            "H<sub>2</sub>O, PM<sub>2.5</sub>, IC<sub>50</sub>, AUC<sub>0\u201324</sub>",
            "H2O, PM2.5, IC50, AUC0\u201324",
        ),
        ("log<sub>2</sub>4 is 2, 12<sub>8</sub>", "log2 4 is 2, 12_8"),
        ("2.7<sub>-0.4</sub><sup>+0.6</sup>", "2.7_-0.4^+0.6"),
        ("2.7<sup>+0.6</sup><sub>\u22120.4</sub> Gyr", "2.7^+0.6_\u22120.4 Gyr"),
        ("10<sup>-</sup>3 M and 5 × 10<sup>−</sup>12 M", "10^-3 M and 5 × 10^−12 M"),
        ("3.10<sup>-</sup>3, Cl<sup>-</sup>3", "3.10-3, Cl-3"),
    ],
)
def test_superscripts(markup: str, text: str) -> None:
    assert read(markup) == text
    assert plain_text(markup) == text


BIBR = '<xref ref-type="bibr" rid="r">{}</xref>'


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (f"by 25<sup>{BIBR.format(3)}</sup>.", "by 25."),
        (f"by 25{BIBR.format('<sup>3</sup>')}.", "by 25."),
        (f"by 25{BIBR.format(3)},{BIBR.format(4)}\u2013{BIBR.format(6)} of", "by 25 of"),
        (f"by 25<sup>{BIBR.format(3)}</sup><sup>,</sup><sup>{BIBR.format(4)}</sup> of", "by 25 of"),
        (f"10<sup>5</sup><sup>{BIBR.format(1)}</sup> of", "10^5 of"),
        (f"by 25<sup>[{BIBR.format(3)}]</sup> of", "by 25 of"),
        ("by 25<sup>[3, 4]</sup> of", "by 25 of"),
        (f"by 25 [{BIBR.format(3)}] (ref. {BIBR.format(4)})", "by 25 [3] (ref. 4)"),
        ('by 25<sup><xref ref-type="fn" rid="f">a</xref></sup> of', "by 25 of"),
        ('see Fig. <xref ref-type="fig" rid="f">2</xref>', "see Fig. 2"),
    ],
)
def test_citations_set_high_are_left_out(markup: str, text: str) -> None:
    assert read(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<mn>4.7</mn><mo>×</mo><msup><mn>10</mn><mrow><mo>−</mo><mn>6</mn></mrow></msup>", "4.7×10^−6"),
        ("<mfrac><mn>7</mn><mn>9</mn></mfrac>", "7/9"),
        ("<mn>2</mn><mfrac><mn>1</mn><mn>3</mn></mfrac><mn>5</mn>", "2 1/3 5"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi>b</mi></mfrac>", "(a+1)/b"),
        ("<mi>m</mi><msup><mi>s</mi><mrow><mo>−</mo><mn>1</mn></mrow></msup>", "m s^−1"),
        ("<mi>m</mi><msup><mi>s</mi><mn>2</mn></msup>", "ms^2"),
        (
            "<mi>mol</mi><msup><mi>L</mi><mrow><mo>-</mo><mn>1</mn></mrow></msup>"
            "<msup><mi>s</mi><mrow><mo>-</mo><mn>1</mn></mrow></msup>",
            "mol L^-1 s^-1",
        ),
        ("<msup><mfrac><mn>1</mn><mn>2</mn></mfrac><mn>3</mn></msup>", "(1/2)^3"),
        ("<msubsup><mi>k</mi><mn>1</mn><mn>2</mn></msubsup>", "k1^2"),
        ("<msub><mi>k</mi><mi>cat</mi></msub><mi>t</mi>", "k_cat t"),
        ("<msub><mi>log</mi><mn>10</mn></msub><mn>5</mn>", "log10 5"),
        ("<msup><mrow><mn>2.6</mn><mo>×</mo><mn>10</mn></mrow><mn>5</mn></msup>", "2.6×10^5"),
        ("<msup><mrow><mi>n</mi><mo>+</mo><mn>10</mn></mrow><mn>5</mn></msup>", "(n+10)^5"),
        ("<msqrt><mn>2</mn></msqrt>", "√2"),
        ("<msqrt><mn>2</mn><mo>+</mo><mi>n</mi></msqrt>", "√(2+n)"),
        ("<mroot><mn>27</mn><mn>3</mn></mroot>", "27^(1/3)"),
        (
            "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mn>9</mn></munderover>"
            "<msub><mi>x</mi><mi>i</mi></msub>",
            "∑_(i=1)^9 x_i",
        ),
        ("<munder><mi>lim</mi><mrow><mi>n</mi><mo>→</mo><mi>∞</mi></mrow></munder>", "lim_(n→∞)"),
        ("<mover><mi>x</mi><mo>¯</mo></mover><mo>=</mo><mn>3</mn>", "x\u0304=3"),
        ("<mmultiscripts><mi>U</mi><mprescripts/><none/><mn>235</mn></mmultiscripts>", "^235U"),
        ("<mmultiscripts><mi>R</mi><mn>1</mn><mn>2</mn></mmultiscripts>", "R1^2"),
        ("<mfenced open='[' close=']'><mn>1</mn><mn>2</mn></mfenced>", "[1, 2]"),
        ("<mn>1</mn><mo>,</mo><mn>000</mn>", "1,000"),
        ("<mn>0</mn><mo>.</mo><mn>05</mn>", "0.05"),
        ("<mn>5</mn><mi>mg</mi>", "5 mg"),
        ("<mi>p</mi><mi>H</mi><mo>=</mo><mn>7</mn>", "pH=7"),
        ("<mn>2</mn><mo>\u2062</mo><mn>3</mn>", "2·3"),
        ("<mn>8</mn><mtext> of </mtext><mn>9</mn>", "8 of 9"),
        ("<mn>3</mn><mphantom><mn>4</mn></mphantom>", "3"),
        (
            "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd></mtr></mtable>",
            "1, 2; 3",
        ),
        ("<semantics><mn>5</mn><annotation encoding='application/x-tex'>5</annotation></semantics>", "5"),
    ],
)
def test_mathml(markup: str, text: str) -> None:
    assert math(markup) == text


FORMS = {
    "math": "<mml:math><mml:msup><mml:mn>10</mml:mn><mml:mn>4</mml:mn></mml:msup></mml:math>",
    "tex": "<tex-math>\\documentclass{m}\\begin{document}$$10^{4}$$\\end{document}</tex-math>",
    "text": "<textual-form>10<sup>4</sup></textual-form>",
    "none": "<tex-math>\\usepackage{amsmath}</tex-math>",
}


@pytest.mark.parametrize(
    "forms",
    [("math",), ("tex",), ("text",), ("tex", "math"), ("math", "text"), ("text", "tex"), ("none", "math")],
)
def test_a_formula_stands_there_once(forms: tuple[str, ...]) -> None:
    both = "".join(FORMS[form] for form in forms)
    assert (
        read(f"of <inline-formula><alternatives>{both}</alternatives></inline-formula> eggs")
        == "of 10^4 eggs"
    )
    assert read(f"of <inline-formula>{both}</inline-formula> eggs") == "of 10^4 eggs"
    halves = f"<alternatives>{FORMS[forms[0]]}</alternatives>" + "".join(FORMS[form] for form in forms[1:])
    assert read(f"of <disp-formula>{halves}</disp-formula> eggs") == "of 10^4 eggs"


def test_what_is_left_out_joins_no_numbers() -> None:
    assert read("after 12<inline-formula><inline-graphic/></inline-formula>30 s") == "after 12 30 s"
    assert read("after 12<table-wrap><td>7</td></table-wrap>30 s") == "after 12 30 s"
    assert read("after 12<fn><p>x</p></fn>, then") == "after 12, then"


def test_a_power_of_what_stands_before_the_formula() -> None:
    power = "<mml:math><mml:msup><mml:mrow/><mml:mn>4</mml:mn></mml:msup></mml:math>"
    assert read(f"10<inline-formula>{power}</inline-formula> eggs") == "10^4 eggs"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"$3.2\times 10^{-7}$", "3.2×10^-7"),
        (r"\frac{3}{4}", "3/4"),
        (r"1\frac12", "1 1/2"),
        (r"\dfrac{a+b}{2}x", "(a+b)/2 x"),
        (r"\sqrt[3]{8}+\sqrt{2}", "8^(1/3)+√2"),
        (r"x_{1}^{2}+x_{i}", "x1^2+x_i"),
        (r"\sum_{i=1}^{n} x_i", "∑_(i=1)^n x_i"),
        (r"5\,\mathrm{mg}\;\text{per kg}", "5 mg per kg"),
        (r"\text{of 10$^{6}$ eggs}", "of 10^6 eggs"),
        (r"37^\circ\mathrm{C}", "37°C"),
        (r"{}^{14}\mathrm{C}", "^14C"),
        (r"10\textsuperscript{8}, CO\textsubscript{2}", "10^8,CO2"),
        (r"\left(95\%\right)", "(95%)"),
        (r"p\leq 0.05,\ \alpha=\unknown", "p≤0.05, α=unknown"),
        (r"\begin{array}{cc}1&2\end{array}", "1 2"),
        (r"\documentclass[12pt]{minimal}\usepackage{amsmath}\setlength{\oddsidemargin}{-69pt}", ""),
    ],
)
def test_tex(source: str, text: str) -> None:
    assert text_of_tex(source) == text


def test_tex_documents_in_running_text() -> None:
    document = r"\documentclass[12pt]{minimal} \begin{document}$$10^{3}$$\end{document}"
    assert plain_text(f"It fell by {document} in {document}.") == "It fell by 10^3 in 10^3 ."
    assert without_documents("no \\documentclass ends") == "no \\documentclass ends"


@pytest.mark.parametrize(
    "source", ["\\frac" * 5000, "{" * 5000, "2" + "^12" * 5000, "\\text{" * 5000, "x_" * 5000]
)
def test_tex_nested_without_end(source: str) -> None:
    assert len(text_of_tex(source)) < 20 * len(source)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("p &lt; 0.05 &amp;amp; &#945; &amp;lt; 1", "p < 0.05 & α < 1"),
        ("p <a and b> c, x<y, 3 <4> 5, n<i", "p <a and b> c, x<y, 3 <4> 5, n<i"),
        ("&lt;p&gt;One.&lt;/p&gt;&lt;p&gt;Two.&lt;/p&gt;", "One. Two."),
        ("<p>One.<p>Two.<br>Three <b>4", "One. Two. Three 4"),
        ("<jats:p>CO<jats:sub>2</jats:sub> <!-- x --> fell</jats:p>", "CO2 fell"),
        ("R&D, AT&T; &nosuch; &", "R&D, AT&T; &nosuch; &"),
        ("</p></i>It <i>fell</b>.", "It fell."),
        ("<scp>VEGF</scp> fell", "VEGF fell"),
    ],
)
def test_tags_and_entities_in_text(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("30 kg/m&lt;sup&gt;2&lt;/sup&gt; and CO&lt;sub&gt;2&lt;/sub&gt;", "30 kg/m^2 and CO2"),
        ("10&lt;sup&gt;-&lt;/sup&gt;&lt;sup&gt;4&lt;/sup&gt; M", "10^-4 M"),
        ("p &amp;lt; 0.05 &amp;amp; more", "p < 0.05 & more"),
        ("p &lt; 0.05 and q &gt; 3", "p < 0.05 and q > 3"),
    ],
)
def test_tags_that_were_escaped(markup: str, text: str) -> None:
    assert read(markup) == text


def test_a_fraction_stands_apart_from_the_number_before_it() -> None:
    half = "<mml:mfrac><mml:mn>1</mml:mn><mml:mn>2</mml:mn></mml:mfrac>"
    assert read(f"took 2<inline-formula><mml:math>{half}</mml:math></inline-formula> h") == "took 2 1/2 h"
    assert (
        read(r"took 2<inline-formula><tex-math>$\frac{1}{2}$</tex-math></inline-formula> h") == "took 2 1/2 h"
    )
    assert read(f"x<mml:math>{half}</mml:math>") == "x1/2"

"""Numbers in answers keep what changes their value, and draw in nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.inference.decoding import Candidate, _non_overlapping, whole_words

SEEDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def _whole(context: str, part: str) -> str:
    at = context.index(part)
    start, end = whole_words(context, at, at + len(part))
    return context[start:end]


@pytest.mark.parametrize(
    ("context", "part", "whole"),
    [
        # bounds
        ("lived >36 weeks", "36 weeks", ">36 weeks"),
        ("lived > 36 weeks", "36 weeks", "> 36 weeks"),
        ("lived > 36 weeks", ">", "> 36"),
        ("aged <16 years", "16", "<16"),
        ("aged < 16 years", "16 years", "< 16 years"),
        ("cost >$900 a week", "900", ">$900"),
        ("cost >$900 a week", "$900 a week", ">$900 a week"),
        ("is ~8 hours", "8 hours", "~8 hours"),
        ("is ∼ 8 hours", "8 hours", "∼ 8 hours"),
        ("is ≈8 or ≃9", "8", "≈8"),
        ("is ≥8 or ≤ 9", "9", "≤ 9"),
        ("is ⩾8 or ≪9", "8", "⩾8"),
        ("is >=8 or <= 9", "9", "<= 9"),
        ("is >=8 or <= 9", "8", ">=8"),
        ("is >/=8", "8", ">/=8"),
        ("is >/=8", ">", ">/=8"),
        ("aged > or = 65 years", "65 years", "> or = 65 years"),
        ("aged < or =65 years", "65 years", "< or =65 years"),
        ("aged >or= 65 years", "= 65", ">or= 65"),
        ("is ≯8 or ≠9", "8", "≯8"),
        ("is ≯8 or ≠9", "9", "≠9"),
        ("is ～8 or ∓9", "8", "～8"),
        ("is &#x2264;8 or &#x3E;9", "8", "&#x2264;8"),
        ("is &lt;8 or &ge; 9", "8", "&lt;8"),
        ("is &lt;8 or &ge; 9", "9", "&ge; 9"),
        ("p<.05 was", "05", "<.05"),
        ("P < 0.001 was", "0.001", "< 0.001"),
        ("BMI >30 kg/m2.", "30 kg/m2", ">30 kg/m2"),
        ("with <50 copies/ml left", "50 copies", "<50 copies/ml"),
        # units and powers that are written in other ways
        ("a BMI of 31 kg/m^2.", "31 kg", "31 kg/m^2"),
        ("a BMI of 31 kg/m(2).", "31 kg", "31 kg/m(2)"),
        ("was 48 mL/min/1.73 m^2", "48 mL/min/1.73", "48 mL/min/1.73 m^2"),
        ("was 48 mL/min/1.73 m(2)", "48 mL", "48 mL/min/1.73 m(2)"),
        ("a spot of 7 mm^3 in", "7 mm", "7 mm^3"),
        ("had 310 cells/mm^3 left", "310 cells", "310 cells/mm^3"),
        ("rose to 14 pg/mL", "14 pg", "14 pg/mL"),
        ("gave 7 t/ha", "7 t", "7 t/ha"),
        ("gave 90 kg ha^-1", "90 kg", "90 kg ha^-1"),
        ("of 6 events/100 person-years", "6 events", "6 events/100 person-years"),
        ("of 6/1,000 patient-years", "6", "6/1,000 patient-years"),
        ("a ratio of 1∶4", "4", "1∶4"),
        ("took 2 ½ hours", "2", "2 ½"),
        ("took 2 1/2 hours", "2", "2 1/2"),
        ("in group 2 1/2 was", "2", "2"),
        ("fell by 30 percent", "30", "30 percent"),
        ("fell by 30 per cent", "30", "30 per cent"),
        ("a >2.5-fold rise", "2.5", ">2.5-fold"),
        # brackets
        ("HR 0.71 (0.6–0.8) in", "0.71 (0.6", "0.71 (0.6–0.8)"),
        ("HR 0.71 (95% CI, 0.6 to 0.8) in", "0.71 (95% CI, 0.6 to 0.8", "0.71 (95% CI, 0.6 to 0.8)"),
        ("by 3 kg [1, 5] in", "3 kg [1", "3 kg [1, 5]"),
        ("the index (BMI) rose", "index (BMI", "index (BMI)"),
        ("in Leeds (a town of 5) we", "Leeds (a", "Leeds (a"),
        # signs
        ("a score of ‑1.5", "1.5", "‑1.5"),
        ("a score of －1.5", "1.5", "－1.5"),
        ("saved $−12 each", "12", "$−12"),
        ("cost Int$500", "500", "Int$500"),
        ("cost SEK 500", "500", "SEK 500"),
        ("aged 40 ± 7 years", "7 years", "± 7 years"),
        ("aged 40 ± 7 years", "40 ±", "40 ± 7"),
        ("aged 40±7 years", "7", "±7"),
        ("by +/-3 points", "3 points", "+/-3 points"),
        ("rose by +5.2 kg", "5.2 kg", "+5.2 kg"),
        ("fell by −3.1 kg", "3.1 kg", "−3.1 kg"),
        ("fell by –3.1 kg", "3.1 kg", "–3.1 kg"),
        ("(β = − 0.4)", "0.4", "− 0.4"),
        ("(95% CI −3 to −1)", "1", "−1"),
        ("(-€400 a year)", "400", "-€400"),
        # points, groups of three, torn numbers
        ("OR was .87 in", "87", ".87"),
        ("(r=.41)", "41", ".41"),
        ("(κ, 0·71)", "71", "0·71"),
        ("of 12\u202f500 men", "500", "12\u202f500"),
        ("of 15 000 men", "000", "15 000"),
        ("of 15 000 men", "15", "15 000"),
        ("of 1'250 men", "250", "1'250"),
        ("ratio was 0. 83 in", "83", "0. 83"),
        # per cent, scale, currency
        ("in 62 % of", "62", "62 %"),
        ("in 62 % of", "% of", "62 % of"),
        ("in 3‰ of", "3", "3‰"),
        ("cost 4 million euros", "4", "4 million"),
        ("cost US$3.5 billion in", "3.5", "US$3.5 billion"),
        ("cost € 40 a day", "40", "€ 40"),
        ("cost 40 € a day", "40", "40 €"),
        ("cost USD 40 a day", "40", "USD 40"),
        ("cost 40 EUR a day", "40", "40 EUR"),
        ("aged 65+ years", "65", "65+"),
        # powers, ratios, fractions
        ("of 3 × 10−5 M", "3", "3 × 10−5"),
        ("of 3 × 10−5 M", "5", "3 × 10−5"),
        ("of 3×10^-5 M", "10", "3×10^-5"),
        ("of 2 x 10(9)/L", "2", "2 x 10(9)/L"),
        ("of 10(6) cells", "10", "10(6)"),
        ("of 10⁻⁵ M", "10", "10⁻⁵"),
        ("of 4 × 10⁹/L", "4", "4 × 10⁹/L"),
        ("of 2.5e-5 M", "2.5", "2.5e-5"),
        ("of 1E+06 cells", "06", "1E+06"),
        ("a 1:1000 dilution", "1", "1:1000"),
        ("in 2/3 of", "2", "2/3"),
        ("at 120/80 mmHg", "80 mmHg", "120/80 mmHg"),
        # units
        ("at 5 mg/kg/day", "5 mg", "5 mg/kg/day"),
        ("at 60 ml/min/1.73 m2", "60 ml/min", "60 ml/min/1.73 m2"),
        ("at 72 beats/min", "72 beats", "72 beats/min"),
        ("at 5 mg·kg−1·min−1", "5 mg", "5 mg·kg−1·min−1"),
        ("at 5 mg kg-1 then", "5 mg", "5 mg kg-1"),
        ("at 30 mL min⁻¹ then", "30 mL", "30 mL min⁻¹"),
        ("at 4 %/year", "4", "4 %/year"),
        # ranges
        ("took 12–18 months", "18 months", "12–18 months"),
        ("took 2-3 mg", "3 mg", "2-3 mg"),
        ("aged 12–18 years", "aged 12", "aged 12–18 years"),
        ("by 5–10% then", "10% then", "5–10% then"),
        ("of 2.5–3.5 people", "–3.5", "2.5–3.5"),
        ("aged 10-20 years", "-20", "10-20 years"),
        ("by 5%–10% then", "–10%", "5%–10%"),
        ("(95% CI 2.1 to 4.5)", "95% CI 2.1", "95% CI 2.1 to 4.5"),
        ("(95% CI: 2.1, 4.5)", "95% CI", "95% CI: 2.1, 4.5"),
    ],
    ids=ascii,
)
def test_what_changes_a_value_stays_with_it(context: str, part: str, whole: str) -> None:
    assert _whole(context, part) == whole


@pytest.mark.parametrize(
    ("context", "part"),
    [
        ("(p = 0.03)", "0.03"),
        ("n=12 men", "12"),
        ("the COVID-19 wave", "19"),
        ("the COVID-19 wave", "COVID-19"),
        ("the IL-6 level", "6"),
        ("the IL-6 level", "-6"),
        ("fell -6 then", "-6"),
        ("aged 10-20 years", "10"),
        ("aged 10–20 years", "20"),
        ("from 1990–1995 in", "1995"),
        ("from 1990–1995 in Rome", "1995 in Rome"),
        ("from 5 to 10 mg", "10 mg"),
        ("at 37 °C then", "37"),
        ("took 5 mg daily", "5"),
        ("took 5, 6 or 7 mg", "6"),
        ("rose (5) then", "5"),
        ("rose. 5 men", "5"),
        ("rose [5]. Men", "5"),
        ("in <b>5</b> men", "5"),
        ("in <b>5</b> men", "5</b> men"),
        ("A -> 5", "5"),
        ("a 5-year study", "5"),
        ("men and/or women", "men"),
        ("a > b or 5", "5"),
        ("in 2019 500 men", "500"),
        ("of 5 men, 60% died", "5"),
        ("aged 40 ± 7 years", "40"),
        ("x < y", "y"),
        ("about $3.5$ cm", "3.5"),
        ("CD4+ cells", "CD4"),
        ("10 − 3 = 7", "3"),
        ("weeks 4 -8", "8"),
        ("3 of 9 mice", "3"),
        ("at 8 a.m.", "8"),
        ("men (40%) and", "40%"),
    ],
    ids=ascii,
)
def test_what_stands_apart_is_not_drawn_in(context: str, part: str) -> None:
    assert _whole(context, part) == part


@pytest.mark.parametrize("sign", ["<", ">", "~", "±", "≥", "=", "−", "<="])
def test_no_candidate_is_a_lone_sign(sign: str) -> None:
    context = f"a {sign} b and {sign} 5"
    first, second = context.index(sign), context.rindex(sign)
    ranked = [Candidate(2.0, first, first + len(sign)), Candidate(1.0, second, second + len(sign))]
    kept = [context[c.start : c.end] for c in _non_overlapping(context, ranked, 5)]
    assert kept == ([] if sign in ("=", "−") else [f"{sign} 5"])


PIECES = (
    "< |>|~|≥ |−|-|+|±|.|0. |,|$|€|US$|%| %|/|:|×10|^|–| to |mg|kg|/day|7|40|000| 000|1.5|years|a |. |(|)|"
    "95% CI"
).split("|")
NUMBERISH = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join)


@SEEDED
@given(context=NUMBERISH, data=st.data())
def test_widening_holds_the_span_is_stable_and_cuts_no_bound(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context)))
    end = data.draw(st.integers(start, len(context)))
    left, right = whole_words(context, start, end)
    assert 0 <= left <= right <= len(context)
    if not context[start:end].strip():
        assert left == right
        return
    assert context[left:right] == context[left:right].strip()
    assert left <= start + len(context[start:end]) - len(context[start:end].lstrip())
    assert right >= end - (len(context[start:end]) - len(context[start:end].rstrip()))
    assert whole_words(context, left, right) == (left, right)
    assert not (context[left].isdigit() and context[left - 1 : left] in ("<", "≥", "~", "±", "$", "€"))


@SEEDED
@given(
    bound=st.sampled_from(["", "<", "> ", "≥", "≤ ", "~", "±", "+/-"]),
    sign=st.sampled_from(["", "-", "−", "+"]),
    number=st.sampled_from(["5", ".5", "0.05", "1,250", "12.5", "40"]),
    after=st.sampled_from(["", "%", " %", " million"]),
    before=st.sampled_from(["", "fell by ", "(", "was "]),
    behind=st.sampled_from(["", ".", ") in men", " in men", ", then", "; then"]),
    data=st.data(),
)
def test_any_part_of_a_quantity_becomes_the_whole(
    bound: str, sign: str, number: str, after: str, before: str, behind: str, data: st.DataObject
) -> None:
    quantity = bound + sign + number + after
    context = before + quantity + behind
    first = data.draw(st.integers(0, len(quantity) - 1))
    last = data.draw(st.integers(first + 1, len(quantity)))
    if quantity[first:last].strip():
        start, end = whole_words(context, len(before) + first, len(before) + last)
        assert context[start:end] == quantity


@pytest.mark.parametrize(
    "piece",
    ["< ", "5 ", "<5", "5/", "1:1", "mg/", "kg−1 ", "0. ", "×10", "-", " 000", "$5", "5–6 mg", "&lt;"],
)
def test_long_runs_take_no_time(piece: str) -> None:
    context = piece * (200_000 // len(piece))
    began = time.process_time()
    for at in range(0, len(context) - 10, len(context) // 50):
        whole_words(context, at, at + 7)
    assert time.process_time() - began < 1.0

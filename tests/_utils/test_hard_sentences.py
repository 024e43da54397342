"""Hard sentence boundaries of scientific prose, positive and negative, written by hand.

"¦" stands where one sentence ends; it is taken out, with nothing in its place, before the text is split.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive._utils.sentences import split_sentences

BEGIN_SMALL = [
    "Sleep was short.¦ mRNA of PER2 doubled.¦ miR-21 fell.¦ pH stayed at 7.4.¦ None died.",
    "The cells died.¦ p53 was mutated.¦ p16INK4a was not.¦ siRNA restored growth.",
    "We cultured skin.¦ iPSCs formed.¦ hESCs did not.¦ eGFP was bright.",
    "Bone grew.¦ rhBMP-2 helped.¦ n-3 fatty acids did not.¦ let-7 was silent.",
    "Aggregates formed.¦ α-synuclein was the main one.¦ β cells were spared.¦ λ phage was used.",
    "It rose by 3 mg/dL.¦ eGFR fell by 4 mL/min.¦ cAMP was flat.",
    "Rats were fed.¦ mTOR was blocked.¦ tPA was given.¦ qPCR confirmed it.",
    "Serum was drawn.¦ d-dimer was high.¦ c-Myc was low.¦ t-PA was absent.",
    "We tested 40 men.¦ p < 0.05 was significant.¦ r = 0.8 was high.",
    "Two drugs failed.¦ anti-TNF agents helped.¦ non-HDL cholesterol fell.",
    "Bleeding was rare.¦ von Willebrand factor was normal.",
    "We read RNA.¦ hsa-miR-155 rose.¦ mmu-let-7b fell.¦ rno-miR-1 did not.",
    "Counts fell.¦ 12 of 40 mice died.¦ 5-year survival was 80%.",
    'It was painful.¦ "Stop" was the usual word.¦ (Most said so twice.)¦ [Data not shown.]',
    "Was it safe?¦ pH was neutral!¦ mRNA was intact.",
    "It rose.¦ \u00b5-opioid receptors fell.¦ trans-Retinol rose.¦ cis-9 acids fell.¦ db/db mice gained 5 g.",
    "Is it mg/kg or 5 mg/mg per day?¦ It is 2 approx. mg/kg here.",
    # abbreviations before numbers, an initial after a title
    "We ran exp. 1 and Expts. 2 and 3 on chr. 5 with Stata vers. 15.¦ They held.",
    "Prof. A. Roe saw all.¦ Dr. A. Poe saw none.",
    # citations that were set high
    "This is known.^1,2¦ We tried it.^(3–5)¦ It held.^6¦ None died.",
    "Sleep rose by 12%.1¦ Errors fell by 3%.2,3¦ None died.",
    "Yields rose (Fig. 2).¦ eEF2K was blocked [3].¦ ggplot2 drew the plots.",
    "lncRNAs were found.¦ circRNAs were not.¦ snoRNA was rare.",
    "Levels of p53.¦ β2-agonists helped.¦ μ-opioid receptors did not.",
]
ABBREVIATIONS = [
    "Drugs, e.g. Aspirin, i.e. ASA, or cf. Heparin, were used vs. Placebo.¦ All failed.",
    "Smith et al. found it.¦ Jones et al. (2019) did not.¦ See Lee et al. [3] for more.",
    "As Smith et al.¦ The rest was new.",
    "Fig. 2, Figs. 3 and 4, Fig. S1, Eq. 5, Eqs. (6) and (7), Refs. [8, 9] and Tab. 1 show it.¦ So be it.",
    "Sample No. 5 and Nos. 6 to 8 were lost.¦ They were old.",
    "It took approx. 5 min and ca. 20 mg.¦ It was approx. half.",
    "Dr. Brown, Prof. Green, Mr. White and Ms. Black of St. Louis agreed.¦ We did not.",
    "Candida spp. were found.¦ Bacillus sp. PCC 68 was not.¦ Aspergillus sp. nov. was.",
    "Isolates were Nocardia spp.¦ Isolates of others were rare.",
    "Brassica oleracea var. capitata and subsp. viridis grew.¦ The cv. Savoy did not.",
    "Boys and girls were 8 and 9 years old, resp.¦ Their mothers were 30.",
    "Use max. 5 mg, min. 2 mg, conc. 3 % and temp. 37 degrees.¦ Then rest.",
    "Each trial took 5 min.¦ Cells were washed.",
    "It lasted 5 min.¦ 12 rats died.",
    "Rats got morphine i.p. 5 mg/kg, ketamine i.v. 2 mg/kg and saline s.c. daily.¦ Pain fell.",
    "The drug was given b.i.d. or t.i.d. to ten men.¦ It was given q.d. 5 mg.",
    "Ketamine was given i.v.¦ Rats slept.",
    "Lesions were treated i.v. MK-801 and s.c. BCG was used.",
    "We gave it (i.p.) Sigma had supplied it.",
    "In the U.S. Food and Drug Administration files it was safe.¦ It was sold in the U.S.¦ It failed.",
    "J. Smith, Ph.D. and K. Jones, M.D. Anderson fellow, wrote it.¦ None was paid.",
    "Kits came from Merck Inc. Darmstadt and Acme Co. Ltd. Tokyo.¦ They worked.",
    "Samples came at 8 a.m. and 9 p.m. on Monday.¦ They were cold.",
    "Blood was drawn at 8 a.m.¦ Serum was frozen.",
    "From Jan. 2019 to Sept. 30 and on Dec. 24 we saw 40 men.¦ Most came in Feb.¦ The rest did not.",
    "Fruit, nuts, etc. were eaten.¦ They ate meat, fish, etc.¦ None was ill.",
    "See vol. 3, pp. 12 to 14, p. 5 and chap. 2, ed. 3.¦ It is old.",
    "It was Staph. aureus or Strep. pyogenes.¦ Both are cocci.",
    "SPSS ver. 22 and Suppl. Table 3 and Suppl. Fig. 4 were used.¦ Nothing else was.",
    "The answer is no.¦ Patients died.",
    "Vitamin D, viz. Calcitriol, helped.¦ Of the rest, i.e. P and K, none did.",
]
INITIALS = [
    "Calves had S. Typhimurium or S. Enteritidis on day 2.¦ Nine fell ill.",
    "E. coli, S. aureus and P.\nfalciparum grew.¦ C. elegans did not.",
    "J. Smith and M. J. Fox met K. Brown.¦ They left.",
    "They took vitamin C.¦ Scurvy was cured.",
    "We compared groups A and B.¦ Women fared better.",
    "It was hepatitis B.¦ Vaccines helped.¦ It was influenza A.¦ Oseltamivir failed.",
    "Protein was low in arm A.¦ Fever was not.",
    "Isolates of S. Dublin and L. Monocytogenes were frozen.¦ The rest was not.",
    "Roe v. Wade was cited.¦ So was T. b. brucei.",
    "Panels A, B and C.¦ Scale bars are 5 mm.",
    "It was vitamin K.¦ This was new.¦ It was group O.¦ 12 gave blood.",
]
NUMBERS = [
    "It fell by 3.5 mg.¦ Patients slept.¦ It rose by .5 units.",
    "He took vit. D and vit. C at 4 deg. C.¦ Pain fell (P=. 004).",
    "The odds ratio was 0. 83 (P < 0. 01) in boys.¦ Girls did not differ.",
    "The hazard ratio was 1. 45 (95% CI 1. 12 to 1. 88).¦ It was high.",
    "The mean age was 54. 3 years.¦ The mean BMI of 27. 5 was high.",
    "It was not significant (P = . 07).¦ It was (P = .02).¦ It was p < .05.",
    "On day 2.¦ 12 rats died.",
    "We began in 2019.¦ 40 men came.",
    "They got drug in week 6.¦ 3 months later, all were well.",
    "Incubation was at 37 °C.¦ The cells grew at 5 %.¦ None died.",
    "It was 3.5-fold.¦ It was 4.¦ It was 5.",
    "The dose was 2. 5 mg/kg and 7. 5, 10 and 12. 5 mg/kg.¦ It was safe.",
    "The aims were: 1. To see.¦ 2. To hear.",
    "1. Aspirin was given.¦ 2. Heparin was not.¦ 3. Nothing helped.",
    "Glucose was given at 0.3 g.kg-1. h-1 for 5 min.¦ It was sweet.",
    "(1) Wash.¦ A. Rinse it well.¦ (b) Dry.",
]
CITATIONS = [
    "This had a large effect.12¦ Another was small.",
    "It is known.3,4¦ We agree.¦ It was shown.5–7¦ They do not.",
    "It is known.[3]¦ Most agree.¦ It is known [4, 5].¦ All agree. [6]¦ None does.",
    "It is known.¹²¦ We agree.¦ It was shown (as here).8¦ They do not.",
    "It ended there.12",
    "IL-6.12 and Fig.12 and v2.12 stay whole.¦ So does No.12 there.",
    "See Fig.12 Also v.22 The rest.",
]
MARKS = [
    '"Is it safe?" asked one.¦ "It is!" said all.¦ "Why?"¦ The men left.',
    "It was (why?) lost.¦ He said “no.”¦ Then he left.",
    "Well... it hurt.¦ It hurt...¦ The end.",
    "It was … odd.¦ Then …¦ Nothing came.",
    "Pain . . . was gone.¦ It came back.",
    "(It rose.¦ It fell.)¦ Then it ended.",
    "He was ill (p < .05).¦ He died.",
    "It fell [as in ref. 3].¦ It rose.",
    "It grew in vitro.¦ However, it died in vivo.¦ It did.",
    "See www.example.org/a.b and a.b@c.org or doi:10.1000/x.y.¦ They are free.",
    "Data are at https://example.org/x?y=1.2.¦ Code is too.",
    "Was it cold?!¦ It was.",
    "It improved.¦The mice lived.¦ It ended.¦We left.",
    "We used Node.js and scipy.stats.¦ R was used too.",
    "It was known , et al. , and then ; it ended.¦ So.",
]
LINES = [
    "RESULTS: It rose.\n¦CONCLUSIONS: It fell.¦ METHODS: None.",
    "AIM: To see\n¦METHODS: We saw",
    "Background\n¦Sleep is short in\nJapan.\n¦Methods\n¦We asked ten men.",
    "2. Materials and methods\n¦We asked ten men.",
    "Sleep in young men\n¦We asked ten men how long they sleep, and where, and why they do.",
    "We asked ten men who live in\nTokyo how long they sleep and in which\nbeds.",
    "A first line of words which is wrapped at\nBerlin since it is long.¦ A second.",
    "The drugs were:\n¦- aspirin\n¦- heparin\n¦- warfarin",
    "The drugs were\n¦• aspirin, 5 mg\n¦• heparin",
    "It went so:\n¦1. Wash the cells\n¦2. Dry the cells.¦ They die\n¦3. Leave",
    "The score fell from 8 to\n5.¦ Patients slept.",
    "It was long\n- perhaps too long - for us.",
    "no full stop\n\n¦next part",
    "One.\n¦Two.\r\n¦Three.\r\n\r\n¦Four",
]
UNCASED = [
    "we gave mice aspirin.¦ they slept.¦ none died of e.g. pain or approx. two.",
    "the p53 gene is old.¦ in men it is new.¦ so it is.",
    "WE GAVE MICE ASPIRIN.¦ THEY SLEPT IN A CAGE OF E. COLI.",
    "We gave mice aspirin. they slept.",
    "mRNA was low. after that it rose.",
]
ALL = BEGIN_SMALL + ABBREVIATIONS + INITIALS + NUMBERS + CITATIONS + MARKS + LINES + UNCASED


@pytest.mark.parametrize("marked", ALL, ids=ascii)
def test_hard_boundaries(marked: str) -> None:
    assert [s.text for s in split_sentences(marked.replace("¦", ""))] == [
        s.strip() for s in marked.split("¦")
    ]


def test_the_set_is_large_enough_to_mean_something() -> None:
    n_ends = sum(text.count("¦") for text in ALL)
    n_other_stops = sum(text.count(". ") for text in ALL)
    assert n_ends >= 120
    assert n_other_stops >= 120


@pytest.mark.parametrize(
    "piece",
    [
        ". ", ".", "a.\n", "\n2. ", "\n", " ", "\t.", '."', ".)", ".[1]", "e.g. ", "A. ", "1. ", "0. 1 ",
        "x.1,2,3", "! ", "A\n", "- a\n", "?\n\n", "(", "[1, 2, 3", "a.12 ", "\nAaa bb", "。", "..", ". [",
        "i.v. A", "aaa.", "A and ", "\n" + " " * 60,
    ],
    ids=ascii,
)  # fmt: skip
def test_hostile_texts_take_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece)) + "x"
    began = time.process_time()
    split_sentences(text)
    assert time.process_time() - began < 5.0, "the slowest takes half a second, a quadratic one minutes"


PIECES = (
    'e.g. |p53 |0. |71 |S. |Typhi |i.v. |[3] |mm.12 |\n|1. |- |The |a|A|. |.|(|) |? |"|Results|: |12'.split(
        "|"
    )
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_character_is_lost_and_none_is_held_twice(pieces: list[str]) -> None:
    text = "".join(pieces)
    sentences = split_sentences(text)
    assert "".join("".join(s.text for s in sentences).split()) == "".join(text.split())
    assert all(text[s.start : s.end] == s.text for s in sentences)

"""A few made abstracts and questions to look at a model's logits with, where no examples are at hand."""

from __future__ import annotations

from collections.abc import Iterator

from qa_extractive.types import Example, Question

_QUESTIONS = (
    "What was measured?",
    "What was the main result?",
    "How many were studied?",
    "What did the authors conclude?",
)
_TEXTS = (
    (
        "Vitamin D and muscle strength in nursing homes",
        "Background: Low vitamin D is common in old age. We gave 214 residents of nine nursing homes either "
        "20 micrograms of vitamin D a day or placebo for one year and measured grip strength every quarter. "
        "Grip strength fell by 0.4 kg with vitamin D and by 1.1 kg with placebo (difference 0.7 kg, 95 % "
        "confidence interval 0.1 to 1.3). Falls did not differ between the groups. Vitamin D slowed the loss "
        "of strength slightly, but whether that matters to residents remains open.",
    ),
    (
        "Nitrogen losses from winter wheat after late fertilisation",
        "We compared three dates of fertilisation on 36 plots of winter wheat over four seasons. Nitrate in "
        "drainage water was sampled weekly. Late application raised the nitrogen content of the grain from "
        "1.9 to 2.2 percent, while the yield was unchanged at 7.8 tonnes per hectare. Leaching rose by a "
        "third in the two wet winters only. Splitting the last dose avoids most of this loss.",
    ),
    (
        "A catalyst of iron and nitrogen for oxygen reduction",
        "Platinum is the most costly part of a fuel cell. Here we report a catalyst made by heating an iron "
        "salt with a porous polymer at 950 degrees. Its half-wave potential was 0.87 V in alkaline solution, "
        "20 mV above that of commercial platinum on carbon. After 30,000 cycles it had lost 12 mV. X-ray "
        "absorption suggests that single iron atoms bound to four nitrogen atoms are the active sites.",
    ),
    (
        "Sleep and school marks in adolescents",
        "In a cohort of 1,873 pupils aged 12 to 16, sleep was recorded with wrist actigraphy for two weeks. "
        "Pupils who slept less than seven hours on school days had lower marks in mathematics (beta -0.21, "
        "p < 0.001) but not in languages. Starting school one hour later lengthened sleep by 34 minutes. The "
        "association was not explained by screen time. Causality cannot be inferred from these data.",
    ),
    (
        "Deep water formation in a warming Mediterranean",
        "Convection in the Gulf of Lion renews the deep water of the western Mediterranean. Using moored "
        "instruments from 2007 to 2022 and a regional ocean model, we show that the mixed layer reached the "
        "bottom in five of fifteen winters, and in none since 2013. Warmer intermediate water explains two "
        "thirds of the change in stratification. Oxygen below 1,500 m has fallen by 0.9 micromoles per "
        "kilogram and year.",
    ),
    (
        "Tranexamic acid in hip replacement: a randomised trial",
        "Methods: 160 adults scheduled for hip replacement were randomised to 1 g of intravenous tranexamic "
        "acid or saline before incision. The primary outcome was blood loss within 24 hours. Results: Mean "
        "blood loss was 612 ml with tranexamic acid and 894 ml with saline (p < 0.001). Seven patients and "
        "nineteen patients, respectively, needed a transfusion. No thrombosis occurred. Conclusion: A single "
        "dose reduces blood loss and transfusions without apparent harm.",
    ),
    (
        "Bird song in noisy cities",
        "Great tits in cities sing at a higher pitch than those in forests. We recorded 428 males at 32 "
        "pairs of sites. The lowest frequency of songs was 3.4 kHz in cities and 3.1 kHz in forests. "
        "During a lockdown, when traffic noise fell by 7 decibels, pitch fell within two weeks. Males adjust "
        "their song to noise at once; no evolutionary change is needed to explain the difference.",
    ),
    (
        "Graph networks predict the melting of alloys",
        "Melting points of multicomponent alloys are expensive to compute. We trained a graph neural network "
        "on 9,400 binary and ternary systems and tested it on 310 alloys measured after 2020. The mean "
        "absolute error was 58 K, compared with 121 K for a linear rule of mixtures. Errors were largest for "
        "alloys with gallium. Code and data are available. The model ranks candidates, and does not replace "
        "calorimetry.",
    ),
)


def sample_examples() -> list[Example]:
    """Each question to each text; no references."""
    return list(_made())


def _made() -> Iterator[Example]:
    for number, (title, text) in enumerate(_TEXTS):
        for which, question in enumerate(_QUESTIONS):
            yield Example(f"sample-{number}-{which}", Question(question, text, title), source="sample texts")

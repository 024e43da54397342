"""One sentence splitter with offsets, for labels, baselines and answers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from qa_extractive.types import Span

_OPENERS = "([{\"'“‘«„"
_CLOSERS = "\"'”’)\\]»"
_STARTERS = (
    "The|This|These|Those|That|There|Their|They|It|Its|In|On|At|By|For|From|To|With|We|Our|A|An|As|If|All|Both|"
    "However|Thus|Therefore|Moreover|Although|Though|While|When|After|Conclusions?|Results?|Methods?|He|She|"
    "Here|Hence|Finally|Furthermore|Additionally|Because|Since|Overall|Only|Most|Many|Some|Several|Each|Every|"
    "Other|Further|Compared|Using|During|Between|Among|Of|Under|Within|Without|Before|Until|Despite|Then|"
    "No|Not|None|Neither|One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten|Eleven|Twelve|Half|"
    "Patients?|Participants|Subjects|Animals|Mice|Rats|Cells|Children|Women|Men|Adults|Data|Blood|Serum|Plasma|"
    "Mean|Median|Mortality|Survival|Treatment|Levels?|Outcomes?|Background|Objectives?|Aims?|Purpose|Findings|"
    "Is|Are|Was|Were|Do|Does|Did|Can|What|Which|Who|How|Why|Where"
)
_STARTS_SENTENCE = re.compile(rf"(?!A\.)(?:{_STARTERS})\b(?!\.\w)|[A-Z][A-Za-z /&]{{2,40}}:")

_CITED_NUMBERS = r"\d{1,3}(?:\s?[,–-]\s?\d{1,3}){0,9}"
_CITATIONS = (
    rf"(?:\s?\[{_CITED_NUMBERS}\]|(?<=\D[.!?])\^(?:\({_CITED_NUMBERS}\)|{_CITED_NUMBERS})|"
    r"[⁰¹²³⁴-⁹](?:[⁰¹²³⁴-⁹⁻,]{0,20}))"
)
# Full stops ("." or several marks, perhaps with closing quotes and a citation) before white space; a
# citation right after the full stop; a missing blank; line breaks; full stops before labels in capitals.
_BOUNDARY = re.compile(
    rf"(?=[.!?…。！？\n])(?:(?<![.!?…。！？])[.!?…。！？]+[{_CLOSERS}]*{_CITATIONS}?(?=\s|$)"
    rf"|(?:(?<=[^\W\d_]{{3}})|(?<=[)\]”\"%]))\.\d{{1,3}}(?:[,–-]\d{{1,3}}){{0,9}}(?=\s+[A-Z]|\s*$)"
    rf"|(?<=[a-z]{{2}})[.?!](?=(?:{_STARTERS})\s)"
    r"|\n\s*\n|\n|[。！？][」』）”’]*|\.(?=[A-Z][A-Z /&]{2,40}:))"
)

# Abbreviations, lower case, without their last full stop.
_NEVER_LAST = frozenset(["e.g", "i.e", "eg", "ie", "cf", "viz", "vs"])
_BEFORE_NAMES = frozenset(
    "dr drs mr mrs prof st mt approx ca var subsp ssp cv pv bv nov comb gen sect ser serov str staph "
    "strep salm resp jr sr inc ltd co corp dept univ jan feb mar apr jun jul aug sep sept oct nov dec "
    "mon tue tues wed thu thur thurs fri v".split()
)
_BEFORE_NUMBERS = frozenset(
    "fig figs eq eqs eqn eqns ref refs tab vol vols no nos pp p sec chap suppl supp ver art ed eds vit deg "
    "compd cpd exp expt expts add chr vers".split()
)
_BEFORE_AMOUNTS = frozenset(
    "al etc sp spp min max conc concn temp wt ht avg est diam incl excl esp sol susp dil equiv abs rel "
    "std dev freq hr hrs yr yrs mo mos wk wks a c n q".split()
)
_UNITS_OF_TIME = frozenset("min sec hr hrs yr yrs mo mos wk wks".split())
_ALWAYS_NUMBERED = frozenset(["no", "nos", "p", "pp", "ed", "eds", "ver", "art", "sec"])
_CITED = re.compile(r"[\[\d]")
_NUMBERING = re.compile(r"\d|[A-Z]{1,2}\d|[IVX]{1,5}\b")
_LETTERED = re.compile(
    r"(?:[B-HKS]\b|A\b(?! [a-z]))(?!['’])|(?:Fig|Table|Data|Material|File|Video|Appendix|Methods)"
)
_DOTTED = re.compile(r"(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}")

# A single capital before a full stop: the end after "vitamin C", "groups A and B"; else a name ("S. Typhi").
_DESIGNATOR = re.compile(
    r"\b(?:vitamins?|vit\.|deg\.|degrees?|hepatitis|influenza|immunoglobulin|c[iy]closporine?|"
    r"amphotericin|mitomycin|actinomycin|"
    r"proteins?|kinase|factors?|complex|troponin|cystatin|apolipoprotein|cathepsin|coenzyme|toxin|bisphenol|"
    r"ha?emophilia|angiotensin|phases?|class(?:es)?|grades?|stages?|types?|(?:sub)?groups?|arms?|cohorts?|panels?|"
    r"parts?|appendix|sections?|tables?|figures?|box|models?|levels?|clusters?|category|score|sites?|cent(?:er|re)s?|"
    r"hospitals?|plan|schedule|regimens?|treatments?|drugs?|compounds?|samples?|subunits?|chain|regions?|"
    r"domain|zones?|areas?|lanes?|lines?|points?|steps?|methods?|experiments?|conditions?|variants?|alleles?|"
    r"genotypes?|haplotypes?|patterns?|receptors?|antigen|lipid|wards?|rooms?|units?|products?|diets?|batch|"
    r"tests?|scale|versions?|forms?|options?|scenarios?|strategy|protocols?|programs?|study|trials?|"
    r"Child[-–]Pugh|Nutri-?Score|(?-i:[A-Z])(?:,? (?:and|or|&|versus|vs\.?)|,|/))\s*$",
    re.IGNORECASE,
)

# Lower-case letters that begin a sentence: mRNA, p53, miR-21, α-synuclein, n-3, von Hippel, p < 0.05
_SMALL_START = re.compile(
    r"[a-z]{1,6}[A-Z]|[a-z]{1,4}\)\s[A-Z]|[a-z]{1,8}-?\d|[a-z]{1,6}-[A-Z]|"
    r"[a-zα-ωϕ]-[a-z]|[α-λν-ωϕ]{1,2}(?![a-zα-ω])|[μµ]-"
    r"|(?:cis|trans|tert|rac|all-trans)-[a-zα-ω\d(]|([a-z]{2})/\1\s"  # trans-retinol, db/db mice
    r"|[a-z]{3}-(?:let-\d|[a-z]{2,3}[A-Z-])"  # hsa-miR-21, mmu-let-7
    r"|[a-z](?:-values?)?\s?[=<>≤≥]|(?:von|van|de|di|da|del|della|du|den|ten|ter)\s(?:de[rn]?\s|la\s)?[A-Z]"
)
_UNIT = re.compile(
    r"(?:[fpnµμmcdhk]{1,2}(?:M|L|Pa|Hz|Da|V|Gy|Sv|B|Eq|Osm|IU|U)|[mck]?m[23]|mmHg|kg/m|[mµμn]g/|"
    r"(?:min|mol|kg|cm|mm|[hsdgl])[-−][123])(?!\w)"
)

_LONE_ZERO = re.compile(r"(?<![\d.,])0$")
_COMPARED = re.compile(r"[<>=≤≥±~≈]\s*[-−+]?\d+$")
_STATISTIC = re.compile(
    r"\b(?:ratio|odds|risk|mean|median|average|age|index|value|coefficient|difference|OR|HR|RR|AUC|CI|SD|SE|SEM|"
    r"IQR|BMI|pH|P)\b(?:[,:]?\s(?:was|were|is|of|at|to|by|from|between|and)){0,2}\s?[-−+]?\d+$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"(?:\b(?:days?|weeks?|months?|years?|hours?|visits?|steps?|levels?|types?|groups?|grades?|stages?|phases?|"
    r"tables?|figures?|models?|arms?|cohorts?|chapters?|sections?|studies|study|no\.?)\s|\b(?:19|20)\d)\d+$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\d+\s?(?:[)\],;]|[-–±×%]|to\s[-−]?\d|(?:mg|kg|g|µg|μg|ng|ml|mL|L|mm|cm|nm|µm|μm|mmHg|mmol|nmol|µmol|kDa|Hz)\b)"
)
_ENUMERATOR = re.compile(r"\W{0,2}(?:\d{1,2}(?:\.\d{1,2}){0,3}|[A-Za-z]|[ivxIVX]{1,4})")
_FIRST_ITEM = re.compile(r"[:;]\s+\(?1$")

_ITEM = re.compile(r"(\(?)(\d{1,2})([.)])\s")
_BULLETS = frozenset("•‣▪◦●·*–—-")
_SURE_BULLETS = frozenset("•‣▪◦●")
_HEADING = re.compile(
    r"(?:\d[\d.]{0,6}\s)?(?:abstract|summary|introduction|background|(?:study )?(?:aims?|objectives?|"
    r"purpose|design)|setting|participants|interventions?|(?:(?:patients|materials?|subjects) and )?methods?|"
    r"results?|findings|discussion|conclusions?|interpretation|limitations|references|funding|key ?words|"
    r"main outcome measures?)",
    re.IGNORECASE,
)
_OPEN_END = re.compile(
    r"(?:[,;:([{/&–—-]|\b(?:a|an|the|of|in|on|at|by|for|from|to|with|without|and|or|nor|but|as|than|that|which|"
    r"is|are|was|were|be|been|has|have|had|not|no|vs|versus|per|between|among|into|via|its|their|our|this|these))$",
    re.IGNORECASE,
)
_FOLLOWING = re.compile(rf"\s*[{re.escape(_OPENERS)}]{{0,3}}(.{{0,32}})", re.DOTALL)
_CASED_START = re.compile(rf"[.!?][{_CLOSERS}]*\s+[A-Z]")
_FIRST_WORD = re.compile(r"[\W\d_]*([^\W\d_]\S{0,20})")
_LOOK_BACK = 48
_MAX_ENUMERATOR = 12
_MAX_HEADING = 250
_MAX_ITEMS = 2000  # characters between the starts of two list items
_N_KEPT = 256
_KEPT_CHARACTERS = 10_000


def split_sentences(text: str) -> list[Span]:
    """The sentences of a text, in order, as spans without surrounding white space.

    A full stop inside a number, after an abbreviation or an initial, or before a lower-case word ends
    none, unless that word starts small by nature (mRNA, p53, α-synuclein) or the text has no capitals.
    A blank line, a heading on a line of its own, a list item, a section label on a new line and one in
    capitals right after a full stop do. A citation after a full stop belongs to the sentence before
    it. Every character that is not white space lies in exactly one sentence. Linear in the length of
    the text.
    """
    return list(_recent(text) if len(text) <= _KEPT_CHARACTERS else _split(text))


def _split(text: str) -> tuple[Span, ...]:
    sentences: list[Span] = []
    start = 0
    uncased = _is_uncased(text)
    for match in _BOUNDARY.finditer(text):
        if _is_boundary(text, start, match, uncased):
            _append(sentences, text, start, match.end())
            start = match.end()
    _append(sentences, text, start, len(text))
    return tuple(sentences)


_recent = lru_cache(_N_KEPT)(_split)  # a context is split for its windows, and again for its answer


def sentence_at(text: str, start: int, end: int) -> Span:
    """The sentence, or the run of sentences, of ``text`` that holds ``text[start:end]``."""
    touched = [s for s in split_sentences(text) if s.start < end and start < s.end]
    if not touched:
        return Span.cut(text, start, end)
    return Span.cut(text, min(start, touched[0].start), max(end, touched[-1].end))


def _is_uncased(text: str) -> bool:
    """Whether sentences begin with lower-case letters, as in a text that was lower-cased."""
    first = _FIRST_WORD.match(text)
    if first is None or not first[1][0].islower() or _SMALL_START.match(first[1]):
        return False
    return _CASED_START.search(text) is None


class _Stop(NamedTuple):
    """A full stop before what can begin a sentence.

    Attributes:
        before: At most ``_LOOK_BACK`` characters before it, of its own sentence.
        token: The last of them without white space, without opening brackets; may be empty.
        mark: The full stop, with the closing brackets and the citation after it.
        following: What follows, without white space and opening brackets; not empty.
        is_bracketed: Whether a bracket opened in between.
    """

    before: str
    token: str
    mark: str
    following: str
    is_bracketed: bool

    @property
    def begins_plainly(self) -> bool:
        """Whether a word follows that begins sentences and no names."""
        return _STARTS_SENTENCE.match(self.following) is not None


def _is_boundary(text: str, start: int, match: re.Match[str], uncased: bool) -> bool:
    mark = match.group()
    if mark[0] == "\n":
        return _ends_at_line(text, start, match)
    if mark[0] in "。！？":
        return True
    rest = _FOLLOWING.match(text, match.end())
    if rest is None or not rest[1]:
        return True
    if not _can_begin(rest[1], uncased):
        return mark[0] in "!?" and mark[-1] in "!?" and rest[1][0].islower()
    if mark[0] != "." or mark[:2] == "..":
        return True
    stop = match.start()
    if stop - start <= _MAX_ENUMERATOR and _ENUMERATOR.fullmatch(text[start:stop].lstrip()):
        return False
    before = text[max(start, stop - _LOOK_BACK) : stop]
    token = before.rsplit(None, 1)[-1].lstrip(_OPENERS) if before and not before[-1].isspace() else ""
    is_bracketed = text[rest.start(1) - 1] in "(["
    return _ends_after(_Stop(before, token, mark, rest[1], is_bracketed))


def _can_begin(following: str, uncased: bool) -> bool:
    """Whether a sentence can begin so."""
    if following[0].islower():
        return uncased or (_SMALL_START.match(following) is not None and _UNIT.match(following) is None)
    return following[0] not in ".,;:)]}"


def _ends_after(stop: _Stop) -> bool:
    """Whether a full stop ends a sentence."""
    if not stop.token or stop.token[-1] in "<>=≤≥":
        return not stop.following[0].isdigit()  # "P = . 05"
    if stop.token[-1].isdigit():
        return not _is_number_cut(stop.before, stop.following)
    if len(stop.token) == 1 and stop.token.isupper():
        return _ends_after_capital(stop)
    return _ends_after_word(stop)


def _is_number_cut(before: str, following: str) -> bool:
    """Whether a full stop between digits stands in a number that was torn apart ("0. 71"), or in a list."""
    if _FIRST_ITEM.search(before):
        return True
    if not following[0].isdigit():
        return False
    if _LONE_ZERO.search(before) or _COMPARED.search(before):
        return True
    if _COUNTED.search(before):
        return False
    return bool(_STATISTIC.search(before) or _GOES_ON.match(following))


def _ends_after_capital(stop: _Stop) -> bool:
    """Whether a sentence ends after a single capital: "vitamin C." and not "Michael J. Fox", "S. Typhi"."""
    if stop.begins_plainly or _DESIGNATOR.search(stop.before[:-1]):
        return True
    return not stop.following[0].isupper()


def _ends_after_word(stop: _Stop) -> bool:
    """Whether a sentence ends after a word or an abbreviation."""
    token, following = stop.token, stop.following
    word = token.lower()
    if token.isupper() and len(token) > 1 and not following[0].isdigit():
        word = token  # MS, OCT and EG are no abbreviations of months and the like
    if word in _NEVER_LAST or token == "Ms":
        return False
    is_dotted = "." in token and _DOTTED.fullmatch(token) is not None
    if word in _BEFORE_NAMES or (is_dotted and token[0].isupper()):
        return stop.begins_plainly
    if word in _BEFORE_NUMBERS:
        return not _CITED.search(stop.mark) and not _is_numbered(word, following)
    if not is_dotted and word not in _BEFORE_AMOUNTS:
        return True
    if stop.mark[-1] == ")":
        return stop.begins_plainly  # "(i.v.) Rats": the full stop is the abbreviation's alone
    return not stop.is_bracketed and _ends_before(stop, word, is_dotted)


def _ends_before(stop: _Stop, word: str, is_dotted: bool) -> bool:
    """Whether a sentence ends after "etc.", "i.v.", "max." and their like, before what follows."""
    following = stop.following
    if following[0].isdigit():
        return word in _UNITS_OF_TIME and stop.before[: -len(word)].rstrip()[-1:].isdigit()
    if is_dotted or word in ("sp", "spp"):
        return following[0].isupper() and (following[1:2].islower() or stop.begins_plainly)
    return not following[0].islower() or word == "etc"


def _is_numbered(word: str, following: str) -> bool:
    if word in _ALWAYS_NUMBERED:
        return following[0].isdigit()
    return (_NUMBERING.match(following) or _LETTERED.match(following)) is not None


def _ends_at_line(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence without a full stop ends at a line break: before a list item, after a heading."""
    mark, newline = match.group(), match.start()
    if len(mark) > 1:
        return True
    line = text[max(start, newline - _MAX_HEADING) : newline]
    following = text[newline + 1 : newline + 1 + 2 * _MAX_HEADING].partition("\n")[0].lstrip(" \t")
    if re.match(r"[A-Z][A-Za-z /&]{2,40}:", following):
        return True
    if following[:1] in _BULLETS and following[1:2].isspace():
        return _is_item(line, following)
    item = _ITEM.match(following)
    if item is not None:
        return _is_numbered_item(text, newline, item)
    return newline - start <= _MAX_HEADING and _is_heading(text, start, line, following)


def _is_item(line: str, following: str) -> bool:
    bullet, words = following[0], following[1:].lstrip()
    if bullet in _SURE_BULLETS:
        return True
    return words[:1].isalpha() and (
        line.lstrip()[:1] == bullet or line.rstrip()[-1:] in ":;" or words[:1].isupper()
    )


def _is_numbered_item(text: str, newline: int, item: re.Match[str]) -> bool:
    """Whether a number at the start of a line is that of a list item: the first, or one more than another."""
    number = int(item[2])
    if number == 1:
        return text[max(0, newline - _LOOK_BACK) : newline].rstrip()[-1:] in "?:;."
    previous = f"{item[1]}{number - 1}{item[3]}"
    return (
        text.startswith(previous) or text.rfind("\n" + previous, max(0, newline - _MAX_ITEMS), newline) >= 0
    )


def _is_heading(text: str, start: int, line: str, following: str) -> bool:
    """Whether what stands before a line break is whole: a known heading, or a line broken on purpose.

    A line was broken on purpose where the next word would have fitted into the next line's width.
    """
    words = line.strip()
    own_line = start == 0 or "\n" in line[: len(line) - len(line.lstrip())] or text[start - 1] == "\n"
    first = following.lstrip(_OPENERS)[:1]
    if not words or not own_line or "\n" in words or not (first.isupper() or first.isdigit()):
        return False
    if _HEADING.fullmatch(words):
        return True
    width = len(words) + 1 + len(following.split(None, 1)[0])
    return not words[0].islower() and width <= len(following) and _OPEN_END.search(words) is None


def _append(sentences: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    if left < right:
        sentences.append(Span.cut(text, left, right))

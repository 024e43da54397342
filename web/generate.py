"""Writes src/generated.ts: the library's patterns, word lists and character classes, for the TypeScript port.

    python web/generate.py

The patterns of ``inference/decoding.py`` and ``_utils/sentences.py`` are translated part by part from what
Python's parser makes of them, so that there is one place to change them. The classes of characters are those
of the ``tokenizers`` library and of Python, whatever version of Unicode a browser has.
``tests/web/test_web.py`` fails where the file is out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from tokenizers import normalizers, pre_tokenizers

from qa_extractive import settings, types
from qa_extractive._utils import sentences
from qa_extractive.inference import backend, calibration, decoding, windows

OUTPUT = Path(__file__).parent / "src" / "generated.ts"

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_ANY = r"\p{Any}"
_WORD = r"\p{L}\p{N}_"
_CLASSES = {
    op.CATEGORY_DIGIT: r"\p{Nd}",
    op.CATEGORY_SPACE: r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    op.CATEGORY_WORD: _WORD,
}
_NEGATED = {
    op.CATEGORY_NOT_DIGIT: op.CATEGORY_DIGIT,
    op.CATEGORY_NOT_SPACE: op.CATEGORY_SPACE,
    op.CATEGORY_NOT_WORD: op.CATEGORY_WORD,
}
_PLACES = {
    op.AT_BEGINNING: f"(?<![{_ANY}])",
    op.AT_BEGINNING_STRING: f"(?<![{_ANY}])",
    op.AT_END: rf"(?=\n?(?![{_ANY}]))",
    op.AT_END_STRING: f"(?![{_ANY}])",
    op.AT_BOUNDARY: f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
}


def javascript(pattern: re.Pattern[str]) -> str:
    """The source of the same pattern for JavaScript, with the flag u; ValueError for what it cannot say."""
    return _sequence(parser.parse(pattern.pattern, pattern.flags), pattern.flags)


def _sequence(parts: Iterable[Any], flags: int) -> str:
    return "".join(_part(kind, value, flags) for kind, value in parts)


def _part(kind: Any, value: Any, flags: int) -> str:
    if kind not in _WRITERS:
        raise ValueError(f"{kind} has no translation")
    return _WRITERS[kind](value, flags)


def _literal(code: int, flags: int) -> str:
    cases = _cases(code, flags)
    return _escaped(code) if len(cases) == 1 else f"[{''.join(map(_escaped, cases))}]"


def _cases(code: int, flags: int) -> list[int]:
    """A character with its other cases, where these count; ASCII alone has them in our patterns."""
    character = chr(code)
    if not flags & re.IGNORECASE or not character.isalpha():
        return [code]
    if not character.isascii():
        raise ValueError(f"{character!r} without case has no translation")
    return sorted({ord(character.lower()), ord(character.upper())})


def _escaped(code: int) -> str:
    character = chr(code)
    if character.isascii() and character.isalnum():
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\u{{{code:x}}}"


def _set(values: list[tuple[Any, Any]], flags: int) -> str:
    r"""A set. A class like ``\W`` in it has no Unicode form in JavaScript and stands beside it."""
    is_negated = values[0][0] is op.NEGATE
    members = values[is_negated:]
    others = [_CLASSES[_NEGATED[value]] for kind, value in members if _is_negated_class(kind, value)]
    own = [_member(kind, value, flags) for kind, value in members if not _is_negated_class(kind, value)]
    inner = "".join(own)
    if not others:
        return f"[{'^' if is_negated else ''}{inner}]"
    if len(others) > 1:
        raise ValueError("a set of several negated classes has no translation")
    if not inner:
        return f"[{'' if is_negated else '^'}{others[0]}]"
    return f"(?:(?![{inner}])[{others[0]}])" if is_negated else f"(?:[{inner}]|[^{others[0]}])"


def _is_negated_class(kind: Any, value: Any) -> bool:
    return kind is op.CATEGORY and value in _NEGATED


def _member(kind: Any, value: Any, flags: int) -> str:
    if kind is op.LITERAL:
        return "".join(map(_escaped, _cases(value, flags)))
    if kind is op.RANGE:
        return "".join(
            f"{_escaped(low)}-{_escaped(high)}" for low, high in _ranges_of(value[0], value[1], flags)
        )
    if kind is op.CATEGORY:
        return _CLASSES[value]
    raise ValueError(f"{kind} in a set has no translation")


def _ranges_of(low: int, high: int, flags: int) -> list[tuple[int, int]]:
    ends = chr(low) + chr(high)
    if not flags & re.IGNORECASE or not any(chr(code).isalpha() for code in range(low, high + 1)):
        return [(low, high)]
    if not (ends.isascii() and ends.isalpha() and (ends.islower() or ends.isupper())):
        raise ValueError(f"the range {ends!r} without case has no translation")
    return [(ord(chr(low).lower()), ord(chr(high).lower())), (ord(chr(low).upper()), ord(chr(high).upper()))]


def _branch(value: tuple[None, list[Any]], flags: int) -> str:
    return f"(?:{'|'.join(_sequence(each, flags) for each in value[1])})"


def _group(value: tuple[int | None, int, int, Any], flags: int) -> str:
    number, added, removed, inner = value
    return f"({'' if number else '?:'}{_sequence(inner, flags & ~removed | added)})"


def _repeat(lazy: str) -> Callable[[Any, int], str]:
    def write(value: tuple[int, Any, Any], flags: int) -> str:
        least, most, inner = value
        upper = "" if most is op.MAXREPEAT else str(most)
        return f"(?:{_sequence(inner, flags)}){{{least},{upper}}}{lazy}"

    return write


def _assertion(negation: str) -> Callable[[Any, int], str]:
    def write(value: tuple[int, Any], flags: int) -> str:
        direction, inner = value
        return f"(?{'<' if direction < 0 else ''}{negation}{_sequence(inner, flags)})"

    return write


def _any(_: None, flags: int) -> str:
    return f"[{_ANY}]" if flags & re.DOTALL else r"[^\n]"


_WRITERS: dict[Any, Callable[[Any, int], str]] = {
    op.LITERAL: _literal,
    op.NOT_LITERAL: lambda code, flags: f"[^{''.join(map(_escaped, _cases(code, flags)))}]",
    op.IN: _set,
    op.ANY: _any,
    op.BRANCH: _branch,
    op.SUBPATTERN: _group,
    op.MAX_REPEAT: _repeat(""),
    op.MIN_REPEAT: _repeat("?"),
    op.ASSERT: _assertion("="),
    op.ASSERT_NOT: _assertion("!"),
    op.AT: lambda place, _: _PLACES[place],
    op.GROUPREF: lambda number, _: f"(?:\\{number})",
}


# ---------------------------------------------------------------- characters


def _ranges(belongs: Callable[[str], bool]) -> list[int]:
    """First and last code points of runs, one after the other: [a, b, c, d] for a to b and c to d."""
    found: list[int] = []
    for code in range(_LAST + 1):
        if code not in _SURROGATES and belongs(chr(code)):
            if found and found[-1] == code - 1:
                found[-1] = code
            else:
                found += [code, code]
    return found


def _normalizer(**chosen: bool) -> Any:
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**(off | chosen))


def _character_classes() -> dict[str, list[int]]:
    clean, accents = _normalizer(clean_text=True), _normalizer(strip_accents=True)
    apart, words = _normalizer(handle_chinese_chars=True), pre_tokenizers.BertPreTokenizer()

    def parted_into(n_pieces: int) -> list[int]:
        return _ranges(lambda c: len(words.pre_tokenize_str(f"a{c}a")) == n_pieces)

    pieces = {n: parted_into(n) for n in (2, 3)}
    return {
        "REMOVED": _ranges(lambda c: clean.normalize_str(f"a{c}a") == "aa"),
        "CLEANED_TO_BLANK": _ranges(lambda c: clean.normalize_str(f"a{c}a") == "a a"),
        "SET_APART": _ranges(lambda c: apart.normalize_str(c) != c),
        "NONSPACING_MARKS": _ranges(lambda c: accents.normalize_str(c) == ""),
        # of newer Unicode than the library's, which leaves them whole
        "NOT_DECOMPOSED": _ranges(lambda c: _is_decomposed(c) and accents.normalize_str(c) == c),
        "BETWEEN_WORDS": pieces[2],
        "PUNCTUATION": pieces[3],
        "DIGITS": _ranges(str.isdigit),
    }


def _is_decomposed(character: str) -> bool:
    return ord(character) in _NEWER_COMPOSITES


_NEWER_COMPOSITES = frozenset(
    [
        *(0x105C9, 0x105E4, 0x11383, 0x11385, 0x1138E, 0x11391, 0x113C5, 0x113C7, 0x113C8, 0x11938),
        *range(0x16121, 0x16129),
        *range(0x16D68, 0x16D6B),
    ]
)
"""Of Unicode 13 to 17, whose decompositions this Python may not know."""


# ---------------------------------------------------------------- the file


def generated() -> str:
    """The text of ``src/generated.ts``."""
    lines = ["/** First and last code points of runs, one after the other. */", ""]
    for name, runs in _character_classes().items():
        lines += [f"export const {name}: readonly number[] = {json.dumps(runs, separators=(',', ':'))};", ""]
    return patterns() + "\n".join(lines)


def patterns() -> str:
    """Its first part: patterns, words and numbers."""
    lines = ["// Written by web/generate.py from the Python package. Do not edit.", ""]
    for name, module in (("decoding", decoding), ("sentences", sentences)):
        lines += [f"/** Patterns of the module {name}. */", f"export const {name}Patterns = {{"]
        for key, value in vars(module).items():
            if isinstance(value, re.Pattern):
                lines.append(f"  {key.lstrip('_')}: {json.dumps(javascript(value))},")
        lines += ["} as const;", ""]
    lines += [f"export const CLOSERS = {json.dumps(_closers())} as const;", ""]
    for name, words in vars(sentences).items():
        if isinstance(words, frozenset):
            listed = json.dumps(sorted(words), ensure_ascii=False)
            lines += [f"export const {name.lstrip('_')}: readonly string[] = {listed};", ""]
    for name, constant in _constants().items():
        lines += [f"export const {name} = {json.dumps(constant, ensure_ascii=False)};", ""]
    return "\n".join([*lines, ""])


def _closers() -> list[list[str]]:
    return [[opening, closing, javascript(rest)] for opening, closing, rest in decoding._CLOSERS]


def _constants() -> dict[str, object]:
    return {
        "OPENERS": sentences._OPENERS,
        "LABEL": javascript(re.compile(r"[A-Z][A-Za-z /&]{2,40}:")),
        "LOOK_BACK": sentences._LOOK_BACK,
        "MAX_ENUMERATOR": sentences._MAX_ENUMERATOR,
        "MAX_HEADING": sentences._MAX_HEADING,
        "MAX_ITEMS": sentences._MAX_ITEMS,
        "LONE_SIGNS": "".join(sorted(decoding._LONE_SIGNS)),
        "WIDE": [[ord(first), ord(last)] for first, last in decoding._WIDE],
        "MAX_GAP": decoding._MAX_GAP,
        "MAX_WIDENING": decoding._MAX_WIDENING,
        "MAX_MARKS": decoding._MAX_MARKS,
        "LONGEST_GROUP": decoding._LONGEST_GROUP,
        "NEAR": decoding._NEAR,
        "MAX_STEPS": decoding._MAX_STEPS,
        "DROPPED": backend.DROPPED,
        "TITLE_MARK": windows._TITLE_MARK,
        "MOST_CHARACTERS_A_TOKEN": windows._MOST_CHARACTERS_A_TOKEN,
        "NO_QUESTION_FROM": calibration._NO_QUESTION_FROM,
        "START_COVERAGES": calibration._START_COVERAGES,
        "N_DECODED": settings.N_DECODED,
        "UNSURE_FROM": types.UNSURE_FROM,
    }


if __name__ == "__main__":
    OUTPUT.write_text(generated(), encoding="utf-8")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1000:.1f} kB")

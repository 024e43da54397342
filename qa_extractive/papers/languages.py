"""Which of several texts is the English one: the models read English."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_ENGLISH = frozenset(("en", "eng", "english"))
_FREQUENT = frozenset(
    "the of and is are was were be been with for that this these by from to in on we at as or".split()
)
_SHARED = frozenset(
    ("in", "is", "was", "on", "we", "as", "at", "be", "to", "by", "for")
)  # with other languages
# Small words of Spanish, Portuguese, French, German and Italian that are none of English.
_FOREIGN = frozenset(
    "de la el los las en y que del se por un una para les des et du dans pour der das und den von mit zu "
    "ist os em um uma com il di che della le est sont al e o da do na nei bei".split()
)
_MIN_WORDS = 8
_MIN_FOREIGN = 0.15
_WORD = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*")
_LOOKED_AT = 3000  # characters
_SURE_WORDS = 20

# Of ISO 639, what papers come in: keys of JSON objects that hold a text by language.
_CODES = frozenset(
    "en es pt fr de it ru zh ja ko pl tr nl sv da no fi cs hu ro uk ar fa he el bg hr sr sl sk lt lv et "
    "ca id ms vi th la nb nn eng spa por fra fre deu ger ita rus chi zho jpn kor pol tur dut nld swe dan "
    "nor fin cze ces hun rum ron ukr ara per fas heb gre ell und".split()
)


def is_english_code(code: str) -> bool:
    """Whether a label (``en``, ``en-GB``, ``eng``) names English."""
    return re.split("[-_]", code.strip().casefold())[0] in _ENGLISH


def is_language_code(text: str) -> bool:
    """Whether a text is a label of a language."""
    code = text.strip().casefold()
    return (bool(_CODE.fullmatch(code)) and re.split("[-_]", code)[0] in _CODES) or code in _ENGLISH


def looks_english(text: str) -> bool:
    """Whether a text has the small words of English, more of them than of any other language."""
    words = [word.casefold() for word in _WORD.findall(text[:_LOOKED_AT])]
    n_own = sum(word in _FREQUENT and word not in _SHARED for word in words)
    n_shared = sum(word in _SHARED for word in words)
    return bool(words) and (n_own + 0.3 * n_shared) / len(words) > 0.04


def is_foreign(text: str) -> bool:
    """Whether a text is surely not English; a short one, or a list of names, never is."""
    if _is_of_other_script(text):
        return True
    return len(_WORD.findall(text[:_LOOKED_AT])) >= _SURE_WORDS and not looks_english(text)


def _is_of_other_script(text: str) -> bool:
    letters = [c for c in text[:_LOOKED_AT] if c.isalpha()]
    return len(letters) >= _SURE_WORDS and sum(c > "\u0250" for c in letters) > 0.6 * len(letters)


def english_first(labels_and_texts: Sequence[tuple[str, str]]) -> list[int]:
    """The indices of the texts in English; where there are none, of those in the first one's language.

    Args:
        labels_and_texts: A code of a language, empty where it is not known, and the text.
    """
    english = [i for i, (code, text) in enumerate(labels_and_texts) if is_english_code(code)]
    if not english:
        english = [i for i, (code, text) in enumerate(labels_and_texts) if not code and looks_english(text)]
    first = next((code for code, _ in labels_and_texts), "")
    return english or [i for i, (code, _) in enumerate(labels_and_texts) if code == first]


def without_translations(texts: Sequence[str]) -> list[int]:
    """The indices of the parts of one text but those in another language, which say again what others say.

    A part counts as one only where its own small words, or its letters, say so and another part is English.
    """
    if len(texts) < 2 or not any(map(looks_english, texts)):
        return list(range(len(texts)))
    return [i for i, text in enumerate(texts) if not _is_translation(text)]


def _is_translation(text: str) -> bool:
    words = [word.casefold() for word in _WORD.findall(text[:_LOOKED_AT])]
    n_foreign = sum(word in _FOREIGN for word in words)
    is_foreign_enough = len(words) >= _MIN_WORDS and n_foreign >= _MIN_FOREIGN * len(words)
    return _is_of_other_script(text) or (is_foreign_enough and not looks_english(text))


def english_texts(texts: Iterable[str]) -> list[str]:
    """Of texts of unknown languages, the English ones; all where none is."""
    known = list(texts)
    return [text for text in known if not is_foreign(text)] or known

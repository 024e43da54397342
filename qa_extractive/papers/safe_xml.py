"""XML from strangers, read as a stream by expat, element by element.

Refused are documents that bring a DTD of their own, and with it entities that grow or read files, defaults
of attributes, and all else that is not plain content. A DTD that is only named, as in every JATS and PubMed
file, is never fetched; characters that it names (``&alpha;``) are those of HTML. Bounded are nesting, the
sizes of a tag, a record and a file, and the number of names that elements and attributes have: expat keeps
them all, and reads a tag again from its start with each chunk that does not end it. ``defusedxml`` would do
no more: it guards the same hooks of expat, has seen no release since 2021, and its readers keep whole
documents.
"""

from __future__ import annotations

import html.entities
from collections import deque
from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from xml.parsers import expat

from qa_extractive.papers.types import MAX_RECORD_CHARACTERS, TOO_LARGE, NoPaperError

MAX_DEPTH: Final = 200
MAX_FILE_BYTES: Final = 4 << 30  # decompressed; PubMed's own files have some hundred MB
MAX_TAG_BYTES: Final = 1 << 20  # also of a comment
MAX_NAMES: Final = 10_000  # of elements and attributes; JATS with MathML has some hundred
MAX_NAME_CHARACTERS: Final = 1000

_CHUNK_BYTES = 1 << 16
# Characters that an element, and each of its attributes, counts for beside its text: what it takes in memory.
_ELEMENT_WEIGHT = 128
_ATTRIBUTE_WEIGHT = 64
UNSAFE, BROKEN = "unsafe XML", "broken XML"


@dataclass(slots=True)
class Element:
    """An element that was read whole.

    Attributes:
        tag: Its name without a prefix.
        attributes: By name, prefix included.
        content: Texts and elements, in order.
    """

    tag: str
    attributes: dict[str, str]
    content: list[str | Element] = field(default_factory=list)

    def children(self, *tags: str) -> list[Element]:
        """Its direct children of these names; all where none is given."""
        return [c for c in self.content if isinstance(c, Element) and (not tags or c.tag in tags)]

    def child(self, *path: str) -> Element | None:
        """The first element down a path of names."""
        element: Element | None = self
        for tag in path:
            element = next(iter(element.children(tag)), None) if element else None
        return element


def elements(
    stream: BinaryIO, tags: Collection[str], sets: Collection[str] = ()
) -> Generator[Element, None, None]:
    """The outermost elements of these names, each as soon as it ends; nothing else is kept.

    Args:
        stream: The document, in any encoding that it declares and expat knows.
        tags: Names without prefix.
        sets: Names of elements whose children are taken as well, whatever they are named.

    Raises:
        NoPaperError: The document is unsafe, broken or too large; what came before it stands.
    """
    reader = _Reader(tags, sets)
    n_bytes = 0
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        n_bytes += len(chunk)
        if n_bytes > MAX_FILE_BYTES:
            raise NoPaperError(TOO_LARGE, f"more than {MAX_FILE_BYTES:,} bytes")
        failure = reader.feed(chunk)
        while reader.ready:
            yield reader.ready.popleft()
        if failure is not None:
            raise failure
        if not chunk:
            return


class _Reader:
    """Makes elements of what expat sees.

    Attributes:
        ready: Elements that are whole.
    """

    def __init__(self, tags: Collection[str], sets: Collection[str]) -> None:
        self.ready: deque[Element] = deque()
        self._tags = tags
        self._sets = sets
        self._above: list[str] = []  # names of the elements around the one being read
        self._open: list[Element] = []
        self._n_names = 0
        self._weight = 0  # of the element being read
        self._n_silent = 0  # bytes since expat last saw anything whole
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._entity_declaration
        self._parser.DefaultHandlerExpand = self._other

    def feed(self, chunk: bytes) -> NoPaperError | None:
        """Read on, or end where the chunk is empty; what is wrong, if anything is."""
        self._n_silent += len(chunk)
        try:
            self._parser.Parse(chunk, not chunk)
        except NoPaperError as error:
            return error
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset + 1}"
            return NoPaperError(BROKEN, f"{where}: {expat.ErrorString(error.code)}")
        except (ValueError, LookupError) as error:  # an encoding that is none, or of several bytes
            return NoPaperError(BROKEN, f"its encoding is not known: {error}")
        if self._n_silent > min(MAX_TAG_BYTES, MAX_RECORD_CHARACTERS):
            return NoPaperError(TOO_LARGE, f"a tag or comment of more than {MAX_TAG_BYTES:,} bytes")
        return None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._n_silent = 0
        self._check_names(name, attributes)
        tag = name.rpartition(":")[2]
        if self._open or tag in self._tags or (self._above and self._above[-1] in self._sets):
            self._grow(_ELEMENT_WEIGHT)
            self._grow(sum(_ATTRIBUTE_WEIGHT + len(key) + len(value) for key, value in attributes.items()))
            element = Element(tag, attributes)
            if self._open:
                self._open[-1].content.append(element)
            self._open.append(element)
        self._above.append(tag)
        if len(self._above) > MAX_DEPTH:
            raise NoPaperError(UNSAFE, f"elements nested more than {MAX_DEPTH} deep")

    def _check_names(self, name: str, attributes: dict[str, str]) -> None:
        """Refuse a document with names without end."""
        n_names = len(self._parser.intern)
        if n_names == self._n_names:
            return
        self._n_names = n_names
        if n_names > MAX_NAMES:
            raise NoPaperError(UNSAFE, f"more than {MAX_NAMES:,} different names of elements and attributes")
        if max(map(len, (name, *attributes))) > MAX_NAME_CHARACTERS:
            raise NoPaperError(UNSAFE, f"a name of more than {MAX_NAME_CHARACTERS:,} characters")

    def _end(self, name: str) -> None:
        self._n_silent = 0
        self._above.pop()
        if self._open:
            element = self._open.pop()
            if not self._open:
                self.ready.append(element)
                self._weight = 0

    def _text(self, text: str) -> None:
        self._n_silent = 0
        if self._open:
            self._grow(len(text))
            self._open[-1].content.append(text)

    def _doctype(self, name: str, system: str | None, public: str | None, has_own_dtd: bool) -> None:
        if has_own_dtd:
            raise NoPaperError(UNSAFE, "it brings its own DTD (<!DOCTYPE ... [ ... ]>): take that out")

    def _entity_declaration(self, name: str, *_: object) -> None:
        raise NoPaperError(UNSAFE, "it declares an entity: take that out")

    def _other(self, text: str) -> None:
        """Comments and the like, and references to entities that no DTD was read for."""
        self._n_silent = 0
        if text.startswith("&"):
            meaning = html.entities.html5.get(text[1:])
            if meaning is None:
                raise NoPaperError(BROKEN, f"{text[:40]!a} has no meaning without its DTD")
            self._text(meaning)

    def _grow(self, weight: int) -> None:
        self._weight += weight
        if self._weight > MAX_RECORD_CHARACTERS:
            raise NoPaperError(TOO_LARGE, f"a record of more than {MAX_RECORD_CHARACTERS:,} characters")

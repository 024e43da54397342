"""Components for Haystack, LangChain, LlamaIndex and spaCy; each module needs the extra of its name."""

from __future__ import annotations

"""The reader as tools of the Model Context Protocol, over stdio or HTTP."""

from __future__ import annotations

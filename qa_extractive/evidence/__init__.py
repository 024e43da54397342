"""What several papers say to one question, side by side: votes counted, values listed, nothing pooled."""

from __future__ import annotations

"""The path of ``data.loading`` before its folder was renamed."""

from qa_extractive.data.loading import Loaded, load_examples

__all__ = ["Loaded", "load_examples"]

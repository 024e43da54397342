"""The path of ``archive.pack`` before it moved."""

from qa_extractive.archive.pack import pack

__all__ = ["pack"]

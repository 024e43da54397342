"""The path of the sentence splitter before it moved to ``_utils``."""

from qa_extractive._utils.sentences import sentence_at, split_sentences

__all__ = ["sentence_at", "split_sentences"]

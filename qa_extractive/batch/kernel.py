"""The path of ``batch.arrow`` before it was renamed."""

from qa_extractive.batch.arrow import AnswerKernel

__all__ = ["AnswerKernel"]

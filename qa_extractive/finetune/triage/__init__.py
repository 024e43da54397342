"""Rows of yes or no -> a model that sorts papers, and how it compares (docs/FINE_TUNE.md)."""

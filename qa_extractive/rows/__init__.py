"""Rows of a table with their answers, whatever answers them: a bad row says why and stops no other."""

from __future__ import annotations

"""Anybody's softmax, loss or gradient against exact arithmetic."""

from softxent.check.checking import check

__all__ = ["check"]

"""``vaguemestre doctor``: read-only facts of a workstation, and what they mean for its readers and its middleware."""

from __future__ import annotations

"""Export of the documents held, in files anybody can read."""

from __future__ import annotations

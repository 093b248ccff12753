"""The preparation of documents in a process of its own."""

from __future__ import annotations

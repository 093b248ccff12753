"""The second place of accepted documents, as a folder."""

from __future__ import annotations

"""The demonstration: three documents, told in plain words, on a real agent and a sandbox."""

from __future__ import annotations

"""The readers process seen from the agent: its life, and what it is asked."""

from __future__ import annotations

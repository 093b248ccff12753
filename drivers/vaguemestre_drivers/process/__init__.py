"""The readers process: a child of the agent that alone loads native card, scanner and image libraries."""

from __future__ import annotations

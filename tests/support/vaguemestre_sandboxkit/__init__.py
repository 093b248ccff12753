"""A small client of the sandbox for its own tests: messages written by hand, sharing nothing with the agent."""

from __future__ import annotations

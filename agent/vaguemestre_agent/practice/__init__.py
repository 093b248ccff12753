"""A small practice on one machine: the sandbox and the agent as processes, for the demonstration and the self-tests."""

from __future__ import annotations

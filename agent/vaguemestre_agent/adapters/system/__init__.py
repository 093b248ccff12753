"""The machine itself: clocks, randomness and the failpoints of the crash tests."""

from __future__ import annotations

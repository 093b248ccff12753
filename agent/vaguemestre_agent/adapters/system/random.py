"""``RandomPort`` over the system's generator."""

from __future__ import annotations

import secrets


class SystemRandom:
    """The system's randomness."""

    def bits(self, count: int) -> int:
        """Return an integer of that many random bits."""
        return secrets.randbits(count)

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return secrets.randbits(53) / (1 << 53)

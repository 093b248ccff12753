"""A witness that says what a test wants: is the Internet there?"""

from __future__ import annotations


class ScriptedWitness:
    """WitnessPort in memory.

    Attributes:
        reached: what it says: the Internet is there, is not, or nobody knows.
        asked: how often it was asked.
    """

    def __init__(self) -> None:
        self.reached: bool | None = None
        self.asked = 0

    async def is_reached(self) -> bool | None:
        """Say what it was told to say."""
        self.asked += 1
        return self.reached

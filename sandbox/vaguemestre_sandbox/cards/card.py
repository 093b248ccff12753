"""What a virtual card is: an answer to reset and a function from command to answer.

Owns the contract that every virtual card keeps, and cards that follow a script. A card knows nothing of how it is wired
to a reader: `vpcd` carries it to a real PC/SC service or to a stand-in, a unit test calls `respond` directly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

OK: Final = b"\x90\x00"
FILE_NOT_FOUND: Final = b"\x6a\x82"
INS_NOT_SUPPORTED: Final = b"\x6d\x00"
CLA_NOT_SUPPORTED: Final = b"\x6e\x00"
WRONG_LENGTH: Final = b"\x67\x00"

SHORTEST_COMMAND: Final = 4


class CardLeft(Exception):  # an event of the simulation
    """The card is pulled out before it answers: whoever carries it drops the line without an answer."""


class VirtualCard(Protocol):
    """A card in software. Used by one thread at a time."""

    @property
    def atr(self) -> bytes:
        """The answer to reset; empty for a card that does not answer."""
        ...

    def reset(self) -> None:
        """Forget what was selected and verified: power on, power off or reset."""
        ...

    def respond(self, command: bytes) -> bytes:
        """Return the answer to one command: data, then the two bytes of the status word.

        Raises CardLeft when it is pulled out before answering.
        """
        ...


class ScriptedCard:
    """A card that answers given commands with given bytes, and all others with one answer.

    Counts what it was asked, so that a test may bound it.
    """

    def __init__(
        self, atr: bytes, answers: Mapping[bytes, bytes] | Callable[[bytes], bytes], other: bytes = INS_NOT_SUPPORTED
    ) -> None:
        self._atr = atr
        self._answers = answers
        self._other = other
        self.asked = 0
        self.resets = 0

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return self._atr

    def reset(self) -> None:
        """Count it."""
        self.resets += 1

    def respond(self, command: bytes) -> bytes:
        """Answer by the script."""
        self.asked += 1
        if callable(self._answers):
            return self._answers(command)
        return self._answers.get(command, self._other)


class _UntilCommand:
    """Another card, to which something happens at its n-th command."""

    def __init__(self, card: VirtualCard, *, at_command: int) -> None:
        self._card = card
        self._left = at_command

    @property
    def atr(self) -> bytes:
        """That of the card inside."""
        return self._card.atr

    def reset(self) -> None:
        """Reset the card inside."""
        self._card.reset()

    def _left_now(self) -> int:
        """Count one command; return how many are left until that one, 0 when this is it."""
        self._left -= 1
        return self._left


class PulledCard(_UntilCommand):
    """Another card, pulled out while it works: the n-th command gets no answer and the line drops."""

    def respond(self, command: bytes) -> bytes:
        """Answer as the card inside until its turn comes to leave."""
        if self._left_now() <= 0:
            raise CardLeft
        return self._card.respond(command)


class MuteCard:
    """A card put in upside down: it never gives an answer to reset."""

    @property
    def atr(self) -> bytes:
        """Nothing."""
        return b""

    def reset(self) -> None:
        """Do nothing."""

    def respond(self, command: bytes) -> bytes:
        """Answer that the command is not known; no reader should ask."""
        return INS_NOT_SUPPORTED


class SilentCard(_UntilCommand):
    """Another card whose n-th command never gets an answer, until it is released: a chip that hangs."""

    def __init__(self, card: VirtualCard, *, at_command: int) -> None:
        super().__init__(card, at_command=at_command)
        self.released = threading.Event()

    def respond(self, command: bytes) -> bytes:
        """Answer as the card inside; hang at the chosen command."""
        if self._left_now() == 0:
            self.released.wait()
        return self._card.respond(command)

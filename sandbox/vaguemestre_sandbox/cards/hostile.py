"""Cards that lie: endless answers, wrong lengths, garbage, zeros, two files that do not agree.

Owns their behaviour; each one bounds nothing by itself, so that a reader without bounds hangs or breaks on it. Cards
pulled out or silent in the middle are in `card`: they wrap any of these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from vaguemestre_sandbox.cards.card import OK, VirtualCard
from vaguemestre_sandbox.cards.vitale import (
    FAMILY,
    READ_BINARY,
    VITALE_2_ATR,
    Vitale2Card,
    VitaleFiles,
    tlv,
    written_files,
)


class EndlessCard:
    """Every answer says that more waits (61xx), with or without data."""

    def __init__(self, *, data: bytes = b"", atr: bytes = VITALE_2_ATR) -> None:
        self._answer = data + b"\x61\xff"
        self._atr = atr
        self.asked = 0

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return self._atr

    def reset(self) -> None:
        """Nothing is kept."""

    def respond(self, command: bytes) -> bytes:
        """Say that more waits."""
        del command
        self.asked += 1
        return self._answer


class FickleLengthCard:
    """Every READ BINARY is refused with another length than the one asked (6Cxx), whatever is asked."""

    def __init__(self, *, atr: bytes = VITALE_2_ATR) -> None:
        self._atr = atr
        self.asked = 0

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return self._atr

    def reset(self) -> None:
        """Nothing is kept."""

    def respond(self, command: bytes) -> bytes:
        """Accept any SELECT, and never the length of a READ BINARY."""
        self.asked += 1
        if command[1:2] != bytes([READ_BINARY]):
            return OK
        return bytes([0x6C, (command[-1] + 1) % 256])


class RawCard:
    """Every answer is these bytes, a status word or not."""

    def __init__(self, answer: bytes, *, atr: bytes = VITALE_2_ATR) -> None:
        self._answer = answer
        self._atr = atr

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return self._atr

    def reset(self) -> None:
        """Nothing is kept."""

    def respond(self, command: bytes) -> bytes:
        """Give the bytes."""
        del command
        return self._answer


def lying_lengths() -> Vitale2Card:
    """Return a Vitale 2 whose templates announce more than the card can hold, and whose names run into each other."""
    good = written_files(FAMILY)
    return Vitale2Card(VitaleFiles(identities=b"\x65\x82\xff\xf0" + good.identities[2:], nirs=good.nirs))


def overlapping() -> Vitale2Card:
    """Return a Vitale 2 with a name longer than the template that holds it."""
    inner = b"\x80\x30" + b"FICTIF"
    return Vitale2Card(VitaleFiles(identities=tlv("65", inner), nirs=written_files(FAMILY[:1]).nirs))


def garbage(seed: int = 20261124) -> Vitale2Card:
    """Return a Vitale 2 whose files hold noise, the same for the same seed."""
    noise = random.Random(seed)  # noqa: S311 - reproducible noise, not a secret
    return Vitale2Card(VitaleFiles(identities=b"\x65" + noise.randbytes(255), nirs=b"\x65" + noise.randbytes(255)))


def zeros() -> Vitale2Card:
    """Return a Vitale 2 whose files were never written."""
    return Vitale2Card(VitaleFiles(identities=b"", nirs=b""))


def erased() -> Vitale2Card:
    """Return a Vitale 2 whose memory was erased to FF."""
    return Vitale2Card(VitaleFiles(identities=b"\xff" * 256, nirs=b"\xff" * 256))


def uneven() -> Vitale2Card:
    """Return a Vitale 2 that names three people and numbers two: pairing them would give a child another's NIR."""
    return Vitale2Card(
        VitaleFiles(identities=written_files(FAMILY).identities, nirs=written_files(FAMILY[:2]).nirs),
    )


def deep() -> Vitale2Card:
    """Return a Vitale 2 with templates inside templates, deeper than any reader should follow."""
    nested = b""
    for _ in range(60):
        nested = tlv("65", nested)
    return Vitale2Card(VitaleFiles(identities=nested, nirs=nested))


HOSTILE: Final[Mapping[str, Callable[[], VirtualCard]]] = {
    "endless": EndlessCard,
    "endless_data": lambda: EndlessCard(data=b"\x65" * 255),
    "fickle_length": FickleLengthCard,
    "no_status": lambda: RawCard(b"\x90"),
    "odd_status": lambda: RawCard(b"\x12\x34"),
    "nothing": lambda: RawCard(b""),
    "lying_lengths": lying_lengths,
    "overlapping": overlapping,
    "garbage": garbage,
    "zeros": zeros,
    "erased": erased,
    "uneven": uneven,
    "deep": deep,
}
"""Every hostile card by name: what a reader must survive."""

"""Cards that lie: endless answers, wrong lengths, garbage, zeros, two files that do not agree.

Owns their behaviour; each one bounds nothing by itself, so that a reader without bounds hangs or breaks on it. Cards
pulled out or silent in the middle are in `card`: they wrap any of these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from vaguemestre_sandbox.cards.card import OK, ScriptedCard, VirtualCard
from vaguemestre_sandbox.cards.vitale import (
    FAMILY,
    READ_BINARY,
    VITALE_2_ATR,
    Vitale2Card,
    VitaleFiles,
    tlv,
    written_files,
)


def endless(*, data: bytes = b"") -> ScriptedCard:
    """Return a card whose every answer says that more waits (61xx), with or without data."""
    return ScriptedCard(VITALE_2_ATR, {}, other=data + b"\x61\xff")


def fickle_length() -> ScriptedCard:
    """Return a card that accepts any SELECT and refuses every READ BINARY with another length than the one asked."""

    def answer(command: bytes) -> bytes:
        return OK if command[1:2] != bytes([READ_BINARY]) else bytes([0x6C, (command[-1] + 1) % 256])

    return ScriptedCard(VITALE_2_ATR, answer)


def raw(answer: bytes) -> ScriptedCard:
    """Return a card whose every answer is these bytes, a status word or not."""
    return ScriptedCard(VITALE_2_ATR, {}, other=answer)


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
    "endless": endless,
    "endless_data": lambda: endless(data=b"\x65" * 255),
    "fickle_length": fickle_length,
    "no_status": lambda: raw(b"\x90"),
    "odd_status": lambda: raw(b"\x12\x34"),
    "nothing": lambda: raw(b""),
    "lying_lengths": lying_lengths,
    "overlapping": overlapping,
    "garbage": garbage,
    "zeros": zeros,
    "erased": erased,
    "uneven": uneven,
    "deep": deep,
}
"""Every hostile card by name: what a reader must survive."""

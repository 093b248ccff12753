"""Failpoints: nothing in production, a SIGKILL of ourselves where a crash test asked for one.

The crash self-test arms one by the environment variable ``VAGUEMESTRE_FAILPOINT`` = ``name`` or ``name:N`` (Nth pass).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "VAGUEMESTRE_FAILPOINT"

# Every place between acceptance and receipt where a process may die, in the order an order meets them.
FAILPOINTS: Final = (
    "accept.sealed",
    "store.before_commit",
    "store.after_commit",
    "accept.durable",
    "prepare.started",
    "prepare.built",
    "applied.prepared",
    "applied.due",
    "claimed",
    "applied.unclaim",
    "send.existence",
    "send.signed",
    "send.connected",
    "send.before_sending",
    "send.sending",
    "send.half_sent",
    "send.all_sent",
    "send.answered",
    "applied.delivered",
    "applied.refused",
    "applied.not_sent",
    "applied.doubt",
    "settle.started",
    "settle.answered",
    "applied.found_there",
    "applied.unknown_there",
)


class Unarmed:
    """Failpoints of production: nothing happens."""

    def hit(self, name: str) -> None:
        """Pass."""


class KillAtFailpoint:
    """Kills this process, without any clean-up, at the Nth pass of one named failpoint.

    Args:
        name: one of ``FAILPOINTS``.
        nth: which pass, from 1.
    """

    def __init__(self, name: str, nth: int = 1) -> None:
        self._name = name
        self._left = nth

    def hit(self, name: str) -> None:
        """Pass; does not return at the armed one."""
        if name != self._name:
            return
        self._left -= 1
        if self._left <= 0:
            kill_ourselves()


def kill_ourselves() -> None:
    """End this process at once, as a power cut would."""
    if sys.platform == "win32":
        os._exit(137)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def from_environment(environment: Mapping[str, str]) -> Unarmed | KillAtFailpoint:
    """Return the failpoints the environment asks for."""
    asked = environment.get(VARIABLE, "")
    if not asked:
        return Unarmed()
    name, _, nth = asked.partition(":")
    return KillAtFailpoint(name, int(nth or "1"))

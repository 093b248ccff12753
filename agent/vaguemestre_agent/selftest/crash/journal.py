"""The client's journal: what an LGC was told, kept outside the agent. It alone says what may not be lost."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(slots=True)
class Deposit:
    """One document the client wants sent.

    Attributes:
        client_ref: its reference, also its title and its content's mark.
        acknowledged: the agent answered that it is durable.
        cancel_asked: the client asked to cancel it, whatever was answered.
        cancelled: the agent answered that it is cancelled.
    """

    client_ref: str
    acknowledged: bool = False
    cancel_asked: bool = False
    cancelled: bool = False


@dataclass(slots=True)
class Journal:
    """All deposits, each answer flushed to disk before it is counted."""

    path: Path
    deposits: dict[str, Deposit] = field(default_factory=dict)
    _file: TextIO | None = None

    def wish(self, client_ref: str) -> Deposit:
        """Write down that the client will deposit a document."""
        deposit = Deposit(client_ref)
        self.deposits[client_ref] = deposit
        self._write("wished", client_ref)
        return deposit

    def acknowledged(self, deposit: Deposit) -> None:
        """Write down that the agent said: durable."""
        deposit.acknowledged = True
        self._write("acknowledged", deposit.client_ref)

    def cancel_asked(self, deposit: Deposit) -> None:
        """Write down that the client is about to ask: the answer may never come."""
        deposit.cancel_asked = True
        self._write("cancel_asked", deposit.client_ref)

    def cancelled(self, deposit: Deposit) -> None:
        """Write down that the agent said: cancelled."""
        deposit.cancelled = True
        self._write("cancelled", deposit.client_ref)

    def pending(self) -> list[Deposit]:
        """Return the deposits never acknowledged: the client repeats them."""
        return [deposit for deposit in self.deposits.values() if not deposit.acknowledged]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, what: str, client_ref: str) -> None:
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps([what, client_ref]) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

"""The client's journal: what the LGCs wanted and what they were told, kept outside the agent.

It alone says what may not be lost, sent, deleted or shown. Each line is flushed to the disk before it counts.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final, TextIO

HIDDEN: Final = frozenset({"INVISIBLE_PATIENT"})
MASKED: Final = frozenset({"MASQUE_PS"})
OPEN_TO_ALL: Final[frozenset[str]] = frozenset()


class Wish(Enum):
    """How far a wish of the client went."""

    NONE = auto()
    ASKED = auto()  # the request may have arrived: the answer never came
    PROMISED = auto()  # the agent answered that it will be done


@dataclass(slots=True)
class Version:
    """One version of a document.

    Attributes:
        number: from 1.
        visibility: the codes it was deposited with.
        deposit: ASKED, then PROMISED once it is durable.
        cancel_asked: the client asked to cancel it, whatever was answered.
        cancelled: the agent answered that it is cancelled.
    """

    number: int
    visibility: frozenset[str]
    deposit: Wish = Wish.ASKED
    cancel_asked: bool = False
    cancelled: bool = False


@dataclass(slots=True)
class Deposit:
    """One document of one LGC, and all that was wanted of it.

    Attributes:
        office: the LGC: 0 or 1; both use the same references.
        client_ref: its reference.
        hidden: the patient may not see it, until ``change`` says otherwise.
        versions: oldest first.
        delete: the wish to delete it.
        change: the wish to give it the codes of ``changed_to``.
    """

    office: int
    client_ref: str
    hidden: bool
    versions: list[Version] = field(default_factory=list)
    delete: Wish = Wish.NONE
    change: Wish = Wish.NONE

    @property
    def wanted(self) -> Version:
        """The version wanted now."""
        return self.versions[-1]

    @property
    def is_pending(self) -> bool:
        """The answer to its last deposit never came: the client repeats it."""
        return self.wanted.deposit is Wish.ASKED

    @property
    def is_over(self) -> bool:
        """The client asked to stop or delete it: it asks nothing more."""
        return self.delete is not Wish.NONE or self.wanted.cancel_asked

    @property
    def changed_to(self) -> frozenset[str]:
        """The codes that a change of visibility asks: what is hidden is shown, what is shown is masked."""
        return OPEN_TO_ALL if self.hidden else MASKED

    @property
    def visibility(self) -> frozenset[str]:
        """The codes wanted now."""
        if self.change is not Wish.NONE:
            return self.changed_to
        return HIDDEN if self.hidden else OPEN_TO_ALL

    def title(self, version: Version) -> str:
        """Return the title of a version: its mark at the DMP."""
        return f"{self.office} {self.client_ref} v{version.number}"


@dataclass(slots=True)
class Journal:
    """All deposits."""

    path: Path
    deposits: list[Deposit] = field(default_factory=list)
    _file: TextIO | None = None

    def new(self, office: int, client_ref: str, *, hidden: bool) -> Deposit:
        """Write down that a client will deposit a document."""
        deposit = Deposit(office, client_ref, hidden)
        self.deposits.append(deposit)
        self.next_version(deposit)
        return deposit

    def next_version(self, deposit: Deposit) -> None:
        """Write down that a client will deposit a further version."""
        deposit.versions.append(Version(len(deposit.versions) + 1, deposit.visibility))
        self._write("wished", deposit)

    def deposited(self, deposit: Deposit) -> None:
        """Write down that the agent said: durable."""
        deposit.wanted.deposit = Wish.PROMISED
        self._write("deposited", deposit)

    def cancel_asked(self, deposit: Deposit) -> None:
        """Write down that the client is about to ask: the answer may never come."""
        deposit.wanted.cancel_asked = True
        self._write("cancel_asked", deposit)

    def cancelled(self, deposit: Deposit) -> None:
        """Write down that the agent said: cancelled."""
        deposit.wanted.cancelled = True
        self._write("cancelled", deposit)

    def delete(self, deposit: Deposit, wish: Wish) -> None:
        """Write down that the client asks for a deletion, or that it was promised."""
        deposit.delete = wish
        self._write(f"delete {wish.name}", deposit)

    def change(self, deposit: Deposit, wish: Wish) -> None:
        """Write down that the client asks for a change of visibility, or that it was promised."""
        deposit.change = wish
        self._write(f"change {wish.name}", deposit)

    def pending(self, office: int) -> list[Deposit]:
        """Return the deposits whose last answer never came."""
        return [deposit for deposit in self.deposits if deposit.office == office and deposit.is_pending]

    def recent(self, office: int, count: int) -> list[Deposit]:
        """Return the last documents of which something more may be asked."""
        found = (d for d in reversed(self.deposits) if d.office == office and not d.is_pending and not d.is_over)
        return [deposit for _, deposit in zip(range(count), found, strict=False)]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, what: str, deposit: Deposit) -> None:
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps([what, deposit.title(deposit.wanted)]) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

"""What is kept, destroyed, anchored and backed up: values, and the ports of those who do it.

Owns no rule about time or cryptography. Source: docs/keeping.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from pathlib import Path
from typing import Final, Protocol

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.records import Actor
from vaguemestre_core.redaction import Personal

BACKUP_SUFFIX: Final = ".vgmbak"


@unique
class ErasureReason(StrEnum):
    """Why a patient's data is erased: coded, no free text."""

    PATIENT_REQUEST = "patient_request"
    RECORD_TRANSFERRED = "record_transferred"
    ENTERED_BY_MISTAKE = "entered_by_mistake"
    NO_LONGER_NEEDED = "no_longer_needed"


@unique
class WaitingChoice(StrEnum):
    """What becomes of the patient's orders that are not over."""

    REFUSE = "refuse"  # nothing is erased while one is open
    CANCEL = "cancel"  # they are cancelled; what cannot be is asked to stop, and its document stays


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What an erasure did.

    Attributes:
        documents: documents whose bodies, title and patient link are gone.
        bodies: sealed bodies destroyed.
        cancelled: orders cancelled for it.
        on_their_way: documents left as they are because an order of theirs cannot be stopped now.
        log_emptied: the write-ahead log was emptied too; if not, the next retention pass does it.
    """

    documents: int
    bodies: int
    cancelled: int
    on_their_way: int
    log_emptied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A ledger head remembered somewhere: line ``seq`` had this digest.

    Attributes:
        where: ``database``, ``folder`` or ``backup``.
    """

    where: str
    seq: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long bodies stay.

    Attributes:
        days: days after its end during which an order's bodies are kept.
        every_s: seconds between two passes.
        batch: orders whose bodies go in one transaction.
    """

    days: int = 30
    every_s: float = 600.0
    batch: int = 50

    def __post_init__(self) -> None:
        if self.days < 1 or self.every_s <= 0 or self.batch < 1:
            raise InvalidInput("RETENTION_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """Regular backups.

    Attributes:
        folder: where they go, absolute; empty: none is made.
        every_h: hours between two.
        keep: how many stay; the oldest go.
    """

    folder: str = ""
    every_h: float = 24.0
    keep: int = 14

    def __post_init__(self) -> None:
        if self.every_h <= 0 or self.keep < 1 or (self.folder and not Path(self.folder).is_absolute()):
            raise InvalidInput("BACKUP_SETTINGS_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """What a backup says of itself, without anything about patients.

    Attributes:
        name: file name.
        made_at: when the snapshot was taken.
        size_bytes: size of the file.
        orders, open_orders, bodies, clients: counts.
        anchor: last line of the ledger in it.
        schema: version of the store's schema.
        opens_with_recovery_key: it is sealed to the practice's recovery key too.
        faults: what was wrong with the store when it was made, as codes; none: nothing.
    """

    name: str
    made_at: datetime
    size_bytes: int
    orders: int
    open_orders: int
    bodies: int
    clients: int
    anchor: Anchor
    schema: int
    opens_with_recovery_key: bool
    faults: tuple[str, ...] = ()


class KeepingPort(Protocol):
    """What the store does to keep and to let go."""

    async def destroy_ended(self, days: int, batch: int) -> int:
        """Destroy the bodies of a batch of orders over for that many days; return how many orders."""

    async def destroy_copies(self, days: int) -> int:
        """Remove copies of the database that a migration or a restoration left, after as many days; return how many."""

    async def erase(
        self,
        patient_keys: Sequence[Personal],
        waiting: WaitingChoice,
        reason: ErasureReason,
        actor: Actor,
    ) -> ErasureReport:
        """Erase what is kept about a patient.

        Raises:
            NotFound: PATIENT_UNKNOWN.
            Conflict: PATIENT_HAS_OPEN_ORDERS when one is open and the choice is to refuse; nothing was changed.
        """

    async def empty_log(self) -> bool:
        """Copy the write-ahead log into the database and empty it; return False when a reader was in the way."""

    async def sign_head(self) -> None:
        """Sign the ledger's head, in the database and in the folder, if it moved since the last one."""

    async def contradiction(self, outside: Sequence[Anchor]) -> str | None:
        """Compare the anchors with the lines they name, the chain unwalked; return the code of the first fault."""

    async def verify(self, outside: Sequence[Anchor]) -> tuple[int, str]:
        """Recompute the chain and compare it with every anchor; return the number of lines and the head.

        Raises:
            StoreError: LEDGER_BROKEN, LEDGER_REWRITTEN, LEDGER_TRUNCATED, LEDGER_ANCHOR_FORGED.
        """


class BackupPort(Protocol):
    """Makes and knows backups; every method works on files and may take long: call it in a thread."""

    def make(self, path: Path, made_at: datetime) -> BackupFacts:
        """Write a backup that was verified before it got its name.

        Raises:
            StoreError: BACKUP_EXISTS, BACKUP_NO_SPACE, BACKUP_UNWRITABLE, BACKUP_FAILED; no file was left.
        """

    def known(self, folder: Path) -> Sequence[BackupFacts]:
        """Return the backups of a folder that are this store's, newest first; others are left out."""

    def remove_oldest(self, folder: Path, keep: int) -> int:
        """Remove all but the newest ones; return how many."""

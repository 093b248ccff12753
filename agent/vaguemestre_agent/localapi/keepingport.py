"""What the routes about what is kept need of the services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vaguemestre_core.keeping import BackupFacts, ErasureReason, ErasureReport, WaitingChoice
from vaguemestre_core.records import Actor
from vaguemestre_core.redaction import Personal


class KeepingBackend(Protocol):
    """What these routes ask."""

    async def erase_patient(
        self, patient_keys: Sequence[Personal], waiting: WaitingChoice, reason: ErasureReason, actor: Actor
    ) -> ErasureReport:
        """Erase what is kept about a patient; raise NotFound PATIENT_UNKNOWN, Conflict PATIENT_HAS_OPEN_ORDERS."""


class BackupBackend(Protocol):
    """What the routes of backups ask."""

    async def ask(self, actor: Actor) -> None:
        """Have one made now; raise Conflict BACKUP_NOT_CONFIGURED."""

    async def known(self) -> Sequence[BackupFacts]:
        """Return the known backups, newest first."""

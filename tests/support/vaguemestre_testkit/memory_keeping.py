"""Keeping in memory: it keeps no body and knows no patient, so there is nobody to erase."""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_core.errors import Conflict, NotFound
from vaguemestre_core.keeping import BackupFacts, ErasureReason, ErasureReport, WaitingChoice
from vaguemestre_core.records import Actor
from vaguemestre_core.redaction import Personal


class MemoryKeeping:
    """``KeepingBackend`` of the backend in memory."""

    async def erase_patient(
        self, patient_keys: Sequence[Personal], waiting: WaitingChoice, reason: ErasureReason, actor: Actor
    ) -> ErasureReport:
        """Know nobody."""
        raise NotFound("PATIENT_UNKNOWN")


class MemoryBackups:
    """``BackupBackend`` of the backend in memory: it has no folder for them."""

    async def ask(self, actor: Actor) -> None:
        """Refuse."""
        raise Conflict("BACKUP_NOT_CONFIGURED")

    async def known(self) -> Sequence[BackupFacts]:
        """Return none."""
        return ()

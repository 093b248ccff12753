"""Keeping in memory: it keeps no body and knows no patient, so there is nobody to erase."""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_core.errors import NotFound
from vaguemestre_core.keeping import ErasureReason, ErasureReport, WaitingChoice
from vaguemestre_core.records import Actor
from vaguemestre_core.redaction import Personal


class MemoryKeeping:
    """``KeepingBackend`` of the backend in memory."""

    async def erase_patient(
        self, patient_keys: Sequence[Personal], waiting: WaitingChoice, reason: ErasureReason, actor: Actor
    ) -> ErasureReport:
        """Know nobody."""
        raise NotFound("PATIENT_UNKNOWN")

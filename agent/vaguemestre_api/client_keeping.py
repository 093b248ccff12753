"""The client's calls about what is kept: erasure and backups."""

from __future__ import annotations

from vaguemestre_api import wire, wire_facts
from vaguemestre_api.client_calls import Calls
from vaguemestre_api.codec import to_json
from vaguemestre_api.jsontypes import Json


class KeepingCalls(Calls):
    """Part of ``Client``, with its errors."""

    async def erase_patient(
        self,
        *,
        reason: str,
        waiting: str,
        ins: wire_facts.InsIdentifier | None = None,
        local_id: wire_facts.LocalIdentifier | None = None,
        actor: wire.Actor | None = None,
    ) -> wire.ErasureReport:
        """Erase what is kept about a patient; ``waiting`` is ``refuse`` or ``cancel``."""
        ids = {name: to_json(value) for name, value in (("ins", ins), ("local_id", local_id)) if value is not None}
        body: Json = {"reason": reason, "waiting": waiting, **ids}
        return await self._read("erasePatient", wire.ErasureReport, body=body, actor=actor)

    async def backups(self) -> tuple[wire.Backup, ...]:
        """Return the backups of this store in the folder of the settings, newest first."""
        return (await self._read("listBackups", wire.BackupList)).backups

    async def make_backup(self, *, actor: wire.Actor | None = None) -> None:
        """Have a backup made now; health and the ledger tell the end."""
        await self._call("makeBackup", actor=actor)

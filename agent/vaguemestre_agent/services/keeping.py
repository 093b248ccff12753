"""Keeping: destroys bodies when their days have passed, signs the ledger's head, erases patients on request.

One task, one pass at a time; what goes wrong in a pass is told by health and tried again at the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.errors import VaguemestreError
from vaguemestre_core.keeping import Anchor, ErasureReason, ErasureReport, KeepingPort, RetentionSettings, WaitingChoice
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.records import Actor
from vaguemestre_core.redaction import Personal

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What health tells of the passes."""

    last_pass: datetime | None = None
    destroyed: int = 0
    trouble: str | None = None
    contradiction: str | None = None
    log_owed: bool = True  # what was destroyed before this start may still be in the log


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingService:
    """Keeps and lets go.

    Attributes:
        outside: gives the anchors of the ledger that are kept elsewhere.
    """

    store: KeepingPort
    clock: ClockPort
    retention: RetentionSettings
    outside: Callable[[], Awaitable[Sequence[Anchor]]]
    _seen: _Seen = field(default_factory=_Seen)

    async def run(self) -> None:
        """Make a pass, wait, for ever."""
        while True:
            await self.make_pass()
            await self.clock.sleep(self.retention.every_s)

    async def make_pass(self) -> None:
        """Compare the anchors, sign the head, destroy what is due."""
        seen = self._seen
        try:
            seen.contradiction = await self.store.contradiction(await self.outside())
            await self._destroy()
            await self.store.sign_head()
            await self.store.destroy_copies(self.retention.days)
        except VaguemestreError as error:
            seen.trouble = error.code
            _log.error("keeping.pass_failed", extra={"code": error.code})
            return
        seen.trouble = None
        seen.last_pass = self.clock.now()

    async def _destroy(self) -> None:
        settings = self.retention
        count = batch = await self.store.destroy_ended(settings.days, settings.batch)
        while batch == settings.batch:
            batch = await self.store.destroy_ended(settings.days, settings.batch)
            count += batch
        self._seen.destroyed += count
        if count or self._seen.log_owed:
            self._seen.log_owed = not await self.store.empty_log()

    async def erase_patient(
        self, patient_keys: Sequence[Personal], waiting: WaitingChoice, reason: ErasureReason, actor: Actor
    ) -> ErasureReport:
        """Erase what is kept about a patient. Raises NotFound, Conflict: see ``KeepingPort.erase``."""
        report = await self.store.erase(patient_keys, waiting, reason, actor)
        self._seen.log_owed |= not report.log_emptied
        return report

    def health_items(self) -> Sequence[HealthItem]:
        """Return what health says of keeping."""
        seen = self._seen
        items: list[HealthItem] = []
        if seen.trouble is not None:
            items.append(HealthItem(code="RETENTION_FAILED", ok=False, params={"code": seen.trouble}))
        elif seen.last_pass is not None:
            items.append(
                HealthItem(
                    code="RETENTION_DONE",
                    ok=True,
                    params={
                        "days": self.retention.days,
                        "destroyed": seen.destroyed,
                        "last": f"{seen.last_pass:%Y-%m-%d %H:%M} UTC",
                    },
                )
            )
        if seen.contradiction is not None:
            items.append(HealthItem(code="LEDGER_CONTRADICTED", ok=False, params={"code": seen.contradiction}))
        return items

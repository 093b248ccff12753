"""The store's part about facts, as the services see it: who runs where; the rows are in ``vaguemestre_queue.facts``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from vaguemestre_core.facts import Fact, FactsRecorded, FactSubject, FactView, NewFact
from vaguemestre_core.orders import OrderId
from vaguemestre_core.records import Actor, Change, Client
from vaguemestre_core.redaction import Personal
from vaguemestre_queue import facts
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context

T = TypeVar("T")


class FactStore(ABC):
    """Facts over the one writer of a store."""

    _context: Context

    @abstractmethod
    async def _write(self, work: Callable[[Connection, list[Change]], T]) -> T:
        """Run a piece of work in the writer."""

    async def fact_version(self) -> int:
        """Return the version of the facts now."""
        return await self._write(lambda c, _: facts.version_of(c))

    async def order_facts(self, order_id: OrderId) -> FactView:
        """Return what the facts say of an order now."""
        return await self._write(lambda c, _: facts.of_order(c, self._context, order_id))

    async def patient_facts(self, keys: Sequence[Personal]) -> tuple[Sequence[Fact], int]:
        """Return what was told of a patient, oldest first, and the version of the facts."""
        return await self._write(lambda c, _: facts.of_patient(c, self._context, keys))

    async def professional_facts(self, professional: str) -> Sequence[Fact]:
        """Return what was told of a professional, oldest first."""
        return await self._write(lambda c, _: facts.of_professional(c, self._context, professional))

    async def record_facts(
        self, subject: FactSubject, told: Sequence[NewFact], actor: Actor, client: Client | None = None
    ) -> FactsRecorded:
        """Record facts of one subject, and hold or free what waits in the same transaction."""
        return await self._write(lambda c, out: facts.record(c, self._context, subject, told, actor, client, out))

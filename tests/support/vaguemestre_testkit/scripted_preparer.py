"""A preparer in memory: a PDF becomes a document with the visibility its metadata asks, anything else is refused."""

from __future__ import annotations

import asyncio
import json
from collections import deque

from vaguemestre_core.orders import OrderId
from vaguemestre_core.ports import PreparationRefusal, PreparedBuild
from vaguemestre_core.records import Order, StoredBody
from vaguemestre_documents.codes import Visibility
from vaguemestre_testkit import sendings


class ScriptedPreparer:
    """PreparerPort in memory: a PDF becomes a document, anything else is refused.

    Attributes:
        steps: what the next calls meet, in order: a refusal, an error of ours, a gate to wait at, or the uniqueId that
            a document brings itself.
    """

    def __init__(self) -> None:
        self.steps: deque[PreparationRefusal | Exception | asyncio.Event | str] = deque()
        self.seen: list[OrderId] = []

    async def prepare(self, order: Order, body: StoredBody, now: object) -> PreparedBuild | PreparationRefusal:
        """Build the document of an order, or do what the next step says."""
        self.seen.append(order.order_id)
        unique_id = order.unique_id
        step = self.steps.popleft() if self.steps else None
        match step:
            case PreparationRefusal():
                return step
            case Exception():
                raise step
            case asyncio.Event():
                await step.wait()
            case str():
                unique_id = step
            case None:
                pass
        if not body.body.startswith(b"%PDF-"):
            return PreparationRefusal(code="BODY_NOT_PDF", findings=(("BODY_NOT_PDF", "/body"),))
        return PreparedBuild(
            prepared=sendings.prepared(
                unique_id, replaces=order.predecessor_unique_id, visibility=_visibility(body.metadata)
            ),
            type_code=order.type_code,
            unique_id=unique_id,
            set_id=order.set_id,
            version=order.version,
        )


def _visibility(metadata: bytes) -> frozenset[Visibility]:
    return frozenset(Visibility(code) for code in json.loads(metadata).get("visibility", ()))

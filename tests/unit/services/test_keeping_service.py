"""Keeping as a task: passes, what health says of them, and a patient erased by the identifier of the document."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.services.keeping import KeepingService
from vaguemestre_agent.services.values import DocumentUpload
from vaguemestre_core.errors import StoreError
from vaguemestre_core.facts import patient_keys
from vaguemestre_core.identities import Ins
from vaguemestre_core.keeping import Anchor, ErasureReason, KeepingPort, RetentionSettings, WaitingChoice
from vaguemestre_core.orders import OrderId
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

DAY_S = 86400
SETTINGS = RetentionSettings(days=2, batch=1)


async def put(practice: Office, number: int) -> OrderId:
    upload = DocumentUpload(
        client_ref=f"cr-{number}",
        metadata=metadata(f"Compte rendu {number}"),
        body=tiny_pdf(str(number)),
        media_type="application/pdf",
        actor=SECRETARY,
    )
    return (await practice.backend.put_document(practice.client, upload)).order.order_id


async def test_a_pass_destroys_all_that_is_due_and_health_says_so(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        service = KeepingService(
            store=practice.backend.keeping.store,
            clock=practice.clock,
            retention=SETTINGS,
            outside=practice.backend.backups.anchors,
        )
        assert service.health_items() == []
        for number in range(3):
            await practice.store.cancel(await put(practice, number), SECRETARY)
        await service.make_pass()
        assert [(item.code, item.params["destroyed"]) for item in service.health_items()] == [("RETENTION_DONE", 0)]
        practice.clock.advance(2 * DAY_S)
        await service.make_pass()
        assert [(item.code, item.ok, item.params["destroyed"]) for item in service.health_items()] == [
            ("RETENTION_DONE", True, 3)
        ]


async def test_a_contradicted_ledger_is_told_and_does_not_stop_keeping(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        service = KeepingService(
            store=practice.backend.keeping.store,
            clock=practice.clock,
            retention=SETTINGS,
            outside=practice.backend.backups.anchors,
        )
        await service.make_pass()
        with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as raw, raw:
            raw.execute("UPDATE ledger_heads SET signature = zeroblob(64)")
        await service.make_pass()
        codes = {item.code: item.params.get("code") for item in service.health_items()}
        assert codes == {"RETENTION_DONE": None, "LEDGER_CONTRADICTED": "LEDGER_ANCHOR_FORGED"}


class Failing:
    """A store whose disk is full."""

    async def contradiction(self, outside: tuple[Anchor, ...]) -> str | None:
        raise StoreError("STORE_FULL")


async def test_a_failed_pass_is_told(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        failing: KeepingPort = Failing()  # type: ignore[assignment]  # fails before anything else is asked of it
        service = KeepingService(
            store=failing, clock=practice.clock, retention=SETTINGS, outside=practice.backend.backups.anchors
        )
        await service.make_pass()
        assert [(item.code, item.ok, item.params["code"]) for item in service.health_items()] == [
            ("RETENTION_FAILED", False, "STORE_FULL")
        ]


async def test_a_patient_is_erased_by_the_identifier_the_document_was_given_with(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order_id = await put(practice, 1)
        given = json.loads(metadata("Compte rendu 1"))["patient"]["ins"]
        keys = patient_keys(Ins(matricule=given["matricule"], oid=given["oid"]), None)
        report = await practice.backend.keeping.erase_patient(
            keys, WaitingChoice.CANCEL, ErasureReason.ENTERED_BY_MISTAKE, SECRETARY
        )
        assert (report.documents, report.cancelled, report.log_emptied) == (1, 1, True)
        with pytest.raises(StoreError, match="BODY_GONE"):
            await practice.store.body(order_id)

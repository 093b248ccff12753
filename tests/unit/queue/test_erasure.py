"""Erasing a patient: what goes, what stays, and what cannot go yet."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.keeping import ErasureReason, WaitingChoice
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
PATIENT = Personal("patient-un")
OTHER = Personal("patient-deux")
WHY = ErasureReason.PATIENT_REQUEST


async def ready(store: Store, clock: FakeClock, number: int, patient: Personal = PATIENT) -> OrderId:
    acceptance = an_acceptance(clock, number, patient_key=patient, title=Personal("Titre très personnel"))
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
    await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
    return acceptance.order_id


async def begun(store: Store, clock: FakeClock, number: int) -> OrderId:
    order_id = await ready(store, clock, number)
    assert await store.claim("dmp", rights(PROFESSIONAL), clock.now()) is not None
    await store.first_byte(order_id, None)
    return order_id


def links(folder: Path) -> dict[str, tuple[str, str]]:
    """Return (patient, lane) by order, as the file has them."""
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as raw:
        found = raw.execute(
            "SELECT o.order_id, d.patient, o.lane FROM orders AS o JOIN documents AS d USING (document_id)"
        )
        return {order_id: (patient, lane) for order_id, patient, lane in found}


async def test_what_is_over_goes_and_the_ledger_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        sent = await begun(store, clock, 1)
        await store.apply(sent, OrderEvent.DELIVERED, DOCTOR)
        stays = await ready(store, clock, 2, OTHER)
        before = links(tmp_path)
        with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as raw:
            bodies = raw.execute("SELECT envelope FROM bodies WHERE order_id = ?", [sent]).fetchall()
        lines = [entry.digest for entry in await store.ledger(0)]
        report = await store.keeping.erase([PATIENT], WaitingChoice.REFUSE, WHY, DOCTOR)
        assert (report.documents, report.bodies, report.cancelled, report.on_their_way) == (1, 2, 0, 0)
        assert report.log_emptied
        with pytest.raises(StoreError, match="BODY_GONE"):
            await store.body(sent)
        assert not await store.title(sent)
        assert await store.title(stays) == "Titre très personnel"
        after = links(tmp_path)
        assert after[sent] == ("erased", "erased")
        assert after[stays] == before[stays]
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
        assert before[sent][0].encode() not in content
        assert all(bytes(sealed)[:64] not in content for (sealed,) in bodies)
        ledger = await store.ledger(0)
        assert [entry.digest for entry in ledger[: len(lines)]] == lines
        assert [(entry.kind, entry.actor) for entry in ledger[len(lines) :]] == [
            ("order.erased", DOCTOR),
            ("patient.erased", DOCTOR),
        ]
        assert dict(ledger[-1].detail)["reason"] == "patient_request"
        await store.verify_ledger()
        with pytest.raises(NotFound, match="PATIENT_UNKNOWN"):
            await store.keeping.erase([PATIENT], WaitingChoice.REFUSE, WHY, DOCTOR)


async def test_an_open_order_refuses_the_erasure_or_is_cancelled_as_was_chosen(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        lines = await store.last_line()
        with pytest.raises(Conflict, match="PATIENT_HAS_OPEN_ORDERS") as refused:
            await store.keeping.erase([PATIENT], WaitingChoice.REFUSE, WHY, DOCTOR)
        assert refused.value.params["count"] == 1
        assert await store.last_line() == lines
        report = await store.keeping.erase([PATIENT], WaitingChoice.CANCEL, WHY, DOCTOR)
        assert (report.documents, report.cancelled) == (1, 1)
        assert (await store.order(order_id)).state is OrderState.CANCELLED


async def test_what_is_on_its_way_is_asked_to_stop_and_its_document_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        sending = await begun(store, clock, 1)
        report = await store.keeping.erase([PATIENT], WaitingChoice.CANCEL, WHY, DOCTOR)
        assert (report.documents, report.on_their_way) == (0, 1)
        order = await store.order(sending)
        assert (order.state, order.cancel_requested) == (OrderState.SENDING, True)
        await store.body(sending)
        await store.apply(sending, OrderEvent.DELIVERED, DOCTOR)
        again = await store.keeping.erase([PATIENT], WaitingChoice.REFUSE, WHY, DOCTOR)
        assert again.documents == 1


async def test_an_erased_document_that_is_at_the_service_is_not_replaced(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        sent = await begun(store, clock, 1)
        await store.apply(sent, OrderEvent.DELIVERED, DOCTOR)
        await store.keeping.erase([PATIENT], WaitingChoice.REFUSE, WHY, DOCTOR)
        newer = replace(an_acceptance(clock, 2, content=b"%PDF-1.4 deux"), client_ref="doc-1", patient_key=PATIENT)
        with pytest.raises(Conflict, match="DOCUMENT_ERASED"):
            await store.accept(newer)

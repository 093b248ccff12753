"""Bad days of the rows: altered outside the agent, never sent, and a person's way out that sends nothing forged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderKind, OrderState
from vaguemestre_core.records import Acceptance
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
ALL = rights(PROFESSIONAL)
S = OrderState
CLOCK = FakeClock()


def alter(folder: Path, sql: str, *values: str | int) -> None:
    raw = sqlite3.connect(folder / "queue.db")
    raw.execute(sql, values)
    raw.commit()
    raw.close()


async def ready(store: Store, acceptance: Acceptance) -> OrderId:
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(int(acceptance.order_id[-1])))
    await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
    return acceptance.order_id


async def sent(store: Store, acceptance: Acceptance) -> OrderId:
    order_id = await ready(store, acceptance)
    assert await store.claim("dmp", ALL, CLOCK.now()) is not None
    await store.first_byte(order_id, None)
    await store.apply(order_id, OrderEvent.DELIVERED, DOCTOR)
    return order_id


def again(number: int, *, content: bytes = b"%PDF-1.4 essai", key: str | None = None, patient: int = 1) -> Acceptance:
    """A new wish for document 1."""
    patient_key = Personal(f"patient-{patient}")
    return an_acceptance(
        CLOCK, number, content=content, client_ref="doc-1", patient_key=patient_key, idempotency_key=key
    )


@pytest.mark.parametrize("column", ["state = 'ready'", "unique_id = '1.2.3'", "kind = 'nonsense'", "revision = 'x'"])
async def test_a_person_sets_a_forged_row_aside_and_the_document_is_accepted_again(tmp_path: Path, column: str) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        forged = await sent(store, an_acceptance(CLOCK, 1))
        raw = column if "'x'" not in column else "receipt = 'x'"
        alter(tmp_path, f"UPDATE orders SET {raw}")
        for _ in range(2):  # for ever, until a person decides
            with pytest.raises(StoreError, match="ROW_NOT_AUTHENTIC"):
                await store.accept(again(2, key="k2"))
        assert (await store.counts())["quarantined"] == 1
        aside = await store.set_aside(forged, "looked in the DMP", DOCTOR)
        assert (aside.state, aside.holds) == (S.ABANDONED, frozenset({HoldKind.INTEGRITY}))
        assert aside.receipt == (("last_known", "sent"),)
        assert (await store.counts())["quarantined"] == 0
        # The new wish stands alone: nothing of the forged row is named, nothing of it leaves.
        order_id = await ready(store, again(2, key="k2"))
        order = await store.order(order_id)
        assert (order.kind, order.version, order.predecessor) == (OrderKind.DMP_SUBMIT, 1, None)
        claimed = await store.claim("dmp", ALL, CLOCK.now())
        assert claimed is not None
        assert claimed.order_id == order_id
        assert await store.claim("dmp", ALL, CLOCK.now()) is None
        line = next(line for line in await store.ledger(0) if line.kind == "order.set_aside")
        assert (line.actor, dict(line.detail)["last_known"]) == (DOCTOR, "sent")
        await store.verify_ledger()


async def test_the_same_content_is_a_new_wish_after_a_forged_row_was_set_aside(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        forged = await ready(store, an_acceptance(CLOCK, 1, idempotency_key="k"))
        alter(tmp_path, "UPDATE orders SET professional = '899700000099'")
        await store.set_aside(forged, "reason", DOCTOR)
        accepted = await store.accept(again(2, key="k"))
        assert (accepted.replayed, accepted.order.order_id) == (False, "order-2")


async def test_only_what_is_altered_or_may_be_given_up_is_set_aside(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        done = await sent(store, an_acceptance(CLOCK, 1))
        with pytest.raises(Conflict, match="TRANSITION_ILLEGAL"):
            await store.set_aside(done, "reason", DOCTOR)
        waiting = await ready(store, an_acceptance(CLOCK, 2))
        assert (await store.set_aside(waiting, "reason", DOCTOR)).state is S.ABANDONED


async def test_a_document_given_to_another_patient_in_the_file_never_leaves(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        first, other = await ready(store, an_acceptance(CLOCK, 1)), await ready(store, an_acceptance(CLOCK, 2))
        alter(
            tmp_path,
            "UPDATE documents SET patient = (SELECT patient FROM documents WHERE document_id = 'document-2') "
            "WHERE document_id = 'document-1'",
        )
        claimed = await store.claim("dmp", ALL, CLOCK.now())
        assert claimed is not None
        assert claimed.order_id == other
        assert await store.claim("dmp", ALL, CLOCK.now()) is None
        held = await store.order(first)
        assert (held.state, held.holds) == (S.READY, frozenset({HoldKind.INTEGRITY}))
        # Given again, it is about the patient that the practice program names.
        again_id = await ready(store, again(3))
        assert (await store.order(first)).state is S.SUPERSEDED
        claimed = await store.claim("dmp", ALL, CLOCK.now())
        assert claimed is not None
        assert claimed.order_id == again_id


async def test_a_forged_patient_does_not_let_a_version_pass_to_another_patients_dmp(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await sent(store, an_acceptance(CLOCK, 1))
        await store.accept(an_acceptance(CLOCK, 2))
        alter(
            tmp_path,
            "UPDATE documents SET patient = (SELECT patient FROM documents WHERE document_id = 'document-2') "
            "WHERE document_id = 'document-1'",
        )
        with pytest.raises(Conflict, match="DOCUMENT_OF_ANOTHER_PATIENT"):
            await store.accept(again(3, patient=2, content=b"other"))
        assert (await store.accept(again(4, content=b"other"))).order.set_id == "1.2.250.1.999.1.2.2"


async def test_a_document_given_other_orders_in_the_file_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await store.accept(an_acceptance(CLOCK, 1))
        alter(tmp_path, "UPDATE documents SET client_ref = 'doc-9'")
        with pytest.raises(StoreError, match="DOCUMENT_NOT_AUTHENTIC"):
            await store.accept(an_acceptance(CLOCK, 2, client_ref="doc-9"))


async def test_a_set_forged_in_the_document_is_not_believed(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await store.accept(an_acceptance(CLOCK, 1))
        alter(tmp_path, "UPDATE documents SET set_id = '1.2.3'")
        assert (await store.accept(again(2, content=b"other"))).order.set_id == "1.2.250.1.999.1.2.2"


async def test_a_row_set_aside_by_somebody_else_is_believed_again(tmp_path: Path) -> None:
    """The mark is outside the row's digest: whoever sets it only delays an order until the next opening."""
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await ready(store, an_acceptance(CLOCK, 1))
    alter(tmp_path, "UPDATE orders SET quarantined = 1")
    async with opened(tmp_path, KEYS, CLOCK) as store:
        assert (await store.counts())["quarantined"] == 0
        assert await store.claim("dmp", ALL, CLOCK.now()) is not None
        assert [line.kind for line in await store.ledger(0)].count("order.believed_again") == 1


async def test_a_row_that_is_not_ours_stays_aside_when_the_mark_is_taken_off(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await ready(store, an_acceptance(CLOCK, 1))
    alter(tmp_path, "UPDATE orders SET quarantined = 0, type_code = 'x'")
    async with opened(tmp_path, KEYS, CLOCK) as store:
        assert await store.claim("dmp", ALL, CLOCK.now()) is None
        assert (await store.counts())["quarantined"] == 1

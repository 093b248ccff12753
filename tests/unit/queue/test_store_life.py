"""The store over its whole life: accept, prepare, defer, claim, send, doubt, stop, restart, restore."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.facts import FactKind, of_patient, opposition
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderState, WaitReason
from vaguemestre_core.records import CancelAnswer, Change, OrderFilter, OrderPatch
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.connection import SqliteConnection
from vaguemestre_queue.database import open_database, schema_version
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
ALL = rights(PROFESSIONAL)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def ready(
    store: Store, clock: FakeClock, number: int, *, patient_key: Personal | None = None, set_id: str | None = None
) -> OrderId:
    changes = {name: value for name, value in (("patient_key", patient_key), ("set_id", set_id)) if value is not None}
    acceptance = replace(an_acceptance(clock, number), **changes)  # type: ignore[arg-type]  # two members of two types
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
    await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
    return acceptance.order_id


async def test_an_order_goes_from_acceptance_to_receipt(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        acceptance = an_acceptance(clock, 1)
        accepted = await store.accept(acceptance)
        assert (accepted.replayed, accepted.order.state) == (False, OrderState.PREPARING)
        assert [order.order_id for order in await store.preparing(10)] == ["order-1"]
        body = await store.body(acceptance.order_id)
        assert (body.body, body.metadata, body.media_type) == (acceptance.body, b"{}", "application/pdf")
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))
        assert await store.prepared(acceptance.order_id) == b"built:" + acceptance.body
        assert await store.claim("dmp", ALL, clock.now()) is None
        clock.advance(900)
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100) == 1
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.state is OrderState.CLAIMED
        sending = await store.first_byte(claimed.order_id, b"<signature/>")
        assert (sending.state, sending.frozen_ids) == (OrderState.SENDING, frozen(1))
        assert await store.signature(claimed.order_id) == b"<signature/>"
        sent = await store.apply(
            claimed.order_id, OrderEvent.DELIVERED, DOCTOR, patch=OrderPatch(receipt=(("status", "Success"),))
        )
        assert (sent.state, sent.receipt) == (OrderState.SENT, (("status", "Success"),))
        lines, _ = await store.verify_ledger()
        kinds = [entry.kind for entry in await store.ledger(0)]
        assert lines == len(kinds)
        assert kinds == [
            "store.opened",
            "client.paired",
            "order.accepted",
            "order.prepared",
            "order.due",
            "order.claim",
            "order.first_byte",
            "order.delivered",
        ]


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_nothing_is_due_before_both_clocks_say_so(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        acceptance = an_acceptance(clock, 1)
        await store.accept(acceptance)
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))
        # Somebody sets the wall clock two hours ahead: the undo minutes have not elapsed for real.
        clock.set_wall(clock.now() + timedelta(hours=2))
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100) == 0
        clock.advance(121)
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100) == 1


async def test_what_was_on_the_way_at_a_stop_is_told_honestly(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first, second = await ready(store, clock, 1), await ready(store, clock, 2)
        for _ in range(2):
            assert await store.claim("dmp", ALL, clock.now()) is not None
        await store.first_byte(first, None)
    async with opened(tmp_path, KEYS, clock) as store:
        assert (store.recovery.doubtful, store.recovery.unclaimed) == (1, 1)
        one, two = await store.order(first), await store.order(second)
        assert (one.state, one.doubt_since, two.state) == (OrderState.IN_DOUBT, clock.now(), OrderState.READY)
        assert [order.order_id for order in await store.doubtful("dmp", ALL, clock.now())] == [first]


async def test_the_same_request_is_accepted_once(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await store.accept(an_acceptance(clock, 1, idempotency_key="k1"))
        again = an_acceptance(clock, 1, idempotency_key="k1", order_id=OrderId("order-other"))
        replay = await store.accept(again)
        assert (replay.replayed, replay.order.order_id) == (True, first.order.order_id)
        with pytest.raises(Conflict, match="IDEMPOTENCY_MISMATCH"):
            await store.accept(an_acceptance(clock, 1, idempotency_key="k1", content=b"other"))
        without_key = await store.accept(an_acceptance(clock, 1, order_id=OrderId("order-other")))
        assert without_key.replayed
        assert len(await store.orders(OrderFilter())) == 1


async def test_a_replay_shows_the_order_as_it_is_now(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await store.accept(an_acceptance(clock, 1, idempotency_key="k1"))
        await store.cancel(OrderId("order-1"), DOCTOR)
        replay = await store.accept(an_acceptance(clock, 1, idempotency_key="k1"))
        assert (replay.replayed, replay.order.state) == (True, OrderState.CANCELLED)
        # A new key after a stop is a new wish.
        wished = await store.accept(
            an_acceptance(clock, 1, idempotency_key="k2", order_id=OrderId("order-1b"), unique_id="1.2.9")
        )
        assert (wished.replayed, wished.order.state) == (False, OrderState.PREPARING)


async def test_a_correction_before_it_leaves_takes_its_place(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        old = await ready(store, clock, 1)
        newer = an_acceptance(
            clock, 1, content=b"corrected", order_id=OrderId("order-1b"), unique_id="1.2.250.1.7", set_id="1.9"
        )
        accepted = await store.accept(newer)
        assert (accepted.superseded, accepted.order.set_id) == (old, "1.2.250.1.999.1.2.2")
        assert (await store.order(old)).state is OrderState.SUPERSEDED


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_cancelling_is_honest_in_every_state(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        await store.claim("dmp", ALL, clock.now())
        # Claimed and not started: the cancellation wins, and the sender's first byte is refused.
        answer, order = await store.cancel(order_id, DOCTOR)
        assert (answer, order.state) == (CancelAnswer.CANCELLED, OrderState.CANCELLED)
        with pytest.raises(Conflict, match="TRANSITION_ILLEGAL"):
            await store.first_byte(order_id, None)
        other = await ready(store, clock, 2)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(other, None)
        answer, order = await store.cancel(other, DOCTOR)
        assert (answer, order.state, order.cancel_requested) == (CancelAnswer.ASKED, OrderState.SENDING, True)
        await store.apply(other, OrderEvent.DELIVERED, DOCTOR)
        answer, order = await store.cancel(other, DOCTOR)
        assert (answer, order.state) == (CancelAnswer.TOO_LATE, OrderState.SENT)


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_a_hold_concerns_one_document_and_stops_the_first_byte(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        held, free = await ready(store, clock, 1), await ready(store, clock, 2)
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == held
        order = await store.put_hold(held, HoldKind.PERSON, DOCTOR, "person")
        assert (order.state, order.holds) == (OrderState.READY, frozenset({HoldKind.PERSON}))
        with pytest.raises(Conflict):
            await store.first_byte(held, None)
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == free
        assert await store.claim("dmp", ALL, clock.now()) is None
        await store.lift_hold(held, HoldKind.PERSON, DOCTOR, "person")
        assert await store.claim("dmp", ALL, clock.now()) is not None


async def test_a_lane_leaves_in_order(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await ready(store, clock, 1, patient_key=Personal("patient"), set_id="1.2.3")
        second = await ready(store, clock, 2, patient_key=Personal("patient"), set_id="1.2.3")
        assert (await store.order(first)).lane == (await store.order(second)).lane
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == first
        assert await store.claim("dmp", ALL, clock.now()) is None
        await store.first_byte(first, None)
        await store.apply(first, OrderEvent.DOUBT, DOCTOR)
        assert await store.claim("dmp", ALL, clock.now()) is None
        await store.apply(first, OrderEvent.FOUND_THERE, DOCTOR)
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == second


async def test_only_the_right_professional_and_instant_are_claimed(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        assert await store.claim("dmp", rights("899700000099"), clock.now()) is None
        assert await store.claim("mss", ALL, clock.now()) is None
        assert await store.wait_for_authority("dmp", ()) == 1
        assert (await store.order(order_id)).waiting is WaitReason.AUTH
        assert await store.wait_for_authority("dmp", ALL) == 1
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        later = clock.now() + timedelta(seconds=30)
        patch = OrderPatch(next_attempt_at=later, waiting=WaitReason.NETWORK, attempts_plus=1)
        order = await store.apply(order_id, OrderEvent.UNCLAIM, DOCTOR, patch=patch)
        assert (order.attempts, order.waiting) == (1, WaitReason.NETWORK)
        assert await store.claim("dmp", ALL, clock.now()) is None
        assert await store.next_instant() == later
        clock.advance(30)
        assert await store.claim("dmp", ALL, clock.now()) is not None


async def test_overdue_orders_get_fresh_undo_minutes(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        acceptance = an_acceptance(clock, 1)
        await store.accept(acceptance)
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))
        clock.reboot(off_s=8 * 3600)
        fresh = await store.refresh_overdue(
            clock.now(), clock.boot_s(), clock.boot_id(), clock.now() - timedelta(seconds=60)
        )
        assert fresh == 1
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 10) == 0
        clock.advance(120)
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 10) == 1


async def test_between_two_patients_leaves_when_the_file_is_closed(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        base = an_acceptance(clock, 1)
        acceptance = replace(base, schedule=replace(base.schedule, between_patients=True))
        await store.accept(acceptance)
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))
        assert await store.patient_left(acceptance.client_id, clock.now()) == 1
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 10) == 0
        clock.advance(120)
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 10) == 1


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_holds_what_waits_and_its_withdrawal_frees_it(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        assert await store.patient_facts([Personal("patient-1")]) == ([], 0)
        recorded = await store.record_facts(of_patient(Personal("patient-1")), [opposition(True)], DOCTOR)
        assert recorded.held_ids == (order_id,)
        assert FactKind.OPPOSITION in (await store.order_facts(order_id)).refused
        assert await store.claim("dmp", ALL, clock.now()) is None
        await store.record_facts(of_patient(Personal("patient-1")), [opposition(False)], DOCTOR)
        assert await store.claim("dmp", ALL, clock.now()) is not None


async def test_a_row_written_by_somebody_else_is_never_sent(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        forged = await ready(store, clock, 1)
        raw = sqlite3.connect(tmp_path / "queue.db")
        raw.execute("UPDATE orders SET professional = '899700000099'")
        raw.commit()
        raw.close()
        assert await store.claim("dmp", rights("899700000099"), clock.now()) is None
        assert HoldKind.INTEGRITY in (await store.order(forged)).holds
        assert (await store.counts())["quarantined"] == 1
        with pytest.raises(StoreError, match="ROW_NOT_AUTHENTIC"):
            await store.apply(forged, OrderEvent.CLAIM, DOCTOR)


async def test_a_swapped_body_is_not_opened(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await store.accept(an_acceptance(clock, 1))
        await store.accept(an_acceptance(clock, 2, content=b"another"))
        raw = sqlite3.connect(tmp_path / "queue.db")
        raw.execute(
            "UPDATE bodies SET envelope = (SELECT envelope FROM bodies WHERE order_id = 'order-2') "
            "WHERE order_id = 'order-1'"
        )
        raw.commit()
        raw.close()
        with pytest.raises(StoreError, match="BODY_UNREADABLE"):
            await store.body(OrderId("order-1"))


async def test_the_file_holds_nothing_about_the_patient_in_clear(tmp_path: Path, clock: FakeClock) -> None:
    secret = b"ZORGLUBINE-DIAGNOSTIC"
    async with opened(tmp_path, KEYS, clock) as store:
        await store.accept(
            an_acceptance(
                clock,
                1,
                content=secret,
                patient_key=Personal("ZORGLUBINE"),
                title=Personal("ZORGLUBINE"),
                metadata=secret,
            )
        )
        assert await store.title(OrderId("order-1")) == "ZORGLUBINE"
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    content += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ZORGLUBINE" not in content
    assert b"doc-1" in content


async def test_a_restored_copy_starts_another_life(tmp_path: Path, clock: FakeClock) -> None:
    folder, kept = tmp_path / "state", tmp_path / "kept.db"
    async with opened(folder, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
    kept.write_bytes((folder / "queue.db").read_bytes())
    async with opened(folder, KEYS, clock) as store:
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(order_id, None)
        await store.apply(order_id, OrderEvent.DELIVERED, DOCTOR)
    for file in folder.glob("queue.db*"):
        file.unlink()
    (folder / "queue.db").write_bytes(kept.read_bytes())
    async with opened(folder, KEYS, clock) as store:
        order = await store.order(order_id)
        assert (store.recovery.incarnated, order.state, order.failure_code) == (
            1,
            OrderState.IN_DOUBT,
            "STORE_RESTORED",
        )
    async with opened(folder, KEYS, clock) as store:
        assert store.recovery.incarnated == 0


async def test_a_cloned_store_starts_another_life(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path / "a", KEYS, clock) as store:
        await ready(store, clock, 1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "queue.db").write_bytes((tmp_path / "a" / "queue.db").read_bytes())
    async with opened(tmp_path / "b", KEYS, clock) as store:
        assert store.recovery.incarnated == 1


async def test_a_broken_ledger_is_seen(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await store.accept(an_acceptance(clock, 1))
    raw = sqlite3.connect(tmp_path / "queue.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("UPDATE ledger SET detail = '[]' WHERE seq = 3")
    raw.execute("DROP TRIGGER ledger_is_never_updated")
    raw.execute("UPDATE ledger SET kind = 'order.rejected' WHERE seq = 3")
    raw.commit()
    raw.close()
    async with opened(tmp_path, KEYS, clock) as store:
        with pytest.raises(StoreError, match="LEDGER_BROKEN") as caught:
            await store.verify_ledger()
        assert caught.value.params["seq"] == 3


async def test_a_newer_or_foreign_file_is_refused_untouched(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "queue.db"
    open_database(path).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {schema_version() + 1}")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="STORE_TOO_NEW"):
        async with opened(tmp_path, KEYS, clock):
            pass
    assert path.read_bytes() == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    raw = sqlite3.connect(foreign / "queue.db")
    raw.execute("CREATE TABLE mine (x)")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="STORE_NOT_OURS"):
        async with opened(foreign, KEYS, clock):
            pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "queue.db").write_bytes(b"not a database at all, for sure" * 100)
    with pytest.raises(StoreError, match="STORE_CORRUPT"):
        async with opened(tmp_path, KEYS, clock):
            pass


def test_settings_are_those_of_a_store_that_promises(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "queue.db", SqliteConnection)
    settings = [
        connection.run(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys", "application_id")
    ]
    assert settings == [[("wal",)], [(2,)], [(1,)], [(0x5641474D,)]]
    strict = connection.run(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0"
    )
    assert [row for row in strict if not str(row[0]).startswith("sqlite_")] == []
    connection.close()


async def test_many_callers_share_commits_and_each_is_told(tmp_path: Path, clock: FakeClock) -> None:
    told: list[Change] = []
    async with opened(tmp_path, KEYS, clock) as store:
        stop = store.listen(told.append)
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(store.accept(an_acceptance(clock, number)))
        await asyncio.sleep(0)
        stop()
        assert [change.entry.seq for change in told] == list(range(3, 103))
        assert len(await store.orders(OrderFilter(limit=1000))) == 100
        page = await store.orders(OrderFilter(limit=10))
        rest = await store.orders(OrderFilter(limit=1000, after=page[-1].order_id))
        assert len(rest) == 90


async def test_a_failing_piece_is_undone_alone(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await store.accept(an_acceptance(clock, 1, idempotency_key="k"))
        results = await asyncio.gather(
            store.accept(an_acceptance(clock, 2)),
            store.accept(an_acceptance(clock, 1, idempotency_key="k", content=b"other")),
            store.accept(an_acceptance(clock, 3)),
            return_exceptions=True,
        )
        assert isinstance(results[1], Conflict)
        assert len(await store.orders(OrderFilter())) == 3


async def test_unknown_things_are_said_unknown(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        with pytest.raises(NotFound, match="ORDER_UNKNOWN"):
            await store.order(OrderId("none"))
        await store.revoke_client(a_client().client_id, DOCTOR)
        with pytest.raises(NotFound, match="CLIENT_UNKNOWN"):
            await store.client(a_client().client_id)


async def test_ready_documents_of_one_set_leave_in_order(tmp_path: Path, clock: FakeClock) -> None:
    """A ready CDA brings its own setId: two deposits of one set share a lane whatever their references."""
    async with opened(tmp_path, KEYS, clock) as store:
        for number in (1, 2):
            acceptance = an_acceptance(clock, number, patient_key=Personal("patient"))
            await store.accept(acceptance)
            build = replace(a_build(acceptance), set_id="1.2.250.1.999.77")
            await store.save_prepared(acceptance.order_id, build, frozen(number))
            await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
        first, second = await store.order(OrderId("order-1")), await store.order(OrderId("order-2"))
        assert (first.set_id, first.lane) == ("1.2.250.1.999.77", second.lane)
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == "order-1"
        assert await store.claim("dmp", ALL, clock.now()) is None

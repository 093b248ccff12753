"""Hidden documents to announce: all of them until they are shown, replaced, deleted or old, each to its own client."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from importlib import resources
from pathlib import Path

import pytest

from vaguemestre_core.announcements import AnnouncementList
from vaguemestre_core.changes import DeletionMotive
from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Client, Order, Scope
from vaguemestre_queue.hidden import query
from vaguemestre_testkit.clocks import START
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

HIDDEN = "INVISIBLE_PATIENT"


async def sent(practice: Office, ref: str, *visibility: str, title: str = "Compte rendu") -> Order:
    order = await practice.claimed(ref, title=title, change={"visibility": list(visibility)})
    await practice.dispatch.send(order)
    return await practice.now(order)


async def change(practice: Office) -> None:
    """Send the change that was asked."""
    await practice.adopt()
    for order in await practice.store.preparing(10):
        await practice.preparation.prepare(order)
    practice.clock.advance(1000)
    await practice.store.due(practice.clock.now(), practice.clock.boot_s(), practice.clock.boot_id(), 100)
    claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
    assert claimed is not None
    await practice.dispatch.send(claimed)


async def listed(practice: Office, client: Client | None = None) -> AnnouncementList:
    return await practice.backend.announcements.to_announce(client or practice.client)


def refs(found: AnnouncementList) -> list[str]:
    return [item.order.client_ref for item in found.documents]


@pytest.mark.req("SC.DMP/UX.51", "SC.DMP/UX.14.BIS")
async def test_what_is_shown_replaced_or_deleted_is_announced_no_more(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        for ref in ("first", "shown", "replaced", "deleted"):
            await sent(practice, ref, HIDDEN)
            practice.clock.advance(60)
        await sent(practice, "never hidden")
        stopped = await practice.deposit("stopped", change={"visibility": [HIDDEN]})
        await practice.backend.cancel(practice.client, stopped.order_id, SECRETARY)
        assert refs(await listed(practice)) == ["first", "shown", "replaced", "deleted"]

        await practice.backend.set_visibility(practice.client, "shown", frozenset(), SECRETARY, None)
        asked = {item.order.client_ref: item.under_way for item in (await listed(practice)).documents}
        assert [(item.wish.value, item.progress.value) for item in asked["shown"]] == [("visibility", "waiting")]
        await change(practice)
        await sent(practice, "replaced", title="Corrigé")
        await practice.backend.delete_document(
            practice.client, "deleted", DeletionMotive.FEEDING_ERROR, SECRETARY, None
        )
        await change(practice)
        assert refs(await listed(practice)) == ["first"]


@pytest.mark.req("SC.DMP/UX.51")
async def test_its_days_are_those_of_the_local_calendar(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await sent(practice, "cr-1", HIDDEN)
        fed = order.state_at.astimezone(practice.backend.announcements.zone).date()
        (item,) = (await listed(practice)).documents
        assert (item.age_days, item.is_announce_due, item.is_visible_due) == (0, False, False)
        assert item.announce_due.day == item.visible_due.day == fed.day
        practice.clock.advance(86400 * (item.announce_due - fed).days)
        (told,) = (await listed(practice)).documents
        assert (told.age_days, told.is_announce_due, told.is_visible_due) == (
            (item.announce_due - fed).days,
            True,
            False,
        )
        practice.clock.advance(86400 * (item.visible_due - item.announce_due).days)
        (seen,) = (await listed(practice)).documents
        assert (seen.is_announce_due, seen.is_visible_due) == (True, True)
        practice.clock.advance(86400 * 32)
        assert refs(await listed(practice)) == []


async def test_each_client_sees_its_own_and_an_administrator_all(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice, "cr-1", HIDDEN)
        others = [
            (await practice.backend.pair("Autre", frozenset({Scope.READ, *more}), PRODUCT, None, SECRETARY)).client
            for more in ((), (Scope.ADMIN,))
        ]
        assert [refs(await listed(practice, other)) for other in others] == [[], ["cr-1"]]


@pytest.mark.parametrize("client_id", [None, ClientId("lgc-1")])
def test_only_hidden_versions_of_the_last_months_are_looked_at(client_id: ClientId | None) -> None:
    sql, params = query(START - timedelta(days=120), client_id, 501)
    with closing(sqlite3.connect(":memory:")) as raw:
        migrations = resources.files("vaguemestre_queue") / "sql" / "migrations"
        for script in sorted(migrations.iterdir(), key=lambda item: item.name):
            raw.executescript(script.read_text(encoding="utf-8"))
        plan = [str(row[3]) for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}", params)]

    assert any("orders_hidden (state_at_us>?" in step for step in plan), plan
    assert any("orders_of_document (document_id=?)" in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan), plan

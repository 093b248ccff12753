"""A practice saves, goes on sending and comes back from the backup: nothing leaves twice, nothing saved is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_testkit.acceptance_kit import living, pdf_document, vaguemestre


@pytest.mark.req("SC.SSI/GEN.21.BIS")
async def test_saved_then_sent_then_restored_nothing_leaves_twice(tmp_path: Path, pki: Path) -> None:
    backup = tmp_path / "sauvegarde.vgmbak"
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document("Un"))
        await life.reaches("sent", "cr-1")
        for name in ("cr-2", "cr-3"):
            await life.lgc.put_document(name, pdf_document(name), hold=True)
            await life.until(lambda order: order.state == "ready" and "person" in order.holds, name)

        status, made = await vaguemestre(life.practice.environment, "backup", "create", str(backup))
        assert (status, made["orders"], made["open_orders"], made["faults"]) == (0, 3, 2, [])

        # Life goes on: what waited leaves, something new leaves.
        second = (await life.lgc.document("cr-2")).orders[0]
        await life.lgc.release(second.order_id)
        await life.reaches("sent", "cr-2")
        await life.lgc.put_document("cr-4", pdf_document("Quatre"))
        await life.reaches("sent", "cr-4")
        assert len(await life.bodies()) == 3

        status, refused = await vaguemestre(life.practice.environment, "backup", "restore", str(backup), "--replace")
        assert (status, refused["code"]) == (1, "AGENT_ALREADY_RUNNING")
        await life.child.stop()
        status, refused = await vaguemestre(life.practice.environment, "backup", "restore", str(backup))
        assert (status, refused["code"]) == (1, "BACKUP_STORE_PRESENT")
        status, restored = await vaguemestre(life.practice.environment, "backup", "restore", str(backup), "--replace")
        assert status == 0
        assert Path(str(restored["aside"])).is_dir()

        life.child = await life.practice.start(life.extra)
        await life.practice.wait_ready(life.child)
        await life.practice.open_session()
        # It had left meanwhile: found there by its own uniqueId, not sent again.
        found = await life.reaches("sent", "cr-2")
        assert found.order_id == second.order_id
        # It had not: it comes back to where it was, hold included, and leaves once.
        third = await life.until(lambda order: order.state == "ready" and "person" in order.holds, "cr-3")
        await life.lgc.release(third.order_id)
        await life.reaches("sent", "cr-3")

        bodies = await life.bodies()
        assert len(bodies) == len(set(bodies)) == 4
        answer = await life.ask("GET", "/api/documents")
        assert isinstance(answer, dict)
        held = {document["unique_id"] for document in answer["documents"]}
        saved = [(await life.lgc.document(name)).orders[0] for name in ("cr-1", "cr-2", "cr-3")]
        assert {order.unique_id for order in saved} <= held
        assert dict(await life.lgc.reconcile(["cr-3", "cr-4"])) == {"cr-3": "sent", "cr-4": "unknown_since_restore"}
        assert (await life.lgc.verify_ledger()).lines > 0

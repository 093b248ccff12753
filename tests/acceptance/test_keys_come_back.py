"""A real agent started without its keys accepts, sends nothing, and goes on by itself when they are back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vaguemestre_agent.parts import KEYS_FILE
from vaguemestre_api.failures import ApiProblem
from vaguemestre_testkit.acceptance_kit import living, pdf_document

PATIENCE_S = 20.0


async def test_a_locked_start_accepts_and_goes_on_without_a_restart(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("before", pdf_document("Avant"))
        await life.reaches("sent", "before")
        keys = life.state / KEYS_FILE
        aside = tmp_path / "keys"
        await life.child.stop()
        keys.rename(aside)
        keys.mkdir()  # unreadable, as a key store that does not answer
        life.child = await life.practice.start(life.extra)
        await life.practice.wait_ready(life.child)

        accepted = await life.lgc.put_document("kept", pdf_document("Gardé"))
        health = await life.lgc.health()
        with pytest.raises(ApiProblem) as refused:
            await life.lgc.orders()
        bodies = await life.bodies()

        keys.rmdir()
        aside.rename(keys)
        async with asyncio.timeout(PATIENCE_S):
            while any(item.code == "KEYRING_UNAVAILABLE" for item in (await life.lgc.health()).items):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await life.practice.open_session()
        sent = await life.reaches("sent", "kept")

    assert accepted.order.state == "preparing"
    assert {item.code: item.ok for item in health.items} == {"KEYRING_UNAVAILABLE": False, "KEEPING_DOCUMENTS": True}
    assert refused.value.problem.code == "KEYRING_UNAVAILABLE"
    assert len(bodies) == 1
    assert (sent.order_id, sent.unique_id) == (accepted.order.order_id, accepted.order.unique_id)

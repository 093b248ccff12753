"""Shadow mode with a real agent and sandbox: nothing arrives, health says so, and leaving it sends nothing old."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_api.failures import ApiProblem
from vaguemestre_testkit.acceptance_kit import living, pdf_document

SHADOW = {"VAGUEMESTRE_SERVICES__MODE": "shadow"}


async def test_nothing_arrives_until_a_person_releases_it_after_the_mode(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, extra=SHADOW) as life:
        await life.lgc.put_document("cr-1", pdf_document(), send_now=True)
        held = await life.reaches("ready")
        why = await life.lgc.why(held.order_id)
        assert (held.holds, why.blocking) == (("shadow",), "SHADOW_MODE")
        assert why.blocking_title.startswith("MODE OBSERVATION")
        assert [item.ok for item in (await life.lgc.health()).items if item.code == "SHADOW_MODE"] == [False]
        with pytest.raises(ApiProblem) as caught:
            await life.lgc.release_from_shadow(held.order_id)
        assert (caught.value.problem.status, caught.value.problem.code) == (409, "SHADOW_MODE")
        assert (await life.lgc.send_now(held.order_id)).holds == ("shadow",)

        life.extra = {}
        await life.kill_and_restart()
        await life.practice.open_session(fresh=True)
        await life.lgc.put_document("cr-2", pdf_document("Autre", 1))
        other = await life.reaches("sent", "cr-2")
        assert await life.bodies() == [other.unique_id]
        assert (await life.lgc.order(held.order_id)).state == "ready"
        assert all(item.code != "SHADOW_MODE" for item in (await life.lgc.health()).items)

        await life.lgc.release_from_shadow(held.order_id)
        await life.reaches("sent")
        assert await life.bodies() == [other.unique_id, held.unique_id]

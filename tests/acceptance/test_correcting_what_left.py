"""Correcting a document that has left, with a real agent, a real sandbox and a client on the socket."""

from __future__ import annotations

from pathlib import Path

from vaguemestre_api import wire
from vaguemestre_testkit.acceptance_kit import Life, living, pdf_document


async def held(life: Life) -> dict[str, str]:
    """Return the registry status of each document that the DMP holds, by uniqueId."""
    found = await life.ask("GET", "/api/documents")
    assert isinstance(found, dict)
    return {document["unique_id"]: document["status"] for document in found["documents"]}


async def version_sent(life: Life, version: int) -> wire.Order:
    return await life.until(lambda order: order.version == version and order.state == "sent")


async def test_each_correction_replaces_the_version_that_is_proved_to_be_there(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document("Version un"))
        first = await version_sent(life, 1)
        await life.lgc.put_document("cr-1", pdf_document("Version deux"))
        second = await version_sent(life, 2)
        assert await held(life) == {first.unique_id: "Deprecated", second.unique_id: "Approved"}

        # The third version is stored, and the answer is cut: corrected while nobody knows.
        await life.fail("dmp.td21", "cut_after_store")
        await life.lgc.put_document("cr-1", pdf_document("Version trois"))
        third = await life.reaches("in_doubt")
        fourth = (await life.lgc.put_document("cr-1", pdf_document("Version quatre"))).order
        assert fourth.state == "preparing"
        fourth = await version_sent(life, 4)
        orders = (await life.lgc.document("cr-1")).orders

        assert await held(life) == {
            first.unique_id: "Deprecated",
            second.unique_id: "Deprecated",
            third.unique_id: "Deprecated",
            fourth.unique_id: "Approved",
        }
        assert await life.bodies() == [order.unique_id for order in reversed(orders)]
    assert [(order.kind, order.state) for order in reversed(orders)] == [
        ("dmp.submit", "sent"),
        ("dmp.replace", "sent"),
        ("dmp.replace", "sent"),
        ("dmp.replace", "sent"),
    ]
    assert len({order.set_id for order in orders}) == 1

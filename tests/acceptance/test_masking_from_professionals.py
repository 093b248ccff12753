"""Who sees a document, each code of the table, with a real agent, a real sandbox and a client on the socket.

The DMP's entry is what is judged, by what the sandbox holds and by the bytes of the entry; the CDA itself never carries
a code of visibility.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lxml import etree

from vaguemestre_agent.practice.agent import ACTOR
from vaguemestre_api.failures import ApiProblem
from vaguemestre_testkit.acceptance_kit import QUICK, Life, living, pdf_document, vaguemestre

MASKED, HIDDEN, FROM_LEGAL = "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"
TABLE = "1.2.250.1.213.1.1.4.13"
CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"


@dataclass(frozen=True, slots=True)
class Wire:
    """What the sandbox saw: complete bodies of documents, complete changes that had an effect, what it holds."""

    bodies: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]
    held: dict[str, tuple[str, frozenset[str]]]


async def wire_of(life: Life) -> Wire:
    bodies, changes = await life.ask("GET", "/api/bodies"), await life.ask("GET", "/api/changes")
    found = await life.ask("GET", "/api/documents")
    assert isinstance(bodies, dict)
    assert isinstance(changes, dict)
    assert isinstance(found, dict)
    return Wire(
        bodies=tuple((row["unique_id"], row["transaction"]) for row in bodies["bodies"]),
        changes=tuple(row["unique_id"] for row in changes["changes"] if row["stored"]),
        held={row["unique_id"]: (row["status"], frozenset(row["visibility"])) for row in found["documents"]},
    )


def codes_of(entry: str) -> list[str]:
    """Return the confidentialityCodes of an entry, in order."""
    return [
        str(found.get("nodeRepresentation"))
        for found in etree.fromstring(entry.encode()).iter("{*}Classification")
        if found.get("classificationScheme") == CONFIDENTIALITY
    ]


@pytest.mark.req("DMP/va1.17", "SC.DMP/UX.51")
@pytest.mark.parametrize("codes", [(), (MASKED,), (HIDDEN,), (FROM_LEGAL,), (MASKED, FROM_LEGAL), (HIDDEN, FROM_LEGAL)])
async def test_each_choice_ends_in_the_entry_of_the_first_body(
    tmp_path: Path, pki: Path, codes: tuple[str, ...]
) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document(changes={"visibility": list(codes)}))
        sent = await life.reaches("sent")
        seen, entry, cda = await wire_of(life), await life.entry(sent), await life.cda(sent)

    assert seen == Wire(((sent.unique_id, "TD2.1"),), (), {sent.unique_id: ("Approved", frozenset(codes))})
    level, *others = codes_of(entry)
    assert level == "N"
    assert set(others) == set(codes)
    assert len(others) == len(codes)
    assert TABLE.encode() not in cda
    assert not any(code.encode() in cda for code in (MASKED, HIDDEN, FROM_LEGAL))


@pytest.mark.req("DMP/va1.17", "SC.DMP/UX.51")
async def test_what_the_table_forbids_is_refused_before_anything_is_kept(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        refusals: list[tuple[str, ...]] = []
        for number, codes in enumerate(([HIDDEN, MASKED], [HIDDEN, FROM_LEGAL, MASKED], ["MASQUE_PARTOUT"])):
            with pytest.raises(ApiProblem) as refused:
                await life.lgc.put_document(f"no-{number}", pdf_document(changes={"visibility": codes}))
            refusals.append(tuple(found.code for found in refused.value.problem.errors))
        assert (await life.lgc.orders()).orders == ()

        await life.lgc.put_document("cr-1", pdf_document(changes={"visibility": [MASKED]}))
        sent = await life.reaches("sent")
        with pytest.raises(ApiProblem) as both:
            await life.lgc.set_visibility("cr-1", [MASKED, HIDDEN])
        seen = await wire_of(life)
        orders = (await life.lgc.document("cr-1")).orders
    assert refusals[:2] == [("VISIBILITY_COMBINATION_FORBIDDEN",)] * 2
    assert len(refusals[2]) == 1
    assert "VISIBILITY_COMBINATION_FORBIDDEN" not in refusals[2]
    assert both.value.problem.code == "VISIBILITY_COMBINATION_FORBIDDEN"
    assert [order.order_id for order in orders] == [sent.order_id]
    assert seen.changes == ()
    assert seen.held == {sent.unique_id: ("Approved", frozenset({MASKED}))}


@pytest.mark.req("DMP/va1.17")
async def test_masked_once_there_then_shown_again_from_the_command_line(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document())
        sent = await life.reaches("sent")
        asked = await life.lgc.set_visibility("cr-1", [MASKED])
        await life.until(lambda order: order.kind == "dmp.visibility" and order.state == "sent")
        masked = await wire_of(life)
        again = await life.lgc.set_visibility("cr-1", [MASKED])

        actor = ("--user", ACTOR.user, "--role", ACTOR.role)
        status, answer = await vaguemestre(life.environment, "documents", "visibility", "cr-1", *actor)
        assert status == 0, answer
        await life.until(
            lambda order: (
                order.kind == "dmp.visibility" and order.state == "sent" and order.order_id != asked.order.order_id
            )
        )
        shown, entry = await wire_of(life), await life.entry(sent)
    assert (asked.answer, again.answer) == ("accepted", "done")
    assert masked.held == {sent.unique_id: ("Approved", frozenset({MASKED}))}
    assert masked.changes == (sent.unique_id,)
    assert answer["answer"] == "accepted"
    assert shown.held == {sent.unique_id: ("Approved", frozenset())}
    assert shown.changes == (sent.unique_id, sent.unique_id)
    assert shown.bodies == ((sent.unique_id, "TD2.1"),)
    assert MASKED not in entry


@pytest.mark.req("DMP/va1.17")
async def test_masking_cut_by_a_kill_before_its_answer_happens_once(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, replace(QUICK, feed_total_s=15.0, longest_exchange_s=16.0)) as life:
        await life.lgc.put_document("cr-1", pdf_document())
        sent = await life.reaches("sent")
        await life.fail("dmp.iti57", "hang_after_store")
        await life.lgc.set_visibility("cr-1", [MASKED])
        change = await life.until(lambda order: order.kind == "dmp.visibility" and order.state == "sending")
        while not (await wire_of(life)).changes:
            pass  # each turn waits for the sandbox's answer
        await life.kill_and_restart()
        await life.practice.open_session()
        settled = await life.until(lambda order: order.kind == "dmp.visibility" and order.state == "sent")
        seen = await wire_of(life)
    assert settled.order_id == change.order_id
    assert seen.changes == (sent.unique_id,)
    assert seen.held == {sent.unique_id: ("Approved", frozenset({MASKED}))}


@pytest.mark.req("DMP/va1.17")
async def test_the_next_version_of_a_masked_document_says_itself_who_sees_it(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document(changes={"visibility": [MASKED]}))
        first = await life.reaches("sent")
        await life.lgc.put_document("cr-1", pdf_document("Compte rendu corrigé", changes={"visibility": [MASKED]}))
        second = await life.until(lambda order: order.kind == "dmp.replace" and order.state == "sent")
        seen, entry = await wire_of(life), await life.entry(second)
    assert seen.bodies == ((first.unique_id, "TD2.1"), (second.unique_id, "TD2.1 RPLC"))
    assert seen.held[second.unique_id] == ("Approved", frozenset({MASKED}))
    assert seen.held[first.unique_id][0] == "Deprecated"
    assert codes_of(entry) == ["N", MASKED]

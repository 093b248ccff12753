"""ITI-57 and RPLC at the simulated DMP: what they change, what is refused, and what the ledger counts apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree

from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import ITI57, SUCCESS, TD31, Answer, Caller
from vaguemestre_sandboxkit.messages import Sample

SAMPLE = Sample(unique_id="1.2.250.1.999.8.1")
OASIS = "urn:oasis:names:tc:ebxml-regrep:StatusType:"
ASIP = "urn:asip:ci-sis:2010:StatusType:"
UPDATE = "XDSMetadataUpdateError"


@pytest.fixture(autouse=True)
async def connected(caller: Caller) -> None:
    assert (await caller.connect()).status_code == 200


async def change_status(
    caller: Caller,
    target: str,
    *,
    lot: str = "1.1",
    old: str = OASIS + "Approved",
    new: str = ASIP + "Deleted",
    structure: str = messages.STRUCTURE,
) -> Answer:
    payload = messages.status_change(SAMPLE, target, lot_id=f"1.2.250.1.999.8.9.{lot}", old=old, new=new)
    return await caller.soap("registry", ITI57, payload, security=caller.security(structure=structure))


def uuid_of(sandbox: Sandbox, unique_id: str = SAMPLE.unique_id) -> str:
    row = sandbox.store.document(unique_id)
    assert row is not None
    return row.entry_uuid


async def given_entry(caller: Caller) -> etree._Element:
    found = (await caller.lookup(SAMPLE.unique_id)).root
    (element,) = found.iter("{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}ExtrinsicObject")
    return element


async def change_masks(
    caller: Caller,
    *masks: str,
    lot: str = "2.1",
    version: str = "1",
    spoil: Callable[[str], str] = str,
    structure: str = messages.STRUCTURE,
) -> Answer:
    entry = spoil(messages.resubmitted(await given_entry(caller), masks))
    payload = messages.metadata_change(SAMPLE, entry, lot_id=f"1.2.250.1.999.8.9.{lot}", version=version)
    return await caller.soap("registry", ITI57, payload, security=caller.security(structure=structure))


async def test_a_deletion_hides_from_searches_but_not_from_who_names_the_document(
    caller: Caller, sandbox: Sandbox
) -> None:
    await caller.feed(SAMPLE)
    target = uuid_of(sandbox)
    assert (await change_status(caller, target)).status == SUCCESS
    found = await caller.lookup(SAMPLE.unique_id)
    assert (found.count, ASIP + "Deleted" in found.body.decode()) == (1, True)
    assert uuid_of(sandbox) == target
    by_uuid = messages.stored_query(messages.GET_DOCUMENTS, {"$XDSDocumentEntryEntryUUID": f"('{target}')"})
    assert (await caller.soap("registry", TD31, by_uuid)).count == 0
    search = messages.stored_query(
        messages.FIND_DOCUMENTS,
        {
            "$XDSDocumentEntryPatientId": f"'{messages.PATIENT}^^^&{messages.OID}&ISO^NH'",
            "$XDSDocumentEntryStatus": f"('{OASIS}Approved','{ASIP}Deleted')",
        },
    )
    assert (await caller.soap("registry", TD31, search)).count == 0
    assert (await change_status(caller, target, lot="1.2", old=ASIP + "Deleted")).codes == [UPDATE]


async def test_archiving_then_deleting_keeps_the_entry_uuid(caller: Caller, sandbox: Sandbox) -> None:
    await caller.feed(SAMPLE)
    target = uuid_of(sandbox)
    assert (await change_status(caller, target, new=ASIP + "Archived")).codes == []
    assert (await change_status(caller, target, lot="1.2")).codes == [UPDATE]
    assert (await change_status(caller, target, lot="1.3", old=ASIP + "Archived")).codes == []


async def test_each_change_of_metadata_gives_a_new_entry_uuid_and_keeps_the_lid(
    caller: Caller, sandbox: Sandbox
) -> None:
    await caller.feed(SAMPLE)
    first = uuid_of(sandbox)
    assert (await change_masks(caller, "MASQUE_PS")).codes == []
    row = sandbox.store.document(SAMPLE.unique_id)
    assert row is not None
    assert (row.lid, row.version, row.visibility) == (first, 2, ("MASQUE_PS",))
    assert row.entry_uuid != first
    # The entryUUID and the version of before are stale now.
    assert (await change_status(caller, first)).codes == ["XDSMetadataVersionError"]
    assert (await change_masks(caller, lot="2.2", version="1")).codes == ["XDSMetadataVersionError"]
    assert (await change_masks(caller, lot="2.3", version="2")).codes == []
    page = (await caller.inspect.get("/")).text
    assert ">3</td>" in page
    documents = (await caller.inspect.get("/api/documents")).json()["documents"]
    assert [(found["version"], found["lid"]) for found in documents] == [(3, first)]


@pytest.mark.parametrize(
    ("masks", "spoil", "code"),
    [
        (("INVISIBLE_PATIENT", "MASQUE_PS"), str, "XDSRegistryMetadataError"),
        (("INVISIBLE_PATIENT",), str, UPDATE),
        (("JAMAIS_VU",), str, "XDSRegistryMetadataError"),
        (("MASQUE_PS",), lambda text: text.replace("CR d'examen de l'enfant", "Autre titre"), UPDATE),
        (
            ("MASQUE_PS",),
            lambda text: text.replace('lid="urn:uuid:', 'lid="urn:uuid:0'),
            "XDSMetadataIdentifierError",
        ),
        (("MASQUE_PS",), lambda text: text.replace(SAMPLE.unique_id, "1.2.3"), "UnresolvedReferenceException"),
    ],
)
async def test_a_change_of_visibility_is_refused(
    caller: Caller, sandbox: Sandbox, masks: tuple[str, ...], spoil: Callable[[str], str], code: str
) -> None:
    await caller.feed(SAMPLE)
    assert (await change_masks(caller, *masks, spoil=spoil)).codes == [code]
    row = sandbox.store.document(SAMPLE.unique_id)
    assert row is not None
    assert (row.version, row.visibility) == (1, ())


async def test_what_is_unknown_or_not_ours_is_not_deleted(caller: Caller, sandbox: Sandbox) -> None:
    await caller.feed(SAMPLE)
    unknown = "urn:uuid:00000000-0000-4000-8000-000000000000"
    assert (await change_status(caller, unknown)).codes == ["UnresolvedReferenceException"]
    other = await change_status(caller, uuid_of(sandbox), structure="499700000038001")
    assert other.codes == ["DMPAccessDenied"]
    # Masking is for every authorised professional.
    assert (await change_masks(caller, "MASQUE_PS", structure="499700000038001")).codes == []


async def test_a_replacement_deprecates_the_old_entry_and_keeps_the_association(
    caller: Caller, sandbox: Sandbox
) -> None:
    await caller.feed(SAMPLE)
    old = uuid_of(sandbox)
    new = replace(SAMPLE, unique_id="1.2.250.1.999.8.2", version="2", replaces=SAMPLE.unique_id, replaces_entry=old)
    assert (await caller.feed(new)).codes == []
    row = sandbox.store.document(SAMPLE.unique_id)
    assert row is not None
    assert row.status == "Deprecated"
    assert [(link.source, link.target) for link in sandbox.store.links()] == [(uuid_of(sandbox, new.unique_id), old)]
    assert (await change_status(caller, old, old=OASIS + "Deprecated")).codes == [UPDATE]


async def test_changes_are_counted_apart_from_feedings(caller: Caller, sandbox: Sandbox) -> None:
    await caller.feed(SAMPLE)
    await change_masks(caller, "MASQUE_PS")
    await change_status(caller, uuid_of(sandbox), lot="1.1")
    await change_status(caller, uuid_of(sandbox), lot="1.2")
    verdict = (await caller.inspect.get("/api/verdict")).json()
    assert (verdict["complete_bodies"], verdict["sent_twice"], verdict["stored"]) == (1, 0, 1)
    assert [(row["transaction"], row["complete_bodies"], row["stored"]) for row in verdict["per_transaction"]] == [
        ("TD2.1", 1, 1),
        ("TD3.3a/b", 1, 1),
        ("TD3.3c", 2, 1),
    ]
    assert {row["unique_id"] for row in verdict["per_transaction"]} == {SAMPLE.unique_id}
    changes = (await caller.inspect.get("/api/changes")).json()["changes"]
    assert [row["outcome"] for row in changes] == ["stored", "stored", "refused"]


async def test_a_change_held_just_before_a_kill_is_known_as_applied(config: SandboxConfig, caller: Caller) -> None:
    await caller.feed(SAMPLE)
    await change_status(caller, uuid_of(caller.sandbox))
    refused = await change_status(caller, uuid_of(caller.sandbox), lot="1.2")
    assert refused.codes == [UPDATE]
    with sqlite3.connect(config.state_dir / "sandbox.sqlite3") as database:
        database.execute("UPDATE body SET outcome='processing', stored=0, finished_order=NULL")
    database.close()
    async with Sandbox.start(config) as second:
        assert [row.outcome.value for row in second.ledger.changes()] == ["stored_cut", "interrupted"]


async def test_the_same_lot_is_not_applied_twice(caller: Caller, sandbox: Sandbox) -> None:
    await caller.feed(SAMPLE)
    assert (await change_masks(caller, "MASQUE_PS")).codes == []
    assert (await change_masks(caller, version="2")).codes == ["XDSDuplicateUniqueIdInRegistry"]

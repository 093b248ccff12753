"""Without its keys the agent accepts durably, sends nothing and says why; with them it goes on exactly once."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_agent.locked.backend import LockedBackend
from vaguemestre_agent.locked.unlocking import UnlockingService
from vaguemestre_agent.practice.documents import PATIENTS, metadata, tiny_pdf
from vaguemestre_agent.services.values import DocumentUpload
from vaguemestre_core.errors import Conflict, Forbidden, InvalidInput, StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_core.records import Client
from vaguemestre_core.redaction import Secret
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_queue.sealing import Sealer
from vaguemestre_queue.spool import FOLDER, PUBLIC_FILE, Spool, read_public_keys, write_public_keys
from vaguemestre_queue.unverified import UnverifiedStore
from vaguemestre_testkit.canary import files_under, hits
from vaguemestre_testkit.clocks import FakeClock, SeededRandom
from vaguemestre_testkit.orders import test_keys
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

KEYS = test_keys()
SEALER = Sealer(KEYS)
TITLE = "ZZCANARI compte rendu"


def locked(folder: Path, seed: int = 50) -> LockedBackend:
    """Return the services of an agent whose key store is locked."""
    return LockedBackend(
        Spool(folder),
        UnverifiedStore(folder / DATABASE_FILE),
        FakeClock(),
        SeededRandom(seed),
        trouble="KEYRING_LOCKED",
        station="POSTE-1",
        version="0",
        can_seal=lambda: bool(read_public_keys(folder)),
    )


def upload(ref: str = "kept", *, title: str = TITLE, key: str | None = None) -> DocumentUpload:
    """Return what the LGC gives."""
    return DocumentUpload(
        client_ref=ref,
        metadata=metadata(title),
        body=tiny_pdf(title),
        media_type="application/pdf",
        actor=SECRETARY,
        idempotency_key=key,
    )


async def paired(folder: Path) -> tuple[Client, Secret]:
    """Leave a store with one program and one order, and its public keys beside it; return the program's credentials."""
    async with office(folder, keys=KEYS) as practice:
        await practice.deposit("before")
        found = practice.client, practice.secret
    write_public_keys(folder, SEALER.public_keys)
    return found


def unlocking(practice: Office, folder: Path) -> UnlockingService:
    """Return the service that takes what was kept."""
    return UnlockingService(
        spool=Spool(folder),
        sealer=SEALER,
        store=practice.store,
        clients=practice.backend.client_service,
        intake=practice.backend.intake,
    )


async def test_a_document_accepted_without_keys_becomes_the_order_that_was_answered(tmp_path: Path) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    known = await backend.authenticate(client.client_id, secret, None)
    accepted = await backend.put_document(known, upload())
    waiting = await backend.reconcile(known, ["kept"])
    # After another start without keys, the same request is the same document, and no patient is readable.
    again = locked(tmp_path, seed=51)
    known = await again.authenticate(client.client_id, secret, None)
    replay = await again.put_document(known, upload())
    health = await again.health()

    assert (accepted.order.state, accepted.replayed, waiting) == (OrderState.PREPARING, False, {"kept": "waiting"})
    assert (replay.order.order_id, replay.replayed) == (accepted.order.order_id, True)
    assert [(item.code, item.ok, dict(item.params)) for item in health.items] == [
        ("KEYRING_LOCKED", False, {}),
        ("KEEPING_DOCUMENTS", True, {"kept": 1}),
    ]
    needles = {"title": TITLE, "matricule": PATIENTS[0][0]}
    kept = [(name, content) for name, content in files_under(tmp_path) if name.startswith(FOLDER)]
    assert len(kept) == 1
    assert hits({**needles, "secret": secret.reveal()}, files_under(tmp_path)) == []

    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        assert await unlocking(practice, tmp_path).accept_kept() == 1
        order = await practice.store.order(accepted.order.order_id)
        assert (order.unique_id, order.accepted_at) == (accepted.order.unique_id, accepted.order.accepted_at)
        assert await practice.store.title(order.order_id) == TITLE
        assert (await practice.store.body(order.order_id)).body == tiny_pdf(TITLE)
        assert Spool(tmp_path).count() == 0
        assert await unlocking(practice, tmp_path).accept_kept() == 0


async def test_a_crash_after_the_order_is_durable_makes_no_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    accepted = await backend.put_document(await backend.authenticate(client.client_id, secret, None), upload())
    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        with monkeypatch.context() as patch:
            patch.setattr(Spool, "remove", lambda self, head: None)  # killed before the entry was removed
            await unlocking(practice, tmp_path).accept_kept()
        assert Spool(tmp_path).count() == 1
        await unlocking(practice, tmp_path).accept_kept()
        orders = await practice.backend.document_orders(practice.client, "kept")
        assert [order.order_id for order in orders] == [accepted.order.order_id]
        assert Spool(tmp_path).count() == 0


async def test_requests_are_recognised_as_with_keys(tmp_path: Path) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    known = await backend.authenticate(client.client_id, secret, None)
    before = await backend.put_document(known, upload("before", title="Compte rendu"))
    first = await backend.put_document(known, upload(key="k1"))
    corrected = await backend.put_document(known, upload(title="Corrigé"))
    with pytest.raises(Conflict, match="IDEMPOTENCY_MISMATCH"):
        await backend.put_document(known, upload(key="k1", title="Autre"))
    with pytest.raises(InvalidInput, match="METADATA_NOT_JSON"):
        await backend.put_document(known, replace(upload(), metadata=b"{"))

    assert before.replayed  # it is in the store already
    assert [order.order_id for order in await backend.document_orders(known, "kept")] == [
        corrected.order.order_id,
        first.order.order_id,
    ]
    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        assert await unlocking(practice, tmp_path).accept_kept() == 2
        newest, older = await practice.backend.document_orders(practice.client, "kept")
        assert (newest.order_id, older.state) == (corrected.order.order_id, OrderState.SUPERSEDED)


async def test_what_needs_keys_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    known = await backend.authenticate(client.client_id, secret, None)
    for refused in (
        backend.orders(known, None),
        backend.cancel(known, "o-1", SECRETARY),
        backend.reconcile(known, ["before"]),
        backend.order(known, "o-1"),  # type: ignore[arg-type]  # any id
        backend.keeping.erase_patient([], "cancel", "patient_request", SECRETARY),
        backend.backups.known(),
    ):
        with pytest.raises(StoreError, match="KEYRING_LOCKED"):
            await refused
    with pytest.raises(Forbidden, match="CLIENT_REFUSED"):
        await backend.authenticate(client.client_id, Secret("wrong"), None)
    await backend.close()
    with pytest.raises(StoreError, match="AGENT_BUSY"):
        await backend.put_document(known, upload())
    (tmp_path / PUBLIC_FILE).unlink()
    bare = locked(tmp_path)
    with pytest.raises(StoreError, match="KEYRING_LOCKED"):
        await bare.put_document(await bare.authenticate(client.client_id, secret, None), upload())
    assert not (await bare.health()).ready


@pytest.mark.parametrize("forgery", ["client row", "secret", "head", "body"])
async def test_what_nobody_vouches_for_is_set_aside(tmp_path: Path, forgery: str) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    known = await backend.authenticate(client.client_id, secret, None)
    if forgery == "secret":  # somebody who writes files, and knows no secret
        backend._shown[client.client_id] = (Secret("invented"), None)
    if forgery == "client row":  # a program added to the file: it was believed, for the time without keys only
        known = replace(known, client_id=type(known.client_id)("c-forged"))
        backend._shown[known.client_id] = (secret, None)
    await backend.put_document(known, upload())
    (path,) = (tmp_path / FOLDER).glob("*.kept")
    if forgery == "head":
        path.write_bytes(path.read_bytes().replace(b'"kept"', b'"other"', 1))
    if forgery == "body":
        path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        service = unlocking(practice, tmp_path)
        assert await service.accept_kept() == 0
        assert [item.code for item in service.health_items()] == ["KEPT_SET_ASIDE"]
        assert (await practice.store.ledger(0))[-1].kind == "intake.set_aside"
    assert (Spool(tmp_path).count(), Spool(tmp_path).count_aside()) == (0, 1)


async def test_what_an_older_folder_still_keeps_is_doubted_since_its_newer_self_may_have_sent_it(
    tmp_path: Path,
) -> None:
    state, backup = tmp_path / "state", tmp_path / "backup"
    client, secret = await paired(state)
    backend = locked(state)
    accepted = await backend.put_document(await backend.authenticate(client.client_id, secret, None), upload())
    shutil.copytree(state, backup)
    async with office(state, keys=KEYS, seed=2) as practice:
        await unlocking(practice, state).accept_kept()
    state.rename(tmp_path / "gone")
    backup.rename(state)  # put back in its place, the entry with it
    async with office(state, keys=KEYS, seed=3) as practice:
        assert practice.store.recovery.restored_at is not None
        assert await unlocking(practice, state).accept_kept() == 1
        order = await practice.store.order(accepted.order.order_id)
        assert (order.state, order.unique_id) == (OrderState.IN_DOUBT, accepted.order.unique_id)
        assert order.failure_code == "STORE_RESTORED"


async def test_an_entry_that_comes_back_after_its_correction_changes_nothing(tmp_path: Path) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    known = await backend.authenticate(client.client_id, secret, None)
    first = await backend.put_document(known, upload())
    (path,) = (tmp_path / FOLDER).glob("*.kept")
    content = path.read_bytes()
    corrected = await backend.put_document(known, upload(title="Corrigé"))
    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        assert await unlocking(practice, tmp_path).accept_kept() == 2
        path.write_bytes(content)  # a power cut undid its removal, or somebody put it back
        await unlocking(practice, tmp_path).accept_kept()
        orders = await practice.backend.document_orders(practice.client, "kept")
        assert [order.order_id for order in orders] == [corrected.order.order_id, first.order.order_id]
        assert Spool(tmp_path).count() == 0


async def test_what_is_no_entry_is_set_aside_told_and_stops_nothing(tmp_path: Path) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    await backend.put_document(await backend.authenticate(client.client_id, secret, None), upload())
    folder = tmp_path / FOLDER
    (path,) = folder.glob("*.kept")
    shutil.copy(path, path.with_name(f"{path.stem} - Copie.kept"))
    (folder / "00000009-0000.kept").write_bytes(b"a sector went bad")
    (folder / "00000010-0000.kept.new").write_bytes(b"cut while it was written")
    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        service = unlocking(practice, tmp_path)
        assert await service.accept_kept() == 1
        assert [dict(item.params) for item in service.health_items()] == [{"count": 2}]
    assert [entry.name for entry in folder.iterdir()] == ["aside"]


async def test_one_document_with_an_altered_row_does_not_keep_the_agent_from_starting(tmp_path: Path) -> None:
    client, secret = await paired(tmp_path)
    backend = locked(tmp_path)
    known = await backend.authenticate(client.client_id, secret, None)
    await backend.put_document(known, upload("before", title="Autre"))
    await backend.put_document(known, upload())
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as raw, raw:
        raw.execute("UPDATE orders SET unique_id = '1.2.3'")
    async with office(tmp_path, keys=KEYS, seed=2) as practice:
        service = unlocking(practice, tmp_path)
        assert await service.accept_kept() == 1
        assert [item.code for item in service.health_items()] == ["KEPT_SET_ASIDE"]

"""Checking a backup and bringing a store back from it, the agent being stopped.

What was there is put aside, never overwritten. The restored store has no marker: its next opening is a new
incarnation, in which every order that was not over is looked up at the service before anything is sent again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyrage

from vaguemestre_agent.adapters.backup import container
from vaguemestre_agent.adapters.backup.files import identities_of, require_signed
from vaguemestre_agent.adapters.keystore.recovery import ESCROW_FILE, RecoveryKey, open_escrow
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.keeping import BackupFacts
from vaguemestre_core.ports import ClockPort, FailpointPort
from vaguemestre_queue import snapshot
from vaguemestre_queue.anchors import ANCHORS_FILE
from vaguemestre_queue.context import Context
from vaguemestre_queue.files import flush_folder, replace_file
from vaguemestre_queue.keeping import ASIDE
from vaguemestre_queue.opening import DATABASE_FILE, MARKER_FILE
from vaguemestre_queue.sealing import Sealer, StoreKeys

# Moved aside in this order; the marker first: a store without one is never taken for the one that went on.
_OLD: Final = (MARKER_FILE, ANCHORS_FILE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBackup:
    """A backup that opened and is what its station signed.

    Attributes:
        database: the snapshot, in the work folder.
        keys: keys of the store in it.
        facts: what it says of itself.
        faults: what the inspection finds now: always what was found when it was made.
    """

    database: Path
    keys: StoreKeys
    facts: BackupFacts
    faults: tuple[str, ...]
    escrow: bytes


def open_backup(
    path: Path,
    work: Path,
    keys: StoreKeys | None,
    recovery: RecoveryKey | None,
    clock: ClockPort,
    failpoints: FailpointPort,
) -> OpenedBackup:
    """Open a whole backup into a work folder with the station's keys, the recovery key, or both, and inspect it.

    Raises:
        StoreError: BACKUP_OTHER_KEY, BACKUP_DAMAGED, BACKUP_FORGED, BACKUP_… of ``container``, STORE_TOO_NEW.
        Conflict: RECOVERY_KEY_OTHER.
    """
    identities: list[pyrage.x25519.Identity] = []
    if recovery is not None:
        identities.append(pyrage.x25519.Identity.from_str(recovery.identity.reveal()))
    if keys is not None:
        identities += identities_of(keys)
    signed = container.read(path, identities)
    manifest = signed.manifest
    if recovery is not None:
        if not manifest.escrow:
            raise StoreError("BACKUP_OTHER_KEY", reason="escrow")
        replace_file(work / ESCROW_FILE, manifest.escrow)
        keys = open_escrow(recovery, work)
    assert keys is not None  # the caller gives one of the two
    sealer = Sealer(keys)
    require_signed(signed, sealer)
    database = work / DATABASE_FILE
    container.open_snapshot(path, manifest, identities, database)
    context = Context(sealer=sealer, clock=clock, failpoints=failpoints, incarnation=0)
    found = snapshot.inspect(database, context)
    if "integrity" in found.faults or "keys" in found.faults:
        raise StoreError("BACKUP_DAMAGED", reason=",".join(found.faults))
    return OpenedBackup(
        database=database, keys=keys, facts=manifest.facts(path), faults=found.faults, escrow=manifest.escrow
    )


def put_in_place(opened: OpenedBackup, state: Path, now: datetime, *, replacing: bool) -> Path | None:
    """Make an opened backup the store of a folder, under its lock; return where the old one was put, or None.

    Interrupted at any point, the folder holds a store (never none: an agent would begin an empty one), the old one is
    whole aside, and repeating the command ends the work.

    Raises:
        Conflict: BACKUP_STORE_PRESENT when there is a store and ``replacing`` is false.
    """
    if (state / DATABASE_FILE).exists() and not replacing:
        raise Conflict("BACKUP_STORE_PRESENT")
    incoming = state / f"{DATABASE_FILE}.restoring"
    shutil.copyfile(opened.database, incoming)
    incoming.chmod(0o600)
    with incoming.open("rb+") as file:
        os.fsync(file.fileno())
    aside = _put_aside(state, now)
    if opened.escrow and not (state / ESCROW_FILE).exists():
        replace_file(state / ESCROW_FILE, opened.escrow)
    incoming.replace(state / DATABASE_FILE)
    flush_folder(state)
    return aside


def _put_aside(state: Path, now: datetime) -> Path | None:
    """Keep the old store aside: its file under a second name, so that the folder is never without a store."""
    database = state / DATABASE_FILE
    there = [state / name for name in _OLD if (state / name).exists()]
    if not database.exists() and not there:
        return None
    aside = state / f"{ASIDE}{now:%Y%m%dT%H%M%SZ}"
    aside.mkdir(mode=0o700, exist_ok=True)
    kept = aside / DATABASE_FILE
    if database.exists() and not kept.exists():
        try:
            os.link(database, kept)
        except OSError:  # a file system without links
            shutil.copyfile(database, kept)
        flush_folder(aside)
    for path in there:
        path.replace(aside / path.name)
    flush_folder(aside)
    return aside

"""Making, knowing and checking the backups of one store; every method works on files and is called in a thread."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import pyrage

from vaguemestre_agent.adapters.backup import container
from vaguemestre_agent.adapters.backup.container import Manifest, Signed
from vaguemestre_agent.adapters.keystore.recovery import ESCROW_FILE
from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import BACKUP_SUFFIX, BackupFacts
from vaguemestre_core.ports import ClockPort, FailpointPort
from vaguemestre_queue import snapshot
from vaguemestre_queue.context import Context
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_queue.sealing import Sealer, StoreKeys

_WORK: Final = "backup-work"
_LEFT_S: Final = 6 * 3600.0  # a work folder older than that belongs to nobody any more


class FileBackups:
    """``BackupPort`` over files.

    Args:
        state: the store's folder.
        keys: its keys.
        clock, failpoints: what a store's context needs; nothing is written in the store.
    """

    def __init__(self, state: Path, keys: StoreKeys, clock: ClockPort, failpoints: FailpointPort) -> None:
        self._state = state
        self._keys = keys
        self._sealer = Sealer(keys)
        self._context = Context(sealer=self._sealer, clock=clock, failpoints=failpoints, incarnation=0)
        self._identity = identity_of(keys)

    def make(self, path: Path, made_at: datetime) -> BackupFacts:
        """Write a backup, read it back, then give it its name."""
        if path.exists():
            raise StoreError("BACKUP_EXISTS")
        with _work_folder(self._state, made_at) as work:
            database = work / DATABASE_FILE
            try:
                snapshot.take(self._state / DATABASE_FILE, database)
                found = snapshot.inspect(database, self._context)
            except StoreError as error:
                raise StoreError(
                    "BACKUP_NO_SPACE" if error.code == "STORE_FULL" else "BACKUP_FAILED", reason=error.code
                ) from error
            if "integrity" in found.faults:
                raise StoreError("BACKUP_FAILED", reason="STORE_CORRUPT")
            manifest = Manifest(
                made_at=made_at,
                station=self._sealer.station,
                orders=found.orders,
                open_orders=found.open_orders,
                bodies=found.bodies,
                clients=found.clients,
                schema=found.schema,
                anchor=found.anchor,
                database_sha256=snapshot.digest_of(database),
                database_bytes=database.stat().st_size,
                faults=found.faults,
                escrow=self._escrow(),
            )
            signed = Signed(manifest=manifest, signature=self._sealer.sign(manifest.to_bytes()))
            recipients = [self._identity.to_public()]
            if manifest.escrow and self._keys.recovery_recipient is not None:
                recipients.append(pyrage.x25519.Recipient.from_str(self._keys.recovery_recipient))
            container.write(path, signed, database, recipients)
            try:
                container.open_snapshot(container.part_of(path), manifest, [self._identity], None)
            except StoreError:
                container.part_of(path).unlink(missing_ok=True)
                raise
            container.publish(path)
        return manifest.facts(path)

    def _escrow(self) -> bytes:
        if self._keys.recovery_recipient is None:
            return b""
        try:
            return (self._state / ESCROW_FILE).read_bytes()
        except FileNotFoundError:
            return b""

    def known(self, folder: Path) -> Sequence[BackupFacts]:
        """Return the backups of a folder that this station signed, newest first."""
        found: list[BackupFacts] = []
        for path in folder.glob(f"*{BACKUP_SUFFIX}"):
            try:
                signed = container.read(path, identities_of(self._keys))
                require_signed(signed, self._sealer)
            except StoreError:
                continue  # another store's, or damaged: the counts and the age speak of what can be used
            found.append(signed.manifest.facts(path))
        return sorted(found, key=lambda facts: facts.made_at, reverse=True)

    def remove_oldest(self, folder: Path, keep: int) -> int:
        """Remove all but the newest ones."""
        too_many = self.known(folder)[keep:]
        for facts in too_many:
            (folder / facts.name).unlink(missing_ok=True)
        return len(too_many)


def identities_of(keys: StoreKeys) -> list[pyrage.x25519.Identity]:
    """Return a station's present and retired age identities: backups may be older than a rotation."""
    secrets = (keys.identity, *keys.retired)
    return [pyrage.x25519.Identity.from_str(secret.reveal().decode("ascii")) for secret in secrets]


def identity_of(keys: StoreKeys) -> pyrage.x25519.Identity:
    """Return a station's age identity."""
    return pyrage.x25519.Identity.from_str(keys.identity.reveal().decode("ascii"))


def require_signed(signed: Signed, sealer: Sealer) -> None:
    """Refuse a manifest that these keys did not sign. Raises StoreError BACKUP_FORGED."""
    manifest = signed.manifest
    if manifest.station != sealer.station or not sealer.is_signed(manifest.to_bytes(), signed.signature):
        raise StoreError("BACKUP_FORGED")


@contextmanager
def _work_folder(state: Path, now: datetime) -> Iterator[Path]:
    """Give an empty private folder beside the store, gone at the end; what a crash left of one is removed first."""
    for left in state.glob(f"{_WORK}-*"):
        with suppress(OSError):
            if now.timestamp() - left.stat().st_mtime > _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_WORK}-", dir=state, ignore_cleanup_errors=True) as work:
        yield Path(work)

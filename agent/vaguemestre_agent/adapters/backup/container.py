"""The backup file: a small sealed manifest signed by the station, then the sealed snapshot.

Owns the format: ``VGMBAK01``, length of the sealed manifest (4 bytes, big endian), the manifest as an age file, the
snapshot as an age file. Both are sealed to this station and to the practice's recovery key. Any age program opens them.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import pyrage

from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import Anchor, BackupFacts
from vaguemestre_queue.files import flush_folder
from vaguemestre_queue.snapshot import BACKUP

MAGIC: Final = b"VGMBAK01"
FORMAT: Final = 1
_LENGTH_BYTES: Final = 4
_LONGEST_MANIFEST: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        station: public key (hex) of the station whose store it is, under which it is signed.
        database_sha256, database_bytes: the snapshot, unsealed.
        faults: what the inspection of the snapshot found, see ``snapshot.Inspection``.
        escrow: the store's ``keys.escrow``, which only the recovery key opens; empty when there is none.
    """

    made_at: datetime
    station: str
    orders: int
    open_orders: int
    bodies: int
    clients: int
    schema: int
    anchor: Anchor
    database_sha256: str
    database_bytes: int
    faults: tuple[str, ...] = ()
    escrow: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """Return what is signed: the same value always gives the same bytes."""
        content = {
            "format": FORMAT,
            "made_at": self.made_at.isoformat(),
            "station": self.station,
            "orders": self.orders,
            "open_orders": self.open_orders,
            "bodies": self.bodies,
            "clients": self.clients,
            "schema": self.schema,
            "ledger_seq": self.anchor.seq,
            "ledger_digest": self.anchor.digest.hex(),
            "database_sha256": self.database_sha256,
            "database_bytes": self.database_bytes,
            "faults": list(self.faults),
            "escrow": base64.b64encode(self.escrow).decode("ascii"),
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """Return the manifest of its text. Raises StoreError BACKUP_TOO_NEW, BACKUP_DAMAGED."""
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise StoreError("BACKUP_TOO_NEW")
            return cls(
                made_at=datetime.fromisoformat(content["made_at"]),
                station=str(content["station"]),
                orders=int(content["orders"]),
                open_orders=int(content["open_orders"]),
                bodies=int(content["bodies"]),
                clients=int(content["clients"]),
                schema=int(content["schema"]),
                anchor=Anchor(
                    where=BACKUP, seq=int(content["ledger_seq"]), digest=bytes.fromhex(content["ledger_digest"])
                ),
                database_sha256=str(content["database_sha256"]),
                database_bytes=int(content["database_bytes"]),
                faults=tuple(str(item) for item in content["faults"]),
                escrow=base64.b64decode(content["escrow"]),
            )
        except (ValueError, KeyError, TypeError):
            raise StoreError("BACKUP_DAMAGED", reason="manifest") from None

    def facts(self, path: Path) -> BackupFacts:
        """Return what may be shown of a backup."""
        return BackupFacts(
            name=path.name,
            made_at=self.made_at,
            size_bytes=path.stat().st_size,
            orders=self.orders,
            open_orders=self.open_orders,
            bodies=self.bodies,
            clients=self.clients,
            anchor=self.anchor,
            schema=self.schema,
            opens_with_recovery_key=bool(self.escrow),
            faults=self.faults,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A manifest as read, and the station's signature of it."""

    manifest: Manifest
    signature: bytes = field(repr=False)


def write(path: Path, signed: Signed, database: Path, recipients: Sequence[pyrage.x25519.Recipient]) -> None:
    """Write a backup under a temporary name, flushed; ``publish`` gives it its own.

    Raises:
        StoreError: BACKUP_NO_SPACE, BACKUP_UNWRITABLE; the temporary file is gone then.
    """
    content = {"manifest": signed.manifest.to_bytes().decode("ascii"), "signature": signed.signature.hex()}
    temporary = part_of(path)
    try:
        sealed = pyrage.encrypt(json.dumps(content).encode("ascii"), list(recipients))
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file, database.open("rb") as source:
            file.write(MAGIC + len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)
            target = _Target(file)
            try:
                pyrage.encrypt_io(source, target, list(recipients))
            except pyrage.EncryptError:
                raise target.failure or OSError(errno.EIO, "sealing") from None
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        raise StoreError("BACKUP_NO_SPACE" if full else "BACKUP_UNWRITABLE") from None


def publish(path: Path) -> None:
    """Give a written backup its name, durably. Raises StoreError BACKUP_UNWRITABLE."""
    try:
        part_of(path).replace(path)
        flush_folder(path.parent)
    except OSError:
        part_of(path).unlink(missing_ok=True)
        raise StoreError("BACKUP_UNWRITABLE") from None


def part_of(path: Path) -> Path:
    """Return the name under which a backup is written."""
    return path.with_name(f"{path.name}.part")


class _Target:
    """The file being written: keeps the system's own error, which the sealing library turns into a text."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, block: bytes) -> int:
        """Write a block."""
        try:
            return self._file.write(block)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        """Flush."""
        try:
            self._file.flush()
        except OSError as error:
            self.failure = error
            raise


def read(path: Path, identities: Sequence[pyrage.x25519.Identity]) -> Signed:
    """Read a backup's manifest; its signature is not checked here.

    Raises:
        StoreError: BACKUP_UNREADABLE (no such file), BACKUP_NOT_OURS (another kind of file), BACKUP_DAMAGED,
            BACKUP_OTHER_KEY, BACKUP_TOO_NEW.
    """
    try:
        with path.open("rb") as file:
            sealed = _sealed_manifest(file)
    except OSError:
        raise StoreError("BACKUP_UNREADABLE") from None
    try:
        content = json.loads(pyrage.decrypt(sealed, list(identities)))
        text, signature = str(content["manifest"]).encode("ascii"), bytes.fromhex(content["signature"])
    except pyrage.DecryptError as error:
        code = "BACKUP_OTHER_KEY" if "matching" in str(error) else "BACKUP_DAMAGED"
        raise StoreError(code, reason="manifest") from None
    except (ValueError, KeyError, TypeError):
        raise StoreError("BACKUP_DAMAGED", reason="manifest") from None
    return Signed(manifest=Manifest.from_bytes(text), signature=signature)


def _sealed_manifest(file: BinaryIO) -> bytes:
    if file.read(len(MAGIC)) != MAGIC:
        raise StoreError("BACKUP_NOT_OURS")
    length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
    if not 0 < length <= _LONGEST_MANIFEST:
        raise StoreError("BACKUP_DAMAGED", reason="manifest")
    return file.read(length)


class _Measured:
    """Where the opened snapshot goes, with its digest."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, block: bytes) -> int:
        """Take a block."""
        self.digest.update(block)
        return len(block) if self._file is None else self._file.write(block)

    def flush(self) -> None:
        """Flush."""
        if self._file is not None:
            self._file.flush()


def open_snapshot(
    path: Path, manifest: Manifest, identities: Sequence[pyrage.x25519.Identity], target: Path | None
) -> None:
    """Open the snapshot of a backup and compare it with its manifest; write it when there is a target.

    Raises:
        StoreError: BACKUP_DAMAGED, BACKUP_UNREADABLE, BACKUP_NO_SPACE, BACKUP_UNWRITABLE.
    """
    try:
        with path.open("rb") as source:
            _sealed_manifest(source)
            if target is None:
                found = _measure(source, None, identities)
            else:
                handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(handle, "wb") as file:
                    found = _measure(source, file, identities)
                    file.flush()
                    os.fsync(file.fileno())
    except OSError as error:
        if error.errno is None:  # how the sealing library tells a snapshot cut short or changed
            raise StoreError("BACKUP_DAMAGED", reason="snapshot") from None
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise StoreError("BACKUP_NO_SPACE" if full else "BACKUP_UNREADABLE") from None
    if found != manifest.database_sha256:
        raise StoreError("BACKUP_DAMAGED", reason="digest")


def _measure(source: BinaryIO, file: BinaryIO | None, identities: Sequence[pyrage.x25519.Identity]) -> str:
    target = _Measured(file)
    try:
        pyrage.decrypt_io(source, target, list(identities))
    except pyrage.DecryptError:
        raise StoreError("BACKUP_DAMAGED", reason="snapshot") from None
    return target.digest.hexdigest()

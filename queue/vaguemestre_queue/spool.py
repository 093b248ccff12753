"""What is accepted while the keys are out of reach: sealed files, waiting to become orders once the keys are back.

Sealing needs public keys only, which lie beside the store. Nobody can be authenticated with them, so each entry seals
its author's own secret too: a file that somebody else drops here never becomes an order. An entry's head, in clear,
holds what the orders table shows in clear and no more. Source: docs/adr/0016.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pyrage

from vaguemestre_core.errors import StoreError
from vaguemestre_core.records import Actor
from vaguemestre_core.redaction import Secret
from vaguemestre_queue.files import replace_file
from vaguemestre_queue.sealing import Sealer

FOLDER: Final = "intake"
ASIDE: Final = "aside"  # folder of entries that no key or no program vouches for
PUBLIC_FILE: Final = "keys.public"
_SUFFIX: Final = ".kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHead:
    """What is known of a kept document without its keys: as much as the orders table shows in clear.

    Attributes:
        number: place in the order of arrival.
        order_id, document_id, set_id, unique_id: what its order will bear.
        request_digest: hex digest of the client's wish.
        received_at_us: when it was answered, microseconds since 1970 UTC.
    """

    number: int
    order_id: str
    document_id: str
    set_id: str
    unique_id: str
    client_id: str
    client_ref: str
    type_code: str
    professional: str
    request_digest: str
    idempotency_key: str | None
    received_at_us: int
    hold: bool
    send_now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocument:
    """A kept document, opened.

    Attributes:
        head: its head, as it was sealed.
        secret: the secret its client gave: what authenticates it.
        os_identity: system user that gave it, or None.
    """

    head: KeptHead
    actor: Actor
    secret: Secret
    os_identity: str | None
    media_type: str
    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)


def write_public_keys(folder: Path, recipients: Sequence[str]) -> None:
    """Leave the store's public keys beside it, for the days when the private ones are out of reach."""
    replace_file(folder / PUBLIC_FILE, json.dumps(list(recipients)).encode())


def read_public_keys(folder: Path) -> tuple[str, ...]:
    """Return the store's public keys, or none when they are not there or not readable."""
    try:
        keys = json.loads((folder / PUBLIC_FILE).read_text("ascii"))
        return tuple(str(pyrage.x25519.Recipient.from_str(key)) for key in keys)
    except (OSError, ValueError, TypeError, pyrage.RecipientError):
        return ()


class Spool:
    """The kept documents of one store.

    Args:
        state: the state folder.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER
        self._state = state

    def heads(self) -> list[KeptHead]:
        """Return the heads of what is kept, in order of arrival; one that is damaged, or a copy, is left out."""
        found = [head for path in self._paths() if (head := self._ours(path)) is not None]
        return sorted(found, key=lambda head: head.number)

    def count(self) -> int:
        """Return how many entries are kept."""
        return len(self._paths())

    def count_aside(self) -> int:
        """Return how many entries were set aside."""
        aside = self._folder / ASIDE
        return sum(path.suffix == _SUFFIX for path in aside.iterdir()) if aside.is_dir() else 0

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX)

    def keep(self, document: KeptDocument) -> None:
        """Make a document durable, sealed to the store's public keys.

        Raises:
            StoreError: STORE_FULL, STORE_IO_ERROR; KEYRING_LOCKED when the public keys are not there.
        """
        recipients = [pyrage.x25519.Recipient.from_str(key) for key in read_public_keys(self._state)]
        if not recipients:
            raise StoreError("KEYRING_LOCKED")
        head = json.dumps(asdict(document.head), separators=(",", ":")).encode()
        inner = {
            "head": hashlib.sha256(head).hexdigest(),
            "actor": asdict(document.actor),
            "secret": document.secret.reveal(),
            "os_identity": document.os_identity,
            "media_type": document.media_type,
            "metadata_bytes": len(document.metadata),
        }
        opened = json.dumps(inner).encode() + b"\n" + document.metadata + document.body
        try:
            self._folder.mkdir(exist_ok=True, mode=0o700)
            replace_file(self._path(document.head), head + b"\n" + pyrage.encrypt(opened, recipients))
        except OSError as error:
            raise StoreError("STORE_FULL" if error.errno == 28 else "STORE_IO_ERROR") from error

    def _path(self, head: KeptHead) -> Path:
        return self._folder / f"{head.number:08d}-{hashlib.sha256(head.order_id.encode()).hexdigest()[:16]}{_SUFFIX}"

    def open(self, head: KeptHead, sealer: Sealer) -> KeptDocument:
        """Open an entry. Raises StoreError BODY_UNREADABLE when it is not what was sealed."""
        try:
            first, _, sealed = self._path(head).read_bytes().partition(b"\n")
            inner_text, _, rest = sealer.open(sealed).partition(b"\n")
            inner = json.loads(inner_text)
            if inner["head"] != hashlib.sha256(first).hexdigest() or _parsed(first) != head:
                raise StoreError("BODY_UNREADABLE")
            split = int(inner["metadata_bytes"])
            identity = inner["os_identity"]
            return KeptDocument(
                head=head,
                actor=Actor(**inner["actor"]),
                secret=Secret(str(inner["secret"])),
                os_identity=None if identity is None else str(identity),
                media_type=str(inner["media_type"]),
                metadata=rest[:split],
                body=rest[split:],
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError("BODY_UNREADABLE") from None

    def remove(self, head: KeptHead) -> None:
        """Remove an entry: its order is durable."""
        self._path(head).unlink(missing_ok=True)

    def set_aside(self, head: KeptHead) -> None:
        """Keep apart an entry that cannot become an order: a person looks."""
        self._put_aside(self._path(head))

    def set_aside_rest(self) -> int:
        """Keep apart what is no entry of ours (``heads`` left it out); return how many. What was being written goes.

        Call it when nothing is being kept any more.
        """
        rest = [path for path in self._paths() if self._ours(path) is None]
        for path in rest:
            self._put_aside(path)
        if self._folder.is_dir():
            for path in self._folder.glob(f"*{_SUFFIX}.new"):
                path.unlink(missing_ok=True)  # cut before it was whole: nobody was told that it was kept
        return len(rest)

    def _ours(self, path: Path) -> KeptHead | None:
        """Return the head of an entry where we wrote it, or None."""
        head = _head(path)
        return head if head is not None and path == self._path(head) else None

    def _put_aside(self, path: Path) -> None:
        aside = self._folder / ASIDE
        aside.mkdir(exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            path.replace(aside / path.name)


def _head(path: Path) -> KeptHead | None:
    try:
        with path.open("rb") as file:
            return _parsed(file.readline())
    except (OSError, ValueError, TypeError):
        return None


def _parsed(line: bytes) -> KeptHead:
    return KeptHead(**json.loads(line))

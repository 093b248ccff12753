"""Who remembers a store outside its folder: a file of the configuration folder, and the system's key store.

A restored or copied state folder then meets what its newer self told. Owns where and how; what it means is the
queue's (``vaguemestre_queue.incarnation``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.keystore.stores import KeyStore
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_queue.incarnation import Marker
from vaguemestre_queue.recovery import marker_from, read_marker, write_marker

_ID_CHARS: Final = 16  # of the store's id, in a name


class FileWitness:
    """Remembers in a file apart from the state folder; told before each sending.

    Args:
        folder: where the files are, one for each store.
    """

    is_quick = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, store_id: str) -> Path:
        return self._folder / f"store-witness-{store_id[:_ID_CHARS]}.json"

    def read(self, store_id: str) -> Marker | None:
        """Return what was remembered, or None."""
        return read_marker(self._path(store_id))

    def write(self, marker: Marker) -> None:
        """Remember. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_marker(self._path(marker.store_id), marker)


class KeyStoreWitness:
    """Remembers in the system's key store, which no copy of a folder takes along; told at each start and stop."""

    is_quick = False

    def __init__(self, keystore: KeyStore) -> None:
        self._keystore = keystore

    def _name(self, store_id: str) -> str:
        return f"store-witness-{store_id[:_ID_CHARS]}"

    def read(self, store_id: str) -> Marker | None:
        """Return what was remembered, or None. Raises StoreError KEYRING_…."""
        found = self._keystore.get(self._name(store_id))
        if found is None:
            return None
        try:
            return marker_from(json.loads(found.reveal()))
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, marker: Marker) -> None:
        """Remember. Raises StoreError KEYRING_…."""
        self._keystore.put(self._name(marker.store_id), SecretBytes(json.dumps(asdict(marker)).encode()))

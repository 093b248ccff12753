"""Key stores: the system's own, its back end chosen explicitly, and a private file for machines that have none.

The keyring library's automatic choice may prompt or fall back on clear text, so it is never used. A store whose keys
are lost is never given new ones: its orders would be unreadable and nobody would know.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from vaguemestre_core.errors import StoreError
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_queue.sealing import MAC_BYTES, StoreKeys, new_identity

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

    from vaguemestre_core.ports import RandomPort

SERVICE: Final = "vaguemestre"
IDENTITY: Final = "store-identity"
AUTHENTICATION: Final = "store-authentication"
PSEUDONYM: Final = "store-pseudonym"
RETIRED: Final = "store-retired-identities"
RECOVERY: Final = "store-recovery-recipient"


class KeyStore(Protocol):
    """Named secrets."""

    def get(self, name: str) -> SecretBytes | None:
        """Return a secret, or None. Raises StoreError KEYRING_LOCKED, KEYRING_UNAVAILABLE."""

    def put(self, name: str, value: SecretBytes) -> None:
        """Keep a secret. Raises StoreError KEYRING_LOCKED, KEYRING_UNAVAILABLE."""

    def is_open(self) -> bool:
        """Say, without asking anybody, whether reading would not make the system ask for a password."""


class FileKeyStore:
    """Secrets in one file of mode 0600 in the state folder: as safe as the system account, no safer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _all(self) -> dict[str, str]:
        try:
            content = json.loads(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreError("KEYRING_UNAVAILABLE") from error
        return {str(name): str(value) for name, value in content.items()}

    def is_open(self) -> bool:
        """Return True: a file asks nobody."""
        return True

    def get(self, name: str) -> SecretBytes | None:
        """Return a secret, or None."""
        found = self._all().get(name)
        return None if found is None else SecretBytes(base64.b64decode(found))

    def put(self, name: str, value: SecretBytes) -> None:
        """Keep a secret; the file is replaced whole, never half written."""
        content = {**self._all(), name: base64.b64encode(value.reveal()).decode("ascii")}
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_name(self._path.name + ".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


class SystemKeyStore:
    """Secrets in the system's own key store: Credential Manager, Keychain or Secret Service.

    Args:
        account: separates several stores of one user (the state folder's name).
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._backend = _system_backend()

    def is_open(self) -> bool:
        """Look at the lock of the Secret Service; the other systems' key stores open with the session."""
        return not _is_secret_service_locked() if sys.platform.startswith("linux") else True

    def get(self, name: str) -> SecretBytes | None:
        """Return a secret, or None."""
        from keyring.errors import KeyringError, KeyringLocked

        try:
            found = self._backend.get_password(SERVICE, f"{self._account}/{name}")
        except KeyringLocked as error:
            raise StoreError("KEYRING_LOCKED") from error
        except KeyringError as error:
            raise StoreError("KEYRING_UNAVAILABLE") from error
        return None if found is None else SecretBytes(base64.b64decode(found))

    def put(self, name: str, value: SecretBytes) -> None:
        """Keep a secret."""
        from keyring.errors import KeyringError, KeyringLocked

        try:
            self._backend.set_password(
                SERVICE, f"{self._account}/{name}", base64.b64encode(value.reveal()).decode("ascii")
            )
        except KeyringLocked as error:
            raise StoreError("KEYRING_LOCKED") from error
        except KeyringError as error:
            raise StoreError("KEYRING_UNAVAILABLE") from error


def _system_backend() -> KeyringBackend:
    if sys.platform == "win32":
        from keyring.backends.Windows import WinVaultKeyring

        backend: KeyringBackend = WinVaultKeyring()  # type: ignore[no-untyped-call]  # keyring types no back end
        return backend
    if sys.platform == "darwin":
        from keyring.backends.macOS import Keyring as MacKeyring

        return MacKeyring()
    from keyring.backends.SecretService import Keyring

    backend: KeyringBackend = Keyring()  # type: ignore[no-untyped-call]  # keyring types no back end
    return backend


def _is_secret_service_locked() -> bool:
    """Say whether the default collection is locked; False when there is none to ask: reading then tells why."""
    import secretstorage
    from secretstorage.exceptions import SecretStorageException

    try:
        connection = secretstorage.dbus_init()
        try:
            return bool(secretstorage.collection.get_collection_by_alias(connection, "default").is_locked())
        finally:
            connection.close()
    except SecretStorageException:
        return False


def reach_keys(keystore: KeyStore, random: RandomPort, *, store_exists: bool) -> StoreKeys:
    """Return the keys as ``load_keys`` does, without ever making the system ask for a password.

    Raises:
        StoreError: KEYRING_LOCKED at once when it is locked; else as ``load_keys``.
    """
    if not keystore.is_open():
        raise StoreError("KEYRING_LOCKED")
    return load_keys(keystore, random, store_exists=store_exists)


def load_keys(keystore: KeyStore, random: RandomPort, *, store_exists: bool) -> StoreKeys:
    """Return the keys of the store, making them at the first start.

    Raises:
        StoreError: KEYS_LOST when the store exists and its keys do not; KEYRING_LOCKED, KEYRING_UNAVAILABLE.
    """
    identity = keystore.get(IDENTITY)
    if identity is None:
        if store_exists:
            raise StoreError("KEYS_LOST")
        identity = SecretBytes(new_identity()[0].encode("ascii"))
        keystore.put(AUTHENTICATION, _fresh(random))
        keystore.put(PSEUDONYM, _fresh(random))
        keystore.put(IDENTITY, identity)  # last: its presence says that all are there
    keys = present_keys(keystore)
    if keys is None:
        raise StoreError("KEYS_LOST")
    return keys


def present_keys(keystore: KeyStore) -> StoreKeys | None:
    """Return the keys that are there, or None when one is missing; makes none.

    Raises:
        StoreError: KEYRING_LOCKED, KEYRING_UNAVAILABLE.
    """
    identity, authentication, pseudonym = (keystore.get(name) for name in (IDENTITY, AUTHENTICATION, PSEUDONYM))
    if identity is None or authentication is None or pseudonym is None:
        return None
    recovery = keystore.get(RECOVERY)
    return StoreKeys(
        identity=identity,
        authentication=authentication,
        pseudonym=pseudonym,
        recovery_recipient=None if recovery is None else recovery.reveal().decode("ascii"),
        retired=tuple(secret for secret in retired_of(keystore.get(RETIRED)) if secret != identity),
    )


def retired_of(kept: SecretBytes | None) -> tuple[SecretBytes, ...]:
    """Return the retired identities kept as one secret."""
    return () if kept is None else tuple(SecretBytes(text.encode()) for text in kept.reveal().decode("ascii").split())


def retired_secret(retired: tuple[SecretBytes, ...]) -> SecretBytes:
    """Return retired identities as one secret."""
    return SecretBytes(b" ".join(secret.reveal() for secret in retired))


def _fresh(random: RandomPort) -> SecretBytes:
    return SecretBytes(random.bits(MAC_BYTES * 8).to_bytes(MAC_BYTES, "big"))

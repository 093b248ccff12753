"""The practice's recovery key: made once, printed on paper, and the escrow that lets it give a store's keys back.

Only the public part stays on the workstation. The escrow is an age file beside the store that the recovery key alone
opens; it is written again each time a key changes. Never prints and never logs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyrage

from vaguemestre_agent.adapters.keystore.stores import (
    AUTHENTICATION,
    IDENTITY,
    PSEUDONYM,
    RECOVERY,
    RETIRED,
    KeyStore,
    present_keys,
    retired_of,
    retired_secret,
)
from vaguemestre_core.errors import Conflict, InvalidInput, NotFound, StoreError
from vaguemestre_core.redaction import Secret, SecretBytes
from vaguemestre_queue.sealing import StoreKeys, new_identity

ESCROW_FILE: Final = "keys.escrow"
LINE_CHARS: Final = 16
_LONGEST: Final = 65536  # bytes of a recovery page that we read
_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"
_LINE: Final = re.compile(r"^\s*(\d)\s+([A-Za-z0-9-]{4,16})\s+([a-z]{5})\s*$", re.MULTILINE)
_KEY: Final = re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{58}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A recovery key, private part included: on its way to paper, or read back from it.

    Attributes:
        identity: age identity.
        recipient: its public part.
    """

    identity: Secret
    recipient: str


def check_word(number: int, line: str) -> str:
    """Return the five-letter word that vouches for one printed line (16 bits of SHA-256)."""
    value = int.from_bytes(hashlib.sha256(f"vaguemestre-recovery/{number}/{line}".encode()).digest()[:2], "big")
    return (
        _CONSONANTS[value >> 12]
        + _VOWELS[value >> 10 & 3]
        + _CONSONANTS[value >> 6 & 15]
        + _VOWELS[value >> 4 & 3]
        + _CONSONANTS[value & 15]
    )


def page(key: RecoveryKey) -> str:
    """Return the page to print: the key in numbered lines, a check word each, and what to do with it."""
    text = key.identity.reveal()
    pieces = [text[start : start + LINE_CHARS] for start in range(0, len(text), LINE_CHARS)]
    lines = [
        f"  {number}  {piece.ljust(LINE_CHARS)}  {check_word(number, piece)}" for number, piece in enumerate(pieces, 1)
    ]
    return "\n".join(
        [
            "VAGUEMESTRE - CLÉ DE SECOURS DU CABINET",
            "",
            "Cette page ouvre tous les documents gardés par ce poste et ses sauvegardes.",
            "Imprimez-la, gardez-la sous clé hors du poste, n'en laissez aucune copie informatique.",
            "Elle n'est affichée qu'une fois. Le mot de cinq lettres vérifie la saisie de sa ligne.",
            "",
            *lines,
            "",
            f"Empreinte : {fingerprint(key.recipient.encode())}",
            "Pour s'en servir : recopiez les lignes dans un fichier, puis",
            "  vaguemestre keys restore --recovery-key-file FICHIER",
            "",
        ]
    )


def new_recovery_key() -> RecoveryKey:
    """Return a fresh recovery key."""
    identity, recipient = new_identity()
    return RecoveryKey(identity=Secret(identity), recipient=recipient)


def read_recovery_key(path: Path) -> RecoveryKey:
    """Return the recovery key of a file: the printed page typed again, or the bare age identity.

    Raises:
        InvalidInput: RECOVERY_KEY_MISTYPED (line), RECOVERY_KEY_INVALID, FILE_UNREADABLE.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST)
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("FILE_UNREADABLE") from None
    pieces = _LINE.findall(text)
    for number, piece, word in pieces:
        if check_word(int(number), piece.upper()) != word:
            raise InvalidInput("RECOVERY_KEY_MISTYPED", line=int(number))
    numbered = [int(number) for number, _, _ in pieces]
    if numbered == sorted(set(numbered)) and pieces:
        text = "".join(piece.upper() for _, piece, _ in pieces)
    found = _KEY.search(text)
    if found is None:
        raise InvalidInput("RECOVERY_KEY_INVALID")
    try:
        identity = pyrage.x25519.Identity.from_str(found.group())
    except pyrage.IdentityError:
        raise InvalidInput("RECOVERY_KEY_INVALID") from None
    return RecoveryKey(identity=Secret(found.group()), recipient=str(identity.to_public()))


def fingerprint(public: bytes) -> str:
    """Return a short name of a public value, for persons to compare: 80 bits of SHA-256 in groups."""
    digits = hashlib.sha256(b"vaguemestre-fingerprint/" + public).hexdigest()[:20]
    return " ".join(digits[start : start + 4] for start in range(0, 20, 4))


def fingerprints(keys: StoreKeys) -> dict[str, str | None]:
    """Return what may be shown of a store's keys: names and fingerprints, nothing that opens anything."""
    station = pyrage.x25519.Identity.from_str(keys.identity.reveal().decode("ascii")).to_public()
    secrets = hashlib.blake2b(keys.pseudonym.reveal(), key=keys.authentication.reveal(), person=b"fingerprint").digest()
    return {
        "station": fingerprint(str(station).encode()),
        "secrets": fingerprint(secrets),
        "retired": str(len(keys.retired)),
        "recovery": None if keys.recovery_recipient is None else fingerprint(keys.recovery_recipient.encode()),
    }


def adopt_recovery_key(
    keystore: KeyStore, keys: StoreKeys, key: RecoveryKey, state: Path, *, replacing: bool
) -> StoreKeys:
    """Make a key the store's recovery key: the escrow first, then the public part; return the keys as they are now.

    Raises:
        Conflict: RECOVERY_KEY_EXISTS when there is one and ``replacing`` is false.
        StoreError: KEYRING_LOCKED, KEYRING_UNAVAILABLE.
    """
    if keys.recovery_recipient is not None and not replacing:
        raise Conflict("RECOVERY_KEY_EXISTS")
    changed = replace(keys, recovery_recipient=key.recipient)
    write_escrow(changed, state)
    keystore.put(RECOVERY, SecretBytes(key.recipient.encode("ascii")))
    return changed


def write_escrow(keys: StoreKeys, state: Path) -> None:
    """Seal the keys of a store to its recovery key, beside it; a crash leaves the old file or the new one."""
    assert keys.recovery_recipient is not None
    content = {
        name: base64.b64encode(secret.reveal()).decode("ascii")
        for name, secret in (
            (IDENTITY, keys.identity),
            (AUTHENTICATION, keys.authentication),
            (PSEUDONYM, keys.pseudonym),
            (RETIRED, retired_secret(keys.retired)),
        )
    }
    sealed = pyrage.encrypt(json.dumps(content).encode(), [pyrage.x25519.Recipient.from_str(keys.recovery_recipient)])
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = state / f"{ESCROW_FILE}.new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(state / ESCROW_FILE)


def open_escrow(key: RecoveryKey, state: Path) -> StoreKeys:
    """Return the keys of a store by its recovery key.

    Raises:
        NotFound: ESCROW_MISSING.
        Conflict: RECOVERY_KEY_OTHER when the escrow was sealed to another key.
        StoreError: KEYS_LOST when what it holds is damaged.
    """
    try:
        sealed = (state / ESCROW_FILE).read_bytes()
    except OSError:
        raise NotFound("ESCROW_MISSING") from None
    try:
        opened = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(key.identity.reveal())])
    except pyrage.DecryptError:
        raise Conflict("RECOVERY_KEY_OTHER") from None
    try:
        content = json.loads(opened)
        identity, authentication, pseudonym = (
            SecretBytes(base64.b64decode(content[name])) for name in (IDENTITY, AUTHENTICATION, PSEUDONYM)
        )
        retired = retired_of(SecretBytes(base64.b64decode(content.get(RETIRED, ""))))
    except (ValueError, KeyError, TypeError):
        raise StoreError("KEYS_LOST") from None
    return StoreKeys(
        identity=identity,
        authentication=authentication,
        pseudonym=pseudonym,
        recovery_recipient=key.recipient,
        retired=retired,
    )


def restore_keys(keystore: KeyStore, keys: StoreKeys, *, replacing: bool) -> bool:
    """Put a store's keys back in the key store; return False when they were all there already.

    Raises:
        Conflict: KEYS_PRESENT when others are there and ``replacing`` is false.
        StoreError: KEYRING_LOCKED, KEYRING_UNAVAILABLE.
    """
    there = present_keys(keystore)
    if there == keys:
        return False
    wanted = ((AUTHENTICATION, keys.authentication), (PSEUDONYM, keys.pseudonym), (IDENTITY, keys.identity))
    if not replacing and any(keystore.get(name) not in (None, secret) for name, secret in wanted):
        raise Conflict("KEYS_PRESENT")
    assert keys.recovery_recipient is not None
    keystore.put(RECOVERY, SecretBytes(keys.recovery_recipient.encode("ascii")))
    keystore.put(RETIRED, retired_secret(keys.retired))
    for name, secret in wanted:  # the identity last: its presence says that all are there
        keystore.put(name, secret)
    return True

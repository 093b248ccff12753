"""Changing a station's key: new bodies are sealed to the new one, the old one opens what it must, then goes.

Each step leaves keys that open everything, wherever a crash falls: the old key is retired before it is replaced. Owns
the order of the steps. Source: docs/adr/0017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.keystore.recovery import write_escrow
from vaguemestre_agent.adapters.keystore.stores import IDENTITY, RETIRED, KeyStore, retired_secret
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_queue.sealing import Sealer, StoreKeys, identity_label, new_identity
from vaguemestre_queue.spool import write_public_keys

# Where a crash test may cut a rotation, in order.
STEPS: Final = ("rotate.begun", "rotate.escrowed", "rotate.retired", "rotate.switched", "rotate.published")
_UNTOLD: Final = "station"  # label of bodies sealed before keys were told apart


def rotate_station_key(keystore: KeyStore, keys: StoreKeys, state: Path, hit: Callable[[str], None]) -> StoreKeys:
    """Give a stopped station a new key; return the keys as they are now.

    Args:
        keystore: where the keys are.
        keys: the present ones.
        state: the state folder.
        hit: failpoints.

    Raises:
        StoreError: KEYRING_LOCKED, KEYRING_UNAVAILABLE; what was done so far opens everything.
    """
    changed = replace(
        keys, identity=SecretBytes(new_identity()[0].encode("ascii")), retired=(keys.identity, *keys.retired)
    )
    hit("rotate.begun")
    if keys.recovery_recipient is not None:
        write_escrow(changed, state)
    hit("rotate.escrowed")
    keystore.put(RETIRED, retired_secret(changed.retired))
    hit("rotate.retired")
    keystore.put(IDENTITY, changed.identity)
    hit("rotate.switched")
    write_public_keys(state, Sealer(changed).public_keys)
    hit("rotate.published")
    return changed


def drop_unneeded(keystore: KeyStore, keys: StoreKeys, sealed_to: frozenset[str], state: Path) -> int:
    """Forget the retired keys that no body was sealed to; return how many.

    Args:
        keystore: where the keys are.
        keys: the present ones.
        state: the state folder.
        sealed_to: labels of the keys that some body was sealed to, once all that was kept is accepted.
    """
    if _UNTOLD in sealed_to:
        return 0  # one of them opens these, and nobody knows which
    needed = tuple(secret for secret in keys.retired if identity_label(secret) in sealed_to)
    dropped = len(keys.retired) - len(needed)
    if dropped:
        keystore.put(RETIRED, retired_secret(needed))
        if keys.recovery_recipient is not None:
            write_escrow(replace(keys, retired=needed), state)
    return dropped

"""Identifiers: opaque ids of ours and OIDs under an LGC's branch. Randomness comes from the caller's port."""

from __future__ import annotations

import re
from typing import Final

from vaguemestre_core.errors import InvalidInput

OID_MAX_CHARS: Final = 64  # CI-SIS: id@root ≤ 64 characters
_OID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def check_oid(oid: str) -> str:
    """Return the OID; raise InvalidInput OID_INVALID when it is not digits and dots, ≤ 64, no leading zero."""
    if len(oid) > OID_MAX_CHARS or not _OID.fullmatch(oid):
        raise InvalidInput("OID_INVALID")
    return oid


def oid_under(root: str, random_bits: int) -> str:
    """Return a new OID ``root.<number>`` that never exceeds 64 characters.

    Args:
        root: the branch, at most 40 characters so that enough randomness fits.
        random_bits: a random integer of at least 76 bits; cut to what fits.
    """
    check_oid(root)
    room = OID_MAX_CHARS - len(root) - 1
    if room < 23:  # 23 digits ≈ 76 bits: two documents of one practice never collide
        raise InvalidInput("OID_ROOT_TOO_LONG", max_chars=40)
    digits = str(random_bits)[: min(room, 30)].lstrip("0") or "1"
    return f"{root}.{digits}"

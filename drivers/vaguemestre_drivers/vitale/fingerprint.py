"""What tells one carte Vitale from another within this process: a keyed digest of what was read.

Owns the key and the digest. Nothing readable without a licence is a serial number of the card that could be relied on,
so the content itself identifies a reading:

- public read: the ATR and both files as read, padding apart (names, dates, NIRs, and the card's own certificate, which
  differs from card to card);
- GIE's library: its identifying fields of each beneficiary, because the rest of its answer may carry the hour.

HMAC-SHA-256 under a random key that lives and dies with the process: NIRs are few enough to be tried one by one, so a
plain digest would give them away. The same card pulled out and put back gives the same fingerprint.
"""

from __future__ import annotations

import hmac
from typing import Final

from vaguemestre_core.vitale import CardFingerprint, VitaleSource

FINGERPRINT_KEY_BYTES: Final = 32
_CONTEXT: Final = b"vaguemestre vitale 1 "


class Fingerprints:
    """Makes fingerprints that compare within one process only.

    Args:
        key: 32 random bytes, new for each process, never written.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != FINGERPRINT_KEY_BYTES:
            raise ValueError("a fingerprint key has 32 bytes")
        self._key = key

    def of(self, source: VitaleSource, *parts: bytes) -> CardFingerprint:
        """Return the fingerprint of these parts, in this order; trailing zeros are padding and do not count."""
        digest = hmac.new(self._key, _CONTEXT + source.value.encode(), "sha256")
        for part in parts:
            content = part.rstrip(b"\x00")
            digest.update(len(content).to_bytes(4, "big") + content)
        return CardFingerprint(digest.digest())

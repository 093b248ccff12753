"""What TLS needs of a card: its certificates, and one function that raises a block to the key's power.

Owns the shape only. The key stays on its card; the session in which it can be used was opened elsewhere, with the PIN
that the person gave there: nothing here asks for a PIN or knows one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, unique

from vaguemestre_core.redaction import REDACTED


@unique
class Padding(StrEnum):
    """Who pads what the key signs."""

    PKCS1 = "pkcs1"  # the card pads a DigestInfo (CKM_RSA_PKCS)
    NONE = "none"  # the block is padded already (CKM_RSA_X_509), as PSS needs


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TlsKey:
    """A card's authentication key.

    Attributes:
        chain: its certificate, then those above it, DER.
        sign: returns the signature of a block; raises CpsError or ServiceError when the card cannot. It may be called
            from another thread than the card's own: it is for its maker to hand the work over.
        raises_blocks: whether the card takes blocks that are padded already; without it TLS 1.2 is the newest.
    """

    chain: tuple[bytes, ...]
    sign: Callable[[bytes, Padding], bytes] = field(repr=False)
    raises_blocks: bool = False

    def __repr__(self) -> str:
        return f"TlsKey({REDACTED})"

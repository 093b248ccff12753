"""What the agent sees of open cards: values and ports; the readers process is behind them.

Owns the shapes. A card is *open* while it is in its reader and its PIN session is open; a structure's certificate in
files is open while the agent runs. Nothing here carries a PIN, a card number or a key.
Source: docs/cards.md, "Whose authority a card is".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NewType, Protocol

from vaguemestre_core.records import AuthorityMeans
from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose

KeyId = NewType("KeyId", str)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OpenCard:
    """A card whose keys can be used now.

    Attributes:
        key: opaque, new at each opening: a card taken out and put back is another one; never the card's number.
        means: ``cps`` or ``cpe``.
        holder: PS_IdNat of its holder.
        structure: Struct_IdNat that the card tells, or None when it tells none.
        until: end of its certificates' validity.
    """

    key: KeyId
    means: AuthorityMeans
    holder: str
    structure: str | None
    until: datetime

    def __repr__(self) -> str:
        return f"OpenCard({self.means.value}, {REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KeySession:
    """A key under which a professional's orders may leave straight to the DMP.

    Attributes:
        key: names the key; another one after the card was taken out.
        means: ``cps``, ``cpe`` or ``structure``.
        national_id: PS_IdNat of the professional whose orders leave.
        holder: PS_IdNat of who acts: the same one, or an employee with a CPE.
        structure: Struct_IdNat of the card or the certificate, or None when the document's is used.
        until: when it ends at the latest.
    """

    key: KeyId
    means: AuthorityMeans
    national_id: str
    holder: str
    structure: str | None
    until: datetime

    def __repr__(self) -> str:
        return f"KeySession({self.means.value}, {REDACTED})"


class CardPresencePort(Protocol):
    """Which cards are open now. Told by level: who listens reads the whole list again, so no event can be missed."""

    def open_cards(self) -> Sequence[OpenCard]:
        """Return the cards whose keys can be used now."""

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener on the loop after each change; return the function that stops it."""


class CardKeysPort(Protocol):
    """What may be done with the keys of an open card: sign for a purpose, and authenticate one connection."""

    def certificates(self, key: KeyId, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the certificate that verifies what is signed for a purpose, then its chain, DER.

        Raises:
            ServiceError: ``CARD_TAKEN_OUT``.
        """

    async def sign(self, key: KeyId, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Return the signature of data, hashing included.

        Raises:
            ServiceError: ``CARD_TAKEN_OUT``, ``SIGNER_UNAVAILABLE``.
        """

    async def open_tls(self, key: KeyId, host: str, port: int, within_s: float) -> str:
        """Connect to a configured host with the card's key and return the address of the plain stream, good for once.

        ``unix:<path>``, or ``loopback:<port>:<hex>``: the first bytes to write are those of the hexadecimal text.

        Raises:
            ServiceError: ``CARD_TAKEN_OUT``; ``CARD_TLS_FAILED`` with ``failure`` (dns, refused, tls, connect_timeout,
                unreachable, key).
        """


class NoCards:
    """A workstation without readers, or whose way to the DMP is not for cards."""

    def open_cards(self) -> Sequence[OpenCard]:
        """Return none."""
        return ()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Never call."""
        return lambda: None

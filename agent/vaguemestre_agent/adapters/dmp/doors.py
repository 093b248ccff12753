"""The ways into the DMP: through the Proxy e-santé in a session, or straight to it with a key.

Owns what differs between them: the connection, the path, the cookie, how the VIHF is written and who signs it. Whether
a key may still be used is asked at each passage and again just before a body leaves.
Source: docs/dmp.md, "Straight to the DMP".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vaguemestre_agent.adapters.dmp.caller import caller_of
from vaguemestre_agent.adapters.dmp.vihf import Caller
from vaguemestre_agent.adapters.http import HttpClient
from vaguemestre_agent.adapters.signing.port import SignerPort
from vaguemestre_agent.profiles.model import ServiceProfile, VihfProfile
from vaguemestre_core.errors import ServiceError
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import AuthorityMeans, ProxySession
from vaguemestre_core.redaction import Secret
from vaguemestre_documents.xds.metadata import DocumentEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How one transaction goes in.

    Attributes:
        client: connections.
        path_of: path of an endpoint.
        cookie: the session, or None.
        vihf: how the assertion is written.
        signer: signs assertion and lot, or None.
        issuer: issuer of the assertion when nothing signs it.
        means: under which means.
        caller: who calls about a document; raises ServiceError ``STRUCTURE_MISMATCH``, InvalidInput.
        is_open: whether it may still be used.
    """

    client: HttpClient
    path_of: Callable[[str], str]
    cookie: tuple[str, Secret] | None
    vihf: VihfProfile
    signer: SignerPort | None
    issuer: str
    means: AuthorityMeans
    caller: Callable[[DocumentEntry], Caller]
    is_open: Callable[[], bool]

    def require_open(self) -> None:
        """Raise ServiceError ``CARD_TAKEN_OUT`` when it may no longer be used."""
        if not self.is_open():
            raise ServiceError("CARD_TAKEN_OUT")

    @property
    def is_direct(self) -> bool:
        """No proxy stands between."""
        return self.means is not AuthorityMeans.PSC


class Door(Protocol):
    """A way in."""

    def passage(self, context: SendingContext) -> Passage:
        """Return how a transaction goes in now. Raises ServiceError ``CARD_TAKEN_OUT``, ``DIRECT_NOT_CONFIGURED``."""


class ProxyDoor:
    """Through the Proxy e-santé.

    Args:
        client: client whose base URL is the proxy's.
        profile: what the services demand.
        signer: signs for the structure, or None.
        issuer: issuer of the VIHF when there is no signer.
    """

    def __init__(self, client: HttpClient, profile: ServiceProfile, signer: SignerPort | None, issuer: str) -> None:
        self._client = client
        self._profile = profile
        self._signer = signer
        self._issuer = issuer

    def passage(self, context: SendingContext) -> Passage:
        """Return the passage of a session."""
        session, profile = context.session, self._profile
        if not isinstance(session, ProxySession):
            raise TypeError(type(session))  # a bug of ours: ``TwoDoors`` chooses
        return Passage(
            client=self._client,
            path_of=lambda endpoint: profile.proxy.path_to(profile.dmp.backend, endpoint),
            cookie=(profile.proxy.session_cookie, session.cookie),
            vihf=profile.vihf,
            signer=self._signer,
            issuer=self._issuer,
            means=AuthorityMeans.PSC,
            caller=lambda entry: caller_of(entry, session.national_id),
            is_open=lambda: True,
        )


class TwoDoors:
    """The proxy's door for sessions, the direct one for keys; either may not be configured."""

    def __init__(self, proxy: Door | None, direct: Door | None) -> None:
        self._proxy = proxy
        self._direct = direct

    def passage(self, context: SendingContext) -> Passage:
        """Return the passage of what the order leaves under."""
        door = self._proxy if isinstance(context.session, ProxySession) else self._direct
        if door is None:
            raise ServiceError("DIRECT_NOT_CONFIGURED")
        return door.passage(context)

"""Straight to the DMP with a key: TLS with the card's certificate, VIHF signed by the card, no proxy, no cookie.

Owns one client for each open card and the VIHF of each means; what no readable specification fixes comes from the
profile. Source: docs/dmp.md, "Straight to the DMP"; DMP sample messages 02.05.00 (direct).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from vaguemestre_agent.adapters.dmp.caller import caller_of
from vaguemestre_agent.adapters.dmp.doors import Passage
from vaguemestre_agent.adapters.dmp.vihf import Caller
from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.signing.cards import CardSigner
from vaguemestre_agent.adapters.signing.port import SignerPort
from vaguemestre_agent.adapters.streams import StreamTransport
from vaguemestre_agent.profiles.model import DirectProfile, MeansProfile, ServiceProfile
from vaguemestre_core.cardports import CardKeysPort, CardPresencePort, KeyId, KeySession
from vaguemestre_core.errors import InvalidInput, ServiceError
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import AuthorityMeans
from vaguemestre_documents.xds.metadata import DocumentEntry

_HTTPS_PORT: Final = 443


def direct_address(url: str) -> tuple[str, int]:
    """Return the host and the port of ``https://host[:port]``. Raises InvalidInput ``DIRECT_INVALID`` (reason url)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _HTTPS_PORT
    except ValueError:
        raise InvalidInput("DIRECT_INVALID", reason="url") from None
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidInput("DIRECT_INVALID", reason="url")
    return parts.hostname, port


class DirectDoor:
    """The direct way in.

    Args:
        profile: what the DMP demands.
        url: ``https://host[:port]`` of the DMP.
        cards: which cards are open.
        keys: what their keys can do, or None without readers.
        structure: client that authenticates with the structure's certificate, or None.
        signer: the structure's signature, or None.
        passed: see ``HttpClient``.

    Raises:
        InvalidInput: ``DIRECT_INVALID`` (reason url, signer).
    """

    def __init__(
        self,
        profile: ServiceProfile,
        url: str,
        *,
        cards: CardPresencePort,
        keys: CardKeysPort | None,
        structure: HttpClient | None = None,
        signer: SignerPort | None = None,
        passed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._host, self._port = direct_address(url)
        if structure is not None and signer is None and (profile.vihf.signed or profile.submission.signed):
            raise InvalidInput("DIRECT_INVALID", reason="signer")
        self._profile = profile
        # TLS is spoken by the readers process: from here on the way is plain, to the same host.
        self._plain_url = f"http://{urlsplit(url).netloc}"
        self._cards = cards
        self._keys = keys
        self._structure = structure
        self._signer = signer
        self._passed = passed
        self._clients: dict[KeyId, HttpClient] = {}

    async def aclose(self) -> None:
        """Close the clients of the cards."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def passage(self, context: SendingContext) -> Passage:
        """Return the passage of a key. Raises ServiceError ``CARD_TAKEN_OUT``, ``DIRECT_NOT_CONFIGURED``."""
        session = context.session
        if not isinstance(session, KeySession):
            raise ServiceError("DIRECT_NOT_CONFIGURED")
        direct = self._profile.direct
        means = _of_means(direct)[session.means]
        client, signer = self._with(session)
        return Passage(
            client=client,
            path_of=lambda endpoint: direct.path.replace("{endpoint}", endpoint),
            cookie=None,
            vihf=replace(self._profile.vihf, mode=means.mode, context_class=means.context_class),
            signer=signer,
            issuer="",
            means=session.means,
            caller=lambda entry: _caller(entry, session, direct),
            is_open=lambda: self._is_open(session),
        )

    def _is_open(self, session: KeySession) -> bool:
        is_structure = session.means is AuthorityMeans.STRUCTURE
        return is_structure or any(card.key == session.key for card in self._cards.open_cards())

    def _with(self, session: KeySession) -> tuple[HttpClient, SignerPort | None]:
        if session.means is AuthorityMeans.STRUCTURE:
            if self._structure is None:
                raise ServiceError("DIRECT_NOT_CONFIGURED")
            return self._structure, self._signer
        keys = self._keys
        if keys is None:
            raise ServiceError("DIRECT_NOT_CONFIGURED")
        if not self._is_open(session):
            raise ServiceError("CARD_TAKEN_OUT")
        if session.key not in self._clients:
            key, host, port = session.key, self._host, self._port

            async def opened(within_s: float) -> str:
                return await keys.open_tls(key, host, port, within_s)

            gone = set(self._clients) - {card.key for card in self._cards.open_cards()}
            for old in gone:  # they hold no connection: each exchange closes its own
                del self._clients[old]
            self._clients[key] = HttpClient(
                self._plain_url, TlsFiles(), passed=self._passed, transport=StreamTransport(opened)
            )
        return self._clients[session.key], CardSigner(keys, session.key)


def _of_means(direct: DirectProfile) -> Mapping[AuthorityMeans, MeansProfile]:
    return {
        AuthorityMeans.CPS: direct.cps,
        AuthorityMeans.CPE: direct.cpe,
        AuthorityMeans.STRUCTURE: direct.structure,
    }


def _caller(entry: DocumentEntry, session: KeySession, direct: DirectProfile) -> Caller:
    """Return who calls: the holder of the card, from the structure that the card or the certificate tells.

    What is imputed to a structure is that structure's own: another's document does not leave under its key.
    """
    caller = caller_of(entry, session.national_id)
    if session.means is not AuthorityMeans.CPS and session.structure not in (None, caller.structure_id):
        raise ServiceError("STRUCTURE_MISMATCH")
    return replace(
        caller,
        national_id=session.holder,
        structure_id=session.structure or caller.structure_id,
        role=direct.employee_role if session.means is AuthorityMeans.CPE else None,
    )

"""Under whose authority an order leaves: a session of the Proxy e-santé, a card, or the structure's certificate.

Owns the choice when several are open (``vaguemestre_core.authority.PREFERENCE``) and nothing of their lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from vaguemestre_agent.services.cardauthorities import CardAuthorities
from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_core.authority import kinds_of
from vaguemestre_core.cardports import KeySession
from vaguemestre_core.orders import ClientId, OrderKind
from vaguemestre_core.records import Authority, Client, ProxySession, Scope
from vaguemestre_core.turns import SendingRight

Held: TypeAlias = ProxySession | KeySession


class Authorities:
    """Every authority open on this workstation."""

    def __init__(self, sessions: SessionService, cards: CardAuthorities) -> None:
        self.sessions = sessions
        self.cards = cards

    def find(self, national_id: str, client: Client, kind: OrderKind) -> Held | None:
        """Return what an order of a client may leave under, in the order of preference, or None.

        A session of the proxy comes first: it costs the card nothing. A key sends for every paired program that has
        a product: it belongs to the person, not to a program.
        """
        if client.product is None:
            return None
        session = self.sessions.session_for(national_id, client)
        return self.cards.session_for(national_id, kind) if session is None else session

    def until(self, national_id: str, client: Client) -> datetime | None:
        """Return when the authority for a feeding ends at the latest, or None when there is none."""
        held = self.find(national_id, client, OrderKind.DMP_SUBMIT)
        return None if held is None else held.until

    def has_weaker(self, national_id: str, kind: OrderKind) -> bool:
        """Say whether a key is open for a professional that may not send this kind of order."""
        return any(
            session.national_id == national_id and kind not in kinds_of(session.means)
            for session in self.cards.sessions()
        )

    def rights(self, clients: Sequence[Client], *, free_only: bool = False) -> Sequence[SendingRight]:
        """Return for whom which orders of these clients may leave now; ``free_only``: under keys that are not paced."""
        found: dict[tuple[str, frozenset[OrderKind]], set[ClientId]] = {}
        for right in self.sessions.rights(clients):
            found.setdefault((right.professional, right.kinds), set()).update(right.clients)
        sending = {client.client_id for client in clients if client.product is not None}
        for session in self.cards.sessions():
            if free_only and not self.cards.is_free(session.key):
                continue
            # A session of the proxy and a card of the same professional are one right: the choice is made at departure.
            found.setdefault((session.national_id, kinds_of(session.means)), set()).update(sending)
        return [
            SendingRight(professional=who, clients=frozenset(found[who, kinds]), kinds=kinds)
            for who, kinds in sorted(found, key=lambda key: (key[0], sorted(key[1])))
            if found[who, kinds]
        ]

    def authorities(self, client: Client) -> Sequence[Authority]:
        """Return who may send from here now, as far as this client is concerned."""
        is_told = client.product is not None or Scope.ADMIN in client.scopes
        own = self.cards.authorities() if is_told else ()
        return [*self.sessions.authorities(client), *own]

"""Sessions of the Proxy e-santé: opened only because a person asked, kept in memory only, never opened silently.

A session belongs to one professional in one LGC, named by the clientId that the proxy knows: nothing of another LGC
leaves in it. The state machine of each: CLOSED → (connect) PENDING → OPEN → CLOSED. A session ends by disconnect, by
its time, or because the proxy said so. What one LGC opens is bounded in number, and takes no other's place.
Source: psc-proxy contract, SC.PSC.14.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from vaguemestre_core.errors import Conflict, InvalidInput, NotFound, ServiceError, StoreError
from vaguemestre_core.orders import ClientId
from vaguemestre_core.ports import ClockPort, ConnectRefused, ProxyPort, RandomPort, StorePort
from vaguemestre_core.records import AGENT_ACTOR, Actor, Authority, AuthorityMeans, Client, ProxySession, Scope
from vaguemestre_core.redaction import Secret
from vaguemestre_core.turns import SendingRight

_log = logging.getLogger(__name__)
_Key: TypeAlias = tuple[str, str]  # PS_IdNat, proxy clientId
CHANNELS = frozenset({"CARD", "MOBILE"})
SERVICES = ("dmp",)
OPEN_MAX: Final = 100  # professionals of one LGC with a session here: more than the largest practice has
PENDING_MAX: Final = 16  # professionals asked at once, all LGCs together; each holds a connection meanwhile


class SessionService:
    """Holds the open sessions of this workstation.

    Args:
        store: for the ledger's lines.
        proxy: the Proxy e-santé.
        clock: time.
        random: makes request ids and binding codes.
        station: this workstation's id.
        longest_s: longest life of a session, seconds (a setting).
        connect_s: longest time a professional has to answer, seconds.
        changed: told when somebody's authority begins or ends.
    """

    def __init__(
        self,
        store: StorePort,
        proxy: ProxyPort,
        clock: ClockPort,
        random: RandomPort,
        *,
        station: str,
        longest_s: float,
        connect_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._proxy = proxy
        self._clock = clock
        self._random = random
        self._station = station
        self._longest_s = longest_s
        self._connect_s = connect_s
        self._changed = changed
        self._open: dict[_Key, ProxySession] = {}
        self._pending: set[_Key] = set()
        self._adopting: set[_Key] = set()
        self._group: asyncio.TaskGroup | None = None

    async def run(self, started: asyncio.Event) -> None:
        """Own the connections being opened; ends by cancellation and drops them."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def session_for(self, national_id: str, client: Client) -> ProxySession | None:
        """Return the session in which a client's orders may leave for a professional, or None."""
        return None if client.product is None else self._living((national_id, client.product.proxy_client_id))

    def _living(self, key: _Key) -> ProxySession | None:
        session = self._open.get(key)
        if session is not None and session.until <= self._clock.now():
            del self._open[key]
            return None
        return session

    def sessions(self) -> Sequence[ProxySession]:
        """Return the open sessions."""
        return [session for key in sorted(self._open) if (session := self._living(key)) is not None]

    def rights(self, clients: Sequence[Client]) -> Sequence[SendingRight]:
        """Return for whom each of these clients' orders may leave from here now."""
        found: dict[str, set[ClientId]] = {}
        for session in self.sessions():
            for client in clients:
                if client.product is not None and client.product.proxy_client_id == session.proxy_client_id:
                    found.setdefault(session.national_id, set()).add(client.client_id)
        return [SendingRight(professional=who, clients=frozenset(found[who])) for who in sorted(found)]

    def authorities(self, client: Client) -> Sequence[Authority]:
        """Return who may send from here now, as far as this client is concerned; ``admin`` sees all."""
        own = None if client.product is None else client.product.proxy_client_id
        return [
            self._authority(session, service)
            for session in self.sessions()
            if session.proxy_client_id == own or Scope.ADMIN in client.scopes
            for service in SERVICES
        ]

    def _authority(self, session: ProxySession, service: str) -> Authority:
        return Authority(
            professional=session.national_id,
            means=AuthorityMeans.PSC,
            service=service,
            station=self._station,
            until=session.until,
            proxy_client_id=session.proxy_client_id,
        )

    async def open(self, client: Client, national_id: str, channel: str, actor: Actor) -> tuple[str, str, float]:
        """Start opening a session; return (request id, binding code, seconds left).

        Raises:
            InvalidInput: SESSION_CHANNEL_UNKNOWN, PRODUCT_PROFILE_MISSING.
            Conflict: SESSION_REQUEST_PENDING, SESSIONS_TOO_MANY, SESSION_REQUESTS_TOO_MANY.
        """
        if channel not in CHANNELS:
            raise InvalidInput("SESSION_CHANNEL_UNKNOWN")
        if client.product is None:
            raise InvalidInput("PRODUCT_PROFILE_MISSING")
        key = national_id, client.product.proxy_client_id
        if key in self._pending or self._group is None:
            raise Conflict("SESSION_REQUEST_PENDING")
        if len(self._pending) >= PENDING_MAX:
            raise Conflict("SESSION_REQUESTS_TOO_MANY", limit=PENDING_MAX)
        self._need_room(key)
        request_id = f"{self._random.bits(96):024x}"
        binding = f"{self._random.bits(64) % 100:02d}"
        self._pending.add(key)
        try:
            await self._tell("session.requested", actor, client, national_id, request_id)
            self._group.create_task(
                self._connect(client, national_id, channel, binding, request_id, actor), name="session-connect"
            )
        except BaseException:
            self._pending.discard(key)
            raise
        return request_id, binding, self._connect_s

    async def _connect(
        self, client: Client, national_id: str, channel: str, binding: str, request_id: str, actor: Actor
    ) -> None:
        assert client.product is not None
        key = national_id, client.product.proxy_client_id
        try:
            answer = await self._proxy.connect(national_id, binding, client.product.proxy_client_id, channel)
        except Exception:  # noqa: BLE001 - not swallowed: the person is told that it failed, and so is the log
            _log.exception("session.unexpected", extra={"session_request": request_id})
            answer = ConnectRefused(code="UNEXPECTED", retry=True)
        finally:
            self._pending.discard(key)
        kind, code = "session.opened", ""
        if isinstance(answer, ConnectRefused):
            kind, code = "session.refused", answer.code
        else:
            self._open[key] = answer
            self._changed()
        try:
            await self._tell(kind, actor, client, national_id, request_id, code)
        except StoreError as error:
            # The professional did answer: a full disk does not take the session away, only its ledger line.
            _log.error("session.untold", extra={"kind": kind, "code": error.code})

    async def adopt(
        self,
        client: Client,
        national_id: str,
        cookie: Secret,
        session_state: str,
        until_s: float | None,
        actor: Actor,
    ) -> Authority:
        """Adopt a session that the LGC opened itself: one login a day.

        Raises:
            InvalidInput: PRODUCT_PROFILE_MISSING, SESSION_COOKIE_EMPTY, SESSION_ENDED (``until_s`` is not positive).
            Conflict: SESSIONS_TOO_MANY.
        """
        if client.product is None:
            raise InvalidInput("PRODUCT_PROFILE_MISSING")
        if not cookie:
            raise InvalidInput("SESSION_COOKIE_EMPTY")
        if until_s is not None and not until_s > 0:
            raise InvalidInput("SESSION_ENDED")
        key = national_id, client.product.proxy_client_id
        self._need_room(key)
        now = self._clock.now()
        life_s = self._longest_s if until_s is None else min(until_s, self._longest_s)
        session = ProxySession(
            national_id=national_id,
            cookie=cookie,
            session_state=session_state,
            opened_at=now,
            until=now + timedelta(seconds=life_s),
            adopted=True,
            proxy_client_id=client.product.proxy_client_id,
        )
        self._adopting.add(key)
        try:
            await self._tell("session.adopted", actor, client, national_id, "")
        finally:
            self._adopting.discard(key)
        self._open[key] = session
        self._changed()
        return self._authority(session, SERVICES[0])

    def _need_room(self, key: _Key) -> None:
        """Refuse one session too many of an LGC; one that takes the place of the same professional's is not."""
        ours = {session_key for session in self.sessions() if (session_key := _key(session))[1] == key[1]}
        ours.update(coming for coming in self._pending | self._adopting if coming[1] == key[1])
        if len(ours - {key}) >= OPEN_MAX:
            raise Conflict("SESSIONS_TOO_MANY", limit=OPEN_MAX)

    async def close(self, client: Client, national_id: str, actor: Actor) -> None:
        """Close the client's session here at once, and at the proxy in the background.

        An ``admin`` without a product of its own closes those of every LGC. Raises NotFound SESSION_UNKNOWN.
        """
        ended = [key for key in sorted(self._open) if key[0] == national_id and _may_close(client, key[1])]
        if not ended:
            raise NotFound("SESSION_UNKNOWN")
        sessions = [self._open.pop(key) for key in ended]
        self._changed()
        for session in sessions:
            if self._group is not None:
                self._group.create_task(self._disconnect(session), name="session-disconnect")
        await self._tell("session.closed", actor, client, national_id, "")

    async def _disconnect(self, session: ProxySession) -> None:
        """End a session at the proxy; when that fails it lapses there by itself."""
        try:
            await self._proxy.disconnect(session)
        except ServiceError as error:
            _log.warning("session.not_disconnected", extra={"code": error.code})
        except Exception:  # noqa: BLE001 - not swallowed: the log says so; the session is closed here already
            _log.exception("session.unexpected")

    def forget(self, session: ProxySession) -> bool:
        """Forget a session that the proxy no longer knows; a newer one in its place stays, answer False."""
        key = _key(session)
        if self._open.get(key) is not session:
            return False
        del self._open[key]
        self._changed()
        return True

    async def note_lost(self, session: ProxySession) -> None:
        """Write down that a session was lost. Raises StoreError."""
        await self._tell("session.lost", AGENT_ACTOR, None, session.national_id, "")

    async def _tell(
        self, kind: str, actor: Actor, client: Client | None, national_id: str, request_id: str, code: str = ""
    ) -> None:
        pairs = (("national_id", national_id), ("request", request_id), ("code", code))
        await self._store.note(
            kind,
            actor,
            client_id=None if client is None else client.client_id,
            detail=tuple((name, value) for name, value in pairs if value),
        )
        _log.info("session.changed", extra={"kind": kind})


def _key(session: ProxySession) -> _Key:
    return session.national_id, session.proxy_client_id


def _may_close(client: Client, proxy_client_id: str) -> bool:
    if client.product is None:
        return Scope.ADMIN in client.scopes
    return client.product.proxy_client_id == proxy_client_id

"""The session verbs of a Proxy e-santé. Each connect prompts the professional: nothing here calls it by itself.

Owns connect and disconnect; the relayed calls belong to the adapters of the services. Keeps no session.
Source: OpenAPI of the reference Proxy e-santé, 6.1, 6.2; the state machine of 6.6 belongs to the session service.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from vaguemestre_agent.adapters.http import (
    Answered,
    FailedAfterFirstByte,
    FailedBeforeFirstByte,
    HttpClient,
    NotConnected,
    Symptom,
    Timeouts,
)
from vaguemestre_agent.adapters.proxy.wire import connect_body, parse_connected
from vaguemestre_agent.profiles.model import ServiceProfile
from vaguemestre_core.errors import ServiceError
from vaguemestre_core.ports import ClockPort, ConnectRefused
from vaguemestre_core.records import ProxySession

_LOGGER = logging.getLogger(__name__)
_ANSWER_MAX_BYTES: Final = 64 * 1024

# Answer of connect by status; every other status is PROXY_ANSWER_UNREADABLE.
CONNECT_REFUSALS: Final[Mapping[int, ConnectRefused]] = MappingProxyType(
    {
        # We send no cookie, so no session of ours is meant: a proxy that keys sessions otherwise says this.
        304: ConnectRefused(code="PROXY_ALREADY_CONNECTED", retry=False),
        400: ConnectRefused(code="PROXY_CONNECT_INVALID", retry=False),
        401: ConnectRefused(code="PSC_REFUSED", retry=True),
        404: ConnectRefused(code="PROXY_CLIENT_UNKNOWN", retry=False),
        # The reference proxy answers a late refusal of the professional with 500.
        500: ConnectRefused(code="PSC_NOT_OBTAINED", retry=True),
        502: ConnectRefused(code="PSC_UNAVAILABLE", retry=True),
        503: ConnectRefused(code="PSC_UNAVAILABLE", retry=True),
        504: ConnectRefused(code="PSC_UNAVAILABLE", retry=True),
    }
)

# How no connection is told, for every service behind the proxy.
CONNECTION_CODES: Final[Mapping[Symptom, str]] = MappingProxyType(
    {
        Symptom.DNS: "PROXY_HOST_UNKNOWN",
        Symptom.REFUSED: "PROXY_CONNECTION_REFUSED",
        Symptom.TLS: "PROXY_TLS_FAILED",
        Symptom.CONNECT_TIMEOUT: "PROXY_CONNECT_TIMEOUT",
        Symptom.UNREACHABLE: "PROXY_UNREACHABLE",
        Symptom.TIMEOUT: "PROXY_UNREACHABLE",
        Symptom.BROKEN: "PROXY_UNREACHABLE",
        Symptom.PROTOCOL: "PROXY_UNREACHABLE",
        Symptom.KEY: "PROXY_TLS_FAILED",
    }
)


class EsanteProxy:
    """ProxyPort over HTTP.

    Args:
        client: client whose base URL is the proxy's.
        profile: the contract.
        clock: gives the opening instant.
    """

    def __init__(self, client: HttpClient, profile: ServiceProfile, clock: ClockPort) -> None:
        self._client = client
        self._profile = profile
        self._clock = clock

    async def connect(
        self, national_id: str, binding_message: str, proxy_client_id: str, channel: str
    ) -> ProxySession | ConnectRefused:
        """Open a session; blocks until the professional answered, at most the profile's time.

        Cancellation: safe, but the prompt stays on the professional's device until it lapses.
        """
        times = self._profile.times
        exchange = await self._client.request(
            "POST",
            self._profile.proxy.connect_path,
            headers=(("Content-Type", "application/json"), ("Accept", "application/json")),
            body=connect_body(national_id, binding_message, proxy_client_id, channel),
            timeouts=Timeouts(
                connect_s=times.connect_s,
                write_s=times.write_s,
                read_s=self._profile.proxy.connect_read_s,
                total_s=self._profile.proxy.connect_read_s + times.write_s,
            ),
            answer_max_bytes=_ANSWER_MAX_BYTES,
        )
        match exchange:
            case NotConnected(symptom=symptom) | FailedBeforeFirstByte(symptom=symptom):
                answer: ProxySession | ConnectRefused = ConnectRefused(code=CONNECTION_CODES[symptom], retry=True)
            case FailedAfterFirstByte():
                answer = ConnectRefused(code="PSC_NO_ANSWER", retry=True)
            case Answered():
                answer = self._read(exchange, national_id, proxy_client_id)
        _LOGGER.info(
            "proxy.connect",
            extra={"code": answer.code if isinstance(answer, ConnectRefused) else "OK"},
        )
        return answer

    def _read(self, answer: Answered, national_id: str, proxy_client_id: str) -> ProxySession | ConnectRefused:
        if answer.status in CONNECT_REFUSALS:
            return CONNECT_REFUSALS[answer.status]
        name = self._profile.proxy.session_cookie
        opened = parse_connected(answer.body, answer.all("set-cookie"), name) if answer.complete else None
        if answer.status != 200 or opened is None:
            return ConnectRefused(code="PROXY_ANSWER_UNREADABLE", retry=True)
        now = self._clock.now()
        return ProxySession(
            national_id=national_id,
            cookie=opened.cookie,
            session_state=opened.session_state,
            opened_at=now,
            until=now + timedelta(seconds=self._profile.proxy.session_max_s),
            adopted=False,
            proxy_client_id=proxy_client_id,
        )

    async def disconnect(self, session: ProxySession) -> None:
        """Close a session; a session already gone is no error.

        Raises:
            ServiceError: the code of what hindered; the session may still live at the proxy.
        """
        times = self._profile.times
        exchange = await self._client.request(
            "DELETE",
            self._profile.proxy.disconnect_path,
            cookie=(self._profile.proxy.session_cookie, session.cookie),
            timeouts=Timeouts(
                connect_s=times.connect_s,
                write_s=times.write_s,
                read_s=times.query_total_s,
                total_s=times.query_total_s,
            ),
            answer_max_bytes=_ANSWER_MAX_BYTES,
        )
        match exchange:
            case Answered(status=200 | 401):
                return
            case Answered():
                raise ServiceError("PROXY_ANSWER_UNREADABLE")
            case NotConnected(symptom=symptom) | FailedBeforeFirstByte(symptom=symptom):
                raise ServiceError(CONNECTION_CODES[symptom])
            case FailedAfterFirstByte():
                raise ServiceError("PROXY_UNREACHABLE")

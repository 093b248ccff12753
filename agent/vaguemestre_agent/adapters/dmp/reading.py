"""From an exchange to what was seen: which sign, and the payload when there is one to read.

Owns the order of the questions: did a body byte leave, who answered, is it whole, is it SOAP, is it about our
message. Decides no certainty: ``classification`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lxml import etree

from vaguemestre_agent.adapters.dmp.classification import Seen, Sign, sign_of_status
from vaguemestre_agent.adapters.dmp.mtom import media_type_of, root_part
from vaguemestre_agent.adapters.dmp.soap import Envelope, FaultKind, NotSoap, parse_envelope
from vaguemestre_agent.adapters.http import (
    Answered,
    Exchange,
    FailedAfterFirstByte,
    FailedBeforeFirstByte,
    NotConnected,
    Symptom,
)
from vaguemestre_agent.adapters.proxy.wire import is_no_session
from vaguemestre_agent.profiles.model import ServiceProfile
from vaguemestre_core.errors import InvalidInput

_SOAP_TYPES: Final = frozenset({"application/soap+xml", "application/xop+xml", "text/xml", "application/xml"})
_CONNECTION: Final[Mapping[Symptom, Sign]] = MappingProxyType(
    {
        Symptom.DNS: Sign.HOST_UNKNOWN,
        Symptom.REFUSED: Sign.CONNECTION_REFUSED,
        Symptom.TLS: Sign.TLS_FAILED,
        Symptom.CONNECT_TIMEOUT: Sign.CONNECT_TIMEOUT,
        Symptom.UNREACHABLE: Sign.UNREACHABLE,
        Symptom.TIMEOUT: Sign.CONNECT_TIMEOUT,
        Symptom.BROKEN: Sign.UNREACHABLE,
        Symptom.PROTOCOL: Sign.UNREACHABLE,
        Symptom.KEY: Sign.CARD_REMOVED,
    }
)
_LOST: Final[Mapping[Symptom, Sign]] = MappingProxyType(
    {
        Symptom.TIMEOUT: Sign.SILENCE,
        Symptom.PROTOCOL: Sign.NOT_HTTP,
    }
)
_FAULTS: Final[Mapping[FaultKind, Sign]] = MappingProxyType(
    {
        FaultKind.SECURITY: Sign.FAULT_SECURITY,
        FaultKind.SECURITY_EXPIRED: Sign.FAULT_SECURITY_EXPIRED,
        FaultKind.SENDER: Sign.FAULT_SENDER,
        FaultKind.RECEIVER: Sign.FAULT_RECEIVER,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an exchange brought: a payload to read further, or what was seen instead."""

    payload: etree._Element | None = None
    seen: Seen | None = None


def read_exchange(exchange: Exchange, profile: ServiceProfile, *, message_id: str) -> Reading:
    """Return the SOAP payload of an exchange, or the sign that takes its place."""
    match exchange:
        case NotConnected(symptom=symptom):
            return Reading(seen=Seen(sign=_CONNECTION[symptom], body_started=False))
        case FailedBeforeFirstByte():
            return Reading(seen=Seen(sign=Sign.LOST_BEFORE_BODY, body_started=False))
        case FailedAfterFirstByte(symptom=symptom):
            return Reading(seen=Seen(sign=_LOST.get(symptom, Sign.CUT)))
        case Answered():
            return _read_answer(exchange, profile, message_id)


def _read_answer(answer: Answered, profile: ServiceProfile, message_id: str) -> Reading:
    found = _message(answer, profile)
    if isinstance(found, Envelope):
        if found.fault is not None:
            return _seen(answer, _FAULTS[found.fault.kind], service_code=found.fault.code or None)
        if 200 <= answer.status < 300:
            return _payload(answer, found, profile, message_id)
    if answer.status == 401 and is_no_session(answer.body, profile.proxy.no_session_message):
        return _seen(answer, Sign.NO_SESSION)
    if not 200 <= answer.status < 300:
        return _seen(answer, sign_of_status(answer.status), service_code=f"HTTP{answer.status}")
    return _seen(answer, found if isinstance(found, Sign) else Sign.NOT_SOAP)


def _payload(answer: Answered, envelope: Envelope, profile: ServiceProfile, message_id: str) -> Reading:
    is_other = envelope.relates_to is not None and envelope.relates_to != message_id
    if is_other and profile.dmp.check_relates_to:
        return _seen(answer, Sign.OTHER_MESSAGE)
    return Reading(payload=envelope.payload)


def _message(answer: Answered, profile: ServiceProfile) -> Envelope | Sign:
    """Return the envelope of an answer, or what hinders reading it."""
    media_type = media_type_of(answer.header("content-type"))
    content: bytes | None = answer.body
    if not answer.body.strip():
        return Sign.EMPTY if answer.complete else Sign.TRUNCATED
    if not answer.complete:
        return Sign.TRUNCATED
    if media_type in ("text/html", "application/xhtml+xml"):
        return Sign.HTML
    if media_type == "multipart/related":
        content = root_part(answer.header("content-type") or "", answer.body)
    elif media_type not in _SOAP_TYPES:
        return Sign.WRONG_TYPE
    if content is None:
        return Sign.TRUNCATED
    try:
        return parse_envelope(content, max_bytes=profile.dmp.answer_max_bytes)
    except NotSoap:
        return Sign.NOT_SOAP
    except InvalidInput:
        return Sign.NOT_XML


def _seen(answer: Answered, sign: Sign, *, service_code: str | None = None) -> Reading:
    return Reading(
        seen=Seen(
            sign=sign,
            body_started=answer.body_started,
            service_code=service_code,
            retry_after_s=_retry_after(answer),
        )
    )


def _retry_after(answer: Answered) -> float | None:
    """Return Retry-After in seconds; its date form is not read, the backoff of the queue applies instead."""
    value = (answer.header("retry-after") or "").strip()
    if not value.isascii() or not value.isdecimal() or len(value) > 6:
        return None
    return float(value)

"""SOAP 1.2 and WS-Addressing: the envelope of a request, and what an answer's envelope holds.

Owns the envelope only; knows no payload. The VIHF is inserted as bytes already signed, so that nothing changes them.
Source: SOAP 1.2 part 1, WS-Addressing 1.0, DMP sample messages 02.05.00.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from vaguemestre_documents.cda.parse import parse_xml

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SOAP_TYPE: Final = "application/soap+xml"
_CODE_MAX_CHARS: Final = 80


def build_envelope(action: str, message_id: str, assertion: bytes, payload: bytes) -> bytes:
    """Return a request envelope.

    Args:
        action: WS-Addressing Action.
        message_id: ``urn:uuid:…``.
        assertion: the VIHF, serialised without XML declaration.
        payload: the only element of the body, serialised without XML declaration.
    """
    head = (
        f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Header>'
        f'<Action xmlns="{WSA}" soap:mustUnderstand="true">{escape(action)}</Action>'
        f'<MessageID xmlns="{WSA}">{escape(message_id)}</MessageID>'
        f'<To xmlns="{WSA}"/>'
        f'<ReplyTo xmlns="{WSA}"><Address>{WSA}/anonymous</Address></ReplyTo>'
        f'<wsse:Security xmlns:wsse="{WSSE}">'
    ).encode()
    return b"".join(
        (head, assertion, b"</wsse:Security></soap:Header><soap:Body>", payload, b"</soap:Body></soap:Envelope>")
    )


@unique
class FaultKind(StrEnum):
    """Who is at fault."""

    SECURITY = "security"
    SECURITY_EXPIRED = "security_expired"
    SENDER = "sender"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A SOAP fault: its kind and its most precise code; the reason's text is not kept, it may quote the message."""

    kind: FaultKind
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A parsed answer: its payload or its fault.

    Attributes:
        relates_to: MessageID that it answers, or None.
        payload: the only child of the body, or None when there is a fault.
    """

    relates_to: str | None
    payload: etree._Element | None
    fault: Fault | None


class NotSoap(ValueError):
    """The bytes are well-formed XML but no SOAP 1.2 envelope with one payload."""


def parse_envelope(content: bytes, *, max_bytes: int) -> Envelope:
    """Return what an envelope holds.

    Raises:
        InvalidInput: the codes of ``parse_xml``: not well formed, a DTD, too large, too deep.
        NotSoap: well formed, something else.
    """
    root = parse_xml(content, max_bytes=max_bytes)
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None or len(body) != 1:
        raise NotSoap
    relates_to = root.findtext(f"{{{SOAP}}}Header/{{{WSA}}}RelatesTo")
    payload = body[0]
    fault = _fault(payload) if payload.tag == f"{{{SOAP}}}Fault" else None
    return Envelope(
        relates_to=None if relates_to is None else relates_to.strip(),
        payload=payload if fault is None else None,
        fault=fault,
    )


def code_text(value: str) -> str:
    """Return a service's code fit to be kept: printable, without blanks, capped."""
    return "".join(char for char in value if "!" <= char <= "~")[:_CODE_MAX_CHARS]


def _fault(element: etree._Element) -> Fault:
    code = element.find(f"{{{SOAP}}}Code")
    values: list[tuple[str, str]] = []
    while code is not None:
        value = code.find(f"{{{SOAP}}}Value")
        if value is not None:
            values.append(_qualified(value))
        code = code.find(f"{{{SOAP}}}Subcode")
    return Fault(kind=_kind(values), code=code_text(values[-1][1]) if values else "")


def _kind(values: list[tuple[str, str]]) -> FaultKind:
    if any(namespace == WSSE for namespace, _ in values):
        expired = any(name == "MessageExpired" for _, name in values)
        return FaultKind.SECURITY_EXPIRED if expired else FaultKind.SECURITY
    # Sender, MustUnderstand, VersionMismatch, DataEncodingUnknown: the message. Anything else: the service.
    mine = {"Sender", "MustUnderstand", "VersionMismatch", "DataEncodingUnknown"}
    if values and values[0][0] == SOAP and values[0][1] in mine:
        return FaultKind.SENDER
    return FaultKind.RECEIVER


def _qualified(element: etree._Element) -> tuple[str, str]:
    text = (element.text or "").strip()
    prefix, colon, name = text.rpartition(":")
    return (element.nsmap.get(prefix if colon else None) or "", name)

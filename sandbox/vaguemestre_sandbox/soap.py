"""SOAP 1.2 and WS-Addressing as the simulated DMP reads and writes them.

Owns the envelope checks, the answers and the faults. It knows nothing of the payloads.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.mtom import MultipartError, Package, parse_media_type, parse_package
from vaguemestre_sandbox.xmlsafe import SOAP, WSA, WSSE, UnreadableXmlError, q

_ANONYMOUS = f"{WSA}/anonymous"


class SoapFaultError(Exception):
    """The request is answered by a SOAP fault.

    `sender`: the fault of the caller (soap:Sender) or of the service (soap:Receiver). `subcode` is a
    (namespace, local name) pair. `reason` is English or French text for a person.
    """

    def __init__(self, reason: str, *, subcode: tuple[str, str] | None = None, sender: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.subcode = subcode
        self.sender = sender


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapRequest:
    """A request whose envelope passed the checks."""

    action: str
    message_id: str
    security: etree._Element | None
    payload: etree._Element
    package: Package | None


def read_request(content_type: str, body: bytes) -> SoapRequest:
    """Return the request, or raise SoapFaultError saying which rule it breaks."""
    package, envelope_bytes = _unpack(content_type, body)
    try:
        envelope = xmlsafe.parse(envelope_bytes)
    except UnreadableXmlError as error:
        raise SoapFaultError(f"Envelope: {error}") from error
    if envelope.tag != q(SOAP, "Envelope"):
        if etree.QName(envelope).localname == "Envelope":
            raise SoapFaultError("Envelope is not SOAP 1.2", subcode=None)
        raise SoapFaultError("Root element is not a SOAP envelope")
    header = envelope.find(q(SOAP, "Header"))
    payloads = list(envelope.iterfind(q(SOAP, "Body") + "/*"))
    if header is None:
        raise SoapFaultError("Header is missing")
    if len(payloads) != 1:
        raise SoapFaultError("Body must hold exactly one element")
    action, message_id = _addressing(header)
    return SoapRequest(
        action=action,
        message_id=message_id,
        security=header.find(q(WSSE, "Security")),
        payload=payloads[0],
        package=package,
    )


def _unpack(content_type: str, body: bytes) -> tuple[Package | None, bytes]:
    """Return the MIME package, if any, and the bytes of the envelope."""
    media_type = parse_media_type(content_type)
    if media_type.name == "multipart/related":
        try:
            package = parse_package(content_type, body)
        except MultipartError as error:
            raise SoapFaultError(f"Couldn't parse MIME package: {error}") from error
        return package, package.root.content
    if media_type.name != "application/soap+xml":
        raise SoapFaultError(f"Content-Type {media_type.name!r} is not SOAP 1.2")
    return None, body


def _addressing(header: etree._Element) -> tuple[str, str]:
    """Return (action, message id) of a header whose WS-Addressing members are in order."""
    action = xmlsafe.text_of(header.find(q(WSA, "Action")))
    message_id = xmlsafe.text_of(header.find(q(WSA, "MessageID")))
    for name, value in (("Action", action), ("MessageID", message_id)):
        if not value:
            raise SoapFaultError(
                f"A required header representing a Message Addressing Property is not present: {name}",
                subcode=(WSA, "MessageAddressingHeaderRequired"),
            )
    if header.find(q(WSA, "To")) is None:
        raise SoapFaultError("wsa:To is missing", subcode=(WSA, "MessageAddressingHeaderRequired"))
    reply_to = header.find(q(WSA, "ReplyTo"))
    if reply_to is not None and xmlsafe.text_of(reply_to.find(q(WSA, "Address"))) != _ANONYMOUS:
        raise SoapFaultError("Only anonymous replies are supported", subcode=(WSA, "OnlyAnonymousAddressSupported"))
    return action, message_id


def build_envelope(action: str, relates_to: str, payload: etree._Element) -> bytes:
    """Return an answer envelope with its WS-Addressing headers."""
    envelope = etree.Element(q(SOAP, "Envelope"), nsmap={"soap": SOAP})
    header = etree.SubElement(envelope, q(SOAP, "Header"))
    for name, value in (
        ("Action", action),
        ("MessageID", f"urn:uuid:{uuid.uuid4()}"),
        ("To", _ANONYMOUS),
        ("RelatesTo", relates_to),
    ):
        if value:
            etree.SubElement(header, q(WSA, name), nsmap={"wsa": WSA}).text = value
    etree.SubElement(envelope, q(SOAP, "Body")).append(payload)
    return xmlsafe.serialize(envelope)


def build_fault(fault: SoapFaultError, relates_to: str) -> bytes:
    """Return a SOAP 1.2 fault envelope."""
    element = etree.Element(q(SOAP, "Fault"), nsmap={"soap": SOAP})
    code = etree.SubElement(element, q(SOAP, "Code"))
    etree.SubElement(code, q(SOAP, "Value")).text = "soap:Sender" if fault.sender else "soap:Receiver"
    if fault.subcode is not None:
        namespace, name = fault.subcode
        prefix = "wsse" if namespace == WSSE else "ns1"
        subcode = etree.SubElement(code, q(SOAP, "Subcode"), nsmap={prefix: namespace})
        etree.SubElement(subcode, q(SOAP, "Value"), nsmap={prefix: namespace}).text = f"{prefix}:{name}"
    reason = etree.SubElement(element, q(SOAP, "Reason"))
    text = etree.SubElement(reason, q(SOAP, "Text"))
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "fr")
    text.text = fault.reason
    return build_envelope(f"{WSA}/soap/fault", relates_to, element)

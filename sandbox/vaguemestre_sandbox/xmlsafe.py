"""Reading XML from outside: no DTD, no entity, no network; small typed accessors.

Owns the parser settings of the sandbox. It knows no healthcare format.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML2: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
HL7: Final = "urn:hl7-org:v3"
RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XDSB: Final = "urn:ihe:iti:xds-b:2007"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"


class UnreadableXmlError(ValueError):
    """The bytes are not well-formed XML, or carry a document type declaration."""


def parse(data: bytes) -> etree._Element:
    """Return the root element of `data`.

    Raises UnreadableXmlError when not well formed or when a DTD is present.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_pis=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableXmlError("not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableXmlError("document type declarations are refused")
    return root


def q(namespace: str, name: str) -> str:
    """Return the Clark name `{namespace}name`."""
    return f"{{{namespace}}}{name}"


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """Follow Clark-named children, first match at each step; None when one is absent."""
    for name in path:
        if element is None:
            return None
        element = element.find(name)
    return element


def hl7_child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """Like `child`, with names of the HL7 v3 namespace."""
    return child(element, *(q(HL7, name) for name in path))


def text_of(element: etree._Element | None) -> str:
    """Return the stripped text of `element`, or the empty string."""
    return "" if element is None or element.text is None else element.text.strip()


def attribute(element: etree._Element | None, name: str) -> str:
    """Return one attribute, or the empty string."""
    return "" if element is None else (element.get(name) or "")


def serialize(element: etree._Element) -> bytes:
    """Return `element` as UTF-8 bytes without declaration."""
    return bytes(etree.tostring(element, encoding="utf-8"))

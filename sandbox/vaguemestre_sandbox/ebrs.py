"""ebRS answers: RegistryResponse and its errors, as the simulated registry writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lxml import etree

from vaguemestre_sandbox.agreement import Finding
from vaguemestre_sandbox.xmlsafe import QUERY, RIM, RS, q

SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
_ERROR: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
_NAMESPACES: Final = {"rs": RS, "rim": RIM, "query": QUERY}


def error_list(findings: Iterable[Finding]) -> etree._Element:
    """Return a RegistryErrorList."""
    errors = etree.Element(q(RS, "RegistryErrorList"), nsmap={"rs": RS})
    errors.set("highestSeverity", _ERROR)
    for finding in findings:
        error = etree.SubElement(errors, q(RS, "RegistryError"))
        error.set("errorCode", finding.code)
        error.set("codeContext", finding.context)
        error.set("severity", _ERROR)
        if finding.location:
            error.set("location", finding.location)
    return errors


def registry_response(findings: tuple[Finding, ...] = (), *, status: str | None = None) -> etree._Element:
    """Return a RegistryResponse: Success, or Failure with its errors (`status` overrides)."""
    response = etree.Element(q(RS, "RegistryResponse"), nsmap={"rs": RS})
    response.set("status", status or (FAILURE if findings else SUCCESS))
    if findings:
        response.append(error_list(findings))
    return response


def query_response(objects: Iterable[etree._Element] = (), findings: tuple[Finding, ...] = ()) -> etree._Element:
    """Return an AdhocQueryResponse."""
    response = etree.Element(q(QUERY, "AdhocQueryResponse"), nsmap=_NAMESPACES)
    held = list(objects)
    response.set("startIndex", "0")
    response.set("status", FAILURE if findings else SUCCESS)
    response.set("totalResultCount", str(len(held)))
    if findings:
        response.append(error_list(findings))
    found = etree.SubElement(response, q(RIM, "RegistryObjectList"))
    found.extend(held)
    return response

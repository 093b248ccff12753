"""ebRS messages: the request of TD2.1, the query of TD3.1 on our own uniqueId, and what the registry answers to them.

Owns the outer elements; the ebRIM inside is written and read by ``vaguemestre_documents.xds``.
Source: IHE ITI TF-2 3.41, 3.18 (GetDocuments); DMP sample messages 02.05.00.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from vaguemestre_agent.adapters.dmp.classification import Seen, Sign, sign_of_errors
from vaguemestre_agent.adapters.dmp.soap import code_text
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.ids import check_oid
from vaguemestre_core.outcomes import Presence
from vaguemestre_documents.xds.hl7v2 import parse_cx
from vaguemestre_documents.xds.metadata import DocumentEntry
from vaguemestre_documents.xds.registry_objects import Availability, RegisteredDocument, parse_extrinsic_objects

FEED_ACTION: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
UPDATE_ACTION: Final = "urn:ihe:iti:2010:UpdateDocumentSet"
QUERY_ACTION: Final = "urn:ihe:iti:2007:RegistryStoredQuery"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
XDSB: Final = "urn:ihe:iti:xds-b:2007"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
GET_DOCUMENTS: Final = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
_SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
_FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
_PARTIAL: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
_ERROR: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"


def build_feed_request(submit_objects: bytes, parts: tuple[tuple[str, str], ...]) -> bytes:
    """Return the ProvideAndRegisterDocumentSetRequest.

    Args:
        submit_objects: the serialised ``lcm:SubmitObjectsRequest``.
        parts: (id of the entry, Content-ID of its bytes), in order.
    """
    documents = "".join(
        f'<xdsb:Document id={quoteattr(entry)}><xop:Include xmlns:xop="{XOP}" '
        f"href={quoteattr('cid:' + content_id)}/></xdsb:Document>"
        for entry, content_id in parts
    )
    return b"".join(
        (
            f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}">'.encode(),
            submit_objects,
            documents.encode(),
            b"</xdsb:ProvideAndRegisterDocumentSetRequest>",
        )
    )


def build_own_reference_query(unique_id: str) -> bytes:
    """Return GetDocuments on one uniqueId, whole entries asked."""
    value = escape(f"('{check_oid(unique_id)}')")
    return (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        f'<query:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="{GET_DOCUMENTS}">'
        f'<rim:Slot name="$XDSDocumentEntryUniqueId"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList>'
        f"</rim:Slot></rim:AdhocQuery></query:AdhocQueryRequest>"
    ).encode()


def read_registry_answer(payload: etree._Element, own_codes: Mapping[str, str]) -> Seen:
    """Return what the payload of a TD2.1 or of a TD3.3 says."""
    if payload.tag != f"{{{RS}}}RegistryResponse":
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    return _read_status(payload, own_codes)


def _read_status(payload: etree._Element, own_codes: Mapping[str, str]) -> Seen:
    status = payload.get("status")
    errors = _error_codes(payload)
    if status == _SUCCESS and not errors:
        return Seen(sign=Sign.SUCCESS, receipt=(("registry_status", "Success"), *_warnings(payload)))
    if status == _PARTIAL:
        return Seen(sign=Sign.PARTIAL, service_code=_kept(errors))
    if status == _FAILURE:
        return Seen(sign=sign_of_errors(errors, own_codes), service_code=_kept(errors))
    # A success that carries errors, a status nobody defined: not to be believed.
    return Seen(sign=Sign.UNEXPECTED_PAYLOAD, service_code=_kept(errors))


def _errors(payload: etree._Element) -> list[etree._Element]:
    return payload.findall(f"{{{RS}}}RegistryErrorList/{{{RS}}}RegistryError")


def _error_codes(payload: etree._Element) -> tuple[str, ...]:
    """Return the code of each error; a severity that is not a warning is an error."""
    return tuple(_code(error) for error in _errors(payload) if not _is_warning(error))


def _warnings(payload: etree._Element) -> tuple[tuple[str, str], ...]:
    codes = ",".join(sorted({_code(error) for error in _errors(payload) if _is_warning(error)}))
    return (("registry_warnings", codes),) if codes else ()


def _is_warning(error: etree._Element) -> bool:
    return (error.get("severity") or _ERROR).endswith(":Warning")


def _code(error: etree._Element) -> str:
    # Some registries qualify the code: urn:…:XDSRegistryError.
    return code_text((error.get("errorCode") or "").rpartition(":")[2])


def _kept(codes: tuple[str, ...]) -> str | None:
    return ",".join(dict.fromkeys(code for code in codes if code)) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a lookup says of one uniqueId: the entry, or its absence in a parsed answer."""

    document: RegisteredDocument | None


def read_own_reference(payload: etree._Element, unique_id: str, own_codes: Mapping[str, str]) -> Found | Seen:
    """Return what a TD3.1 payload says about one uniqueId, or what was seen instead of an answer."""
    if payload.tag != f"{{{QUERY}}}AdhocQueryResponse":
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    seen = _read_status(payload, own_codes)
    if seen.sign is not Sign.SUCCESS:
        return seen
    if payload.find(f"{{{RIM}}}RegistryObjectList") is None:
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    try:
        registered = parse_extrinsic_objects(etree.tostring(payload))
    except InvalidInput:
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    found = [document for document in registered if document.unique_id == unique_id]
    # Objects that are not the ones asked, or references instead of entries: an answer to another question.
    others = payload.find(f"{{{RIM}}}RegistryObjectList/*")
    if not found and others is not None:
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    # A registry may give every version of the metadata: the last is the one in force.
    return Found(document=max(found, key=lambda document: document.version_number or 0, default=None))


def presence_of(document: RegisteredDocument, entry: DocumentEntry) -> Presence:
    """Compare an entry with ours; what the registry does not give cannot differ.

    The same hash is the same bytes, patient included. Without one, the patient is compared too.
    """
    if document.availability is Availability.DELETED:
        # It was there: sending it again would undo somebody's deletion.
        return Presence.SAME
    if document.size is not None and document.size != entry.size:
        return Presence.OTHER
    if document.hash_sha1 is not None:
        return Presence.SAME if document.hash_sha1.lower() == entry.hash_sha1.lower() else Presence.OTHER
    theirs = _identifiers(document.patient_id, document.source_patient_id)
    ours = _identifiers(entry.patient_id, entry.source_patient_id)
    # Only numbers given by the same authority can contradict each other.
    both = theirs.keys() & ours.keys()
    return Presence.OTHER if any(theirs[oid].isdisjoint(ours[oid]) for oid in both) else Presence.SAME


def _identifiers(*texts: str | None) -> dict[str, frozenset[str]]:
    """Return the patient's numbers by the OID of who gave them; what cannot be read says nothing."""
    found: dict[str, frozenset[str]] = {}
    for text in texts:
        try:
            value, oid = parse_cx(text or "")
        except InvalidInput:
            continue
        found[oid] = found.get(oid, frozenset()) | {value}
    return found

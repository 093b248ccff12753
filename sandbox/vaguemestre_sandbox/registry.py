"""TD3.1: FindDocuments, GetDocuments and FindSubmissionSets over what the DMP holds.

Reads AdhocQueryRequest, writes AdhocQueryResponse, and says about which uniqueIds an answer was given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.agreement import Finding, patient_key
from vaguemestre_sandbox.changing import status_urn
from vaguemestre_sandbox.ebrs import query_response
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.store import DocumentRow, SandboxStore
from vaguemestre_sandbox.vihf import Vihf
from vaguemestre_sandbox.xdslot import TYPE_CODE, slot_values
from vaguemestre_sandbox.xmlsafe import QUERY, RIM, q

ACTION: Final = "urn:ihe:iti:2007:RegistryStoredQuery"
ANSWER_ACTION: Final = "urn:ihe:iti:2007:RegistryStoredQueryResponse"
FIND_DOCUMENTS: Final = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
FIND_SUBMISSION_SETS: Final = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
GET_DOCUMENTS: Final = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
_INTERVALS: Final = (
    ("$XDSDocumentEntryCreationTime", "creationTime"),
    ("$XDSDocumentEntryServiceStartTime", "serviceStartTime"),
    ("$XDSDocumentEntryServiceStopTime", "serviceStopTime"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer:
    """The payload, and what it says.

    `about`: (uniqueId, found) pairs asked by uniqueId. `whole_patient`: `matricule^oid` when the answer is the
    whole unfiltered list of a patient, with the uniqueIds in `listed`.
    """

    payload: etree._Element
    about: tuple[tuple[str, bool], ...] = ()
    whole_patient: str = ""
    listed: tuple[str, ...] = ()


def answer_query(
    payload: etree._Element,
    vihf: Vihf,
    *,
    store: SandboxStore,
    profile: DmpProfile,
    lie_unknown: bool = False,
    wrong_hash: bool = False,
) -> QueryAnswer:
    """Return the answer to one stored query. Raises SoapFaultError when it is not a query."""
    if payload.tag != q(QUERY, "AdhocQueryRequest"):
        raise SoapFaultError("Body is not AdhocQueryRequest")
    return_type = xmlsafe.attribute(payload.find(q(QUERY, "ResponseOption")), "returnType")
    if return_type not in ("LeafClass", "ObjectRef"):
        raise SoapFaultError("returnType must be LeafClass or ObjectRef")
    query = payload.find(q(RIM, "AdhocQuery"))
    if query is None:
        raise SoapFaultError("AdhocQuery is missing")
    parameters = {
        name: values(query, name) for name in (slot.get("name") or "" for slot in query.iterfind(q(RIM, "Slot")))
    }
    asked = _Asked(parameters=parameters, return_type=return_type, vihf=vihf, store=store, profile=profile)
    kind = query.get("id")
    if kind == FIND_DOCUMENTS:
        return _find_documents(asked, lie_unknown=lie_unknown, wrong_hash=wrong_hash)
    if kind == GET_DOCUMENTS:
        return _get_documents(asked, lie_unknown=lie_unknown, wrong_hash=wrong_hash)
    if kind == FIND_SUBMISSION_SETS:
        return _find_submission_sets(asked)
    return _failure("XDSUnknownStoredQuery", kind or "no id")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    parameters: dict[str, tuple[str, ...]]
    return_type: str
    vihf: Vihf
    store: SandboxStore
    profile: DmpProfile

    def get(self, name: str) -> tuple[str, ...]:
        return self.parameters.get(name, ())


def values(query: etree._Element, name: str) -> tuple[str, ...]:
    """Return the values of a stored query parameter: quotes and parentheses of the ITI-18 grammar removed."""
    found: list[str] = []
    for text in slot_values(query, name):
        inner = text.strip()
        if inner.startswith("(") and inner.endswith(")"):
            inner = inner[1:-1]
        quoted = re.findall(r"'((?:[^']|'')*)'", inner)
        found += [part.replace("''", "'") for part in quoted] if quoted else [inner]
    return tuple(found)


def _failure(code: str, context: str) -> QueryAnswer:
    return QueryAnswer(payload=query_response((), (Finding(code=code, context=context),)))


def _objects(documents: list[DocumentRow], return_type: str, *, wrong_hash: bool) -> list[etree._Element]:
    if return_type == "ObjectRef":
        references = []
        for row in documents:
            element = etree.Element(q(RIM, "ObjectRef"), nsmap={"rim": RIM})
            element.set("id", row.entry_uuid)
            references.append(element)
        return references
    entries = []
    for row in documents:
        element = xmlsafe.parse(row.entry)
        element.set("status", status_urn(row.status))
        if wrong_hash:
            for slot in element.iterfind(q(RIM, "Slot")):
                if slot.get("name") == "hash":
                    for value in slot.iter(q(RIM, "Value")):
                        value.text = "0" * 40
        entries.append(element)
    return entries


def _patient_of(asked: _Asked, name: str) -> tuple[str, QueryAnswer | None]:
    identifiers = asked.get(name)
    if len(identifiers) != 1:
        return "", _failure("XDSStoredQueryMissingParam", name)
    key = patient_key(identifiers[0])
    if not key or key != asked.vihf.patient:
        return "", _failure("XDSPatientIdDoesNotMatch", "resource-id of the VIHF is not this patient")
    patient = asked.store.patient(key)
    if patient is None or patient.dmp == "none":
        return "", _failure("XDSUnknownPatientId", "no DMP for this matricule")
    return key, None


def _find_documents(asked: _Asked, *, lie_unknown: bool, wrong_hash: bool) -> QueryAnswer:
    key, refusal = _patient_of(asked, "$XDSDocumentEntryPatientId")
    if refusal is not None:
        return refusal
    statuses = asked.get("$XDSDocumentEntryStatus")
    if not statuses:
        return _failure("XDSStoredQueryMissingParam", "$XDSDocumentEntryStatus")
    patient = asked.store.patient(key)
    if asked.profile.consultation_needs_authorization and patient is not None and patient.authorization != "VALIDE":
        return _failure(asked.profile.not_authorized_code, "the professional has no authorization on this DMP")
    documents = [
        row
        for row in asked.store.documents(key)
        # A deleted document is shown only to who names it by its uniqueId.
        if row.status != "Deleted" and status_urn(row.status) in statuses and _matches(row, asked)
    ]
    if lie_unknown:
        documents = []
    unfiltered = (
        set(asked.parameters) <= {"$XDSDocumentEntryPatientId", "$XDSDocumentEntryStatus"}
        and status_urn("Approved") in statuses
    )
    return QueryAnswer(
        payload=query_response(_objects(documents, asked.return_type, wrong_hash=wrong_hash)),
        whole_patient=key if unfiltered else "",
        listed=tuple(row.unique_id for row in documents),
    )


def _matches(row: DocumentRow, asked: _Asked) -> bool:
    entry = xmlsafe.parse(row.entry)
    types = asked.get("$XDSDocumentEntryTypeCode")
    if types:
        held = {
            f"{found.get('nodeRepresentation')}^^{next(iter(slot_values(found, 'codingScheme')), '')}"
            for found in entry.iterfind(q(RIM, "Classification"))
            if found.get("classificationScheme") == TYPE_CODE
        }
        if not held & set(types):
            return False
    for parameter, slot in _INTERVALS:
        instant = next(iter(slot_values(entry, slot)), "")
        lower, upper = asked.get(parameter + "From"), asked.get(parameter + "To")
        if lower and instant.ljust(14, "0") < lower[0].ljust(14, "0"):
            return False
        if upper and instant.ljust(14, "0") >= upper[0].ljust(14, "0"):
            return False
    return True


def _get_documents(asked: _Asked, *, lie_unknown: bool, wrong_hash: bool) -> QueryAnswer:
    by_uuid = asked.get("$XDSDocumentEntryEntryUUID")
    by_unique_id = asked.get("$XDSDocumentEntryUniqueId")
    if by_uuid and by_unique_id:
        return _failure("XDSStoredQueryParamNumber", "entryUUID and uniqueId together")
    if not by_uuid and not by_unique_id:
        return _failure("XDSStoredQueryMissingParam", "$XDSDocumentEntryUniqueId")
    held = [
        row
        for row in (
            *(asked.store.document(found) for found in by_unique_id),
            *(asked.store.document_by_uuid(found) for found in by_uuid),
        )
        if row is not None and (row.status != "Deleted" or row.unique_id in by_unique_id)
    ]
    if any(row.patient != asked.vihf.patient for row in held):
        return _failure("XDSPatientIdDoesNotMatch", "resource-id of the VIHF is not the patient of the document")
    if lie_unknown:
        held = []
    known = {row.unique_id for row in held}
    return QueryAnswer(
        payload=query_response(_objects(held, asked.return_type, wrong_hash=wrong_hash)),
        about=(
            *((found, found in known) for found in by_unique_id),
            *((row.unique_id, True) for row in held if row.unique_id not in by_unique_id),
        ),
    )


def _find_submission_sets(asked: _Asked) -> QueryAnswer:
    key, refusal = _patient_of(asked, "$XDSSubmissionSetPatientId")
    if refusal is not None:
        return refusal
    if not asked.get("$XDSSubmissionSetStatus"):
        return _failure("XDSStoredQueryMissingParam", "$XDSSubmissionSetStatus")
    lower = asked.get("$XDSSubmissionSetSubmissionTimeFrom")
    upper = asked.get("$XDSSubmissionSetSubmissionTimeTo")
    sources = asked.get("$XDSSubmissionSetSourceId")
    objects: list[etree._Element] = []
    for row in asked.store.submissions(key):
        element = xmlsafe.parse(row.package)
        instant = next(iter(slot_values(element, "submissionTime")), "").ljust(14, "0")
        if (lower and instant < lower[0].ljust(14, "0")) or (upper and instant >= upper[0].ljust(14, "0")):
            continue
        if sources and row.source_id not in sources:
            continue
        if asked.return_type == "ObjectRef":
            reference = etree.Element(q(RIM, "ObjectRef"), nsmap={"rim": RIM})
            reference.set("id", row.entry_uuid)
            objects.append(reference)
        else:
            objects.append(element)
    return QueryAnswer(payload=query_response(objects))

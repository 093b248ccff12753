"""ITI-57: changes the status or the visibility of a held document, or refuses with the IHE error codes.

Owns the rules of TD3.3a to TD3.3d. All or nothing: one fault refuses the whole message. A change of status keeps the
entryUUID; a change of metadata gives a new one, one more version, and keeps the lid.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Final

from lxml import etree

from vaguemestre_sandbox import nomenclature, xmlsafe
from vaguemestre_sandbox.agreement import METADATA, Finding, patient_key
from vaguemestre_sandbox.clock import iso
from vaguemestre_sandbox.feeding import registered, registered_package
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.store import DocumentRow, SandboxStore, SubmissionRow
from vaguemestre_sandbox.vihf import Vihf
from vaguemestre_sandbox.xdslot import (
    AUTHOR,
    CONFIDENTIALITY,
    HAS_MEMBER,
    UPDATE_STATUS,
    Entry,
    Link,
    Lot,
    MalformedLotError,
    read_change,
    slot_values,
)
from vaguemestre_sandbox.xmlsafe import RIM, q

ACTION: Final = "urn:ihe:iti:2010:UpdateDocumentSet"
ANSWER_ACTION: Final = "urn:ihe:iti:2010:UpdateDocumentSet-Response"
UNREADABLE_CHANGE: Final = "ITI-57"
_OASIS: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:"
_ASIP: Final = "urn:asip:ci-sis:2010:StatusType:"
_STATUS_URNS: Final = {
    "Approved": _OASIS + "Approved",
    "Deprecated": _OASIS + "Deprecated",
    "Archived": _ASIP + "Archived",
    "Deleted": _ASIP + "Deleted",
}
_TRANSITIONS: Final = {
    ("Approved", "Deleted"): "TD3.3c",
    ("Archived", "Deleted"): "TD3.3c",
    ("Approved", "Archived"): "TD3.3d",
    ("Archived", "Approved"): "TD3.3d",
}
_HIDING: Final = frozenset({"INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"})
UPDATE: Final = "XDSMetadataUpdateError"
VERSION: Final = "XDSMetadataVersionError"
_REGISTRY_SLOTS: Final = frozenset({"hash", "size", "repositoryUniqueId"})


def status_urn(status: str) -> str:
    """Return the status of a held document as an entry writes it."""
    return _STATUS_URNS[status]


def transaction_of(lot: Lot) -> str:
    """Return the official number of a change, as far as its message tells (TD3.3a and TD3.3b are one message)."""
    for link in lot.links:
        if link.kind == UPDATE_STATUS:
            return "TD3.3c" if link.slot("NewStatus") == _STATUS_URNS["Deleted"] else "TD3.3d"
    return "TD3.3a/b" if lot.documents else UNREADABLE_CHANGE


def change(
    payload: etree._Element, vihf: Vihf, *, store: SandboxStore, profile: DmpProfile, now: datetime
) -> tuple[Finding, ...]:
    """Apply a change when nothing is wrong with it; return what is. Raises SoapFaultError when it is not one."""
    try:
        lot = read_change(payload)
    except MalformedLotError as error:
        raise SoapFaultError(f"Body: {error}") from error
    refusal = _addressee(lot, vihf, store, profile)
    if refusal is not None:
        return (refusal,)
    statuses = [link for link in lot.links if link.kind == UPDATE_STATUS]
    members = [link for link in lot.links if link.kind == HAS_MEMBER]
    if len(statuses) == 1 and not lot.entries:
        done = _status(statuses[0], lot, vihf, store, profile)
    elif len(members) == 1 and len(lot.entries) == 1 and not statuses:
        done = _metadata(lot.entries[0], members[0], lot, vihf, store, profile)
    else:
        done = Finding(code=METADATA, context="one change of status, or one entry with its HasMember, is expected")
    if isinstance(done, Finding):
        return (done,)
    package_uuid = f"urn:uuid:{uuid.uuid4()}"
    store.store_change(
        SubmissionRow(
            unique_id=lot.submission.unique_id,
            entry_uuid=package_uuid,
            patient=done.patient,
            stored_at=iso(now),
            source_id=lot.submission.source_id,
            package=registered_package(lot, package_uuid),
        ),
        done,
    )
    return ()


def _addressee(lot: Lot, vihf: Vihf, store: SandboxStore, profile: DmpProfile) -> Finding | None:
    key = patient_key(lot.submission.patient_id)
    patient = store.patient(key)
    if patient is None or patient.dmp == "none":
        return Finding(code="XDSUnknownPatientId", context="no DMP for this matricule")
    if key != vihf.patient:
        return Finding(code="XDSPatientIdDoesNotMatch", context="resource-id of the VIHF differs")
    if patient.dmp == "closed":
        return Finding(code=profile.closed_dmp_code, context="the DMP is closed")
    if not lot.submission.is_classified or not lot.submission.unique_id:
        return Finding(code=METADATA, context="the submission set is not one")
    if store.submission(lot.submission.unique_id) is not None:
        return Finding(code="XDSDuplicateUniqueIdInRegistry", context=f"submission {lot.submission.unique_id}")
    return None


def _is_own(row: DocumentRow, vihf: Vihf) -> bool:
    """Say whether a document is the caller's: by its author in direct mode, else by its structure."""
    for author in xmlsafe.parse(row.entry).iterfind(q(RIM, "Classification")):
        if author.get("classificationScheme") != AUTHOR:
            continue
        if vihf.is_personal:
            if any(text.partition("^")[0] == vihf.name_id for text in slot_values(author, "authorPerson")):
                return True
        elif any(text.rpartition("^")[2] == vihf.structure for text in slot_values(author, "authorInstitution")):
            return True
    return False


def _is_treating(vihf: Vihf) -> bool:
    return any(doctor.is_treating_doctor for doctor in nomenclature.DOCTORS if doctor.national_id == vihf.name_id)


def _not_own(profile: DmpProfile) -> Finding:
    return Finding(code=profile.not_authorized_code, context="the document is not the caller's")


def _status(link: Link, lot: Lot, vihf: Vihf, store: SandboxStore, profile: DmpProfile) -> DocumentRow | Finding:
    row = store.document_by_uuid(link.target)
    if row is None and store.unique_id_of_former(link.target) is not None:
        return Finding(code=VERSION, context="this entryUUID is no longer in force")
    if row is None or row.patient != vihf.patient or link.source != lot.submission.symbolic_id:
        return Finding(code="UnresolvedReferenceException", context="the entry is unknown")
    if link.slot("OriginalStatus") != _STATUS_URNS[row.status]:
        return Finding(code=UPDATE, context=f"OriginalStatus is not that of the entry ({row.status})")
    wanted = next((name for name, urn in _STATUS_URNS.items() if urn == link.slot("NewStatus")), "")
    transaction = _TRANSITIONS.get((row.status, wanted))
    if transaction is None:
        return Finding(code=UPDATE, context=f"no way from {row.status} to {wanted or 'an unknown status'}")
    # Deleting is for one's own documents only; archiving also for the médecin traitant.
    if not _is_own(row, vihf) and (transaction == "TD3.3c" or not _is_treating(vihf)):
        return _not_own(profile)
    return replace(row, status=wanted)


def _metadata(
    entry: Entry, member: Link, lot: Lot, vihf: Vihf, store: SandboxStore, profile: DmpProfile
) -> DocumentRow | Finding:
    row = store.document(entry.unique_id)
    if row is None or row.patient != vihf.patient:
        return Finding(code="UnresolvedReferenceException", context="the document is unknown")
    refusal = _version_fault(entry, member, lot, row) or _visibility_fault(entry, row, vihf, profile)
    if refusal is not None:
        return refusal
    entry_uuid = f"urn:uuid:{uuid.uuid4()}"
    changed = registered(entry.element, entry_uuid, row.content, profile, lid=row.lid, version=row.version + 1)
    return replace(row, entry_uuid=entry_uuid, entry=xmlsafe.serialize(changed))


def _version_fault(entry: Entry, member: Link, lot: Lot, row: DocumentRow) -> Finding | None:
    if member.source != lot.submission.symbolic_id or member.target != entry.symbolic_id:
        return Finding(code=METADATA, context="HasMember does not bind the submission set and the entry")
    if entry.element.get("lid") != row.lid:
        return Finding(code="XDSMetadataIdentifierError", context="lid is not that of the document")
    if member.slot("PreviousVersion") != str(row.version):
        return Finding(code=VERSION, context=f"PreviousVersion is not {row.version}")
    if row.status not in ("Approved", "Archived"):
        return Finding(code=UPDATE, context=f"the entry is {row.status}")
    if _fixed_part(entry.element) != _fixed_part(xmlsafe.parse(row.entry)):
        return Finding(code=UPDATE, context="something else than the visibility was changed")
    return None


def _visibility_fault(entry: Entry, row: DocumentRow, vihf: Vihf, profile: DmpProfile) -> Finding | None:
    codes = [(code.code, code.system) for code in entry.confidentiality]
    asked = {code for code, system in codes if system == nomenclature.VISIBILITY_SYSTEM}
    levels = [code for code, system in codes if system != nomenclature.VISIBILITY_SYSTEM]
    held = set(row.visibility)
    if len(levels) != 1 or codes[0][0] != levels[0] or len(set(codes)) != len(codes):
        return Finding(code=METADATA, context="one confidentiality level, first, and no repetition is expected")
    if levels[0] not in _levels(xmlsafe.parse(row.entry)) or not asked <= nomenclature.VISIBILITY_CODES:
        return Finding(
            code=METADATA, context="confidentialityCode is not in the visibility table, or the level changed"
        )
    if {"INVISIBLE_PATIENT", "MASQUE_PS"} <= asked:
        return Finding(code=METADATA, context="INVISIBLE_PATIENT and MASQUE_PS together are refused")
    if (asked - held) & _HIDING:
        return Finding(code=UPDATE, context="what is visible cannot be hidden from the patient or representatives")
    # Unmasking is for one's own documents, or the médecin traitant; masking and making visible for everybody.
    if "MASQUE_PS" in held - asked and not _is_own(row, vihf) and not _is_treating(vihf):
        return _not_own(profile)
    return None


def _levels(element: etree._Element) -> frozenset[str]:
    return frozenset(
        found.get("nodeRepresentation") or ""
        for found in element.iterfind(q(RIM, "Classification"))
        if found.get("classificationScheme") == CONFIDENTIALITY
    )


def _fixed_part(element: etree._Element) -> tuple[str, ...]:
    """Return what a change of visibility must leave as it is: slots, title, identifiers, other classifications."""
    facts: list[str] = [element.get("mimeType") or ""]
    for found in element:
        if found.tag == q(RIM, "Classification"):
            if found.get("classificationScheme") == CONFIDENTIALITY:
                continue
            facts.append(f"{found.get('classificationScheme')} {found.get('nodeRepresentation')} {_texts(found)}")
        elif found.tag == q(RIM, "ExternalIdentifier"):
            facts.append(f"{found.get('identificationScheme')} {found.get('value')}")
        elif found.tag == q(RIM, "Slot"):
            if found.get("name") not in _REGISTRY_SLOTS:
                facts.append(f"{found.get('name')} {_texts(found)}")
        elif found.tag != q(RIM, "VersionInfo"):
            facts.append(f"{found.tag} {_texts(found)}")
    return tuple(sorted(facts))


def _texts(element: etree._Element) -> str:
    """Return the values and localized texts under an element."""
    texts = [
        (found.text or "").strip() if found.tag == q(RIM, "Value") else found.get("value") or ""
        for found in element.iter(q(RIM, "Value"), q(RIM, "LocalizedString"))
    ]
    return "|".join(texts)

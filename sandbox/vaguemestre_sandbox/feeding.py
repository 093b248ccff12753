"""TD2.1: accepts a lot, or refuses it with the IHE error codes of everything wrong in it.

Owns the order of the checks and what is stored. All or nothing: one fault refuses the whole lot.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from vaguemestre_sandbox import agreement, xmlsafe
from vaguemestre_sandbox.agreement import METADATA, Finding, patient_key
from vaguemestre_sandbox.cdafacts import CdaFacts, UnreadableCdaError, read_cda
from vaguemestre_sandbox.clock import iso
from vaguemestre_sandbox.lotsignature import LotSignatureError, verify_lot_signature
from vaguemestre_sandbox.mtom import Package
from vaguemestre_sandbox.nomenclature import ins_key_is_right
from vaguemestre_sandbox.pki import Pki
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.store import DocumentRow, LinkRow, SandboxStore, SubmissionRow
from vaguemestre_sandbox.vihf import Vihf
from vaguemestre_sandbox.xdslot import REPLACES, Entry, Lot, MalformedLotError, read_lot
from vaguemestre_sandbox.xmlsafe import RIM, q

ACTION: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
ANSWER_ACTION: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse"
_STATUS: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    """`findings` empty = stored (or would be, when `dry`)."""

    findings: tuple[Finding, ...]
    stored_unique_ids: tuple[str, ...]


def feed(
    payload: etree._Element,
    package: Package | None,
    vihf: Vihf,
    *,
    store: SandboxStore,
    profile: DmpProfile,
    pki: Pki,
    now: datetime,
) -> FeedResult:
    """Check a lot and hold it when nothing is wrong. Raises SoapFaultError when it is not a lot."""
    try:
        lot = read_lot(payload, package)
    except MalformedLotError as error:
        raise SoapFaultError(f"Body: {error}") from error
    findings = _refusals(lot, vihf, store, profile, pki)
    if findings:
        return FeedResult(findings=findings, stored_unique_ids=())
    _hold(lot, store, profile, now)
    return FeedResult(findings=(), stored_unique_ids=tuple(entry.unique_id for entry in lot.documents))


def _refusals(lot: Lot, vihf: Vihf, store: SandboxStore, profile: DmpProfile, pki: Pki) -> tuple[Finding, ...]:
    """Return the faults of the first failing step: addressee, structure, duplicates, documents, signature."""
    return (
        _patient(lot, vihf, store, profile)
        or tuple(agreement.check_structure(lot, signature_required=profile.lot_signature_required))
        or _duplicates(lot, store)
        or _documents(lot, vihf, store, profile)
        or _signature(lot, profile, pki)
    )


def _patient(lot: Lot, vihf: Vihf, store: SandboxStore, profile: DmpProfile) -> tuple[Finding, ...]:
    key = patient_key(lot.submission.patient_id)
    if not key:
        return (Finding(code=METADATA, context="patientId of the lot is malformed"),)
    patient = store.patient(key)
    if patient is None or patient.dmp == "none" or not ins_key_is_right(patient.matricule):
        return (Finding(code="XDSUnknownPatientId", context="no DMP for this matricule"),)
    if key != vihf.patient:
        return (Finding(code="XDSPatientIdDoesNotMatch", context="resource-id of the VIHF differs"),)
    if patient.dmp == "closed":
        return (Finding(code=profile.closed_dmp_code, context="the DMP is closed"),)
    return ()


def _duplicates(lot: Lot, store: SandboxStore) -> tuple[Finding, ...]:
    found = []
    if store.submission(lot.submission.unique_id) is not None:
        found.append(Finding(code="XDSDuplicateUniqueIdInRegistry", context=f"submission {lot.submission.unique_id}"))
    for entry in lot.documents:
        held = store.document(entry.unique_id)
        if held is None:
            continue
        same = hashlib.sha256(held.content).digest() == hashlib.sha256(lot.content_of(entry) or b"").digest()
        kind = "same content" if same else "another content"
        found.append(
            Finding(
                code="XDSDuplicateUniqueIdInRegistry",
                context=f"{entry.unique_id} is already registered ({kind})",
                location=entry.symbolic_id,
            )
        )
    return tuple(found)


def _documents(lot: Lot, vihf: Vihf, store: SandboxStore, profile: DmpProfile) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    for entry in lot.documents:
        content = lot.content_of(entry) or b""
        try:
            facts = read_cda(content)
        except UnreadableCdaError as error:
            findings.append(
                Finding(
                    code="XDSRepositoryMetadataError",
                    context=f"the document is not a readable CDA: {error}",
                    location=entry.symbolic_id,
                )
            )
            continue
        findings += agreement.check_document(entry, content, facts, hash_required=profile.hash_required)
        findings += _replacement(lot, entry, facts, store)
        if not vihf.is_personal and all(author.organisation_id != vihf.structure for author in facts.authors):
            findings.append(
                Finding(
                    code=METADATA,
                    context="authorInstitution is not the structure of the VIHF",
                    location=entry.symbolic_id,
                )
            )
    return tuple(findings)


def _replacement(lot: Lot, entry: Entry, facts: CdaFacts, store: SandboxStore) -> list[Finding]:
    targets = agreement.replaced_unique_ids(lot, entry)
    if not targets and not facts.replaces:
        return []
    if len(targets) != 1 or not facts.replaces:
        return [
            Finding(
                code=METADATA,
                context="RPLC must appear both in the CDA and in one association",
                location=entry.symbolic_id,
            )
        ]
    old = store.document_by_uuid(targets[0])
    if old is None or old.unique_id != facts.replaces or old.patient != patient_key(entry.patient_id):
        return [
            Finding(
                code="UnresolvedReferenceException",
                context="the entry to replace is unknown",
                location=entry.symbolic_id,
            )
        ]
    if old.status != "Approved":
        return [
            Finding(
                code="XDSRegistryDeprecatedDocumentError",
                context="the entry to replace is not Approved",
                location=entry.symbolic_id,
            )
        ]
    return []


def _signature(lot: Lot, profile: DmpProfile, pki: Pki) -> tuple[Finding, ...]:
    for entry in lot.entries:
        if not entry.is_signature:
            continue
        documents = {found.unique_id: lot.content_of(found) or b"" for found in lot.documents}
        try:
            verify_lot_signature(
                lot.content_of(entry) or b"",
                lot_unique_id=lot.submission.unique_id,
                documents=documents,
                pki=pki,
                allow_sha1=profile.allow_sha1,
            )
        except LotSignatureError as error:
            return (
                Finding(
                    code="XDSRepositoryMetadataError",
                    context=f"signature of the lot: {error}",
                    location=entry.symbolic_id,
                ),
            )
    return ()


def _hold(lot: Lot, store: SandboxStore, profile: DmpProfile, now: datetime) -> None:
    patient = patient_key(lot.submission.patient_id)
    stored_at = iso(now)
    rows = []
    deprecated: list[str] = []
    links: list[LinkRow] = []
    for entry in lot.documents:
        content = lot.content_of(entry) or b""
        entry_uuid = f"urn:uuid:{uuid.uuid4()}"
        replaced = agreement.replaced_unique_ids(lot, entry)
        deprecated += replaced
        links += [LinkRow(kind=REPLACES, source=entry_uuid, target=target) for target in replaced]
        rows.append(
            DocumentRow(
                unique_id=entry.unique_id,
                entry_uuid=entry_uuid,
                patient=patient,
                submission_id=lot.submission.unique_id,
                stored_at=stored_at,
                status="Approved",
                title=entry.title,
                entry=xmlsafe.serialize(registered(entry.element, entry_uuid, content, profile)),
                content=content,
            )
        )
    package_uuid = f"urn:uuid:{uuid.uuid4()}"
    store.store_lot(
        SubmissionRow(
            unique_id=lot.submission.unique_id,
            entry_uuid=package_uuid,
            patient=patient,
            stored_at=stored_at,
            source_id=lot.submission.source_id,
            package=registered_package(lot, package_uuid),
        ),
        tuple(rows),
        tuple(deprecated),
        tuple(links),
    )


def registered_package(lot: Lot, package_uuid: str) -> bytes:
    """Return the RegistryPackage of a lot as the registry answers it."""
    clone = copy.deepcopy(lot.package)
    clone.tail = None
    _rename(clone, package_uuid, package_uuid)
    return xmlsafe.serialize(clone)


def _rename(element: etree._Element, identifier: str, lid: str) -> None:
    element.set("id", identifier)
    element.set("lid", lid)
    element.set("status", _STATUS)
    for found in element.iterfind(q(RIM, "Classification")):
        found.set("classifiedObject", identifier)
        found.set("id", f"urn:uuid:{uuid.uuid4()}")
    for found in element.iterfind(q(RIM, "ExternalIdentifier")):
        found.set("registryObject", identifier)
        found.set("id", f"urn:uuid:{uuid.uuid4()}")


def registered(
    element: etree._Element, entry_uuid: str, content: bytes, profile: DmpProfile, *, lid: str = "", version: int = 1
) -> etree._Element:
    """Return the entry as the registry answers it: UUIDs, lid, status, hash, size, repository, version.

    `lid` is the entryUUID of the first version; empty for that one.
    """
    clone = copy.deepcopy(element)
    clone.tail = None
    _rename(clone, entry_uuid, lid or entry_uuid)
    for found in list(clone.iterfind(q(RIM, "VersionInfo"))):
        clone.remove(found)
    clone.set("isOpaque", "false")
    for slot in list(clone.iterfind(q(RIM, "Slot"))):
        if slot.get("name") in ("hash", "size", "repositoryUniqueId"):
            clone.remove(slot)
    digest = hashlib.sha1(content).hexdigest()  # noqa: S324 - XDS fixes SHA-1
    for name, value in (
        ("hash", digest),
        ("repositoryUniqueId", profile.repository_unique_id),
        ("size", str(len(content))),
    ):
        slot = etree.Element(q(RIM, "Slot"), name=name)
        etree.SubElement(etree.SubElement(slot, q(RIM, "ValueList")), q(RIM, "Value")).text = value
        clone.insert(0, slot)
    position = next(
        (
            index
            for index, found in enumerate(clone)
            if found.tag in (q(RIM, "Classification"), q(RIM, "ExternalIdentifier"))
        ),
        len(clone),
    )
    clone.insert(position, etree.Element(q(RIM, "VersionInfo"), versionName=str(version)))
    return clone

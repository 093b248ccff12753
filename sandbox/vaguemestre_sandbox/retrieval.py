"""TD3.2: gives documents back by repository and uniqueId, as XOP parts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.agreement import Finding
from vaguemestre_sandbox.ebrs import FAILURE, PARTIAL, registry_response
from vaguemestre_sandbox.mtom import MediaType, Part
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.store import SandboxStore
from vaguemestre_sandbox.vihf import Vihf
from vaguemestre_sandbox.xmlsafe import RS, XDSB, XOP, q

ACTION: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"
ANSWER_ACTION: Final = "urn:ihe:iti:2007:RetrieveDocumentSetResponse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The payload and its parts."""

    payload: etree._Element
    parts: tuple[Part, ...]


def retrieve(payload: etree._Element, vihf: Vihf, *, store: SandboxStore, profile: DmpProfile) -> Retrieved:
    """Return the documents asked for, and an error for each that cannot be given."""
    if payload.tag != q(XDSB, "RetrieveDocumentSetRequest"):
        raise SoapFaultError("Body is not RetrieveDocumentSetRequest")
    requests = payload.findall(q(XDSB, "DocumentRequest"))
    if not requests:
        raise SoapFaultError("no DocumentRequest")
    patient = store.patient(vihf.patient)
    response = etree.Element(q(XDSB, "RetrieveDocumentSetResponse"), nsmap={"xdsb": XDSB, "rs": RS})
    findings: list[Finding] = []
    parts: list[Part] = []
    documents: list[etree._Element] = []
    for request in requests:
        repository = xmlsafe.text_of(request.find(q(XDSB, "RepositoryUniqueId")))
        unique_id = xmlsafe.text_of(request.find(q(XDSB, "DocumentUniqueId")))
        row = store.document(unique_id)
        if repository != profile.repository_unique_id:
            findings.append(Finding(code="XDSUnknownRepositoryId", context=repository))
        elif row is None or row.patient != vihf.patient:
            findings.append(Finding(code="XDSDocumentUniqueIdError", context=unique_id))
        elif profile.consultation_needs_authorization and (patient is None or patient.authorization != "VALIDE"):
            findings.append(Finding(code=profile.not_authorized_code, context=unique_id))
        else:
            content_id = f"{uuid.uuid4()}@sandbox"
            parts.append(
                Part(
                    content_id=content_id,
                    media_type=MediaType(name="text/xml", parameters=()),
                    content=row.content,
                )
            )
            documents.append(_document(repository, unique_id, content_id))
    status = None if not findings else (PARTIAL if documents else FAILURE)
    response.append(registry_response(tuple(findings), status=status))
    response.extend(documents)
    return Retrieved(payload=response, parts=tuple(parts))


def _document(repository: str, unique_id: str, content_id: str) -> etree._Element:
    element = etree.Element(q(XDSB, "DocumentResponse"), nsmap={"xdsb": XDSB})
    for name, text in (
        ("RepositoryUniqueId", repository),
        ("DocumentUniqueId", unique_id),
        ("mimeType", "text/xml"),
    ):
        etree.SubElement(element, q(XDSB, name)).text = text
    document = etree.SubElement(element, q(XDSB, "Document"))
    etree.SubElement(document, q(XOP, "Include"), nsmap={"xop": XOP}).set("href", f"cid:{content_id}")
    return element

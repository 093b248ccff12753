"""ITI-57 requests on one registered document: another availability status, or other visibility codes.

Owns the ebRIM of the two changes. What the registry gave of an entry goes back to it whole, but for what changes.
Source: IHE ITI TF-2 3.57; DMP sample messages 02.05.00 (TD3.3c); CI-SIS volet Gestion de documents partagés.
"""

from __future__ import annotations

import copy
from itertools import count
from typing import Final

from lxml import etree

from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.codes import ANS_VISIBILITY, VISIBILITY, Visibility
from vaguemestre_documents.xds.metadata import SubmissionSet, require_visibility
from vaguemestre_documents.xds.registry_objects import (
    DOC_CONFIDENTIALITY,
    HAS_MEMBER,
    LCM,
    ORIGINAL,
    RIM,
    SUBMISSION_SET_OBJECT,
    Availability,
    ObjectWriter,
    RegisteredDocument,
    document_object_id,
)

_UPDATE_STATUS: Final = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
# What only the registry says of an entry.
_REGISTRY_ATTRIBUTES: Final = ("status", "home")


def build_status_change(submission_set: SubmissionSet, document: RegisteredDocument, status: Availability) -> bytes:
    """Return the ``lcm:SubmitObjectsRequest`` that gives an entry another availability status.

    Raises:
        InvalidInput: ``REGISTRY_ANSWER_INVALID`` (the registry gave no status).
    """
    if document.status is None:
        raise InvalidInput("REGISTRY_ANSWER_INVALID")
    root, objects, writer = _request(submission_set)
    writer.association(
        objects,
        _UPDATE_STATUS,
        SUBMISSION_SET_OBJECT,
        document.entry_uuid,
        slots=(("OriginalStatus", document.status), ("NewStatus", status.value)),
    )
    return _serialised(root)


def build_visibility_change(
    submission_set: SubmissionSet,
    document: RegisteredDocument,
    visibility: frozenset[Visibility],
) -> bytes:
    """Return the ``lcm:SubmitObjectsRequest`` that resubmits an entry with exactly these visibility codes.

    Raises:
        InvalidInput: ``VISIBILITY_COMBINATION_FORBIDDEN``; ``REGISTRY_ANSWER_INVALID`` (the registry gave no lid, no
            version or no confidentialityCode).
    """
    require_visibility(visibility)
    if document.lid is None or document.version_number is None or document.extrinsic is None:
        raise InvalidInput("REGISTRY_ANSWER_INVALID")
    root, objects, writer = _request(submission_set)
    me = document_object_id(1)
    entry = copy.deepcopy(document.extrinsic)
    entry.tail = None
    entry.set("id", me)
    entry.set("lid", document.lid)
    for attribute in _REGISTRY_ATTRIBUTES:
        if attribute in entry.attrib:
            del entry.attrib[attribute]
    for version in entry.findall(f"{{{RIM}}}VersionInfo"):
        entry.remove(version)
    numbers = count(1)
    for element in entry.findall(f"{{{RIM}}}Classification"):
        element.set("classifiedObject", me)
        element.set("id", f"entry-cla{next(numbers)}")
    for element in entry.findall(f"{{{RIM}}}ExternalIdentifier"):
        element.set("registryObject", me)
        element.set("id", f"entry-ei{next(numbers)}")
    _set_visibility(entry, writer, me, visibility)
    objects.append(entry)
    writer.association(
        objects,
        HAS_MEMBER,
        SUBMISSION_SET_OBJECT,
        me,
        slots=(*ORIGINAL, ("PreviousVersion", str(document.version_number))),
    )
    return _serialised(root)


def _set_visibility(
    entry: etree._Element, writer: ObjectWriter, object_id: str, visibility: frozenset[Visibility]
) -> None:
    kept: etree._Element | None = None
    for element in entry.findall(f"{{{RIM}}}Classification"):
        if element.get("classificationScheme") != DOC_CONFIDENTIALITY:
            continue
        scheme = element.findtext(f"{{{RIM}}}Slot[@name='codingScheme']/{{{RIM}}}ValueList/{{{RIM}}}Value") or ""
        if scheme.strip() == ANS_VISIBILITY:
            entry.remove(element)
        else:
            kept = element
    if kept is None:
        raise InvalidInput("REGISTRY_ANSWER_INVALID")
    for mask in Visibility:
        if mask in visibility:
            added = writer.coded(entry, DOC_CONFIDENTIALITY, object_id, VISIBILITY[mask])
            kept.addnext(added)
            kept = added


def _request(submission_set: SubmissionSet) -> tuple[etree._Element, etree._Element, ObjectWriter]:
    root = etree.Element(f"{{{LCM}}}SubmitObjectsRequest", nsmap={"lcm": LCM, "rim": RIM})
    objects = etree.SubElement(root, f"{{{RIM}}}RegistryObjectList")
    writer = ObjectWriter()
    writer.submission_set(objects, submission_set)
    return root, objects, writer


def _serialised(root: etree._Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)

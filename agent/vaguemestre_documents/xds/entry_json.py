"""A DocumentEntry as a JSON value and back, for the prepared container that the queue keeps.

Owns that one form (version in ``ENTRY_FORMAT``); an entry read back is equal to the one written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.xds.metadata import DocumentEntry, EntryAuthor

ENTRY_FORMAT: Final = 1
_TEXTS: Final = (
    "unique_id",
    "set_id",
    "title",
    "patient_id",
    "source_patient_id",
    "creation_time",
    "service_start_time",
    "language",
    "mime_type",
    "hash_sha1",
)


def entry_to_json(entry: DocumentEntry) -> dict[str, object]:
    """Return the entry as a JSON object."""
    return {
        "format": ENTRY_FORMAT,
        **{name: getattr(entry, name) for name in _TEXTS},
        "version_number": entry.version_number,
        "size": entry.size,
        "source_patient_info": list(entry.source_patient_info),
        "legal_authenticator": entry.legal_authenticator,
        "service_stop_time": entry.service_stop_time,
        "replaced_unique_id": entry.replaced_unique_id,
        "authors": [
            {
                "person": author.person,
                "institution": author.institution,
                "specialty": author.specialty,
                "role": author.role,
            }
            for author in entry.authors
        ],
        "class_code": _code(entry.class_code),
        "type_code": _code(entry.type_code),
        "format_code": _code(entry.format_code),
        "confidentiality_codes": [_code(item) for item in entry.confidentiality_codes],
        "facility_type_code": _code(entry.facility_type_code),
        "practice_setting_code": _code(entry.practice_setting_code),
        "event_codes": [_code(item) for item in entry.event_codes],
    }


def entry_from_json(value: Mapping[str, object]) -> DocumentEntry:
    """Return the entry that was written.

    Raises:
        InvalidInput: ``PREPARED_UNREADABLE`` when the value is not one that ``entry_to_json`` wrote.
    """
    try:
        if value["format"] != ENTRY_FORMAT:
            raise InvalidInput("PREPARED_UNREADABLE")
        return DocumentEntry(
            unique_id=_text(value["unique_id"]),
            set_id=_text(value["set_id"]),
            version_number=_number(value["version_number"]),
            title=_text(value["title"]),
            patient_id=_text(value["patient_id"]),
            source_patient_id=_text(value["source_patient_id"]),
            source_patient_info=tuple(_text(item) for item in _list(value["source_patient_info"])),
            authors=tuple(_author(item) for item in _list(value["authors"])),
            legal_authenticator=_optional(value["legal_authenticator"]),
            creation_time=_text(value["creation_time"]),
            service_start_time=_text(value["service_start_time"]),
            service_stop_time=_optional(value["service_stop_time"]),
            language=_text(value["language"]),
            class_code=_concept(value["class_code"]),
            type_code=_concept(value["type_code"]),
            format_code=_concept(value["format_code"]),
            confidentiality_codes=tuple(_concept(item) for item in _list(value["confidentiality_codes"])),
            facility_type_code=_concept(value["facility_type_code"]),
            practice_setting_code=_concept(value["practice_setting_code"]),
            event_codes=tuple(_concept(item) for item in _list(value["event_codes"])),
            mime_type=_text(value["mime_type"]),
            hash_sha1=_text(value["hash_sha1"]),
            size=_number(value["size"]),
            replaced_unique_id=_optional(value["replaced_unique_id"]),
        )
    except (KeyError, TypeError):
        raise InvalidInput("PREPARED_UNREADABLE") from None


def _code(concept: CodedConcept) -> dict[str, str]:
    return {"code": concept.code, "code_system": concept.code_system, "label": concept.label}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("number")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("list")
    return value


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError("object")
    return value


def _concept(value: object) -> CodedConcept:
    found = _object(value)
    return CodedConcept(code=_text(found["code"]), code_system=_text(found["code_system"]), label=_text(found["label"]))


def _author(value: object) -> EntryAuthor:
    found = _object(value)
    return EntryAuthor(
        person=_text(found["person"]),
        institution=_optional(found["institution"]),
        specialty=_optional(found["specialty"]),
        role=_optional(found["role"]),
    )

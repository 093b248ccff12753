"""Who calls, drawn from a prepared document: the author that is the professional of the session, or the first one.

Owns the reading of the HL7 v2 texts of the entry (XCN, XON, coded); invents nothing that the document does not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vaguemestre_agent.adapters.dmp.vihf import Caller
from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.xds.metadata import DocumentEntry, EntryAuthor

_ESCAPED: Final = re.compile(r"\\([ESTFR])\\")
_CHARACTERS: Final[Mapping[str, str]] = {"E": "\\", "S": "^", "T": "&", "F": "|", "R": "~"}
_XON_ID: Final = 9


def components(text: str) -> tuple[str, ...]:
    """Return the components of an HL7 v2 text, unescaped."""
    return tuple(_ESCAPED.sub(lambda found: _CHARACTERS[found[1]], part) for part in text.split("^"))


def author_of(entry: DocumentEntry, national_id: str) -> EntryAuthor:
    """Return the author that has this PS_IdNat, or the document's first author."""
    for author in entry.authors:
        if components(author.person)[0] == national_id:
            return author
    return entry.authors[0]


def caller_of(entry: DocumentEntry, national_id: str) -> Caller:
    """Return the caller of a transaction about a document.

    Structure and sector are those of the document: in the indirect modes the DMP compares the VIHF's structure with
    authorInstitution.

    Raises:
        InvalidInput: ``PREPARED_UNREADABLE``, the author has no structure or no profession.
    """
    author = author_of(entry, national_id)
    if author.institution is None or author.specialty is None:
        raise InvalidInput("PREPARED_UNREADABLE")
    person, institution = components(author.person), components(author.institution)
    specialty = components(author.specialty)
    if len(institution) <= _XON_ID or len(specialty) != 3 or len(person) < 3:
        raise InvalidInput("PREPARED_UNREADABLE")
    return Caller(
        national_id=national_id,
        display_name=f"{person[2]} {person[1]}".strip(),
        structure_id=institution[_XON_ID],
        sector=entry.facility_type_code,
        profession=CodedConcept(code=specialty[0], label=specialty[1], code_system=specialty[2]),
        patient_id=entry.patient_id,
    )

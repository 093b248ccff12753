"""The container that a prepared document is kept in: the CDA byte for byte, and its XDS entry.

Owns the format: ``VGMDOC01``, length of the JSON part (4 bytes, big endian), JSON in UTF-8, then the CDA to the end.
Never encrypts: the queue seals it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS, Ins, InsSource
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.xds.entry_json import entry_from_json, entry_to_json
from vaguemestre_documents.xds.hl7v2 import parse_cx
from vaguemestre_documents.xds.metadata import DocumentEntry

_MAGIC: Final = b"VGMDOC01"
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PreparedDocument:
    """A document ready to leave: nothing in it depends on when or how it is sent."""

    cda: bytes
    entry: DocumentEntry

    def to_bytes(self) -> bytes:
        """Return the container."""
        header = json.dumps(entry_to_json(self.entry), ensure_ascii=False, sort_keys=True).encode()
        return _MAGIC + len(header).to_bytes(_LENGTH_BYTES, "big") + header + self.cda

    @classmethod
    def from_bytes(cls, container: bytes) -> PreparedDocument:
        """Return what was put in a container.

        Raises:
            InvalidInput: ``PREPARED_UNREADABLE``.
        """
        start = len(_MAGIC) + _LENGTH_BYTES
        if len(container) < start or not container.startswith(_MAGIC):
            raise InvalidInput("PREPARED_UNREADABLE")
        end = start + int.from_bytes(container[len(_MAGIC) : start], "big")
        try:
            value = json.loads(container[start:end])
        except ValueError:
            raise InvalidInput("PREPARED_UNREADABLE") from None
        if not isinstance(value, dict) or end > len(container):
            raise InvalidInput("PREPARED_UNREADABLE")
        return cls(cda=container[end:], entry=entry_from_json(value))

    def reference(self) -> PreparedDocument:
        """Return the same without the CDA: enough to look the document up and to change it there, never to send it."""
        return PreparedDocument(cda=b"", entry=self.entry)

    def ins(self) -> Ins | None:
        """Return the INS under which the document is filed, or None when it carries none."""
        value, oid = parse_cx(self.entry.patient_id)
        return Ins(matricule=value, oid=oid, source=InsSource.INSI) if oid in INS_OIDS else None

    def __repr__(self) -> str:
        return f"PreparedDocument({REDACTED}, {len(self.cda)} bytes)"

"""What the footer of a document says: its recipients, the matricule INS, the practice's mention.

Owns the sentences; draws nothing. Source: DOC/va1.05, DOC/va1.09, DOC/va1.10; identity rule 32 (nature of a matricule).
"""

from __future__ import annotations

from typing import assert_never

from vaguemestre_core.identities import IdentityStatus, Ins, InsAuthority
from vaguemestre_documents.cda.request import Recipient, RecipientKind
from vaguemestre_documents.document_metadata import DocumentMetadata
from vaguemestre_documents.pdf.policy import FooterPolicy


def paragraphs(policy: FooterPolicy, metadata: DocumentMetadata) -> tuple[str, ...]:
    """Return the paragraphs of a document's footer; nothing when there is nothing to say. Personal."""
    if not policy.concerns(metadata.document_type.concept.code):
        return ()
    said: list[str] = []
    if policy.recipients and metadata.recipients:
        said.append("Destinataires : " + " ; ".join(_named(item) for item in metadata.recipients) + ".")
    ins = metadata.patient.ins
    if policy.ins and ins is not None and metadata.patient.status is IdentityStatus.QUALIFIEE:
        said.append(f"Matricule INS : {ins.matricule} ({_nature(ins)}).")
    said += [line.strip() for line in policy.mention.splitlines() if line.strip()]
    return tuple(said)


def _nature(ins: Ins) -> str:
    """Say whose number it is: a matricule on paper goes with its nature."""
    match ins.authority:
        case InsAuthority.NIR:
            return "NIR"
        case InsAuthority.NIA:
            return "NIA"
        case InsAuthority.NIR_TEST | InsAuthority.NIR_DEMO:
            return "NIR de test"
        case InsAuthority.OTHER:
            return "autorité inconnue"
        case never:
            assert_never(never)


def _named(recipient: Recipient) -> str:
    person = " ".join(part for part in (recipient.given_name, recipient.family_name) if part is not None)
    if recipient.kind is RecipientKind.STRUCTURE:
        return recipient.structure_name or person
    return f"{person} ({recipient.structure_name})" if recipient.structure_name is not None else person

"""The lot of TD2.1: from a prepared document and its frozen identifiers to the parts of the message.

Owns what goes into the lot and its signature; every byte depends only on the arguments, so that a resend is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vaguemestre_agent.adapters.dmp.caller import author_of
from vaguemestre_agent.adapters.dmp.mtom import Part
from vaguemestre_agent.adapters.dmp.registry import build_feed_request
from vaguemestre_agent.adapters.signing.port import SignerPort
from vaguemestre_agent.profiles.model import SubmissionProfile
from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import FrozenIds
from vaguemestre_core.signing import SignaturePurpose
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_documents.xds.metadata import SubmissionSet
from vaguemestre_documents.xds.registry_objects import (
    SIGNATURE_OBJECT,
    Submission,
    document_object_id,
    serialise_submit_objects_request,
)
from vaguemestre_documents.xds.submission_signature import (
    SignatureRequest,
    SignatureSettings,
    SignedDocument,
    sign_submission_set,
    signature_entry,
)

_XML: Final = "text/xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class LotMessage:
    """The body of the envelope and the parts that travel beside it."""

    payload: bytes = field(repr=False)
    parts: tuple[Part, ...]


class _ToSign(Exception):
    """Carries the bytes to sign out of the builder, whose callback cannot wait."""

    def __init__(self, data: bytes) -> None:
        super().__init__("to sign")
        self.data = data


async def sign_lot(
    document: PreparedDocument, frozen_ids: FrozenIds, profile: SubmissionProfile, signer: SignerPort
) -> bytes:
    """Return the signature document of a lot.

    Raises:
        ServiceError: ``SIGNER_UNAVAILABLE``.
    """
    purpose = SignaturePurpose.SUBMISSION_SET
    request = SignatureRequest(
        submission_set_id=frozen_ids.submission_set_id,
        documents=(SignedDocument(unique_id=document.entry.unique_id, content=document.cda),),
        certificates=signer.certificates(purpose),
        signed_at=frozen_ids.submission_at,
        settings=SignatureSettings(signature=profile.algorithm),
    )

    def ask(data: bytes) -> bytes:
        raise _ToSign(data)

    try:
        return sign_submission_set(request, sign=ask)
    except _ToSign as asked:
        data = asked.data
    value = await signer.sign(purpose, data, profile.algorithm)
    # The same request gives the same SignedInfo: the value obtained is that of this second pass.
    return sign_submission_set(request, sign=lambda _: value)


def submission_set_of(
    document: PreparedDocument, frozen_ids: FrozenIds, context: SendingContext, profile: SubmissionProfile
) -> SubmissionSet:
    """Return the set of a submission about a document: a feeding, or a change of what was fed.

    Raises:
        InvalidInput: ``OID_INVALID`` (an identifier or the product's OID root).
    """
    return SubmissionSet(
        unique_id=frozen_ids.submission_set_id,
        source_id=context.product.oid_root,
        submission_time=Hl7Time.from_instant(frozen_ids.submission_at).to_xds(),
        content_type=CodedConcept(
            code=profile.content_type_code,
            code_system=profile.content_type_system,
            label=profile.content_type_label,
        ),
        patient_id=document.entry.patient_id,
        author=author_of(document.entry, context.session.national_id),
    )


def build_lot(
    document: PreparedDocument,
    frozen_ids: FrozenIds,
    signature: bytes | None,
    context: SendingContext,
    profile: SubmissionProfile,
    *,
    replaced_entry_uuid: str | None,
) -> LotMessage:
    """Return the message of a lot: one document, and its signature when there is one.

    Raises:
        InvalidInput: ``OID_INVALID`` (an identifier or the product's OID root).
    """
    entry = document.entry
    submission = Submission(
        submission_set=submission_set_of(document, frozen_ids, context, profile),
        documents=(entry,),
        replaced_entry_uuids=(replaced_entry_uuid,),
        signature=None
        if signature is None
        else signature_entry(
            entry,
            unique_id=frozen_ids.signature_id,
            submission_time=Hl7Time.from_instant(frozen_ids.submission_at),
            signature=signature,
        ),
        include_hash_size=profile.include_hash_and_size,
    )
    document_id = document_object_id(1)
    contents = [(document_id, document.cda)]
    if signature is not None:
        contents.append((SIGNATURE_OBJECT, signature))
    parts = tuple(
        Part(content_id=f"{name}.{frozen_ids.submission_set_id}@vaguemestre", media_type=_XML, content=content)
        for name, content in contents
    )
    names = tuple((name, part.content_id) for (name, _), part in zip(contents, parts, strict=True))
    return LotMessage(payload=build_feed_request(serialise_submit_objects_request(submission), names), parts=parts)

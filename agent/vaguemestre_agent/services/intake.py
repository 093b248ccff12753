"""Intake: what a client hands over is checked enough to be kept, guarded, and made durable before it is answered.

The document itself is checked and built later, in a worker process. A refusal changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final

from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_agent.services.values import DocumentUpload
from vaguemestre_core.deferral import DeferralMode, DeferralPolicy, schedule
from vaguemestre_core.errors import Forbidden, InvalidInput
from vaguemestre_core.facts import Care, FactView, KeptFacts, guard_input, keep
from vaguemestre_core.guards import GuardAnswer, examine
from vaguemestre_core.ids import oid_under
from vaguemestre_core.orders import DocumentId, HoldKind, OrderId, OrderKind
from vaguemestre_core.ports import ClockPort, RandomPort, StorePort
from vaguemestre_core.records import Acceptance, Accepted, Client
from vaguemestre_documents.document_metadata import DocumentSummary
from vaguemestre_documents.metadata_parsing import parse_document_metadata, parse_ready_metadata

READY_CDA_TYPES: Final = frozenset({"text/xml", "application/xml", "application/hl7-cda+xml"})
CLIENT_REF_MAX_CHARS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeService:
    """Accepts documents."""

    store: StorePort
    sessions: SessionService
    clock: ClockPort
    random: RandomPort
    policy: DeferralPolicy
    station: str

    async def put_document(self, client: Client, upload: DocumentUpload) -> Accepted:
        """Check and accept a document for the DMP.

        Raises:
            InvalidInput: METADATA_INVALID with JSON pointers, METADATA_NOT_JSON, BODY_EMPTY, CLIENT_REF_INVALID,
                VISIBILITY_COMBINATION_FORBIDDEN.
            Forbidden: PRODUCT_PROFILE_MISSING.
            Conflict, StoreError: see ``StorePort.accept``. One that corrects what left waits for its verdict.
        """
        version = await self.store.fact_version()
        _refuse(self.examined(client, upload))
        return await self.store.accept(self._acceptance(client, upload, _summary(upload), version))

    def examined(self, client: Client, upload: DocumentUpload) -> tuple[GuardAnswer, ...]:
        """Return what the guards say of a document by itself; what facts say of it, the store asks when it accepts it.

        Raises:
            InvalidInput: see ``put_document``.
            Forbidden: PRODUCT_PROFILE_MISSING.
        """
        _check_reference(upload.client_ref)
        if client.product is None:
            raise Forbidden("PRODUCT_PROFILE_MISSING")
        facts, nothing_told = keep(self._kept(_summary(upload))), FactView(version=0)
        return examine(
            guard_input(OrderKind.DMP_SUBMIT, facts, nothing_told, accepted_under=0, has_product_reference=True)
        )

    def _acceptance(
        self,
        client: Client,
        upload: DocumentUpload,
        summary: DocumentSummary,
        fact_version: int,
    ) -> Acceptance:
        assert client.product is not None
        now = self.clock.now()
        root = client.product.oid_root
        policy = self.policy
        if upload.send_now:
            policy = replace(policy, mode=DeferralMode.DELAY, delay_s=0.0)
        session = self.sessions.session_for(summary.ps_idnat, client)
        return Acceptance(
            client_id=client.client_id,
            client_ref=upload.client_ref,
            actor=upload.actor,
            idempotency_key=upload.idempotency_key,
            request_digest=request_digest(upload),
            kind=OrderKind.DMP_SUBMIT,
            professional=summary.ps_idnat,
            patient_key=summary.patient_keys[0],
            other_patient_keys=summary.patient_keys[1:],
            order_id=OrderId(f"o-{self.random.bits(96):024x}"),
            document_id=DocumentId(f"d-{self.random.bits(96):024x}"),
            set_id=oid_under(root, self.random.bits(100)),
            unique_id=oid_under(root, self.random.bits(100)),
            type_code=summary.type_code,
            facts=keep(self._kept(summary)),
            metadata=upload.metadata,
            body=upload.body,
            media_type=upload.media_type,
            title=summary.title,
            schedule=schedule(policy, now, None if session is None else session.until),
            holds=frozenset({HoldKind.PERSON}) if upload.hold else frozenset(),
            fact_version=fact_version,
            accepted_at=now,
            boot_s=self.clock.boot_s(),
            boot_id=self.clock.boot_id(),
        )

    def _kept(self, summary: DocumentSummary) -> KeptFacts:
        return KeptFacts(
            identity_status=summary.identity_status.value,
            has_ins=summary.has_ins,
            identity_doubtful=summary.is_identity_doubtful,
            visibility=frozenset(code.value for code in summary.visibility),
            care=Care(episode=summary.episode, team=summary.structure_id),
            station=self.station,
        )


def is_ready_cda(media_type: str) -> bool:
    """Say whether the body is a CDA that the client made itself."""
    return media_type.partition(";")[0].strip().lower() in READY_CDA_TYPES


def request_digest(upload: DocumentUpload) -> str:
    """Return the hex SHA-256 of what the client wishes: reference, canonical metadata, media type, options and body.

    Two JSON texts that differ by spaces or the order of members are the same wish; the same content under another
    reference is another.
    """
    canonical = json.dumps(
        [upload.client_ref, json.loads(upload.metadata), upload.media_type, upload.hold, upload.send_now],
        sort_keys=True,
        separators=(",", ":"),
    )
    digest = hashlib.sha256(canonical.encode())
    digest.update(b"\x00")
    digest.update(upload.body)
    return digest.hexdigest()


def _summary(upload: DocumentUpload) -> DocumentSummary:
    if not upload.body:
        raise InvalidInput("BODY_EMPTY")
    try:
        value = json.loads(upload.metadata)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("METADATA_NOT_JSON") from error
    if not isinstance(value, dict):
        raise InvalidInput("METADATA_NOT_JSON")
    if is_ready_cda(upload.media_type):
        return parse_ready_metadata(value).summary()
    return parse_document_metadata(value).summary()


def _check_reference(client_ref: str) -> None:
    if not 1 <= len(client_ref) <= CLIENT_REF_MAX_CHARS or not client_ref.isprintable():
        raise InvalidInput("CLIENT_REF_INVALID", max_chars=CLIENT_REF_MAX_CHARS)


def _refuse(answers: tuple[GuardAnswer, ...]) -> None:
    for answer in answers:
        if answer.refuses and not answer.passed:
            raise InvalidInput(answer.code)

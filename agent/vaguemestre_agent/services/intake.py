"""Intake: what a client hands over is checked enough to be kept, guarded, and made durable before it is answered.

The document itself is checked and built later, in a worker process. A refusal changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final

from vaguemestre_agent.services.authorities import Authorities
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
    authorities: Authorities
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
        summary, facts = checked(client, upload, self.station)
        return await self.store.accept(self._acceptance(client, upload, summary, facts, version))

    def examined(self, client: Client, upload: DocumentUpload) -> tuple[GuardAnswer, ...]:
        """Return what the guards say of a document by itself; what facts say of it, the store asks when it accepts it.

        Raises:
            InvalidInput: see ``put_document``.
            Forbidden: PRODUCT_PROFILE_MISSING.
        """
        return _examined(client, upload, self.station)[2]

    def _acceptance(
        self,
        client: Client,
        upload: DocumentUpload,
        summary: DocumentSummary,
        facts: str,
        fact_version: int,
    ) -> Acceptance:
        assert client.product is not None
        now = self.clock.now()
        ids = upload.kept or draw_ids(self.random, client.product.oid_root)
        policy = self.policy
        if upload.send_now:
            policy = replace(policy, mode=DeferralMode.DELAY, delay_s=0.0)
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
            order_id=OrderId(ids.order_id),
            document_id=DocumentId(ids.document_id),
            set_id=ids.set_id,
            unique_id=ids.unique_id,
            type_code=summary.type_code,
            facts=facts,
            metadata=upload.metadata,
            body=upload.body,
            media_type=upload.media_type,
            title=summary.title,
            schedule=schedule(policy, now, self.authorities.until(summary.ps_idnat, client)),
            holds=frozenset({HoldKind.PERSON}) if upload.hold else frozenset(),
            fact_version=fact_version,
            accepted_at=now if upload.kept is None else upload.kept.received_at,
            boot_s=self.clock.boot_s(),
            boot_id=self.clock.boot_id(),
            was_answered=upload.kept is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnIds:
    """Identifiers of an order and of its document."""

    order_id: str
    document_id: str
    set_id: str
    unique_id: str


def draw_ids(random: RandomPort, oid_root: str) -> DrawnIds:
    """Draw the identifiers of a new order."""
    return DrawnIds(
        order_id=f"o-{random.bits(96):024x}",
        document_id=f"d-{random.bits(96):024x}",
        set_id=oid_under(oid_root, random.bits(100)),
        unique_id=oid_under(oid_root, random.bits(100)),
    )


def checked(client: Client, upload: DocumentUpload, station: str) -> tuple[DocumentSummary, str]:
    """Check all of an upload that needs neither keys nor facts; return what it says and what the guards keep of it.

    Raises:
        InvalidInput, Forbidden: see ``IntakeService.put_document``.
    """
    summary, facts, answers = _examined(client, upload, station)
    _refuse(answers)
    return summary, facts


def _examined(
    client: Client, upload: DocumentUpload, station: str
) -> tuple[DocumentSummary, str, tuple[GuardAnswer, ...]]:
    _check_reference(upload.client_ref)
    if client.product is None:
        raise Forbidden("PRODUCT_PROFILE_MISSING")
    summary = _summary(upload)
    facts, nothing_told = keep(_kept(summary, station)), FactView(version=0)
    answers = examine(
        guard_input(OrderKind.DMP_SUBMIT, facts, nothing_told, accepted_under=0, has_product_reference=True)
    )
    return summary, facts, answers


def _kept(summary: DocumentSummary, station: str) -> KeptFacts:
    return KeptFacts(
        identity_status=summary.identity_status.value,
        has_ins=summary.has_ins,
        identity_doubtful=summary.is_identity_doubtful,
        visibility=frozenset(code.value for code in summary.visibility),
        care=Care(episode=summary.episode, team=summary.structure_id),
        station=station,
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

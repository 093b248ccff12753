"""DmpPort through a Proxy e-santé: TD0.2, TD2.1, TD3.3 and TD3.1 on our own uniqueId, each answer classified.

Owns the order of one transaction: VIHF made just before, message built, exchange, reading, verdict. Keeps nothing
between two calls. Logs the transaction and the code, never who, about whom, nor the session.
Source: docs/dmp.md; DMP sample messages 02.05.00; IHE ITI-41, ITI-18, ITI-57.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from vaguemestre_agent.adapters.dmp import existence
from vaguemestre_agent.adapters.dmp.changes import Plan, plan_deletion, plan_visibility, refusal_of_visibility
from vaguemestre_agent.adapters.dmp.classification import Seen, Sign, change_outcome_of, outcome_of, query_verdict
from vaguemestre_agent.adapters.dmp.doors import Door, ProxyDoor, TwoDoors
from vaguemestre_agent.adapters.dmp.lot import build_lot, sign_lot, submission_set_of
from vaguemestre_agent.adapters.dmp.mtom import build_package
from vaguemestre_agent.adapters.dmp.reading import Reading, read_exchange
from vaguemestre_agent.adapters.dmp.registry import (
    FEED_ACTION,
    QUERY_ACTION,
    UPDATE_ACTION,
    Found,
    build_own_reference_query,
    presence_of,
    read_own_reference,
    read_registry_answer,
)
from vaguemestre_agent.adapters.dmp.soap import SOAP_TYPE, build_envelope
from vaguemestre_agent.adapters.dmp.vihf import build_vihf
from vaguemestre_agent.adapters.http import HttpClient, Timeouts, TlsFiles
from vaguemestre_agent.adapters.signing.port import SignerPort
from vaguemestre_agent.profiles.model import ServiceProfile
from vaguemestre_core.errors import InvalidInput, ServiceError
from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty, ExistenceAnswer, Outcome, Presence, ReferenceAnswer
from vaguemestre_core.ports import ClockPort, RandomPort, SendingContext
from vaguemestre_core.purposes import DmpTransaction
from vaguemestre_core.records import FrozenIds
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_documents.xds.registry_objects import Availability

_LOGGER = logging.getLogger(__name__)
_UUID_BITS: Final = 128
_BEFORE_CALLING: Final = {"CARD_TAKEN_OUT": Sign.CARD_REMOVED, "STRUCTURE_MISMATCH": Sign.STRUCTURE_MISMATCH}


@dataclass(frozen=True, slots=True, kw_only=True)
class DmpEndpoint:
    """What belongs to this machine, not to the profile.

    Attributes:
        base_url: the Proxy e-santé's.
        tls: authorities trusted, client certificate.
        vihf_issuer: issuer of the VIHF when nothing signs it.
        trust_env: use the HTTP proxy of the environment.
    """

    base_url: str
    tls: TlsFiles
    vihf_issuer: str = ""
    trust_env: bool = False

    def open_client(self, passed: Callable[[str], None] = lambda _: None, *, connections: int = 8) -> HttpClient:
        """Return a client; the caller closes it. ``passed`` and ``connections`` are those of ``HttpClient``."""
        return HttpClient(self.base_url, self.tls, trust_env=self.trust_env, passed=passed, connections=connections)


class EsanteDmp:
    """The DMP, as an LGC's professional reaches it.

    Args:
        client: client whose base URL is the proxy's, or None when only ``direct`` is configured.
        profile: what the services demand.
        clock: instants of the messages.
        random: identifiers of the messages that are not frozen.
        signer: signs VIHF and lots, or None when the profile signs neither.
        vihf_issuer: issuer of the VIHF when there is no signer.
        direct: the way in for keys, or None.

    Raises:
        InvalidInput: ``SIGNER_INVALID`` (reason missing): the profile signs and nothing can.
    """

    def __init__(
        self,
        client: HttpClient | None,
        profile: ServiceProfile,
        clock: ClockPort,
        random: RandomPort,
        *,
        signer: SignerPort | None,
        vihf_issuer: str = "",
        direct: Door | None = None,
    ) -> None:
        if client is not None and signer is None and (profile.vihf.signed or profile.submission.signed):
            raise InvalidInput("SIGNER_INVALID", reason="missing")
        proxy = None if client is None else ProxyDoor(client, profile, signer, vihf_issuer)
        self._door: Door = TwoDoors(proxy, direct)
        self._profile = profile
        self._clock = clock
        self._random = random

    @property
    def longest_exchange_s(self) -> float:
        """Longest time the proxy and the DMP together may still be busy with a body, seconds."""
        return self._profile.times.longest_exchange_s

    async def test_existence(self, prepared: bytes, context: SendingContext) -> ExistenceAnswer:
        """TD0.2 for the patient of a prepared document. Cancellation: safe."""
        document = PreparedDocument.from_bytes(prepared)
        ins = document.ins()
        if ins is None:
            raise InvalidInput("PREPARED_UNREADABLE")
        question = existence.ExistenceQuestion(
            matricule=ins.matricule,
            oid=ins.oid,
            sender_oid=self._profile.existence.sender_oid or context.product.oid_root,
            sender_name=context.product.lps_name,
            message_extension=self._uuid(),
            query_extension=self._uuid(),
            asked_at=self._clock.now(),
        )
        payload = existence.build_question(question, self._profile.existence)
        endpoint = self._profile.dmp.patients_endpoint
        reading = await self._ask(endpoint, existence.ACTION, payload, document, context)
        found: ExistenceAnswer | Seen | None = reading.seen
        if reading.payload is not None:
            found = existence.read_existence(reading.payload, self._profile.existence)
        assert found is not None
        if isinstance(found, Seen):
            verdict = query_verdict(found)
            found = ExistenceAnswer(
                exists=None,
                code=verdict.code,
                service_code=found.service_code or found.sign.value,
                waiting=verdict.waiting,
                ends_session=verdict.ends_session,
                evidence=verdict.evidence,
            )
        _LOGGER.info("dmp.exchange", extra={"transaction": DmpTransaction.TD0_2.value, "code": found.code})
        return found

    async def sign(self, prepared: bytes, frozen_ids: FrozenIds, context: SendingContext) -> bytes | None:
        """Return the lot's signature document, or None when the profile demands none.

        Raises:
            ServiceError: ``SIGNER_UNAVAILABLE``.
        """
        signer = self._door.passage(context).signer
        if not self._profile.submission.signed or signer is None:
            return None
        document = PreparedDocument.from_bytes(prepared)
        return await sign_lot(document, frozen_ids, self._profile.submission, signer)

    async def submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """TD2.1. Cancellation: before ``before_first_byte`` nothing left; after it, the outcome is unknown."""
        outcome = await self._submit(prepared, frozen_ids, signature, context, before_first_byte)
        _log_outcome(DmpTransaction.TD2_1, outcome)
        return outcome

    async def _submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        document = PreparedDocument.from_bytes(prepared)
        try:
            if signature is None:
                signature = await self.sign(prepared, frozen_ids, context)
            replaced = await self._replaced_entry_uuid(document, context)
            if isinstance(replaced, Seen):
                return _held_back(replaced)
            lot = build_lot(
                document, frozen_ids, signature, context, self._profile.submission, replaced_entry_uuid=replaced
            )
            assertion = await self._vihf(document, context)
        except ServiceError as error:
            return outcome_of(_not_called(error))
        envelope = build_envelope(FEED_ACTION, frozen_ids.message_id, assertion, lot.payload)
        content_type, body = build_package(envelope, lot.parts, boundary=frozen_ids.boundary, action=FEED_ACTION)
        endpoint = self._profile.dmp.repository_endpoint
        return outcome_of(await self._send(endpoint, content_type, body, frozen_ids, context, before_first_byte))

    async def delete(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """TD3.3c. Cancellation: as for ``submit``."""
        outcome = await self._change(prepared, plan_deletion, frozen_ids, context, before_first_byte)
        _log_outcome(DmpTransaction.TD3_3C, outcome)
        return outcome

    async def set_visibility(
        self,
        prepared: bytes,
        visibility: frozenset[str],
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """TD3.3a, TD3.3b: one message gives the entry exactly these codes. Cancellation: as for ``submit``."""
        refusal = refusal_of_visibility(visibility)
        if refusal is None:
            plan = plan_visibility(visibility)
            outcome = await self._change(prepared, plan, frozen_ids, context, before_first_byte)
        else:
            outcome = change_outcome_of(refusal)
        _log_outcome(DmpTransaction.TD3_3A, outcome)
        return outcome

    async def _change(
        self,
        prepared: bytes,
        plan: Plan,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Look our entry up, then send the change that the plan draws from it (ITI-57)."""
        document = PreparedDocument.from_bytes(prepared)
        found = await self._find(document.entry.unique_id, document, context)
        if isinstance(found, Seen):
            return _held_back(found)
        payload = plan(found, submission_set_of(document, frozen_ids, context, self._profile.submission))
        if isinstance(payload, Seen):
            return change_outcome_of(payload)
        try:
            assertion = await self._vihf(document, context)
        except ServiceError as error:
            return change_outcome_of(_not_called(error))
        body = build_envelope(UPDATE_ACTION, frozen_ids.message_id, assertion, payload)
        endpoint, content_type = self._profile.dmp.registry_endpoint, _soap_type(UPDATE_ACTION)
        return change_outcome_of(await self._send(endpoint, content_type, body, frozen_ids, context, before_first_byte))

    async def _send(
        self,
        endpoint: str,
        content_type: str,
        body: bytes,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Seen:
        """Post a body that changes something at the service, and read the registry's answer."""
        try:
            passage = self._door.passage(context)

            async def commit() -> None:
                """Let the caller commit, unless what the order leaves under has just gone."""
                passage.require_open()
                await before_first_byte()

            exchange = await passage.client.send_streaming(
                passage.path_of(endpoint),
                headers=(("Content-Type", content_type), ("Accept", f"{SOAP_TYPE}, multipart/related")),
                body=body,
                cookie=passage.cookie,
                before_first_byte=commit,
                timeouts=self._timeouts(self._profile.times.feed_total_s),
                answer_max_bytes=self._profile.dmp.answer_max_bytes,
            )
        except ServiceError as error:
            return _not_called(error)
        reading = read_exchange(exchange, self._profile, message_id=frozen_ids.message_id)
        seen = reading.seen
        if reading.payload is not None:
            seen = read_registry_answer(reading.payload, self._profile.dmp.error_codes)
        assert seen is not None
        identifiers = (("message_id", frozen_ids.message_id), ("submission_set_id", frozen_ids.submission_set_id))
        return replace(seen, receipt=(*seen.receipt, *identifiers), is_direct=passage.is_direct)

    async def look_up(self, prepared: bytes, context: SendingContext) -> ReferenceAnswer:
        """TD3.1 on the document's own uniqueId. Cancellation: safe."""
        document = PreparedDocument.from_bytes(prepared)
        entry = document.entry
        found = await self._find(entry.unique_id, document, context)
        if isinstance(found, Seen):
            verdict = query_verdict(found)
            answer = ReferenceAnswer(
                presence=Presence.UNKNOWN,
                code=verdict.code,
                waiting=verdict.waiting,
                ends_session=verdict.ends_session,
                evidence=verdict.evidence,
            )
        elif found.document is None:
            answer = ReferenceAnswer(presence=Presence.ABSENT)
        else:
            there = found.document
            answer = ReferenceAnswer(
                presence=presence_of(there, entry),
                entry_uuid=there.entry_uuid,
                logical_id=there.lid,
                version=there.version_number,
                is_deleted=there.availability is Availability.DELETED,
                visibility=there.visibility,
            )
        _LOGGER.info(
            "dmp.exchange",
            extra={
                "transaction": DmpTransaction.TD3_1_OWN_REFERENCE.value,
                "code": answer.code,
                "presence": answer.presence.value,
            },
        )
        return answer

    async def _find(self, unique_id: str, document: PreparedDocument, context: SendingContext) -> Found | Seen:
        """Look up one of our own uniqueIds in the patient's DMP."""
        payload = build_own_reference_query(unique_id)
        reading = await self._ask(self._profile.dmp.registry_endpoint, QUERY_ACTION, payload, document, context)
        if reading.payload is None:
            assert reading.seen is not None
            return reading.seen
        return read_own_reference(reading.payload, unique_id, self._profile.dmp.error_codes)

    async def _replaced_entry_uuid(self, document: PreparedDocument, context: SendingContext) -> str | Seen | None:
        """Return the entryUUID of the version that a document replaces; it is not stable, so it is asked each time."""
        unique_id = document.entry.replaced_unique_id
        if unique_id is None:
            return None
        found = await self._find(unique_id, document, context)
        if isinstance(found, Seen):
            return found
        if found.document is None:
            return Seen(sign=Sign.PREDECESSOR_ABSENT, body_started=False)
        return found.document.entry_uuid

    async def _ask(
        self, endpoint: str, action: str, payload: bytes, document: PreparedDocument, context: SendingContext
    ) -> Reading:
        """Make one exchange that changes nothing at the service."""
        try:
            passage = self._door.passage(context)
            assertion = await self._vihf(document, context)
        except ServiceError as error:
            return Reading(seen=_not_called(error))
        message_id = f"urn:uuid:{self._uuid()}"
        exchange = await passage.client.request(
            "POST",
            passage.path_of(endpoint),
            headers=(
                ("Content-Type", _soap_type(action)),
                ("Accept", f"{SOAP_TYPE}, multipart/related"),
            ),
            body=build_envelope(action, message_id, assertion, payload),
            cookie=passage.cookie,
            timeouts=self._timeouts(self._profile.times.query_total_s),
            answer_max_bytes=self._profile.dmp.answer_max_bytes,
        )
        reading = read_exchange(exchange, self._profile, message_id=message_id)
        if reading.seen is None or not passage.is_direct:
            return reading
        return replace(reading, seen=replace(reading.seen, is_direct=True))

    async def _vihf(self, document: PreparedDocument, context: SendingContext) -> bytes:
        passage = self._door.passage(context)
        return await build_vihf(
            passage.caller(document.entry),
            context.product,
            passage.vihf,
            issuer=passage.issuer,
            assertion_id=f"_{self._uuid()}",
            now=self._clock.now(),
            signer=passage.signer,
        )

    def _timeouts(self, total_s: float) -> Timeouts:
        times = self._profile.times
        return Timeouts(
            connect_s=times.connect_s, write_s=times.write_s, read_s=min(times.read_s, total_s), total_s=total_s
        )

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.bits(_UUID_BITS), version=4))


def _not_called(error: ServiceError) -> Seen:
    """Return what is seen when nothing could be asked: no key, or a key that is not the document's."""
    sign = _BEFORE_CALLING.get(error.code, Sign.SIGNER_UNAVAILABLE)
    return Seen(sign=sign, body_started=False, service_code=error.code)


def _soap_type(action: str) -> str:
    return f'{SOAP_TYPE}; charset=UTF-8; action="{action}"'


def _log_outcome(transaction: DmpTransaction, outcome: Outcome) -> None:
    _LOGGER.info(
        "dmp.exchange",
        extra={"transaction": transaction.value, "code": outcome.code, "certainty": outcome.certainty.value},
    )


def _held_back(seen: Seen) -> Outcome:
    """Return the outcome when the question asked before the sending got no answer: nothing of the lot left."""
    verdict = query_verdict(seen)
    return Outcome(
        certainty=Certainty.NOT_SENT,
        code=verdict.code,
        service_code=seen.service_code,
        waiting=verdict.waiting or WaitReason.SERVICE,
        retry_after_s=seen.retry_after_s,
        ends_session=verdict.ends_session,
        evidence=verdict.evidence,
    )

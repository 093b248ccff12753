"""The simulated DMP over HTTP: three services under one base path, over TLS with a client certificate.

Owns the life of an exchange (who calls, scripted failures, ledger) and hands the messages to `existence`, `feeding`,
`registry` and `retrieval`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import ssl
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web
from lxml import etree

from vaguemestre_sandbox import changing, existence, feeding, registry, retrieval
from vaguemestre_sandbox.agreement import Finding
from vaguemestre_sandbox.cardholders import CPE, Card, card_of, check_identity, refused_to_employees
from vaguemestre_sandbox.clock import SandboxClock, iso
from vaguemestre_sandbox.ebrs import query_response, registry_response
from vaguemestre_sandbox.failures import Action, ArmedRule, RuleBook, Stage, Target, hang
from vaguemestre_sandbox.intake import (
    BodyTooLargeError,
    ConnectionCutError,
    after_storing,
    before_processing,
    before_reading,
    closed_answer,
    cut,
    plain_status,
    read_body,
    spoil,
)
from vaguemestre_sandbox.ledger import Outcome
from vaguemestre_sandbox.mtom import Part, build_package
from vaguemestre_sandbox.operations import COUNTED, SERVICES, operation_before_body, operation_of
from vaguemestre_sandbox.pki import Pki
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError, SoapRequest, build_envelope, build_fault, read_request
from vaguemestre_sandbox.store import SandboxStore
from vaguemestre_sandbox.tokens import ApiTokens
from vaguemestre_sandbox.vihf import Vihf, read_vihf
from vaguemestre_sandbox.wire import ANSWER_HEADER, RELAY_HEADER, Received, WireDesk
from vaguemestre_sandbox.xmlsafe import WSA, WSSE

BASE_PATH: Final = "/si-dmp-server/v2/services"
_LOGGER = logging.getLogger(__name__)
_ANSWER_ACTIONS: Final = {
    Target.DMP_TD21: feeding.ANSWER_ACTION,
    Target.DMP_TD32: retrieval.ANSWER_ACTION,
    Target.DMP_ITI57: changing.ANSWER_ACTION,
}
_SOAP_TYPE: Final = "application/soap+xml; charset=UTF-8"


@dataclass(slots=True, kw_only=True)
class _Work:
    """What came out of processing one message."""

    response: web.Response
    outcome: Outcome
    code: str = ""
    answers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Who opened the connection: the professional of a token (else empty), or a card."""

    national_id: str = ""
    card: Card | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One complete request."""

    target: Target
    service: str
    content_type: str
    body: bytes
    caller: _Caller
    received: Received | None

    @property
    def unique_ids(self) -> tuple[str, ...]:
        return () if self.received is None else self.received.unique_ids


class DmpService:
    """The three services of the simulated DMP."""

    def __init__(
        self,
        *,
        profile: DmpProfile,
        store: SandboxStore,
        desk: WireDesk,
        book: RuleBook,
        tokens: ApiTokens,
        pki: Pki,
        clock: SandboxClock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._profile = profile
        self._store = store
        self._desk = desk
        self._book = book
        self._tokens = tokens
        self._pki = pki
        self._clock = clock
        self._tasks = tasks
        self._assertions: set[str] = set()
        self._direct_certificate = hashlib.sha256(
            ssl.PEM_cert_to_DER_cert(pki.structure_client.certificate_path.read_text("ascii"))
        ).hexdigest()

    def application(self) -> web.Application:
        """Return the aiohttp application to serve over TLS."""
        application = web.Application()
        application.router.add_post(BASE_PATH + "/{service}", self._handle)
        return application

    @property
    def profile(self) -> DmpProfile:
        """What this DMP demands now."""
        return self._profile

    def set_profile(self, profile: DmpProfile) -> None:
        """Change what this DMP demands, from the next message on."""
        self._profile = profile

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        service = request.match_info["service"]
        if service not in SERVICES:
            return web.Response(status=404)
        content_type = request.headers.get("Content-Type", "")
        target = operation_before_body(service, content_type)
        try:
            armed = await before_reading(request, self._book, target)
            if armed is not None:
                return _unauthorized() if armed.rule.action is Action.API_401 else plain_status(armed)
            caller = self._caller(request)
            if caller is None:
                return _unauthorized()
            body = await read_body(request, self._book, target, limit=self._profile.max_body_bytes)
        except ConnectionCutError as error:
            _LOGGER.info("dmp.request.incomplete", extra={"target": target, "received_bytes": error.received})
            return closed_answer()
        except BodyTooLargeError:
            return web.Response(status=413)
        target = operation_of(service, content_type, body)
        received = None
        if target in COUNTED:
            received = self._desk.adopt(request.headers.get(RELAY_HEADER, ""), content_type, body)
        call = _Call(
            target=target,
            service=service,
            content_type=content_type,
            body=body,
            caller=caller,
            received=received,
        )
        try:
            return await self._answer(request, call)
        except ConnectionCutError:
            return closed_answer()

    def _caller(self, request: web.Request) -> _Caller | None:
        """Return the professional of the token, a card, nobody for a structure certificate; None when refused."""
        ssl_object = None if request.transport is None else request.transport.get_extra_info("ssl_object")
        der = None if ssl_object is None else ssl_object.getpeercert(True)
        fingerprint = "" if der is None else hashlib.sha256(der).hexdigest()
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            token = self._tokens.find(value, certificate_sha256=fingerprint, now=self._clock.now())
            is_known = token is not None and scheme.lower() == "bearer"
            return _Caller(national_id=token.national_id) if token is not None and is_known else None
        card = None if der is None else card_of(der, self._pki.card_authority)
        if card is not None:
            return _Caller(card=card)
        return _Caller() if fingerprint == self._direct_certificate else None

    async def _answer(self, request: web.Request, call: _Call) -> web.Response:
        armed = await before_processing(request, self._book, call.target, call.unique_ids)
        if armed is not None and armed.rule.action is Action.CUT_AFTER_BODY:
            self._finish(call, Outcome.CUT)
            raise cut(request)
        if armed is not None and armed.rule.action is Action.STATUS_AFTER_READ:
            self._finish(call, Outcome.DROPPED, f"http_{armed.rule.status}")
            return plain_status(armed)
        if armed is not None and armed.rule.action is Action.LATE_STORE:
            self._tasks.create_task(self._store_later(call, armed), name="dmp.late_store")
            return web.Response(status=armed.rule.status or 504)
        work = self._process(call, armed)
        if work.outcome is Outcome.STORED and call.received is not None:
            for order in call.received.orders:
                self._desk.ledger.mark_stored(order)
        is_stored = work.outcome is Outcome.STORED
        armed = await after_storing(request, self._book, call.target, call.unique_ids)
        if armed is not None and armed.rule.action is Action.CUT_AFTER_STORE:
            self._undelivered(work)
            self._finish(call, Outcome.STORED_CUT if is_stored else Outcome.CUT, work.code)
            raise cut(request)
        if armed is not None and armed.rule.action is Action.STATUS_AFTER_STORE:
            self._undelivered(work)
            code = f"http_{armed.rule.status}"
            self._finish(call, Outcome.STORED_UNSAID if is_stored else Outcome.DROPPED, code)
            return plain_status(armed)
        spoiled = self._book.take(call.target, Stage.ANSWER, call.unique_ids)
        if spoiled is not None:
            self._undelivered(work)
            self._finish(call, Outcome.STORED_UNSAID if is_stored else Outcome.DROPPED, spoiled.rule.action)
            return spoil(work.response, spoiled)
        self._finish(call, work.outcome, work.code)
        if work.answers and RELAY_HEADER in request.headers:
            work.response.headers[ANSWER_HEADER] = ",".join(map(str, work.answers))
        return work.response

    def _finish(self, call: _Call, outcome: Outcome, code: str = "") -> None:
        if call.received is not None:
            self._desk.finish(call.received, outcome, code)

    def _undelivered(self, work: _Work) -> None:
        for order in work.answers:
            self._desk.ledger.undelivered(order)

    async def _store_later(self, call: _Call, armed: ArmedRule) -> None:
        await hang(armed)
        work = self._process(call, None)
        is_stored = work.outcome is Outcome.STORED
        self._finish(call, Outcome.STORED_UNSAID if is_stored else Outcome.DROPPED, work.code or "late")

    def _process(self, call: _Call, armed: ArmedRule | None) -> _Work:
        action = None if armed is None else armed.rule.action
        message_id = ""
        try:
            message = read_request(call.content_type, call.body)
            message_id = message.message_id
            _check_action(message, call, action)
            vihf = self._vihf(message, call)
            if action is Action.XDS_ERROR and armed is not None:
                return self._scripted_error(call.target, armed.rule.code or "XDSRegistryBusy", message_id)
            return self._dispatch(call, message, vihf, action)
        except SoapFaultError as fault:
            code = fault.subcode[1] if fault.subcode is not None else "fault"
            return _Work(
                response=web.Response(
                    status=self._profile.fault_http_status,
                    body=build_fault(fault, message_id),
                    headers={"Content-Type": _SOAP_TYPE},
                ),
                outcome=Outcome.REFUSED,
                code=code,
            )

    def _vihf(self, message: SoapRequest, call: _Call) -> Vihf:
        vihf = read_vihf(
            message.security,
            profile=self._profile,
            now=self._clock.now(),
            pki=self._pki,
            national_id=call.caller.national_id,
        )
        card = call.caller.card
        if card is not None:
            check_identity(vihf, card, self._profile)
            vihf = replace(vihf, is_employee=card.card_type == CPE)
        if self._profile.assertion_once and vihf.assertion_id in self._assertions:
            raise SoapFaultError("the assertion has already served", subcode=(WSSE, "InvalidSecurityToken"))
        self._assertions.add(vihf.assertion_id)
        return vihf

    def _scripted_error(self, target: Target, code: str, message_id: str) -> _Work:
        return self._refused(target, Finding(code=code, context="scripted by the sandbox"), message_id)

    def _refused(self, target: Target, finding: Finding, message_id: str) -> _Work:
        if target is Target.DMP_TD31:
            payload, action = query_response((), (finding,)), registry.ANSWER_ACTION
        else:
            payload = registry_response((finding,))
            action = _ANSWER_ACTIONS[target]
        return _Work(response=_soap(action, message_id, payload), outcome=Outcome.REFUSED, code=finding.code)

    def _dispatch(self, call: _Call, message: SoapRequest, vihf: Vihf, action: Action | None) -> _Work:
        refusal = refused_to_employees(call.target, message.payload, self._profile) if vihf.is_employee else None
        if refusal is not None:
            return self._refused(call.target, refusal, message.message_id)
        match call.target:
            case Target.DMP_TD02:
                payload = existence.answer_existence(
                    message.payload,
                    vihf,
                    store=self._store,
                    profile=self._profile,
                    now=self._clock.now(),
                    lie_unknown=action is Action.LIE_UNKNOWN,
                )
                return _Work(
                    response=_soap(existence.ANSWER_ACTION, message.message_id, payload), outcome=Outcome.STORED
                )
            case Target.DMP_TD21:
                return self._feed(message, vihf, lie=action is Action.LIE_SUCCESS)
            case Target.DMP_TD31:
                return self._query(message, vihf, action)
            case Target.DMP_ITI57:
                return self._change(message, vihf, lie=action is Action.LIE_SUCCESS)
            case Target.DMP_TD32:
                return self._retrieve(message, vihf)
            case _:
                raise AssertionError(call.target)

    def _feed(self, message: SoapRequest, vihf: Vihf, *, lie: bool) -> _Work:
        if lie:
            return _Work(
                response=self._feed_response(message.message_id, ()), outcome=Outcome.DROPPED, code="lie_success"
            )
        result = feeding.feed(
            message.payload,
            message.package,
            vihf,
            store=self._store,
            profile=self._profile,
            pki=self._pki,
            now=self._clock.now(),
        )
        return _Work(
            response=self._feed_response(message.message_id, result.findings),
            outcome=Outcome.REFUSED if result.findings else Outcome.STORED,
            code=result.findings[0].code if result.findings else "",
        )

    def _change(self, message: SoapRequest, vihf: Vihf, *, lie: bool) -> _Work:
        findings: tuple[Finding, ...] = ()
        outcome, code = Outcome.DROPPED, "lie_success"
        if not lie:
            findings = changing.change(
                message.payload, vihf, store=self._store, profile=self._profile, now=self._clock.now()
            )
            outcome, code = Outcome.REFUSED if findings else Outcome.STORED, findings[0].code if findings else ""
        response = _soap(changing.ANSWER_ACTION, message.message_id, registry_response(findings))
        return _Work(response=response, outcome=outcome, code=code)

    def _feed_response(self, message_id: str, findings: tuple[Finding, ...]) -> web.Response:
        payload = registry_response(findings)
        if not self._profile.td21_answer_mtom:
            return _soap(feeding.ANSWER_ACTION, message_id, payload)
        return _mtom(feeding.ANSWER_ACTION, message_id, payload, ())

    def _query(self, message: SoapRequest, vihf: Vihf, action: Action | None) -> _Work:
        answer = registry.answer_query(
            message.payload,
            vihf,
            store=self._store,
            profile=self._profile,
            lie_unknown=action is Action.LIE_UNKNOWN,
            wrong_hash=action is Action.WRONG_HASH,
        )
        about = [(unique_id, found, True) for unique_id, found in answer.about]
        if answer.whole_patient:
            known = dict.fromkeys((*answer.listed, *self._desk.ledger.unique_ids_of(answer.whole_patient)))
            about += [(unique_id, unique_id in answer.listed, False) for unique_id in known]
        at = iso(self._clock.now())
        orders = tuple(
            self._desk.ledger.answer(
                at=at,
                unique_id=unique_id,
                found=found,
                held=self._store.document(unique_id) is not None,
                explicit=explicit,
            )
            for unique_id, found, explicit in about
        )
        response = _soap(registry.ANSWER_ACTION, message.message_id, answer.payload)
        return _Work(response=response, outcome=Outcome.STORED, answers=orders)

    def _retrieve(self, message: SoapRequest, vihf: Vihf) -> _Work:
        result = retrieval.retrieve(message.payload, vihf, store=self._store, profile=self._profile)
        response = _mtom(retrieval.ANSWER_ACTION, message.message_id, result.payload, result.parts)
        return _Work(response=response, outcome=Outcome.STORED)


def _check_action(message: SoapRequest, call: _Call, action: Action | None) -> None:
    if SERVICES[call.service].get(message.action) is not call.target:
        raise SoapFaultError(f"The Action {message.action!r} is not served here", subcode=(WSA, "ActionNotSupported"))
    if action is Action.SOAP_FAULT:
        raise SoapFaultError("Erreur technique du service", sender=False)


def _unauthorized() -> web.Response:
    return web.json_response(
        {"error": "invalid_token", "error_description": "access token refused"},
        status=401,
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _soap(action: str, relates_to: str, payload: etree._Element) -> web.Response:
    return web.Response(body=build_envelope(action, relates_to, payload), headers={"Content-Type": _SOAP_TYPE})


def _mtom(action: str, relates_to: str, payload: etree._Element, parts: tuple[Part, ...]) -> web.Response:
    content_type, body = build_package(
        build_envelope(action, relates_to, payload),
        parts,
        boundary=f"sandbox-{secrets.token_hex(12)}",
        action=action,
    )
    return web.Response(body=body, headers={"Content-Type": content_type})

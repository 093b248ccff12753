"""The inspection port: JSON API and French HTML page of a sandbox, plain HTTP on the loopback interface.

Owns what a tester may see and change. Refuses foreign Host and Origin headers; never shows a token or a key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Final

from aiohttp import web

from vaguemestre_sandbox.cardroutes import CardRoutes
from vaguemestre_sandbox.cdafacts import body_of
from vaguemestre_sandbox.clock import SandboxClock, iso
from vaguemestre_sandbox.dmp import DmpService
from vaguemestre_sandbox.failures import ArmedRule, InvalidRuleError, RuleBook
from vaguemestre_sandbox.ledger import WireLedger
from vaguemestre_sandbox.listener import Listener
from vaguemestre_sandbox.nomenclature import CLIENT_ID, INS_TEST_OID, ins_key_is_right
from vaguemestre_sandbox.pages import STYLE, PageState, render_page
from vaguemestre_sandbox.proxy import ProxyService
from vaguemestre_sandbox.psc import Decision, Prompt, PscDouble, Script
from vaguemestre_sandbox.settings import ApprovalMode
from vaguemestre_sandbox.store import DocumentRow, PatientRow, SandboxStore
from vaguemestre_sandbox.testerinput import (
    BadRequestError,
    JsonObject,
    changed_profile,
    flag,
    number,
    one_of,
    path_integer,
    read_object,
    read_rule,
    text,
    whole,
)
from vaguemestre_sandbox.tokens import ApiTokens

_CSP: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_REFRESHES: Final = frozenset({2, 5, 10, 30})
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Inspection:
    """Routes of the inspection port."""

    def __init__(
        self,
        *,
        store: SandboxStore,
        ledger: WireLedger,
        book: RuleBook,
        psc: PscDouble,
        proxy: ProxyService,
        dmp: DmpService,
        tokens: ApiTokens,
        clock: SandboxClock,
        listeners: Mapping[str, Listener],
        cards: CardRoutes,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._book = book
        self._psc = psc
        self._proxy = proxy
        self._dmp = dmp
        self._tokens = tokens
        self._clock = clock
        self._listeners = listeners
        self._cards = cards

    def application(self) -> web.Application:
        """Return the aiohttp application to serve on the loopback interface."""
        application = web.Application(middlewares=[_guard])
        application.router.add_routes(
            [
                web.get("/", self._page),
                web.get("/style.css", self._style),
                web.post("/approvals/{prompt_id}", self._decide_by_form),
                web.get("/documents/{unique_id}/cda", self._cda),
                web.get("/documents/{unique_id}/body", self._body),
                web.get("/api/verdict", self._verdict),
                web.get("/api/patients", self._patients),
                web.put("/api/patients/{matricule}", self._put_patient),
                web.get("/api/documents", self._documents),
                web.get("/api/documents/{unique_id}/entry", self._entry),
                web.get("/api/bodies", self._bodies),
                web.get("/api/changes", self._changes),
                web.get("/api/bodies/{order}/raw", self._raw),
                web.get("/api/answers", self._answers),
                web.get("/api/sessions", self._sessions),
                web.post("/api/sessions", self._open_session),
                web.delete("/api/sessions", self._end_sessions),
                web.delete("/api/tokens", self._revoke_tokens),
                web.get("/api/approvals", self._approvals),
                web.post("/api/approvals/{prompt_id}", self._decide),
                web.put("/api/approval-mode", self._set_mode),
                web.post("/api/scripts", self._add_script),
                web.get("/api/rules", self._rules),
                web.post("/api/rules", self._add_rule),
                web.delete("/api/rules", self._clear_rules),
                web.delete("/api/rules/{rule_id}", self._remove_rule),
                web.post("/api/rules/{rule_id}/release", self._release_rule),
                web.get("/api/listeners", self._read_listeners),
                web.put("/api/listeners/{name}", self._set_listener),
                web.get("/api/profile", self._profile),
                web.patch("/api/profile", self._change_profile),
                web.get("/api/clock", self._read_clock),
                web.post("/api/clock", self._advance_clock),
                web.post("/api/reset", self._reset),
                *self._cards.routes(),
            ]
        )
        return application

    # page

    async def _page(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("actualiser", "")
        refresh = int(text) if text.isdigit() and int(text) in _REFRESHES else 0
        page = render_page(
            PageState(
                now=iso(self._clock.now()),
                refresh_s=refresh,
                verdict=self._ledger.verdict(),
                patients=self._store.patients(),
                documents=self._store.documents(),
                bodies=self._ledger.bodies(),
                changes=self._ledger.changes(),
                answers=self._ledger.answers(),
                sessions=self._proxy.sessions(),
                pending=self._psc.pending(),
                rules=self._book.armed(),
            )
        )
        return web.Response(text=page, content_type="text/html", charset="utf-8")

    async def _style(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(text=STYLE, content_type="text/css", charset="utf-8")

    async def _decide_by_form(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        decision = Decision.ACCEPT if form.get("decision") == "accept" else Decision.DENY
        self._psc.decide(request.match_info["prompt_id"], decision)
        raise web.HTTPSeeOther("/")

    def _held(self, request: web.Request) -> DocumentRow:
        row = self._store.document(request.match_info["unique_id"])
        if row is None:
            raise web.HTTPNotFound
        return row

    async def _cda(self, request: web.Request) -> web.StreamResponse:
        row = self._held(request)
        headers = {"Content-Disposition": f'attachment; filename="{row.unique_id}.xml"'}
        return web.Response(body=row.content, content_type="text/xml", headers=headers)

    async def _body(self, request: web.Request) -> web.StreamResponse:
        found = body_of(self._held(request).content)
        if found is None:
            raise web.HTTPNotFound
        media_type, encoded = found
        try:
            content = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise web.HTTPUnprocessableEntity from error
        shown = media_type if media_type in ("application/pdf", "image/jpeg") else "application/octet-stream"
        return web.Response(body=content, content_type=shown)

    # what happened

    async def _verdict(self, request: web.Request) -> web.StreamResponse:
        del request
        verdict = asdict(self._ledger.verdict())
        verdict["held"] = len(self._store.documents())
        return web.json_response(verdict)

    async def _documents(self, request: web.Request) -> web.StreamResponse:
        del request
        return _list("documents", [_document(row) for row in self._store.documents()])

    async def _entry(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self._held(request).entry, content_type="text/xml")

    async def _bodies(self, request: web.Request) -> web.StreamResponse:
        del request
        return _list("bodies", [asdict(row) for row in self._ledger.bodies()])

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        del request
        return _list("changes", [asdict(row) for row in self._ledger.changes()])

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        found = self._store.raw_body(path_integer(request, "order"))
        if found is None:
            raise web.HTTPNotFound
        return web.Response(
            body=found[1], headers={"X-Content-Type": found[0]}, content_type="application/octet-stream"
        )

    async def _answers(self, request: web.Request) -> web.StreamResponse:
        del request
        return _list("answers", [asdict(row) | {"valid": row.valid} for row in self._ledger.answers()])

    # patients

    async def _patients(self, request: web.Request) -> web.StreamResponse:
        del request
        return _list("patients", [_patient(row) for row in self._store.patients()])

    async def _put_patient(self, request: web.Request) -> web.StreamResponse:
        """Create a patient, or change some members of one (for example `{"dmp": "closed"}`)."""
        matricule = request.match_info["matricule"]
        if not ins_key_is_right(matricule):
            raise BadRequestError("matricule: 15 caractères dont la clé est juste")
        asked = await read_object(request)
        oid = text(asked, "oid", INS_TEST_OID)
        row = self._store.patient(f"{matricule}^{oid}") or PatientRow(
            key=f"{matricule}^{oid}",
            family="ESSAI",
            given="PATIENT",
            sex="F",
            birth="19800101",
            dmp="open",
            authorization="VALIDE",
            internet_account=True,
            ens=True,
        )
        changed = replace(
            row,
            family=text(asked, "family", row.family),
            given=text(asked, "given", row.given),
            sex=text(asked, "sex", row.sex),
            birth=text(asked, "birth", row.birth),
            dmp=text(asked, "dmp", row.dmp),
            authorization=text(asked, "authorization", row.authorization),
            internet_account=flag(asked, "internet_account", default=row.internet_account),
            ens=flag(asked, "ens", default=row.ens),
        )
        if changed.dmp not in ("open", "closed", "none"):
            raise BadRequestError("dmp: open, closed ou none")
        self._store.put_patient(changed)
        return web.json_response(_patient(changed))

    # proxy and PSC

    async def _sessions(self, request: web.Request) -> web.StreamResponse:
        del request
        return _list(
            "sessions",
            [
                {
                    "national_id": session.national_id,
                    "client_id": session.client_id,
                    "session_state": session.session_state,
                    "opened_at": iso(session.opened_at),
                    "ends_at": iso(session.ends_at),
                }
                for session in self._proxy.sessions()
            ],
        )

    async def _open_session(self, request: web.Request) -> web.StreamResponse:
        """Open a session as if the practice software had connected by itself; answer its cookie value."""
        asked = await read_object(request)
        session = self._proxy.open_session(
            national_id=text(asked, "national_id"),
            client_id=text(asked, "client_id", CLIENT_ID),
            session_state="ouverte-par-le-testeur",
        )
        return web.json_response(
            {"proxy_session_id": session.session_id, "session_state": session.session_state}, status=201
        )

    async def _end_sessions(self, request: web.Request) -> web.StreamResponse:
        del request
        ended = [self._proxy.end_session(session.session_id) for session in self._proxy.sessions()]
        return web.json_response({"ended": len(ended)})

    async def _revoke_tokens(self, request: web.Request) -> web.StreamResponse:
        del request
        self._tokens.revoke_all()
        return web.Response(status=204)

    async def _approvals(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response(
            {
                "mode": self._psc.mode,
                "pending": [_prompt(prompt) for prompt in self._psc.pending()],
                "past": [_prompt(prompt) for prompt in self._psc.past()],
            }
        )

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        decision = one_of(Decision, text(await read_object(request), "decision"))
        if not self._psc.decide(request.match_info["prompt_id"], decision):
            raise web.HTTPNotFound
        return web.Response(status=204)

    async def _set_mode(self, request: web.Request) -> web.StreamResponse:
        self._psc.mode = one_of(ApprovalMode, text(await read_object(request), "mode"))
        return web.json_response({"mode": self._psc.mode})

    async def _add_script(self, request: web.Request) -> web.StreamResponse:
        asked = await read_object(request)
        script = Script(
            decision=one_of(Decision, text(asked, "decision")),
            after_polls=whole(asked, "after_polls", 0) or 0,
            status=whole(asked, "status", 503) or 503,
            count=whole(asked, "count", 1),
        )
        self._psc.set_script(text(asked, "national_id"), script)
        return web.Response(status=201)

    # failures

    async def _rules(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response(
            {
                "rules": [_rule(armed) for armed in self._book.armed()],
                "spent": [_rule(armed) for armed in self._book.spent()],
            }
        )

    async def _add_rule(self, request: web.Request) -> web.StreamResponse:
        rule = read_rule(await read_object(request))
        return web.json_response({"rule_id": self._book.add(rule)}, status=201)

    async def _clear_rules(self, request: web.Request) -> web.StreamResponse:
        del request
        self._book.clear()
        return web.Response(status=204)

    async def _remove_rule(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=204 if self._book.remove(path_integer(request, "rule_id")) else 404)

    async def _release_rule(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=204 if self._book.release(path_integer(request, "rule_id")) else 404)

    async def _read_listeners(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response(
            {name: {"url": listener.url, "listening": listener.is_open} for name, listener in self._listeners.items()}
        )

    async def _set_listener(self, request: web.Request) -> web.StreamResponse:
        """Open or close a port; `{"listening": false}` makes the system refuse new connections."""
        listener = self._listeners.get(request.match_info["name"])
        if listener is None:
            raise web.HTTPNotFound
        if flag(await read_object(request), "listening", default=True):
            await listener.open()
        else:
            await listener.close()
        return web.json_response({"url": listener.url, "listening": listener.is_open})

    # profile, clock, reset

    async def _profile(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response(asdict(self._dmp.profile))

    async def _change_profile(self, request: web.Request) -> web.StreamResponse:
        self._dmp.set_profile(changed_profile(self._dmp.profile, await read_object(request)))
        return web.json_response(asdict(self._dmp.profile))

    async def _read_clock(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"now": iso(self._clock.now()), "shift_s": self._clock.shift_s})

    async def _advance_clock(self, request: web.Request) -> web.StreamResponse:
        self._clock.advance(number(await read_object(request), "advance_s"))
        return web.json_response({"now": iso(self._clock.now()), "shift_s": self._clock.shift_s})

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        del request
        self._book.clear()
        self._psc.clear()
        self._proxy.end_all()
        self._tokens.revoke_all()
        self._ledger.clear()
        self._store.reset()
        return web.Response(status=204)


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse foreign Host and Origin, turn bad requests into 400, add the security headers."""
    host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
    if host not in ("127.0.0.1", "localhost"):
        return web.json_response({"error": "Host refusé"}, status=403)
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.headers['Host']}":
        return web.json_response({"error": "Origin refusée"}, status=403)
    try:
        response = await handler(request)
    except (BadRequestError, InvalidRuleError) as error:
        response = web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        response = web.Response(status=error.status, headers={"Location": "/"} if error.status == 303 else None)
    if not response.prepared:
        if response.content_type != "application/pdf":
            response.headers["Content-Security-Policy"] = _CSP
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
    return response


def _list(name: str, rows: list[JsonObject]) -> web.Response:
    return web.json_response({name: rows})


def _rule(armed: ArmedRule) -> JsonObject:
    return asdict(armed.rule) | {"rule_id": armed.rule_id, "left": armed.left, "applied": armed.applied}


def _prompt(prompt: Prompt) -> JsonObject:
    return {
        "prompt_id": prompt.prompt_id,
        "national_id": prompt.national_id,
        "binding_message": prompt.binding_message,
        "channel": prompt.channel,
        "client_id": prompt.client_id,
        "polls": prompt.polls,
        "decision": prompt.decision,
    }


def _patient(row: PatientRow) -> JsonObject:
    return asdict(row) | {"matricule": row.matricule, "oid": row.oid}


def _document(row: DocumentRow) -> JsonObject:
    return {
        "unique_id": row.unique_id,
        "entry_uuid": row.entry_uuid,
        "patient": row.patient,
        "submission_id": row.submission_id,
        "stored_at": row.stored_at,
        "lid": row.lid,
        "status": row.status,
        "version": row.version,
        "visibility": list(row.visibility),
        "title": row.title,
        "size": len(row.content),
    }

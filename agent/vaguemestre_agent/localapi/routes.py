"""The one route table: method, path template, scope, handler. A duplicate cannot be built.

Agreement with ``openapi.json`` is checked when the table is built: a route without operation, or an operation without
route, does not start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from vaguemestre_agent.localapi import (
    announcing,
    changing,
    fact_handlers,
    handlers,
    indicators,
    inscodes,
    keeping,
    readers,
)
from vaguemestre_agent.localapi.calls import Handler
from vaguemestre_api import openapi
from vaguemestre_api.openapi import Operation
from vaguemestre_core.errors import InvalidInput, NotFound
from vaguemestre_core.records import Scope

NO_SCOPE: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        method: upper case.
        template: path with ``{name}`` segments.
        scope: what the client needs; None: nothing, unpaired callers included.
        handler: its body; None for the event stream, which the server itself holds open.
        operation: its entry in the OpenAPI document.
    """

    method: str
    template: str
    scope: Scope | None
    handler: Handler | None
    operation: Operation


_R: Final = Scope.READ
_E: Final = Scope.ENQUEUE
_C: Final = Scope.CONTROL
_I: Final = Scope.IDENTITY
_A: Final = Scope.ADMIN

TABLE: Final[Sequence[tuple[str, str, Scope | None, str, Handler | None]]] = (
    ("GET", "/v1/health", NO_SCOPE, "getHealth", handlers.get_health),
    ("GET", "/v1/openapi.json", NO_SCOPE, "getOpenApi", handlers.get_openapi),
    ("POST", "/v1/pairing", NO_SCOPE, "pair", handlers.pair),
    ("POST", "/v1/pairing/open", _A, "openPairing", handlers.open_pairing),
    ("GET", "/v1/clients", _A, "listClients", handlers.list_clients),
    ("DELETE", "/v1/clients/{client_id}", _A, "revokeClient", handlers.revoke_client),
    ("POST", "/v1/documents", _E, "putDocuments", fact_handlers.put_documents),
    ("PUT", "/v1/documents/{client_ref}", _E, "putDocument", handlers.put_document),
    ("GET", "/v1/documents/{client_ref}", _R, "getDocument", handlers.get_document),
    ("DELETE", "/v1/documents/{client_ref}", _E, "deleteDocument", changing.delete_document),
    ("PUT", "/v1/documents/{client_ref}/visibility", _E, "setVisibility", changing.set_visibility),
    ("GET", "/v1/announcements", _R, "listAnnouncements", announcing.list_announcements),
    ("GET", "/v1/orders", _R, "listOrders", handlers.list_orders),
    ("GET", "/v1/orders/{order_id}", _R, "getOrder", handlers.get_order),
    ("GET", "/v1/orders/{order_id}/why", _R, "explainOrder", handlers.explain_order),
    ("POST", "/v1/orders/{order_id}/hold", _C, "holdOrder", handlers.hold_order),
    ("POST", "/v1/orders/{order_id}/release", _C, "releaseOrder", handlers.release_order),
    (
        "POST",
        "/v1/orders/{order_id}/release-from-shadow",
        _C,
        "releaseOrderFromShadow",
        handlers.release_order_from_shadow,
    ),
    ("POST", "/v1/orders/{order_id}/cancel", _C, "cancelOrder", handlers.cancel_order),
    ("POST", "/v1/orders/{order_id}/send-now", _C, "sendOrderNow", handlers.send_order_now),
    ("POST", "/v1/orders/{order_id}/resolve", _C, "resolveOrder", handlers.resolve_order),
    ("POST", "/v1/reconcile", _R, "reconcile", handlers.reconcile),
    ("PUT", "/v1/context/patient", _E, "setPatientContext", handlers.set_patient_context),
    ("GET", "/v1/patients/{patient_ref}/consents", _I, "getConsents", fact_handlers.get_consents),
    ("POST", "/v1/patients/{patient_ref}/consents", _I, "recordConsents", fact_handlers.record_consents),
    (
        "POST",
        "/v1/patients/{patient_ref}/identity-events",
        _I,
        "recordIdentityEvent",
        fact_handlers.record_identity_event,
    ),
    ("POST", "/v1/ins-codes", _I, "makeInsCode", inscodes.make_ins_code),
    ("GET", "/v1/delegations", _R, "getDelegations", fact_handlers.get_delegations),
    ("POST", "/v1/delegations", _C, "delegate", fact_handlers.delegate),
    ("GET", "/v1/events", _R, "streamEvents", None),
    ("GET", "/v1/session", _R, "getSession", handlers.get_session),
    ("POST", "/v1/session", _C, "openSession", handlers.open_session),
    ("PUT", "/v1/session", _C, "adoptSession", handlers.adopt_session),
    ("DELETE", "/v1/session", _C, "closeSession", handlers.close_session),
    ("GET", "/v1/readers", _R, "listReaders", readers.list_readers),
    ("GET", "/v1/cards", _R, "listCards", readers.list_cards),
    ("POST", "/v1/cards/{card_id}/login", _C, "logInCard", readers.log_in_card),
    ("POST", "/v1/cards/{card_id}/logout", _C, "logOutCard", readers.log_out_card),
    ("POST", "/v1/cards/{card_id}/beneficiaries", _I, "readBeneficiaries", readers.read_beneficiaries),
    ("POST", "/v1/cards/{card_id}/beneficiaries/confirm", _I, "confirmBeneficiary", readers.confirm_beneficiary),
    ("POST", "/v1/scans", _R, "scan", readers.scan),
    ("POST", "/v1/patients/erasure", _A, "erasePatient", keeping.erase_patient),
    ("GET", "/v1/backups", _A, "listBackups", keeping.list_backups),
    ("POST", "/v1/backups", _A, "makeBackup", keeping.make_backup),
    ("GET", "/v1/ledger", _R, "readLedger", handlers.read_ledger),
    ("GET", "/v1/indicators", _R, "getIndicators", indicators.get_indicators),
    ("GET", "/v1/ledger/verify", _R, "verifyLedger", handlers.verify_ledger),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route found, with the decoded variable segments."""

    route: Route
    path: Mapping[str, str]


class RouteTable:
    """Finds a route by method and raw path.

    Raises:
        ValueError: a duplicate, or disagreement with the OpenAPI document.
    """

    def __init__(self, table: Sequence[tuple[str, str, Scope | None, str, Handler | None]] = TABLE) -> None:
        operations = openapi.operations()
        self._routes: dict[tuple[str, ...], dict[str, Route]] = {}
        named: set[str] = set()
        for method, template, scope, operation_id, handler in table:
            operation = operations[operation_id]
            wanted = "none" if scope is None else scope.value
            if (operation.method, operation.path, operation.scope) != (method, template, wanted):
                raise ValueError(f"{method} {template} is not what the OpenAPI document says of {operation_id}")
            shape = tuple("*" if part.startswith("{") else part for part in template.split("/")[1:])
            methods = self._routes.setdefault(shape, {})
            if method in methods or operation_id in named:
                raise ValueError(f"duplicate route {method} {template}")
            named.add(operation_id)
            methods[method] = Route(method=method, template=template, scope=scope, handler=handler, operation=operation)
        if set(operations) != named:
            raise ValueError(f"operations without route: {sorted(set(operations) - named)}")

    def find(self, method: str, raw_path: str) -> Match:
        """Return the route of a request.

        Raises:
            NotFound: ROUTE_UNKNOWN.
            InvalidInput: METHOD_NOT_ALLOWED with ``allow``, PATH_INVALID (undecodable).
        """
        parts = tuple(raw_path.split("/")[1:])
        for shape, methods in self._routes.items():
            if len(shape) != len(parts) or not all(
                want in ("*", have) for want, have in zip(shape, parts, strict=True)
            ):
                continue
            route = methods.get(method)
            if route is None:
                raise InvalidInput("METHOD_NOT_ALLOWED", allow=", ".join(sorted(methods)))
            names = [part[1:-1] for part in route.template.split("/")[1:] if part.startswith("{")]
            values = [_decode(have) for want, have in zip(shape, parts, strict=True) if want == "*"]
            return Match(route=route, path=dict(zip(names, values, strict=True)))
        raise NotFound("ROUTE_UNKNOWN")


def _decode(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("PATH_INVALID") from None

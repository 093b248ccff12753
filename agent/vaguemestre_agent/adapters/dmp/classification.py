"""The table: what was seen in a DMP exchange → what is known, and the code that a person can look up.

Owns every decision of certainty; reads no bytes (``reading`` names what was seen). The rule: after the first body
byte everything is a doubt, unless it is on the list ``CERTAIN_AFTER_FIRST_BYTE``. Each code has its French sentence
in the catalogue of the API.
Source: docs/dmp.md; IHE ITI TF-3 4.2.4.1 (error codes); Proxy e-santé contract 6.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty, Evidence, Outcome


@unique
class Sign(StrEnum):
    """What was seen, one name for each thing that is decided differently."""

    # Nothing left: no connection, or lost before the first body byte.
    HOST_UNKNOWN = "host_unknown"
    CONNECTION_REFUSED = "connection_refused"
    TLS_FAILED = "tls_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    UNREACHABLE = "unreachable"
    LOST_BEFORE_BODY = "lost_before_body"
    PREDECESSOR_ABSENT = "predecessor_absent"
    SIGNER_UNAVAILABLE = "signer_unavailable"
    CARD_REMOVED = "card_removed"
    STRUCTURE_MISMATCH = "structure_mismatch"
    # What the lookup before a change (TD3.3) showed: there is nothing to send.
    ALREADY_DELETED = "already_deleted"
    NOTHING_TO_DELETE = "nothing_to_delete"
    VISIBILITY_ALREADY_SO = "visibility_already_so"
    NOTHING_TO_CHANGE = "nothing_to_change"
    VISIBILITY_FORBIDDEN = "visibility_forbidden"
    HIDING_AGAIN = "hiding_again"
    # No answer after the first body byte.
    CUT = "cut"
    SILENCE = "silence"
    NOT_HTTP = "not_http"
    # An answer of the proxy, or of the API, without a readable SOAP message.
    NO_SESSION = "no_session"
    API_401 = "api_401"
    HTTP_3XX = "http_3xx"
    HTTP_400 = "http_400"
    HTTP_403 = "http_403"
    HTTP_404 = "http_404"
    HTTP_405 = "http_405"
    HTTP_413 = "http_413"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"
    HTTP_504 = "http_504"
    HTTP_5XX = "http_5xx"
    # An answer that says success in HTTP and cannot be read.
    EMPTY = "empty"
    HTML = "html"
    WRONG_TYPE = "wrong_type"
    TRUNCATED = "truncated"
    NOT_XML = "not_xml"
    NOT_SOAP = "not_soap"
    UNEXPECTED_PAYLOAD = "unexpected_payload"
    OTHER_MESSAGE = "other_message"
    # A parsed SOAP fault.
    FAULT_SECURITY = "fault_security"
    FAULT_SECURITY_EXPIRED = "fault_security_expired"
    FAULT_SENDER = "fault_sender"
    FAULT_RECEIVER = "fault_receiver"
    # A parsed registry answer.
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILURE_DUPLICATE = "failure_duplicate"
    FAILURE_INTERNAL = "failure_internal"
    FAILURE_BUSY = "failure_busy"
    FAILURE_PATIENT_UNKNOWN = "failure_patient_unknown"
    FAILURE_CLOSED = "failure_closed"
    FAILURE_ACCESS = "failure_access"
    FAILURE_METADATA = "failure_metadata"
    FAILURE_PREDECESSOR = "failure_predecessor"
    FAILURE_VERSION = "failure_version"
    FAILURE_UPDATE = "failure_update"
    FAILURE_OTHER = "failure_other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row of the table.

    Attributes:
        certainty: what is known of a body sent by TD2.1 or TD3.3.
        code: our stable code.
        waiting: what a new attempt waits for.
        ends_session: the proxy session is of no more use.
    """

    certainty: Certainty
    code: str
    waiting: WaitReason | None = None
    ends_session: bool = False


_NETWORK = WaitReason.NETWORK
_SERVICE = WaitReason.SERVICE
_AUTH = WaitReason.AUTH


def _not_sent(code: str, waiting: WaitReason, *, ends_session: bool = False) -> Verdict:
    return Verdict(certainty=Certainty.NOT_SENT, code=code, waiting=waiting, ends_session=ends_session)


def _doubt(code: str, waiting: WaitReason = _SERVICE, *, ends_session: bool = False) -> Verdict:
    return Verdict(certainty=Certainty.DOUBT, code=code, waiting=waiting, ends_session=ends_session)


def _refused(code: str) -> Verdict:
    return Verdict(certainty=Certainty.REFUSED, code=code)


TABLE: Final[Mapping[Sign, Verdict]] = MappingProxyType(
    {
        # Certain: no body byte was handed to a connection.
        Sign.HOST_UNKNOWN: _not_sent("PROXY_HOST_UNKNOWN", _NETWORK),
        Sign.CONNECTION_REFUSED: _not_sent("PROXY_CONNECTION_REFUSED", _NETWORK),
        Sign.TLS_FAILED: _not_sent("PROXY_TLS_FAILED", _NETWORK),
        Sign.CONNECT_TIMEOUT: _not_sent("PROXY_CONNECT_TIMEOUT", _NETWORK),
        Sign.UNREACHABLE: _not_sent("PROXY_UNREACHABLE", _NETWORK),
        Sign.LOST_BEFORE_BODY: _not_sent("DMP_LOST_BEFORE_BODY", _NETWORK),
        # The version replaced is not there yet: its entryUUID is needed to name it.
        Sign.PREDECESSOR_ABSENT: _not_sent("DMP_PREDECESSOR_ABSENT", WaitReason.PREDECESSOR),
        Sign.SIGNER_UNAVAILABLE: _not_sent("SIGNER_UNAVAILABLE", _AUTH),
        Sign.CARD_REMOVED: _not_sent("CARD_TAKEN_OUT", _AUTH),
        # The document is of another structure than the CPE or the certificate: its author sends it in his own name.
        Sign.STRUCTURE_MISMATCH: _not_sent("STRUCTURE_MISMATCH", _AUTH),
        # Certain: looked up just before, and there was nothing to send.
        Sign.ALREADY_DELETED: Verdict(certainty=Certainty.DELIVERED, code="DMP_ALREADY_DELETED"),
        Sign.NOTHING_TO_DELETE: _refused("DMP_NOTHING_TO_DELETE"),
        Sign.VISIBILITY_ALREADY_SO: Verdict(certainty=Certainty.DELIVERED, code="DMP_VISIBILITY_ALREADY_SO"),
        Sign.NOTHING_TO_CHANGE: _refused("DMP_NOTHING_TO_CHANGE"),
        Sign.VISIBILITY_FORBIDDEN: _refused("VISIBILITY_COMBINATION_FORBIDDEN"),
        Sign.HIDING_AGAIN: _refused("DMP_CANNOT_HIDE_AGAIN"),
        # The bytes left and nothing came back.
        Sign.CUT: _doubt("DMP_CUT", _NETWORK),
        Sign.SILENCE: _doubt("DMP_SILENT"),
        Sign.NOT_HTTP: _doubt("DMP_NOT_HTTP", _NETWORK),
        # The proxy's own descriptor: it relays nothing without a session. On the certain list.
        Sign.NO_SESSION: _not_sent("PROXY_SESSION_ENDED", _AUTH, ends_session=True),
        # A bare HTTP status tells who answered, not what was done with the body: the proxy relays API answers as
        # they are, and gateways answer in the API's place.
        Sign.API_401: _doubt("DMP_TOKEN_REFUSED", _AUTH, ends_session=True),
        Sign.HTTP_3XX: _doubt("DMP_HTTP_REDIRECTED"),
        Sign.HTTP_400: _doubt("DMP_HTTP_400"),
        Sign.HTTP_403: _doubt("DMP_HTTP_403"),
        Sign.HTTP_404: _doubt("DMP_HTTP_404"),
        Sign.HTTP_405: _doubt("DMP_HTTP_405"),
        Sign.HTTP_413: _doubt("DMP_HTTP_413"),
        Sign.HTTP_429: _doubt("DMP_HTTP_429"),
        Sign.HTTP_4XX: _doubt("DMP_HTTP_4XX"),
        Sign.HTTP_500: _doubt("DMP_HTTP_500"),
        Sign.HTTP_502: _doubt("DMP_HTTP_502"),
        Sign.HTTP_503: _doubt("DMP_HTTP_503"),
        Sign.HTTP_504: _doubt("DMP_HTTP_504"),
        Sign.HTTP_5XX: _doubt("DMP_HTTP_5XX"),
        # Success in HTTP, nothing to believe in the body.
        Sign.EMPTY: _doubt("DMP_ANSWER_EMPTY"),
        Sign.HTML: _doubt("DMP_ANSWER_HTML"),
        Sign.WRONG_TYPE: _doubt("DMP_ANSWER_WRONG_TYPE"),
        Sign.TRUNCATED: _doubt("DMP_ANSWER_TRUNCATED"),
        Sign.NOT_XML: _doubt("DMP_ANSWER_UNREADABLE"),
        Sign.NOT_SOAP: _doubt("DMP_ANSWER_UNREADABLE"),
        Sign.UNEXPECTED_PAYLOAD: _doubt("DMP_ANSWER_UNEXPECTED"),
        Sign.OTHER_MESSAGE: _doubt("DMP_ANSWER_OTHER_MESSAGE"),
        # A parsed security fault: the header is checked before the body is given to anybody. The document is not at
        # fault, the station's credential or clock is: the order waits, it is not rejected. On the certain list.
        Sign.FAULT_SECURITY: _not_sent("DMP_VIHF_REFUSED", _AUTH),
        Sign.FAULT_SECURITY_EXPIRED: _not_sent("DMP_VIHF_EXPIRED", _AUTH),
        # The service parsed our message and says that it is wrong: the same again is useless.
        Sign.FAULT_SENDER: _refused("DMP_MESSAGE_REFUSED"),
        # It failed on its side, at an unknown point.
        Sign.FAULT_RECEIVER: _doubt("DMP_SERVICE_FAULT"),
        Sign.SUCCESS: Verdict(certainty=Certainty.DELIVERED, code="OK"),
        # Not an answer that one document can have: a part of the lot may be there.
        Sign.PARTIAL: _doubt("DMP_PARTIAL_SUCCESS"),
        # Our uniqueId is there: with our bytes it is a delivery, with others a refusal. The lookup says which.
        Sign.FAILURE_DUPLICATE: _doubt("DMP_DUPLICATE_ID"),
        # "Internal error" says nothing about the moment it happened.
        Sign.FAILURE_INTERNAL: _doubt("DMP_REGISTRY_INTERNAL"),
        # Parsed registry failures: nothing was registered. On the certain list when trying again makes sense.
        Sign.FAILURE_BUSY: _not_sent("DMP_REGISTRY_BUSY", _SERVICE),
        Sign.FAILURE_PATIENT_UNKNOWN: _not_sent("DMP_ABSENT", WaitReason.NO_DMP),
        Sign.FAILURE_CLOSED: _refused("DMP_CLOSED"),
        Sign.FAILURE_ACCESS: _refused("DMP_ACCESS_DENIED"),
        Sign.FAILURE_METADATA: _refused("DMP_METADATA_REFUSED"),
        Sign.FAILURE_PREDECESSOR: _refused("DMP_REPLACED_VERSION_REFUSED"),
        # The entry changed between our lookup and our change: nothing was changed, the next attempt looks it up again.
        # On the certain list.
        Sign.FAILURE_VERSION: _not_sent("DMP_VERSION_CHANGED", _SERVICE),
        Sign.FAILURE_UPDATE: _refused("DMP_CHANGE_REFUSED"),
        Sign.FAILURE_OTHER: _refused("DMP_REFUSED"),
    }
)
# Rows that differ for a change of a document that is there (TD3.3a, TD3.3b, TD3.3c): the lot is not a document.
CHANGE_ROWS: Final[Mapping[Sign, Verdict]] = MappingProxyType(
    {
        # Our submission set is there: the change was applied once, or not at all. The lookup says which.
        Sign.FAILURE_DUPLICATE: _doubt("DMP_CHANGE_ALREADY_SEEN"),
        Sign.FAILURE_PATIENT_UNKNOWN: _refused("DMP_CHANGE_REFUSED"),
        Sign.FAILURE_METADATA: _refused("DMP_CHANGE_REFUSED"),
        Sign.FAILURE_PREDECESSOR: _refused("DMP_CHANGE_REFUSED"),
        Sign.FAILURE_OTHER: _refused("DMP_CHANGE_REFUSED"),
    }
)

BEFORE_FIRST_BYTE: Final = frozenset(
    {
        Sign.HOST_UNKNOWN,
        Sign.CONNECTION_REFUSED,
        Sign.TLS_FAILED,
        Sign.CONNECT_TIMEOUT,
        Sign.UNREACHABLE,
        Sign.LOST_BEFORE_BODY,
        Sign.PREDECESSOR_ABSENT,
        Sign.SIGNER_UNAVAILABLE,
        Sign.CARD_REMOVED,
        Sign.STRUCTURE_MISMATCH,
        Sign.ALREADY_DELETED,
        Sign.NOTHING_TO_DELETE,
        Sign.VISIBILITY_ALREADY_SO,
        Sign.NOTHING_TO_CHANGE,
        Sign.VISIBILITY_FORBIDDEN,
        Sign.HIDING_AGAIN,
    }
)
# The same things, seen where no proxy stands between.
DIRECT_CODES: Final[Mapping[Sign, str]] = MappingProxyType(
    {
        Sign.HOST_UNKNOWN: "DIRECT_HOST_UNKNOWN",
        Sign.CONNECTION_REFUSED: "DIRECT_CONNECTION_REFUSED",
        Sign.TLS_FAILED: "DIRECT_TLS_FAILED",
        Sign.CONNECT_TIMEOUT: "DIRECT_CONNECT_TIMEOUT",
        Sign.UNREACHABLE: "DIRECT_UNREACHABLE",
        Sign.API_401: "DIRECT_REFUSED",
    }
)
# The only signs seen after the first body byte that may say "not sent".
CERTAIN_AFTER_FIRST_BYTE: Final = frozenset(
    {
        Sign.NO_SESSION,
        Sign.FAULT_SECURITY,
        Sign.FAULT_SECURITY_EXPIRED,
        Sign.FAILURE_BUSY,
        Sign.FAILURE_PATIENT_UNKNOWN,
        Sign.FAILURE_VERSION,
    }
)

# What a sign teaches about the way to the DMP, whatever became of the order; anything absent is SERVICE_FAILED.
EVIDENCE: Final[Mapping[Sign, Evidence]] = MappingProxyType(
    {
        **dict.fromkeys((Sign.HOST_UNKNOWN, Sign.CONNECTION_REFUSED, Sign.TLS_FAILED), Evidence.UNREACHABLE),
        **dict.fromkeys((Sign.CONNECT_TIMEOUT, Sign.UNREACHABLE, Sign.LOST_BEFORE_BODY), Evidence.UNREACHABLE),
        **dict.fromkeys((Sign.CUT, Sign.NOT_HTTP), Evidence.UNREACHABLE),
        **dict.fromkeys((Sign.NO_SESSION, Sign.API_401), Evidence.PROXY_ANSWERED),
        **dict.fromkeys((Sign.FAULT_SECURITY, Sign.FAULT_SECURITY_EXPIRED), Evidence.CREDENTIAL_REFUSED),
        **dict.fromkeys((Sign.SIGNER_UNAVAILABLE, Sign.VISIBILITY_FORBIDDEN), Evidence.NONE),  # no exchange
        **dict.fromkeys((Sign.CARD_REMOVED, Sign.STRUCTURE_MISMATCH), Evidence.NONE),
        **dict.fromkeys((Sign.PREDECESSOR_ABSENT, Sign.ALREADY_DELETED, Sign.NOTHING_TO_DELETE), Evidence.ANSWERED),
        **dict.fromkeys((Sign.VISIBILITY_ALREADY_SO, Sign.NOTHING_TO_CHANGE), Evidence.ANSWERED),
        **dict.fromkeys((Sign.HIDING_AGAIN, Sign.SUCCESS, Sign.PARTIAL, Sign.FAULT_SENDER), Evidence.ANSWERED),
        **dict.fromkeys((Sign.FAILURE_DUPLICATE, Sign.FAILURE_PATIENT_UNKNOWN), Evidence.ANSWERED),
        **dict.fromkeys((Sign.FAILURE_CLOSED, Sign.FAILURE_ACCESS, Sign.FAILURE_METADATA), Evidence.ANSWERED),
        **dict.fromkeys((Sign.FAILURE_PREDECESSOR, Sign.FAILURE_VERSION), Evidence.ANSWERED),
        **dict.fromkeys((Sign.FAILURE_UPDATE, Sign.FAILURE_OTHER), Evidence.ANSWERED),
    }
)

# IHE ITI TF-3 table 4.2.4.1-2. A code absent here and from the profile is FAILURE_OTHER, kept as text.
IHE_ERRORS: Final[Mapping[str, Sign]] = MappingProxyType(
    {
        "XDSDuplicateUniqueIdInRegistry": Sign.FAILURE_DUPLICATE,
        "XDSNonIdenticalHash": Sign.FAILURE_DUPLICATE,
        "XDSRegistryError": Sign.FAILURE_INTERNAL,
        "XDSRepositoryError": Sign.FAILURE_INTERNAL,
        "XDSRegistryBusy": Sign.FAILURE_BUSY,
        "XDSRepositoryBusy": Sign.FAILURE_BUSY,
        "XDSRegistryOutOfResources": Sign.FAILURE_BUSY,
        "XDSRepositoryOutOfResources": Sign.FAILURE_BUSY,
        "XDSRegistryNotAvailable": Sign.FAILURE_BUSY,
        "XDSUnknownPatientId": Sign.FAILURE_PATIENT_UNKNOWN,
        "XDSRegistryMetadataError": Sign.FAILURE_METADATA,
        "XDSRepositoryMetadataError": Sign.FAILURE_METADATA,
        "XDSRegistryDuplicateUniqueIdInMessage": Sign.FAILURE_METADATA,
        "XDSRepositoryDuplicateUniqueIdInMessage": Sign.FAILURE_METADATA,
        "XDSMissingDocument": Sign.FAILURE_METADATA,
        "XDSMissingDocumentMetadata": Sign.FAILURE_METADATA,
        "XDSPatientIdDoesNotMatch": Sign.FAILURE_METADATA,
        "XDSExtraMetadataNotSaved": Sign.FAILURE_METADATA,
        "XDSReplaceFailed": Sign.FAILURE_PREDECESSOR,
        "XDSRegistryDeprecatedDocumentError": Sign.FAILURE_PREDECESSOR,
        "UnresolvedReferenceException": Sign.FAILURE_PREDECESSOR,
        "ReferencesExistException": Sign.FAILURE_PREDECESSOR,
        "XDSMetadataVersionError": Sign.FAILURE_VERSION,
        "XDSMetadataUpdateError": Sign.FAILURE_UPDATE,
        "XDSMetadataUpdateOperationError": Sign.FAILURE_UPDATE,
        "XDSMetadataIdentifierError": Sign.FAILURE_UPDATE,
    }
)
# What a profile may call the DMP's own codes.
PROFILE_KINDS: Final[Mapping[str, Sign]] = MappingProxyType(
    {
        "duplicate": Sign.FAILURE_DUPLICATE,
        "internal": Sign.FAILURE_INTERNAL,
        "busy": Sign.FAILURE_BUSY,
        "patient_unknown": Sign.FAILURE_PATIENT_UNKNOWN,
        "closed": Sign.FAILURE_CLOSED,
        "access": Sign.FAILURE_ACCESS,
        "metadata": Sign.FAILURE_METADATA,
        "predecessor": Sign.FAILURE_PREDECESSOR,
        "version": Sign.FAILURE_VERSION,
        "update": Sign.FAILURE_UPDATE,
    }
)
# Of several errors in one answer, the first of this list decides: what may hide a delivery, then what is final.
_PRECEDENCE: Final = (
    Sign.FAILURE_DUPLICATE,
    Sign.FAILURE_INTERNAL,
    Sign.FAILURE_CLOSED,
    Sign.FAILURE_ACCESS,
    Sign.FAILURE_METADATA,
    Sign.FAILURE_PREDECESSOR,
    Sign.FAILURE_UPDATE,
    Sign.FAILURE_OTHER,
    Sign.FAILURE_PATIENT_UNKNOWN,
    Sign.FAILURE_VERSION,
    Sign.FAILURE_BUSY,
)
_STATUSES: Final[Mapping[int, Sign]] = MappingProxyType(
    {
        400: Sign.HTTP_400,
        401: Sign.API_401,
        403: Sign.HTTP_403,
        404: Sign.HTTP_404,
        405: Sign.HTTP_405,
        413: Sign.HTTP_413,
        429: Sign.HTTP_429,
        500: Sign.HTTP_500,
        502: Sign.HTTP_502,
        503: Sign.HTTP_503,
        504: Sign.HTTP_504,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen in one exchange.

    Attributes:
        sign: its name.
        body_started: a body byte of ours had been handed over.
        service_code: the service's own code as text, capped, never personal.
        retry_after_s: the delay that the service asked, seconds.
        receipt: non-personal facts of a delivery.
        is_direct: no proxy stands between.
    """

    sign: Sign
    body_started: bool = True
    service_code: str | None = None
    retry_after_s: float | None = None
    receipt: tuple[tuple[str, str], ...] = ()
    is_direct: bool = False


def sign_of_status(status: int) -> Sign:
    """Return the sign of an HTTP status that came without a readable message (not 2xx)."""
    if status in _STATUSES:
        return _STATUSES[status]
    if 300 <= status < 400:
        return Sign.HTTP_3XX
    return Sign.HTTP_4XX if 400 <= status < 500 else Sign.HTTP_5XX


def sign_of_errors(codes: tuple[str, ...], own: Mapping[str, str]) -> Sign:
    """Return the sign of a parsed registry failure.

    Args:
        codes: errorCode of each error, a namespace prefix already removed.
        own: the profile's kinds of the DMP's own codes.
    """
    found = {
        PROFILE_KINDS.get(own[code], Sign.FAILURE_OTHER) if code in own else IHE_ERRORS.get(code, Sign.FAILURE_OTHER)
        for code in codes
    }
    return next((sign for sign in _PRECEDENCE if sign in found), Sign.FAILURE_OTHER)


def verdict_of(seen: Seen, rows: Mapping[Sign, Verdict] = TABLE) -> Verdict:
    """Return the row for what was seen. An answer that came before the first body byte leaves no doubt.

    ``rows`` are looked at first: those of the transaction, when it has its own.
    """
    verdict = rows.get(seen.sign, TABLE[seen.sign])
    if not seen.body_started and verdict.certainty is Certainty.DOUBT:
        return replace(verdict, certainty=Certainty.NOT_SENT)
    return verdict


def _code(verdict: Verdict, seen: Seen) -> str:
    """Return the code; what is said of the proxy is not said when there is none."""
    return DIRECT_CODES.get(seen.sign, verdict.code) if seen.is_direct else verdict.code


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryVerdict:
    """What an unanswered question (TD0.2, TD3.1) leaves: nothing was sent, so nothing can be in doubt.

    Attributes:
        code: our stable code.
        waiting: what a new question waits for.
        ends_session: the proxy session is of no more use.
        evidence: what it teaches about the way to the DMP.
    """

    code: str
    waiting: WaitReason
    ends_session: bool
    evidence: Evidence


def query_verdict(seen: Seen) -> QueryVerdict:
    """Return what is known when a question got no usable answer."""
    verdict = TABLE[seen.sign]
    is_mute = verdict.certainty in (Certainty.DOUBT, Certainty.DELIVERED) and seen.sign is not Sign.API_401
    return QueryVerdict(
        code="DMP_NO_ANSWER" if is_mute else _code(verdict, seen),
        waiting=verdict.waiting or WaitReason.SERVICE,
        ends_session=verdict.ends_session,
        evidence=evidence_of(seen),
    )


def evidence_of(seen: Seen) -> Evidence:
    """Return what was seen teaches about the way to the DMP."""
    return EVIDENCE.get(seen.sign, Evidence.SERVICE_FAILED)


def change_outcome_of(seen: Seen) -> Outcome:
    """Return the outcome of a TD3.3 attempt."""
    return _outcome(verdict_of(seen, CHANGE_ROWS), seen)


def outcome_of(seen: Seen) -> Outcome:
    """Return the outcome of a TD2.1 attempt."""
    return _outcome(verdict_of(seen), seen)


def _outcome(verdict: Verdict, seen: Seen) -> Outcome:
    is_not_sent = verdict.certainty is Certainty.NOT_SENT
    return Outcome(
        certainty=verdict.certainty,
        code=_code(verdict, seen),
        evidence=evidence_of(seen),
        service_code=seen.service_code,
        waiting=verdict.waiting if is_not_sent else None,
        retry_after_s=seen.retry_after_s if is_not_sent else None,
        ends_session=verdict.ends_session,
        receipt=seen.receipt if verdict.certainty is Certainty.DELIVERED else (),
    )

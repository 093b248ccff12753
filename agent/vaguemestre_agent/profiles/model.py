"""What a profile says about the Proxy e-santé and the DMP: frozen values, checked when made.

Owns the shape and the bounds of the settings; reads no file. Machine-specific values (addresses, authorities,
certificates) are not here: they belong to the agent's settings.
Source: Proxy e-santé contract (OpenAPI of the reference proxy), DMP sample messages 02.05.00, CI-SIS VIHF.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.ids import check_oid
from vaguemestre_core.signing import SignatureAlgorithm


@unique
class AuthenticationMode(StrEnum):
    """Authentification_mode of the VIHF."""

    DIRECTE = "DIRECTE"
    INDIRECTE = "INDIRECTE"
    INDIRECTE_RENFORCEE = "INDIRECTE_RENFORCEE"


@unique
class ProcessingCode(StrEnum):
    """HL7 V3 processingCode: debugging, production or training."""

    DEBUGGING = "D"
    PRODUCTION = "P"
    TRAINING = "T"


def _positive(field: str, *values: float) -> None:
    if any(value <= 0 for value in values):
        raise InvalidInput("PROFILE_INVALID", field=field, reason="not_positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProfile:
    """The HTTP contract of a Proxy e-santé.

    Attributes:
        connect_path, disconnect_path: session verbs.
        send_path: pattern with ``{backend}`` and ``{endpoint}``.
        session_cookie: name of the session cookie, also the member of the answer's JSON.
        no_session_message: message of the proxy's own 401 on a relayed call.
        session_max_s: longest life of a session, seconds.
        connect_read_s: how long the connect verb may stay silent: the professional's time plus a margin, seconds.
    """

    connect_path: str
    disconnect_path: str
    send_path: str
    session_cookie: str
    no_session_message: str
    session_max_s: float
    connect_read_s: float

    def __post_init__(self) -> None:
        _positive("proxy", self.session_max_s)
        if self.connect_read_s <= 120:
            raise InvalidInput("PROFILE_INVALID", field="proxy.connect_read_s", reason="not_above_120")
        if "{backend}" not in self.send_path or "{endpoint}" not in self.send_path:
            raise InvalidInput("PROFILE_INVALID", field="proxy.send_path", reason="pattern")

    def path_to(self, backend: str, endpoint: str) -> str:
        """Return the path that relays to one endpoint of a backend."""
        return self.send_path.replace("{backend}", backend).replace("{endpoint}", endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class VihfProfile:
    """How the VIHF assertion is written.

    Attributes:
        version: VIHF_Version.
        mode_attribute: spelling of the attribute that carries the authentication mode.
        mode: the authentication mode.
        context_class: AuthnContextClassRef.
        signed: whether the assertion is signed.
        algorithm: signature method when signed.
        resource_urn: Ressource_URN.
        purpose_code, purpose_label, purpose_system, purpose_system_name: purposeofuse.
        profession_system, expertise_system: code systems of the two subject roles.
    """

    version: str
    mode_attribute: str
    mode: AuthenticationMode
    context_class: str
    signed: bool
    algorithm: SignatureAlgorithm
    resource_urn: str
    purpose_code: str
    purpose_label: str
    purpose_system: str
    purpose_system_name: str
    profession_system: str
    expertise_system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionProfile:
    """How a lot is made.

    Attributes:
        signed: whether the lot carries its XAdES signature.
        algorithm: its signature method.
        include_hash_and_size: whether the entry carries the document's hash and size.
        content_type_code, content_type_label, content_type_system: contentTypeCode of the submission set.
    """

    signed: bool
    algorithm: SignatureAlgorithm
    include_hash_and_size: bool
    content_type_code: str
    content_type_label: str
    content_type_system: str

    def __post_init__(self) -> None:
        check_oid(self.content_type_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistenceProfile:
    """How TD0.2 is asked and read.

    Attributes:
        processing_code: HL7 processingCode.
        receiver_oid, receiver_name: the DMP as an HL7 device.
        sender_oid: the OID under which our messages are numbered, or empty for the product's OID root.
        active_statuses: patient status codes that mean an open DMP.
        authorised_values: values of AUTORISATION that mean an authorisation.
    """

    processing_code: ProcessingCode
    receiver_oid: str
    receiver_name: str
    sender_oid: str
    active_statuses: frozenset[str]
    authorised_values: frozenset[str]

    def __post_init__(self) -> None:
        check_oid(self.receiver_oid)
        if self.sender_oid:
            check_oid(self.sender_oid)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeProfile:
    """Limits of the exchanges, seconds.

    Attributes:
        connect_s: connection and TLS handshake, each.
        write_s: each write of a piece of the body.
        read_s: silence of the service while its answer is awaited.
        feed_total_s: first body byte to last answer byte of TD2.1.
        query_total_s: the same for TD0.2 and TD3.1.
        longest_exchange_s: longest time the proxy and the DMP together may still be busy with a body that we sent.
    """

    connect_s: float
    write_s: float
    read_s: float
    feed_total_s: float
    query_total_s: float
    longest_exchange_s: float

    def __post_init__(self) -> None:
        _positive("times", self.connect_s, self.write_s, self.read_s, self.feed_total_s, self.query_total_s)
        if self.longest_exchange_s < self.feed_total_s:
            raise InvalidInput("PROFILE_INVALID", field="times.longest_exchange_s", reason="below_feed_total_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class DmpProfile:
    """The DMP's endpoints and codes.

    Attributes:
        backend: the DMP's name at the proxy.
        patients_endpoint, repository_endpoint, registry_endpoint: its services.
        check_relates_to: whether an answer must name our MessageID when it names one.
        answer_max_bytes: cap of an answer.
        error_codes: the DMP's own error codes, not in the IHE list, and the kind each one is
            (``closed``, ``access``, ``patient_unknown``, ``metadata``, ``busy``, ``duplicate``, ``internal``).
    """

    backend: str
    patients_endpoint: str
    repository_endpoint: str
    registry_endpoint: str
    check_relates_to: bool
    answer_max_bytes: int
    error_codes: Mapping[str, str]

    def __post_init__(self) -> None:
        _positive("dmp.answer_max_bytes", self.answer_max_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeansProfile:
    """What the VIHF says under one means.

    Attributes:
        mode: the authentication mode.
        context_class: AuthnContextClassRef.
    """

    mode: AuthenticationMode
    context_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectProfile:
    """The DMP reached without a proxy.

    Attributes:
        path: pattern of its services with ``{endpoint}``.
        cps, cpe, structure: the VIHF under each means.
        employee_role: subject role of the holder of a CPE, who has no profession.
    """

    path: str
    cps: MeansProfile
    cpe: MeansProfile
    structure: MeansProfile
    employee_role: CodedConcept

    def __post_init__(self) -> None:
        if "{endpoint}" not in self.path:
            raise InvalidInput("PROFILE_INVALID", field="direct.path", reason="pattern")
        check_oid(self.employee_role.code_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProfile:
    """One way the national services are reached.

    Attributes:
        name: name of the profile.
        contracts: versions of the contracts it was written from, by service.
    """

    name: str
    contracts: Mapping[str, str]
    proxy: ProxyProfile
    dmp: DmpProfile
    direct: DirectProfile
    existence: ExistenceProfile
    submission: SubmissionProfile
    vihf: VihfProfile
    times: TimeProfile

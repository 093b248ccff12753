"""Settings of a sandbox: ports, what the simulated services demand, how the simulated persons answer.

Everything that no readable specification fixes is a field here, so that a test may run under each reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from vaguemestre_sandbox.cards.vpcd import FIRST_PORT

DEFAULT_CARD_PORTS: Final = (FIRST_PORT, FIRST_PORT + 1)


class ApprovalMode(StrEnum):
    """Who answers the prompt that Pro Santé Connect sends to the professional."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class DmpProfile:
    """What the simulated DMP demands.

    The DMP integration guide is not public: each field is one reading of it, never a fact.
    """

    lot_signature_required: bool = True
    """A lot must carry its XAdES signature, which must verify."""
    vihf_signature_required: bool = True
    """The VIHF assertion must be signed by a certificate of the test PKI."""
    hash_required: bool = False
    """hash and size must be given in the XDS entry (given ones are always checked)."""
    allow_sha1: bool = False
    """rsa-sha1 and SHA-1 are accepted in signatures beside SHA-256."""
    vihf_version: str = "3.0"
    vihf_lifetime_s: float = 300.0
    """Oldest accepted IssueInstant."""
    vihf_skew_s: float = 60.0
    """IssueInstant this far in the future is still accepted."""
    assertion_once: bool = False
    """One assertion serves one call."""
    consultation_needs_authorization: bool = True
    """FindDocuments and ITI-43 need the professional's authorization (AUTORISATION=VALIDE)."""
    closed_dmp_code: str = "DMPClosed"
    """errorCode of a feeding refused because the DMP is closed."""
    closed_status_code: str = "terminated"
    """patient/statusCode in the TD0.2 answer about a closed DMP."""
    not_authorized_code: str = "DMPAccessDenied"
    revoked_holders: str = ""
    """National identifiers, separated by spaces, whose cards the direct door refuses."""
    fault_http_status: int = 500
    td21_answer_mtom: bool = False
    """Answer TD2.1 as multipart MTOM instead of plain SOAP."""
    repository_unique_id: str = "1.2.250.1.213.4.1.1.1.2"
    max_body_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProfile:
    """How the simulated Proxy e-santé and Pro Santé Connect behave."""

    session_lifetime_s: float = 14400.0
    ciba_expires_in_s: float = 120.0
    ciba_poll_interval_s: float = 1.0
    approval_mode: ApprovalMode = ApprovalMode.AUTO
    binding_message_strict: bool = False
    """Refuse a bindingMessage that is not two digits (the reference proxy only checks presence)."""
    late_refusal_is_500: bool = False
    """Answer a refusal seen while polling with 500, as the reference proxy probably does, instead of 401."""
    api_token_lifetime_s: float = 14400.0
    backend_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """Everything a sandbox needs to start.

    `proxy_port`, `dmp_port`, `direct_port`, `inspection_port`: 0 lets the system choose.
    `direct_port`: the DMP's door for cards and structure certificates, without proxy.
    `card_authority`: PEM of the authority whose cards the direct door trusts; None: no card enters.
    `pki_dir`: where the test PKI is read or made; default `state_dir/pki`.
    """

    state_dir: Path
    pki_dir: Path | None = None
    proxy_port: int = 0
    dmp_port: int = 0
    direct_port: int = 0
    card_authority: Path | None = None
    inspection_port: int = 0
    card_ports: tuple[int, ...] = DEFAULT_CARD_PORTS
    """Loopback ports of the virtual readers that cards are put in; the workstation listens there."""
    keep_bodies: bool = True
    """Keep the raw bytes of every complete TD2.1 or ITI-57 body for inspection."""
    dmp: DmpProfile = field(default_factory=DmpProfile)
    proxy: ProxyProfile = field(default_factory=ProxyProfile)

"""The way to the national services that the settings ask for: real, in shadow, or not configured.

A part of the composition root: opens the clients and closes them. Sessions have a client of their own: while
professionals have not answered, their prompts hold its connections, and what leaves meanwhile needs others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from vaguemestre_agent.adapters.dmp.adapter import DmpEndpoint, EsanteDmp
from vaguemestre_agent.adapters.dmp.direct import DirectDoor, direct_address
from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.pkcs12 import is_pkcs12, read_pkcs12
from vaguemestre_agent.adapters.proxy.adapter import EsanteProxy
from vaguemestre_agent.adapters.shadow import ShadowDmp, ShadowProxy
from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_agent.adapters.unconfigured import UnconfiguredDmp, UnconfiguredProxy
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.profiles.loader import read_profile, shipped_profile
from vaguemestre_agent.profiles.model import ServiceProfile
from vaguemestre_agent.services.cardauthorities import StructureCertificate
from vaguemestre_agent.services.sessions import PENDING_MAX
from vaguemestre_agent.settings import ServiceMode, ServiceSettings
from vaguemestre_core.cardports import CardPresencePort, NoCards
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.ports import DmpPort, ProxyPort
from vaguemestre_core.professionals import is_struct_idnat
from vaguemestre_core.redaction import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The way to the national services."""

    profile: ServiceProfile
    proxy: ProxyPort
    dmp: DmpPort
    is_configured: bool
    is_shadow: bool = False
    cards: CardPresencePort = field(default_factory=NoCards)
    structure: StructureCertificate | None = None


def load_profile(name: str) -> ServiceProfile:
    """Return a shipped profile by its name, or the profile of a file. Raises InvalidInput PROFILE_…."""
    return read_profile(Path(name)) if name.endswith(".toml") else shipped_profile(name)


@asynccontextmanager
async def open_ways(settings: ServiceSettings, parts: Parts) -> AsyncIterator[Ways]:
    """Give the way to the services while the block runs. Raises InvalidInput when a setting does not hold."""
    profile = load_profile(settings.profile)
    if settings.mode is ServiceMode.SHADOW:
        # No client is opened at all: whatever the services ask for, there is nothing here that could send.
        yield Ways(profile=profile, proxy=ShadowProxy(), dmp=ShadowDmp(), is_configured=True, is_shadow=True)
        return
    async with AsyncExitStack() as stack:
        signer = await asyncio.to_thread(_signer, settings)
        direct = await _direct_way(settings, profile, parts, signer, stack)
        client, proxy = _proxy_way(settings, profile, parts, stack)
        is_configured = client is not None or direct.door is not None
        yield Ways(
            profile=profile,
            proxy=proxy,
            dmp=EsanteDmp(client, profile, parts.clock, parts.random, signer=signer, direct=direct.door)
            if is_configured
            else UnconfiguredDmp(),
            is_configured=is_configured,
            cards=direct.cards,
            structure=direct.structure,
        )


def _proxy_way(
    settings: ServiceSettings, profile: ServiceProfile, parts: Parts, stack: AsyncExitStack
) -> tuple[HttpClient | None, ProxyPort]:
    """Return the client of what leaves through the proxy, closed with the stack, if any, and the proxy's sessions."""
    if not settings.proxy_url:
        return None, UnconfiguredProxy()
    endpoint = DmpEndpoint(
        base_url=settings.proxy_url,
        tls=TlsFiles(
            ca_file=_file(settings.ca_file),
            certificate_file=_file(settings.client_certificate),
            key_file=_file(settings.client_key),
        ),
        trust_env=settings.trust_env,
    )
    client = endpoint.open_client(passed=parts.failpoints.hit)
    stack.push_async_callback(client.aclose)
    prompts = endpoint.open_client(connections=PENDING_MAX + 8)
    stack.push_async_callback(prompts.aclose)
    return client, EsanteProxy(prompts, profile, parts.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Direct:
    """The way without a proxy; by default there is none."""

    door: DirectDoor | None = None
    cards: CardPresencePort = field(default_factory=NoCards)
    structure: StructureCertificate | None = None


async def _direct_way(
    settings: ServiceSettings,
    profile: ServiceProfile,
    parts: Parts,
    signer: SoftwareSigner | None,
    stack: AsyncExitStack,
) -> _Direct:
    """Return the direct way, closed with the stack. Raises InvalidInput DIRECT_INVALID, SIGNER_INVALID."""
    if not settings.direct_url:
        return _Direct()
    direct_address(settings.direct_url)  # judged before any client is opened on it
    client = structure = None
    if settings.structure_certificate:
        structure = await asyncio.to_thread(_structure_of, settings)
        client = await asyncio.to_thread(_structure_client, settings, parts)
        stack.push_async_callback(client.aclose)
    cards = NoCards() if parts.card_keys is None else parts.cards
    door = DirectDoor(
        profile,
        settings.direct_url,
        cards=cards,
        keys=parts.card_keys,
        structure=client,
        signer=signer,
        passed=parts.failpoints.hit,
    )
    stack.push_async_callback(door.aclose)
    return _Direct(door=door, cards=cards, structure=structure)


def _structure_client(settings: ServiceSettings, parts: Parts) -> HttpClient:
    tls = TlsFiles(
        ca_file=_file(settings.ca_file),
        certificate_file=_file(settings.structure_certificate),
        key_file=_file(settings.structure_key),
        key_password=_password(settings),
    )
    return HttpClient(settings.direct_url, tls, trust_env=settings.trust_env, passed=parts.failpoints.hit)


def _password(settings: ServiceSettings) -> Secret | None:
    path = _file(settings.structure_password_file)
    return None if path is None else Secret(path.read_text("utf-8").strip())


def _structure_of(settings: ServiceSettings) -> StructureCertificate:
    """Read whose certificate it is: its organisational unit is a Struct_IdNat. Raises InvalidInput DIRECT_INVALID."""
    content = Path(settings.structure_certificate).read_bytes()
    password = _password(settings)
    try:
        if is_pkcs12(content):
            certificate = read_pkcs12(content, None if password is None else password.reveal())[1]
        else:
            certificate = x509.load_pem_x509_certificate(content)
    except ValueError:
        raise InvalidInput("DIRECT_INVALID", reason="structure") from None
    units = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    named = [unit.value for unit in units if isinstance(unit.value, str) and is_struct_idnat(unit.value)]
    if not named:
        raise InvalidInput("DIRECT_INVALID", reason="structure")
    return StructureCertificate(structure=named[0], until=certificate.not_valid_after_utc)


def _file(path: str) -> Path | None:
    return Path(path) if path else None


def _signer(settings: ServiceSettings) -> SoftwareSigner | None:
    if not settings.signing_certificate:
        return None
    return SoftwareSigner(Path(settings.signing_certificate).read_bytes(), Path(settings.signing_key).read_bytes())

"""The way to the national services that the settings ask for: real, in shadow, or not configured.

A part of the composition root: opens the clients and closes them. Sessions have a client of their own: while
professionals have not answered, their prompts hold its connections, and what leaves meanwhile needs others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vaguemestre_agent.adapters.dmp.adapter import DmpEndpoint, EsanteDmp
from vaguemestre_agent.adapters.http import TlsFiles
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
from vaguemestre_core.ports import DmpPort, ProxyPort


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
    if not settings.proxy_url:
        yield Ways(profile=profile, proxy=UnconfiguredProxy(), dmp=UnconfiguredDmp(), is_configured=False)
        return
    endpoint = DmpEndpoint(
        base_url=settings.proxy_url,
        tls=TlsFiles(
            ca_file=_file(settings.ca_file),
            certificate_file=_file(settings.client_certificate),
            key_file=_file(settings.client_key),
        ),
        trust_env=settings.trust_env,
    )
    signer = await asyncio.to_thread(_signer, settings)
    client = endpoint.open_client(passed=parts.failpoints.hit)
    prompts = endpoint.open_client(connections=PENDING_MAX + 8)
    try:
        yield Ways(
            profile=profile,
            proxy=EsanteProxy(prompts, profile, parts.clock),
            dmp=EsanteDmp(client, profile, parts.clock, parts.random, signer=signer),
            is_configured=True,
        )
    finally:
        await prompts.aclose()
        await client.aclose()


def _file(path: str) -> Path | None:
    return Path(path) if path else None


def _signer(settings: ServiceSettings) -> SoftwareSigner | None:
    if not settings.signing_certificate:
        return None
    return SoftwareSigner(Path(settings.signing_certificate).read_bytes(), Path(settings.signing_key).read_bytes())

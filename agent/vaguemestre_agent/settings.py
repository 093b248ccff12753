"""Settings of one agent: one frozen tree, from defaults, then a TOML file, then the environment.

An unknown key or a value out of range stops the start with its name. Secrets are never settings: they live in the
key store or in files named here. Environment: ``VAGUEMESTRE_<SECTION>__<KEY>``, for example
``VAGUEMESTRE_DEFERRAL__DELAY_S=60``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time
from enum import StrEnum, unique
from pathlib import Path
from typing import Final, TypeVar, get_type_hints

from vaguemestre_agent.services.cardauthorities import AuthoritySettings
from vaguemestre_agent.services.dispatch import DispatchSettings
from vaguemestre_core.announcements import AnnouncementSettings
from vaguemestre_core.breaker import BreakerPolicy
from vaguemestre_core.deferral import DeferralPolicy
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.keeping import BackupSettings, RetentionSettings
from vaguemestre_core.readerports import ReadersSettings
from vaguemestre_core.retry import RetryPolicy
from vaguemestre_core.scannersettings import ScannerSettings
from vaguemestre_core.secondcopy import SecondCopySettings
from vaguemestre_documents.pdf.policy import FooterPolicy, PdfaMode

ENVIRONMENT_PREFIX: Final = "VAGUEMESTRE_"
SETTINGS_FILE: Final = "agent.toml"


@unique
class KeyStoreKind(StrEnum):
    """Where the keys of the store are kept."""

    SYSTEM = "system"  # Credential Manager, Keychain, Secret Service
    FILE = "file"  # a private file of the state folder


@unique
class Mode(StrEnum):
    """How this agent runs (docs/adr/0001)."""

    USER_SESSION = "user_session"
    MACHINE_SERVICE = "machine_service"


@unique
class ServiceMode(StrEnum):
    """Whether documents leave (docs/shadow.md)."""

    NORMAL = "normal"
    SHADOW = "shadow"  # accepted, built and guarded, never sent


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The agent itself.

    Attributes:
        station: name of this workstation in the ledger and traces; empty: the host's name.
        mode: how it runs.
        key_store: where the store's keys are kept.
        log_level: DEBUG, INFO, WARNING or ERROR; no level shows personal data.
        drain_s: time given to sendings under way at a stop, seconds.
    """

    station: str = ""
    mode: Mode = Mode.USER_SESSION
    key_store: KeyStoreKind = KeyStoreKind.SYSTEM
    log_level: str = "INFO"
    drain_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The way to the national services.

    Attributes:
        mode: ``shadow``: nothing is asked of any service and nothing is sent.
        profile: name of a shipped profile, or path of a profile file.
        proxy_url: base URL of the Proxy e-santé; empty: not configured, everything waits.
        ca_file: PEM of the authorities trusted for it; empty: the system's.
        client_certificate: PEM of the client certificate shown to the proxy; empty: none.
        client_key: PEM of its key.
        signing_certificate: PEM of the structure's signature certificate; empty: none.
        signing_key: PEM of its key.
        direct_url: ``https://host[:port]`` of the DMP for cards and for the structure's certificate; empty: cards open
            no way.
        structure_certificate: PEM or ``.p12`` of the structure's client certificate, for the direct way; empty: none.
        structure_key: PEM of its key; empty with a ``.p12``.
        structure_password_file: file that holds the password of the ``.p12`` or of the key; empty: none.
        witness: hosts (``host:port``, separated by spaces) that are reached when the Internet is there: they tell an
            absent Internet from an absent proxy; empty: nobody is asked.
        trust_env: let HTTPS_PROXY and NO_PROXY of the environment apply.
    """

    mode: ServiceMode = ServiceMode.NORMAL
    profile: str = "esante-edc"
    proxy_url: str = ""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    signing_certificate: str = ""
    signing_key: str = ""
    direct_url: str = ""
    structure_certificate: str = ""
    structure_key: str = ""
    structure_password_file: str = ""
    witness: str = ""
    trust_env: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFolderSettings:
    """A folder watched for programs that cannot speak HTTP (docs/dropfolder.md).

    Attributes:
        path: the folder; empty: none is watched.
        client_id: the paired client whose documents these are.
        poll_s: time between two looks, seconds.
        settle_s: how long both files of a pair must have stayed the same, seconds.
    """

    path: str = ""
    client_id: str = ""
    poll_s: float = 1.0
    settle_s: float = 2.0

    def __post_init__(self) -> None:
        if self.poll_s <= 0 or self.settle_s < 0:
            raise InvalidInput("DROP_TIMES_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationSettings:
    """The worker process that builds documents.

    Attributes:
        deadline_s: longest time for one document, seconds.
        memory_mib: memory bound of the worker where the system allows one, MiB.
        pdfa: a PDF that is not PDF/A-1: ``accept`` it with a warning, ``require`` PDF/A-1, or ``convert`` it.
        ghostscript: path of the Ghostscript program that converts what a rewriting cannot; empty: none.
    """

    deadline_s: float = 60.0
    memory_mib: int = 1024
    pdfa: PdfaMode = PdfaMode.ACCEPT
    ghostscript: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; each section is a table of the file."""

    agent: AgentSettings = field(default_factory=AgentSettings)
    services: ServiceSettings = field(default_factory=ServiceSettings)
    preparation: PreparationSettings = field(default_factory=PreparationSettings)
    footer: FooterPolicy = field(default_factory=FooterPolicy)
    deferral: DeferralPolicy = field(default_factory=DeferralPolicy)
    dispatch: DispatchSettings = field(default_factory=DispatchSettings)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    announcements: AnnouncementSettings = field(default_factory=AnnouncementSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    second_copy: SecondCopySettings = field(default_factory=SecondCopySettings)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    authority: AuthoritySettings = field(default_factory=AuthoritySettings)
    dropfolder: DropFolderSettings = field(default_factory=DropFolderSettings)
    readers: ReadersSettings = field(default_factory=ReadersSettings)
    scanners: ScannerSettings = field(default_factory=ScannerSettings)


def load_settings(config: Path, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a configuration folder and an environment.

    Raises:
        InvalidInput: SETTING_UNKNOWN, SETTING_INVALID (key), SETTINGS_UNREADABLE.
    """
    path = config / SETTINGS_FILE
    try:
        content = path.read_text(encoding="utf-8") if path.exists() else ""
        tables: dict[str, object] = tomllib.loads(content)
    except (OSError, ValueError) as error:
        raise InvalidInput("SETTINGS_UNREADABLE") from error
    return _with_environment(parse_settings(tables), environment)


def parse_settings(tables: Mapping[str, object]) -> Settings:
    """Return the settings of parsed TOML tables over the defaults."""
    settings = Settings()
    sections = {item.name for item in fields(Settings)}
    for section, table in tables.items():
        if section not in sections or not isinstance(table, dict):
            raise InvalidInput("SETTING_UNKNOWN", key=section)
        settings = replace(settings, **{section: _merge(getattr(settings, section), table, section)})
    return settings


T = TypeVar(
    "T",
    AgentSettings,
    ServiceSettings,
    PreparationSettings,
    FooterPolicy,
    DeferralPolicy,
    DispatchSettings,
    RetryPolicy,
    BreakerPolicy,
    AuthoritySettings,
    RetentionSettings,
    AnnouncementSettings,
    BackupSettings,
    SecondCopySettings,
    DropFolderSettings,
    ReadersSettings,
    ScannerSettings,
)


def _merge(section: T, table: Mapping[str, object], name: str) -> T:
    hints = get_type_hints(type(section))
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in hints:
            raise InvalidInput("SETTING_UNKNOWN", key=f"{name}.{key}")
        try:
            values[key] = _convert(value, hints[key])
        except (ValueError, TypeError) as error:
            raise InvalidInput("SETTING_INVALID", key=f"{name}.{key}") from error
    try:
        return replace(section, **values)  # type: ignore[arg-type]  # converted to each member's type above
    except InvalidInput as error:
        raise InvalidInput("SETTING_INVALID", key=name, reason=error.code) from error


_TRUE: Final = frozenset({"1", "true", "yes"})
_FALSE: Final = frozenset({"0", "false", "no"})


def _convert(value: object, wanted: object) -> object:
    if wanted is bool:
        if isinstance(value, bool):
            return value
        text = str(value).lower()
        if text not in _TRUE | _FALSE:
            raise ValueError
        return text in _TRUE
    if wanted is float or wanted is int:
        if isinstance(value, bool):
            raise TypeError
        return float(str(value)) if wanted is float else int(str(value))
    if wanted is time:
        return value if isinstance(value, time) else time.fromisoformat(str(value))
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return wanted(str(value))
    if not isinstance(value, str):
        raise TypeError
    return value


def _with_environment(settings: Settings, environment: Mapping[str, str]) -> Settings:
    tables: dict[str, dict[str, object]] = {}
    for name, value in environment.items():
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).partition("__")
        if name.startswith(ENVIRONMENT_PREFIX) and separator:
            tables.setdefault(section.lower(), {})[key.lower()] = value
    for section, table in tables.items():
        if section not in {item.name for item in fields(Settings)}:
            raise InvalidInput("SETTING_UNKNOWN", key=section)
        settings = replace(settings, **{section: _merge(getattr(settings, section), table, section)})
    return settings

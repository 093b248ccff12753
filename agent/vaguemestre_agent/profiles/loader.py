"""Reads profile files: TOML in, frozen values out. An unknown, missing or ill-typed key stops the agent's start.

Owns the files of this folder and their reading; knows no default: every key is written in every profile.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from vaguemestre_agent.profiles.model import (
    AuthenticationMode,
    DirectProfile,
    DmpProfile,
    ExistenceProfile,
    MeansProfile,
    ProcessingCode,
    ProxyProfile,
    ServiceProfile,
    SubmissionProfile,
    TimeProfile,
    VihfProfile,
)
from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput, NotFound
from vaguemestre_core.signing import SignatureAlgorithm

SHIPPED: Final = ("esante-edc", "sandbox")

_Choice = TypeVar("_Choice", bound=StrEnum)


class _Table:
    """One table of a file; every key is read once, and what is left over is refused."""

    def __init__(self, name: str, content: object) -> None:
        if not isinstance(content, dict):
            raise InvalidInput("PROFILE_INVALID", field=name, reason="not_a_table")
        self._name = name
        self._content: dict[str, object] = dict(content)

    def _take(self, key: str) -> object:
        if key not in self._content:
            raise InvalidInput("PROFILE_INVALID", field=self._field(key), reason="missing")
        return self._content.pop(key)

    def _field(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def _wrong(self, key: str) -> InvalidInput:
        return InvalidInput("PROFILE_INVALID", field=self._field(key), reason="type")

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str):
            raise self._wrong(key)
        return value

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def number(self, key: str) -> float:
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key)
        return float(value)

    def integer(self, key: str) -> int:
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key)
        return value

    def texts(self, key: str) -> frozenset[str]:
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key)
        return frozenset(value)

    def mapping(self, key: str) -> Mapping[str, str]:
        value = self._take(key)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self._wrong(key)
        return MappingProxyType({str(name): str(item) for name, item in value.items()})

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        value = self.text(key)
        try:
            return kind(value)
        except ValueError:
            raise InvalidInput("PROFILE_INVALID", field=self._field(key), reason="unknown_value") from None

    def table(self, key: str) -> _Table:
        return _Table(self._field(key), self._take(key))

    def end(self) -> None:
        if self._content:
            unknown = min(self._content)
            raise InvalidInput("PROFILE_INVALID", field=self._field(unknown), reason="unknown_key")


def shipped_profile(name: str) -> ServiceProfile:
    """Return a profile shipped with the agent.

    Raises:
        NotFound: ``PROFILE_UNKNOWN``.
    """
    if name not in SHIPPED:
        raise NotFound("PROFILE_UNKNOWN")
    return parse_profile(resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))


def read_profile(path: Path) -> ServiceProfile:
    """Return the profile of a file given by the technician.

    Raises:
        InvalidInput: ``PROFILE_INVALID`` with the field and the reason.
        OSError: the file cannot be read.
    """
    return parse_profile(path.read_text("utf-8"))


def parse_profile(text: str) -> ServiceProfile:
    """Return the profile that a TOML text describes.

    Raises:
        InvalidInput: ``PROFILE_INVALID`` with the field and the reason; ``OID_INVALID``.
    """
    try:
        root = _Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        raise InvalidInput("PROFILE_INVALID", field="", reason="not_toml") from None
    profile = ServiceProfile(
        name=root.text("name"),
        contracts=root.mapping("contracts"),
        proxy=_proxy(root.table("proxy")),
        dmp=_dmp(root.table("dmp")),
        direct=_direct(root.table("direct")),
        existence=_existence(root.table("existence")),
        submission=_submission(root.table("submission")),
        vihf=_vihf(root.table("vihf")),
        times=_times(root.table("times")),
    )
    root.end()
    return profile


def _proxy(table: _Table) -> ProxyProfile:
    profile = ProxyProfile(
        connect_path=table.text("connect_path"),
        disconnect_path=table.text("disconnect_path"),
        send_path=table.text("send_path"),
        session_cookie=table.text("session_cookie"),
        no_session_message=table.text("no_session_message"),
        session_max_s=table.number("session_max_s"),
        connect_read_s=table.number("connect_read_s"),
    )
    table.end()
    return profile


def _dmp(table: _Table) -> DmpProfile:
    profile = DmpProfile(
        backend=table.text("backend"),
        patients_endpoint=table.text("patients_endpoint"),
        repository_endpoint=table.text("repository_endpoint"),
        registry_endpoint=table.text("registry_endpoint"),
        check_relates_to=table.flag("check_relates_to"),
        answer_max_bytes=table.integer("answer_max_bytes"),
        error_codes=table.mapping("error_codes"),
    )
    table.end()
    return profile


def _direct(table: _Table) -> DirectProfile:
    role = table.table("employee_role")
    profile = DirectProfile(
        path=table.text("path"),
        cps=_means(table.table("cps")),
        cpe=_means(table.table("cpe")),
        structure=_means(table.table("structure")),
        employee_role=CodedConcept(code=role.text("code"), label=role.text("label"), code_system=role.text("system")),
    )
    role.end()
    table.end()
    return profile


def _means(table: _Table) -> MeansProfile:
    profile = MeansProfile(
        mode=table.choice("mode", AuthenticationMode),
        context_class=table.text("context_class"),
    )
    table.end()
    return profile


def _existence(table: _Table) -> ExistenceProfile:
    profile = ExistenceProfile(
        processing_code=table.choice("processing_code", ProcessingCode),
        receiver_oid=table.text("receiver_oid"),
        receiver_name=table.text("receiver_name"),
        sender_oid=table.text("sender_oid"),
        active_statuses=table.texts("active_statuses"),
        authorised_values=table.texts("authorised_values"),
    )
    table.end()
    return profile


def _submission(table: _Table) -> SubmissionProfile:
    profile = SubmissionProfile(
        signed=table.flag("signed"),
        algorithm=table.choice("algorithm", SignatureAlgorithm),
        include_hash_and_size=table.flag("include_hash_and_size"),
        content_type_code=table.text("content_type_code"),
        content_type_label=table.text("content_type_label"),
        content_type_system=table.text("content_type_system"),
    )
    table.end()
    return profile


def _vihf(table: _Table) -> VihfProfile:
    profile = VihfProfile(
        version=table.text("version"),
        mode_attribute=table.text("mode_attribute"),
        mode=table.choice("mode", AuthenticationMode),
        context_class=table.text("context_class"),
        signed=table.flag("signed"),
        algorithm=table.choice("algorithm", SignatureAlgorithm),
        resource_urn=table.text("resource_urn"),
        purpose_code=table.text("purpose_code"),
        purpose_label=table.text("purpose_label"),
        purpose_system=table.text("purpose_system"),
        purpose_system_name=table.text("purpose_system_name"),
        profession_system=table.text("profession_system"),
        expertise_system=table.text("expertise_system"),
    )
    table.end()
    return profile


def _times(table: _Table) -> TimeProfile:
    profile = TimeProfile(
        connect_s=table.number("connect_s"),
        write_s=table.number("write_s"),
        read_s=table.number("read_s"),
        feed_total_s=table.number("feed_total_s"),
        query_total_s=table.number("query_total_s"),
        longest_exchange_s=table.number("longest_exchange_s"),
    )
    table.end()
    return profile

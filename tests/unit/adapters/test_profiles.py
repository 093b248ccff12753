"""Profiles are data: every key is written, known, typed and within bounds."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import PROFILE_KINDS
from vaguemestre_agent.profiles.loader import SHIPPED, parse_profile, read_profile, shipped_profile
from vaguemestre_core.errors import InvalidInput, NotFound


def text_of(name: str) -> str:
    return resources.files("vaguemestre_agent.profiles").joinpath(f"{name}.toml").read_text("utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profile_is_read(name: str) -> None:
    profile = shipped_profile(name)
    assert profile.name == name
    assert profile.proxy.path_to("dmp", "repository") == "/send/dmp/repository"
    assert profile.proxy.connect_read_s > 120
    assert profile.times.longest_exchange_s >= profile.times.feed_total_s
    assert set(profile.dmp.error_codes.values()) <= set(PROFILE_KINDS)


def test_every_profile_file_is_shipped() -> None:
    folder = resources.files("vaguemestre_agent.profiles")
    assert {item.name for item in folder.iterdir() if item.name.endswith(".toml")} == {f"{n}.toml" for n in SHIPPED}


def test_a_file_of_the_technician(tmp_path: Path) -> None:
    path = tmp_path / "cabinet.toml"
    path.write_text(text_of("sandbox").replace('name = "sandbox"', 'name = "cabinet"', 1), "utf-8")
    assert read_profile(path).name == "cabinet"


def test_an_unknown_profile() -> None:
    with pytest.raises(NotFound, match="PROFILE_UNKNOWN"):
        shipped_profile("../secret")


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ('version = "3.0"', 'version = "3.0"\nversoin = "4.0"', "vihf.versoin", "unknown_key"),
        ('version = "3.0"', "", "vihf.version", "missing"),
        ('version = "3.0"', "version = 3.0", "vihf.version", "type"),
        ("signed = true", 'signed = "oui"', "submission.signed", "type"),
        ("read_s = 20", "read_s = true", "times.read_s", "type"),
        ("answer_max_bytes = 4194304", "answer_max_bytes = 4.5", "dmp.answer_max_bytes", "type"),
        ("answer_max_bytes = 4194304", "answer_max_bytes = 0", "dmp.answer_max_bytes", "not_positive"),
        ('mode = "INDIRECTE_RENFORCEE"', 'mode = "TELEPATHIE"', "vihf.mode", "unknown_value"),
        ('active_statuses = ["active"]', "active_statuses = [1]", "existence.active_statuses", "type"),
        ("longest_exchange_s = 60", "longest_exchange_s = 10", "times.longest_exchange_s", "below_feed_total_s"),
        ("connect_read_s = 150", "connect_read_s = 60", "proxy.connect_read_s", "not_above_120"),
        ('send_path = "/send/{backend}/{endpoint}"', 'send_path = "/send"', "proxy.send_path", "pattern"),
        ('DMPClosed = "closed"', "DMPClosed = 3", "dmp.error_codes", "type"),
        ('name = "sandbox"', 'name = "sandbox"\nnom = "x"', "nom", "unknown_key"),
        ('name = "sandbox"', "name = ", "", "not_toml"),
    ],
)
def test_a_wrong_file_is_refused_with_its_field(old: str, new: str, field: str, reason: str) -> None:
    text = text_of("sandbox")
    assert old in text
    with pytest.raises(InvalidInput) as caught:
        parse_profile(text.replace(old, new, 1))
    assert (caught.value.code, caught.value.params["field"], caught.value.params["reason"]) == (
        "PROFILE_INVALID",
        field,
        reason,
    )

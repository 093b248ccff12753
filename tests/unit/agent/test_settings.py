"""Settings: defaults, file, environment, and refusals that name the key."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from vaguemestre_agent.settings import KeyStoreKind, Settings, load_settings
from vaguemestre_core.deferral import DeferralMode
from vaguemestre_core.errors import InvalidInput


def test_defaults_then_file_then_environment(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}) == Settings()
    (tmp_path / "agent.toml").write_text(
        '[deferral]\nmode = "evening"\nevening_at = 19:30:00\n[retry]\nbase_s = 3\n[agent]\nkey_store = "file"\n'
    )
    settings = load_settings(
        tmp_path, {"VAGUEMESTRE_DEFERRAL__UNDO_S": "5", "VAGUEMESTRE_SERVICES__TRUST_ENV": "yes", "HOME": "/"}
    )
    assert (settings.deferral.mode, settings.deferral.evening_at, settings.deferral.undo_s) == (
        DeferralMode.EVENING,
        time(19, 30),
        5.0,
    )
    assert (settings.retry.base_s, settings.services.trust_env, settings.agent.key_store) == (
        3.0,
        True,
        KeyStoreKind.FILE,
    )


@pytest.mark.parametrize(
    ("content", "code", "key"),
    [
        ("[nonsense]\nx = 1\n", "SETTING_UNKNOWN", "nonsense"),
        ("[deferral]\ndelai = 1\n", "SETTING_UNKNOWN", "deferral.delai"),
        ("[deferral]\ndelay_s = -1\n", "SETTING_INVALID", "deferral"),
        ("[deferral]\ndelay_s = true\n", "SETTING_INVALID", "deferral.delay_s"),
        ("[deferral]\nmode = 'never'\n", "SETTING_INVALID", "deferral.mode"),
        ("[agent]\nstation = 1\n", "SETTING_INVALID", "agent.station"),
        ("[services]\ntrust_env = 'perhaps'\n", "SETTING_INVALID", "services.trust_env"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, code: str, key: str) -> None:
    (tmp_path / "agent.toml").write_text(content)
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path, {})
    assert (caught.value.code, caught.value.params["key"]) == (code, key)


def test_an_unreadable_file_and_an_unknown_variable_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="SETTING_UNKNOWN"):
        load_settings(tmp_path, {"VAGUEMESTRE_NONSENSE__X": "1"})
    (tmp_path / "agent.toml").write_text("not toml [")
    with pytest.raises(InvalidInput, match="SETTINGS_UNREADABLE"):
        load_settings(tmp_path, {})


@pytest.mark.req("SC.DMP/ALI/PROG.03")
def test_no_setting_blocks_all_sending() -> None:
    """Blocking is document by document: there is no setting that never sends."""
    words = {"never", "block", "disable", "off"}
    names = {name for section in Settings.__slots__ for name in getattr(Settings(), section).__slots__}
    assert not {name for name in names if words & set(name.split("_"))}
    assert {mode.value for mode in DeferralMode} == {"delay", "evening", "between_patients"}

"""What the services do wrong during a crash run, and what leads an order to a failpoint off the ordinary way."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# What the simulated services do wrong meanwhile, each once.
FAILURES: Final = (
    {"target": "dmp.td21", "action": "cut_in_body", "after_bytes": 3000},
    {"target": "dmp.td21", "action": "cut_after_body"},
    {"target": "dmp.td21", "action": "cut_after_store"},
    {"target": "dmp.td21", "action": "status_after_read", "status": 503},
    {"target": "dmp.td21", "action": "status_after_store", "status": 504},
    {"target": "dmp.td21", "action": "late_store", "seconds": 0.8},
    {"target": "dmp.td21", "action": "html"},
    {"target": "dmp.td31", "action": "status_before_read", "status": 502},
    {"target": "dmp.td02", "action": "status_before_read", "status": 503},
    {"target": "proxy.send", "action": "status_before_read", "status": 503},
)
# What makes an order pass a failpoint that an ordinary day does not meet: the failure, then settings of the agent.
_CUT_BEFORE_STORE: Final = {"target": "dmp.td21", "action": "cut_after_body"}
_CUT_AFTER_STORE: Final = {"target": "dmp.td21", "action": "cut_after_store"}
REFUSED: Final = {"target": "dmp.td21", "action": "xds_error", "code": "XDSRegistryMetadataError"}
SESSION_ENDED: Final = {"target": "proxy.send", "action": "session_expired"}
LED_TO: Final[Mapping[str, tuple[Mapping[str, object], Mapping[str, str]]]] = MappingProxyType(
    {
        "applied.unclaim": ({"target": "dmp.td02", "action": "status_before_read", "status": 503}, {}),
        "applied.refused": (REFUSED, {}),
        "applied.not_sent": (
            SESSION_ENDED,
            {"VAGUEMESTRE_DISPATCH__TEST_EXISTENCE": "no"},
        ),
        "applied.doubt": (_CUT_BEFORE_STORE, {}),
        "settle.started": (_CUT_AFTER_STORE, {}),
        "settle.answered": (_CUT_BEFORE_STORE, {}),
        "applied.found_there": (_CUT_AFTER_STORE, {}),
        "applied.unknown_there": (_CUT_BEFORE_STORE, {}),
    }
)

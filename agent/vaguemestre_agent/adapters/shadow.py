"""What stands between the services and the world in shadow mode: ports that cannot reach anything (docs/shadow.md).

Owns no connection, no address and no certificate: what is not there cannot send. Chosen by the composition root alone.
"""

from __future__ import annotations

from typing import Final

from vaguemestre_agent.adapters.unconfigured import UnconfiguredDmp, UnconfiguredProxy

SHADOW: Final = "SHADOW_MODE"


class ShadowProxy(UnconfiguredProxy):
    """``ProxyPort`` of shadow mode: no professional is asked for anything."""

    code = SHADOW


class ShadowDmp(UnconfiguredDmp):
    """``DmpPort`` of shadow mode: every question stays open, every sending did not happen."""

    code = SHADOW

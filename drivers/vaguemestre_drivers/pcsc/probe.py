"""The child that asks the PC/SC service what it sees, once, and says each step before it takes it.

Runs as ``python -m vaguemestre_drivers.pcsc.probe`` and may die or hang in the native library at any step: its parent
keeps what was said. It lists readers and reads their status; it connects to no card. Not to be imported by anything but
its parent, which needs its words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from vaguemestre_core.cards import CardTrouble
from vaguemestre_drivers import childlines
from vaguemestre_drivers.crashes import quiet_crash
from vaguemestre_drivers.pcsc.atr import kind_of
from vaguemestre_drivers.pcsc.holding import holders
from vaguemestre_drivers.pcsc.port import PcscPort
from vaguemestre_drivers.pcsc.watching import state_of
from vaguemestre_drivers.pcsc.winscard import WinscardPort

# Each line that is ours begins with it: a native library may print too.
MARK: Final = "vaguemestre-pcsc "
STEPS: Final = ("load", "readers", "status", "holders", "done")
FIRST_MARK: Final = 0  # the status at once
say: Final = partial(childlines.say, MARK)


def probe(port: PcscPort, find_holders: Callable[[], tuple[str, ...]] = holders) -> None:
    """Ask and say. What could not be done is a line with ``situation`` and, when there is one, ``result``."""
    say("load")
    try:
        feed = port.open_feed()
        try:
            say("readers")
            names = feed.readers()
            say("status")
            seen = feed.wait(dict.fromkeys(names, FIRST_MARK), 0.0) if names else ()
        finally:
            feed.close()
    except CardTrouble as trouble:
        say("failed", situation=trouble.situation.value, result=str(trouble.params.get("result", "")))
        return
    for status in seen:
        kind = kind_of(status.atr).value if status.atr else None
        say("status", reader=status.name, state=state_of(status).value, card=kind)
    if any(status.is_in_use or status.is_exclusive for status in seen):
        say("holders")
        for name in find_holders():
            say("holders", holder=name)
    say("done")


if __name__ == "__main__":
    quiet_crash()
    probe(WinscardPort())

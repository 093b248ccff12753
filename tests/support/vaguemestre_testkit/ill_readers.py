"""A readers process with verbs that go wrong the way native code does: hangs, crashes, swells, prints, lies.

Started as ``python -m vaguemestre_testkit.ill_readers``; the process, its pipe and its protocol are the real ones.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import partial

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import Pulses
from vaguemestre_drivers.process.running import run
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb
from vaguemestre_drivers.process.work import Start

_KEPT: list[bytes] = []


def _segfault(_: Asked) -> Reply:
    ctypes.string_at(0)
    return Reply()


def _hang(_: Asked) -> Reply:
    threading.Event().wait()
    return Reply()


def _hold_everything(_: Asked) -> Reply:
    """Hang in native code that does not let other threads of Python run."""
    ctypes.PyDLL(None).sleep(60)
    return Reply()


def _swell(asked: Asked) -> Reply:
    _KEPT.append(b"\1" * asked.number("bytes"))
    return Reply()


def _print(_: Asked) -> Reply:
    os.write(1, b"a native library greets its user\n")
    subprocess.run([sys.executable, "-c", "import sys; print('child', len(sys.stdin.read()))"], check=True)
    return Reply(values={"printed": True})


def _refuse(_: Asked) -> Reply:
    raise CardTrouble(Situation.CARD_CHANGED, tries_left=2)


def _break(_: Asked) -> Reply:
    raise RuntimeError("DUPONT 1234")


def work(settings: Mapping[str, object]) -> Start:
    return partial(verbs, settings)


def verbs(settings: Mapping[str, object], outlet: Outlet, _: Pulses) -> Mapping[str, Verb]:
    def lie(_: Asked) -> Reply:
        outlet.send({"neither": "event nor answer"})
        return Reply()

    return {
        "echo": Verb(lane="other", act=lambda asked: Reply(values=dict(settings), content=asked.content)),
        "segfault": Verb(lane="native", act=_segfault),
        "hang": Verb(lane="native", act=_hang),
        "hold": Verb(lane="native", act=_hold_everything),
        "swell": Verb(lane="native", act=_swell),
        "print": Verb(lane="native", act=_print),
        "refuse": Verb(lane="native", act=_refuse),
        "break": Verb(lane="native", act=_break),
        "lie": Verb(lane="other", act=lie),
    }


if __name__ == "__main__":
    sys.exit(run(work))

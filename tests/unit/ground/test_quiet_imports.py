"""Importing a module of ours does nothing: no file, socket, thread, process or database is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Two children: the first learns which foreign modules ours need; the second imports those, then watches ours.
LEARN = """
import importlib, pkgutil, sys
names = []
for root in {roots!r}:
    names.append(root)
    package = importlib.import_module(root)
    names += [m.name for m in pkgutil.walk_packages(package.__path__, root + ".") if not m.name.endswith("__main__")]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The extras of the other roles need not be installed here.
        optional = name.startswith(("vaguemestre_drivers", "vaguemestre_tray"))
        if not optional or (error.name or "vaguemestre").startswith("vaguemestre"):
            raise
foreign = [n for n in sys.modules if not n.startswith("vaguemestre") and n != "__main__"]
ours = [n for n in names if n in sys.modules]
print("\\n".join(["F " + n for n in foreign] + ["O " + n for n in ours]))
"""

WATCH = """
import importlib, sys, threading
foreign = [l[2:] for l in {lines!r} if l.startswith("F ")]
ours = [l[2:] for l in {lines!r} if l.startswith("O ")]
for name in foreign:
    try:
        importlib.import_module(name)
    except Exception:
        pass  # an alias of another module
seen, current = [], ["?"]
CODE = (".py", ".pyc", ".so", ".pyd", ".dylib")
FORBIDDEN = ("socket.", "subprocess.", "sqlite3.connect", "os.fork", "os.posix_spawn", "os.system",
             "os.mkdir", "os.remove", "os.rename", "ctypes.dlopen", "urllib.")
def hook(event, args):
    if event == "open" and isinstance(args[0], str) and not args[0].endswith(CODE):
        seen.append((current[0], event, args[0]))
    elif event.startswith(FORBIDDEN):
        seen.append((current[0], event, ""))
def start(thread):
    seen.append((current[0], "thread", thread.name))
threading.Thread.start = start
sys.addaudithook(hook)
for current[0] in ours:
    importlib.import_module(current[0])
{extra}
for row in seen:
    print(*row)
"""

ROOTS = (
    "vaguemestre_core",
    "vaguemestre_documents",
    "vaguemestre_api",
    "vaguemestre_queue",
    "vaguemestre_drivers",
    "vaguemestre_agent",
    "vaguemestre_tray",
    "vaguemestre_sandbox",
)


def child(code: str) -> list[str]:
    """Run code in a new interpreter that writes no bytecode; return its output lines."""
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_ours_does_nothing() -> None:
    lines = child(LEARN.format(roots=ROOTS))
    assert sum(line.startswith("O ") for line in lines) > len(ROOTS)
    assert child(WATCH.format(lines=lines, extra="")) == []


PROBE = """
import socket, sqlite3, threading
current[0] = "probe"
socket.socket().close()
sqlite3.connect(":memory:").close()
open("pyproject.toml").close()
threading.Thread(target=int).start()
"""


def test_the_watch_sees_what_it_must_see() -> None:
    lines = ["F socket", "F sqlite3", "F threading", "O vaguemestre_core"]
    events = {line.split()[1] for line in child(WATCH.format(lines=lines, extra=PROBE)) if line.startswith("probe")}
    assert {"socket.__new__", "sqlite3.connect", "open", "thread"} <= events


def test_the_resident_agent_does_not_carry_what_only_a_medicine_box_needs() -> None:
    code = "import sys, vaguemestre_agent.resident\nprint(*sorted({'biip', 'lxml'} & set(sys.modules)))"
    # lxml is carried: what is looked for would be seen.
    assert child(code) == ["lxml"]

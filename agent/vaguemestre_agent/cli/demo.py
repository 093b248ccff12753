"""``vaguemestre demo``: the whole story on this machine, with a sandbox for the national services.

Owns the processes of the demonstration: stopped at the end, or left running with ``--keep`` and how to stop them said.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vaguemestre_agent.cli.console import Console, Exit

if TYPE_CHECKING:
    from vaguemestre_agent.practice.agent import Practice
    from vaguemestre_agent.practice.processes import Child
    from vaguemestre_agent.practice.sandbox import RunningSandbox

READERS: Final = 2


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--keep", action="store_true", help="laisser tourner le bac à sable et l'agent à la fin")
    parser.add_argument("--documents", type=Path, default=None, help="dossier des documents (défaut : docs/demo)")
    parser.add_argument("--folder", type=Path, default=None, help="dossier de l'état (défaut : un dossier provisoire)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Tell the story; return 0 when it ended as it should."""
    if importlib.util.find_spec("vaguemestre_sandbox") is None:
        console.fail("COMMAND_UNAVAILABLE", {"module": "vaguemestre_sandbox"})
        return Exit.UNAVAILABLE
    documents = arguments.documents or Path(__file__).resolve().parents[3] / "docs" / "demo"
    if not (documents / "consultation.pdf").exists():
        console.fail("DEMO_DOCUMENTS_MISSING")
        return Exit.USAGE
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="vaguemestre-demo-"))
    try:
        asyncio.run(_tell(documents, folder, console, keep=arguments.keep))
    finally:
        if not arguments.keep and arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return Exit.OK


async def _tell(documents: Path, folder: Path, console: Console, *, keep: bool) -> None:
    from vaguemestre_agent.demo.story import Story, demo_documents
    from vaguemestre_agent.practice.agent import Practice
    from vaguemestre_agent.practice.home import DEMO_PACE, free_ports, make_home
    from vaguemestre_agent.practice.sandbox import start_sandbox

    async with AsyncExitStack() as stack:
        console.say("Vaguemestre, démonstration : tout tourne sur cette machine, tout est fictif.")
        ports = free_ports(READERS)
        readers = [word for port in ports for word in ("--card-port", str(port))]
        sandbox = await start_sandbox(folder / "sandbox", readers, detached=keep)
        stack.push_async_callback(sandbox.child.stop)
        console.say(f"   Bac à sable prêt (Proxy e-santé et DMP simulés) : {sandbox.facts.inspection}")
        home = folder / "agent"
        practice = Practice(home, make_home(home, sandbox.facts, DEMO_PACE, ports), sandbox.facts, detached=keep)
        child = await practice.start()
        running = [child]
        stack.push_async_callback(_stop_last, running)
        await practice.wait_ready(child)
        await practice.pair()
        console.say(f"   Agent prêt, jumelé avec le logiciel du cabinet. Son dossier : {home}")
        story = Story(practice, sandbox, demo_documents(documents), console.say, running)
        ending = await story.tell()
        if console.as_json:
            console.give(asdict(ending), "")
        if keep:
            _keep_credentials(practice)
            stack.pop_all()  # nothing is stopped
            _say_how_to_go_on(console, folder, sandbox, running[-1])
        else:
            console.say("\nTout est arrêté. « ./run demo --keep » laisse tourner l'ensemble pour y regarder de près.")


async def _stop_last(running: list[Child]) -> None:
    await running[-1].stop()


def _keep_credentials(practice: Practice) -> None:
    """Let the command line speak to the agent as the paired software."""
    from vaguemestre_agent.cli.connection import keep_credentials
    from vaguemestre_agent.paths import HOME_VARIABLE, agent_paths

    assert practice.credentials is not None
    os.environ[HOME_VARIABLE] = str(practice.home)
    keep_credentials(agent_paths(os.environ), practice.credentials)


def _say_how_to_go_on(console: Console, folder: Path, sandbox: RunningSandbox, agent: Child) -> None:
    home = folder / "agent"
    console.say("\nTout reste en marche. Où regarder :")
    console.say(f"   page du bac à sable   {sandbox.facts.inspection}")
    console.say(f"   ordres                ./run vaguemestre --home {home} orders list")
    console.say(f"   registre              ./run vaguemestre --home {home} ledger verify")
    console.say(f"   lecteurs, cartes      ./run vaguemestre --home {home} readers")
    inspection = sandbox.facts.inspection
    console.say(
        f"   mettre une carte      ./run vaguemestre sandbox insert --inspection {inspection} vitale2 --reader 0"
    )
    console.say(f"   journal de l'agent    {agent.errors}")
    console.say(f"   pour tout arrêter     kill {agent.pid} {sandbox.child.pid}")
    with contextlib.suppress(OSError):
        (folder / "pids").write_text(f"{agent.pid} {sandbox.child.pid}\n", encoding="ascii")

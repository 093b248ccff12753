"""Entry of the command line: finds the command, imports it alone, and turns every failure into a sentence and a status.

Owns the options common to all commands (``--json``, ``--home``, ``--service``); never prints a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from vaguemestre_agent.cli.commands import COMMANDS
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api.failures import AgentNotRunning, AgentSilent, ApiProblem, ClientFailure
from vaguemestre_core.errors import VaguemestreError

_STATUSES: Final = {"NOT_PAIRED": Exit.NOT_PAIRED, "CREDENTIALS_UNREADABLE": Exit.NOT_PAIRED}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    console = Console(as_json="--json" in words)
    top = _top_parser()
    try:
        chosen = top.parse_args(words)
        if chosen.command is None:
            top.print_help()
            return Exit.OK if chosen.help else Exit.USAGE
        entry = COMMANDS.get(chosen.command)
        if entry is None:
            top.error(f"commande inconnue : {chosen.command}")
        if not entry.is_installed():
            console.fail("COMMAND_UNAVAILABLE", {"module": entry.module})
            return Exit.UNAVAILABLE
        command = entry.load()
        common = _common_options()
        parser = argparse.ArgumentParser(
            prog=f"vaguemestre {chosen.command}", description=_sentence(entry.summary), parents=[common]
        )
        command.configure(parser, common)
        _choose_home(chosen)
        if entry.passes_through:
            return command.run(argparse.Namespace(words=chosen.rest), console)
        arguments = parser.parse_args(chosen.rest, namespace=argparse.Namespace(json=chosen.json))
        _choose_home(arguments)
        return command.run(arguments, console)
    except SystemExit as ended:  # argparse: it has said why
        return ended.code if isinstance(ended.code, int) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left: nothing more to say, and nothing for the interpreter to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except ClientFailure as failure:
        return _tell_client_failure(console, failure)
    except VaguemestreError as error:
        return _tell_error(console, error)
    except Exception as error:  # noqa: BLE001 - the border: a bug becomes a sentence, never a traceback
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} {PurePath(place.filename).name}:{place.lineno}"
        console.fail("UNEXPECTED", support_id=where)
        return Exit.BUG


def _tell_client_failure(console: Console, failure: ClientFailure) -> int:
    if isinstance(failure, ApiProblem):
        problem = failure.problem
        errors = [(finding.pointer, finding.title) for finding in problem.errors]
        console.fail(problem.code, problem.params, support_id=problem.support_id, errors=errors)
        return _STATUSES.get(problem.code, Exit.REFUSED)
    console.fail(failure.code)
    if isinstance(failure, AgentNotRunning):
        return Exit.NOT_RUNNING
    if isinstance(failure, AgentSilent):
        return Exit.UNKNOWN_OUTCOME
    return Exit.REFUSED


def _tell_error(console: Console, error: VaguemestreError) -> int:
    from vaguemestre_agent.localapi.findings import findings_of

    errors = [(item.pointer, item.sentence) for item in findings_of(error)]
    console.fail(error.code, error.params, errors=errors)
    return _STATUSES.get(error.code, Exit.REFUSED)


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("options communes")
    group.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="réponses et erreurs en JSON")
    group.add_argument("--home", default=argparse.SUPPRESS, metavar="DOSSIER", help="dossier de l'agent")
    group.add_argument(
        "--service", action="store_true", default=argparse.SUPPRESS, help="l'agent installé comme service de la machine"
    )
    return common


def _top_parser() -> argparse.ArgumentParser:
    lines = [f"  {name.ljust(14)}{entry.summary}" for name, entry in COMMANDS.items() if entry.is_installed()]
    parser = argparse.ArgumentParser(
        prog="vaguemestre",
        usage="vaguemestre [--json] [--home DOSSIER] [--service] COMMANDE …",
        description="Agent résident du poste de travail d'un cabinet médical.",
        epilog="commandes :\n" + "\n".join(lines) + "\n\nvaguemestre COMMANDE --help dit tout d'une commande.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="cette aide")
    parser.add_argument("--json", action="store_true", help="réponses et erreurs en JSON")
    parser.add_argument("--home", metavar="DOSSIER", help="dossier de l'agent (sinon VAGUEMESTRE_HOME)")
    parser.add_argument("--service", action="store_true", help="l'agent installé comme service de la machine")
    parser.add_argument("command", nargs="?", metavar="COMMANDE", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _choose_home(arguments: argparse.Namespace) -> None:
    """Let the options win over the environment, for this process and those it starts."""
    from vaguemestre_agent.paths import HOME_VARIABLE, SERVICE_VARIABLE

    home = getattr(arguments, "home", None)
    if home:
        os.environ[HOME_VARIABLE] = home
    if getattr(arguments, "service", False):
        os.environ.pop(HOME_VARIABLE, None)
        os.environ[SERVICE_VARIABLE] = "1"


if __name__ == "__main__":
    sys.exit(main())

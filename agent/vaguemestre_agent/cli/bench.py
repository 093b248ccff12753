"""``vaguemestre bench …``: the measures of a checkout (``bench/`` is not shipped to practices).

Each measure is a process of its own, so that none warms another's caches. Prints ratios of one run, never bare times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api.jsontypes import Json

LONGEST_S: Final = 3600.0
PICTURE: Final = "picture.py"
SCAN: Final = "scan"
SCAN_TARGET: Final = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One script: its name without suffix, and what makes it quick."""

    script: str
    quick: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What can be measured: its French line of help and its scripts."""

    help: str
    measures: tuple[Measure, ...]


SUBJECTS: Final[Mapping[str, Subject]] = {
    "queue": Subject(
        help="acceptation, prise en charge, et d'autres files à durabilité égale",
        measures=(
            Measure(script="queue_accept", quick=("--rounds", "1")),
            Measure(script="queue_claim", quick=("--orders", "1000", "20000")),
            Measure(script="queue_peers", quick=("--rounds", "1", "--orders", "1000", "20000")),
        ),
    ),
    "api": Subject(
        help="dépôt par l'API locale, face à la file seule",
        measures=(Measure(script="api_accept", quick=("--rounds", "1")),),
    ),
    "dmp": Subject(
        help="du dépôt à l'accusé, face à une boucle qui ne garde rien",
        measures=(Measure(script="dmp_send", quick=("--rounds", "1", "--documents", "10")),),
    ),
    "cards": Subject(
        help="événements et commandes des cartes, face à PC/SC seul",
        measures=(Measure(script="card_events", quick=("--rounds", "5")),),
    ),
    "idle": Subject(
        help="mémoire et processeur au repos",
        measures=(Measure(script="idle", quick=("--seconds", "10")),),
    ),
    "start": Subject(
        help="du lancement à la première réponse, face aux importations",
        measures=(Measure(script="start", quick=("--rounds", "3")),),
    ),
    SCAN: Subject(
        help="lecture des codes dans des familles d'images, face à zxing-cpp et à libdmtx seuls",
        measures=(Measure(script="scan", quick=("--samples", "6", "--rounds", "6")),),
    ),
}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Declare what can be measured."""
    kinds = parser.add_subparsers(dest="subject", required=True, metavar="SUJET")
    for name, subject in SUBJECTS.items():
        one = kinds.add_parser(name, parents=[common], help=subject.help)
        one.add_argument("--quick", action="store_true", help="un tour, petites tailles")
        if name == "queue":
            one.add_argument("--picture", type=Path, metavar="FICHIER.svg", help="dessine la courbe")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the scripts of a subject; return 0 when all targets are met, 1 when one is not."""
    folder = bench_folder()
    if folder is None:
        console.fail("COMMAND_UNAVAILABLE", {"module": "bench"})
        return Exit.UNAVAILABLE
    results: dict[str, Json] = {}
    met = True
    for measure in SUBJECTS[arguments.subject].measures:
        words = ["--json", *(measure.quick if arguments.quick else ())]
        result: Json = json.loads(script(folder / f"{measure.script}.py", words))
        results[measure.script] = result
        met = (tell_scan if arguments.subject == SCAN else tell)(console, result) and met
    picture: Path | None = getattr(arguments, "picture", None)
    if picture is not None:
        draw(folder, results, picture)
        console.say(f"courbe : {picture}")
    if console.as_json:
        console.give_json(results[SCAN] if arguments.subject == SCAN else results)
    return Exit.OK if met else Exit.REFUSED


def tell(console: Console, result: Json) -> bool:
    """Say each figure of a measure; return whether all that have a target meet it."""
    met = True
    groups = result if isinstance(result, dict) else {}
    for group, figures in groups.items():
        for figure in figures if isinstance(figures, list) else []:
            if isinstance(figure, dict):
                met = met and all(value is True for key, value in figure.items() if key.endswith("met"))
                console.say(f"{group} : " + ", ".join(f"{key} {value}" for key, value in figure.items()))
    return met


def tell_scan(console: Console, result: Json) -> bool:
    """Say each family of images; return whether ours reads as much as the better reader, within the target's time."""
    met = True
    families = result["families"] if isinstance(result, dict) else {}
    for name, readers in families.items() if isinstance(families, dict) else ():
        figures = {who: rate_and_ms(of) for who, of in readers.items()} if isinstance(readers, dict) else {}
        (rate, ms), others = figures["ours"], [figures["zxing"], figures["dmtx"]]
        best = max(other for other, _ in others)
        fastest = min((time for other, time in others if other > 0), default=ms)
        good = rate >= best and ms <= SCAN_TARGET * fastest
        met = met and good
        sides = ", ".join(f"{who} {part:.0%} en {time:.2f} ms" for who, (part, time) in figures.items())
        console.say(f"{name} : {sides} ; objectif {'tenu' if good else 'manqué'}")
    return met


def rate_and_ms(of: Json) -> tuple[float, float]:
    """Return both figures of a reader."""
    values = of if isinstance(of, dict) else {}
    rate, ms = values.get("rate"), values.get("ms")
    if not isinstance(rate, int | float) or not isinstance(ms, int | float):
        raise TypeError("a measure without its figures")
    return float(rate), float(ms)


def draw(folder: Path, results: Mapping[str, Json], picture: Path) -> None:
    """Draw the curve of a run."""
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as scratch:
        given = Path(scratch) / "results.json"
        given.write_text(json.dumps(dict(results)), encoding="utf-8")
        script(folder / PICTURE, [str(given), str(picture)])


def bench_folder() -> Path | None:
    """Return the folder of the measures beside this checkout, or None in an installed program."""
    folder = Path(__file__).resolve().parents[3] / "bench"
    return folder if (folder / PICTURE).is_file() else None


def script(path: Path, words: Sequence[str]) -> bytes:
    """Run one script in another process; return what it prints."""
    command = [sys.executable, str(path), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=LONGEST_S).stdout  # noqa: S603 - our own

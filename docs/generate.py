#!/usr/bin/env python3
"""Writes what is made from the code: blocks of docs/architecture.md, tables of docs/api.md and doctor.md, the clients.

Run by a developer after a change of the transitions, of ``openapi.json`` or of the doctor's rules:
``python docs/generate.py``; tests compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vaguemestre_agent.doctor.codes import Weight, sentences
from vaguemestre_agent.doctor.rules import RULES
from vaguemestre_api import openapi
from vaguemestre_api.clientgen.generate import clients
from vaguemestre_core.orders import CANCEL_ASKED_ONLY, SETTLED, TERMINAL, TRANSITIONS, OrderState

DOCS = Path(__file__).parent
CLIENTS = DOCS / "integrate"
# In the diagram each of these would draw an arrow from almost everywhere: the table below it has them.
NOT_DRAWN = {"cancel", "supersede", "abandon", "incarnated", "body_lost"}
SCOPES = {"none": "aucun"}
WEIGHTS = {Weight.FAULT: "anomalie", Weight.NOTICE: "remarque"}


def nature(state: OrderState) -> str:
    """Say what a state is, in words."""
    words = []
    if state in TERMINAL:
        words.append("end")
    elif state in SETTLED:
        words.append("a person has the next word")
    else:
        words.append("the agent goes on")
    if state in CANCEL_ASKED_ONLY:
        words.append("a cancellation can only be asked")
    return "; ".join(words)


def diagram() -> str:
    """Return the Mermaid diagram of the order's life."""
    labels: dict[tuple[OrderState, OrderState], list[str]] = {}
    for (state, event), following in TRANSITIONS.items():
        if event.value not in NOT_DRAWN:
            labels.setdefault((state, following), []).append(event.value)
    arrows = [f"    {state} --> {following}: {', '.join(events)}" for (state, following), events in labels.items()]
    ends = [f"    {state} --> [*]" for state in OrderState if state in TERMINAL]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> preparing: accepted", *arrows, *ends, "```"])


def transitions() -> str:
    """Return the whole transition table, one row a state."""
    rows = ["| State | Nature | Event → next state |", "|---|---|---|"]
    for state in OrderState:
        steps = [f"{event} → `{following}`" for (origin, event), following in TRANSITIONS.items() if origin is state]
        rows.append(f"| `{state}` | {nature(state)} | {' · '.join(steps) or 'none'} |")
    return "\n".join(rows)


def routes() -> str:
    """Return the table of routes, one row an operation of the OpenAPI document."""
    rows = ["| Route | Droit | Acteur | Réponses | Effet |", "|---|---|---|---|---|"]
    rows += [
        f"| `{item.method} {item.path}` | {SCOPES.get(item.scope, item.scope)} | {'oui' if item.has_actor else ''} "
        f"| {', '.join(map(str, item.statuses))} | {item.summary} |"
        for item in openapi.operations().values()
    ]
    return "\n".join(rows)


def doctor_rules() -> str:
    """Return one row a rule, in the order in which they are told."""
    rows = ["| Code | Poids | Au médecin | Au technicien | À faire |", "|---|---|---|---|---|"]
    for rule in RULES:
        said = sentences()[rule.code]
        cells = (f"`{rule.code}`", WEIGHTS[rule.weight], said.doctor, said.technician, said.action)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "architecture.md": {"order-diagram": diagram, "order-table": transitions},
    "api.md": {"routes": routes},
    "doctor.md": {"doctor-rules": doctor_rules},
}


def rendered(name: str, page: str) -> str:
    """Return the text of a page with every block that it must have made anew.

    Raises:
        ValueError: a block's markers are missing.
    """
    for block, make in PAGES[name].items():
        begin, end = f"<!-- generated: {block} -->", "<!-- end -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(block)
        page = f"{before}{begin}\n{make()}\n{end}{after}"
    return page


def write_clients() -> None:
    """Write the vendors' clients, with the same line ends on every system."""
    for name, content in clients().items():
        path = CLIENTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")


def main() -> None:
    """Rewrite the pages and the clients."""
    for name in PAGES:
        path = DOCS / name
        path.write_text(rendered(name, path.read_text(encoding="utf-8")), encoding="utf-8")
    write_clients()


if __name__ == "__main__":
    main()

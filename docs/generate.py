#!/usr/bin/env python3
"""Writes what is made from the code: blocks of docs/architecture.md, tables of docs/api.md and doctor.md, the clients.

Run by a developer after a change of the transitions or of ``openapi.json``: ``python docs/generate.py``; tests compare.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from vaguemestre_api.clientgen.generate import clients
from vaguemestre_core.orders import CANCEL_ASKED_ONLY, SETTLED, TERMINAL, TRANSITIONS, OrderState

PAGE = Path(__file__).parent / "architecture.md"
CLIENTS = Path(__file__).parent / "integrate"
TABLES = ("api_table", "doctor_table")
# In the diagram each of these would draw an arrow from almost everywhere: the table below it has them.
NOT_DRAWN = {"cancel", "supersede", "abandon", "incarnated", "body_lost"}


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


def table() -> str:
    """Return the whole transition table, one row a state."""
    rows = ["| State | Nature | Event → next state |", "|---|---|---|"]
    for state in OrderState:
        steps = [f"{event} → `{following}`" for (origin, event), following in TRANSITIONS.items() if origin is state]
        rows.append(f"| `{state}` | {nature(state)} | {' · '.join(steps) or 'none'} |")
    return "\n".join(rows)


BLOCKS = {"order-diagram": diagram, "order-table": table}


def rendered(page: str) -> str:
    """Return the page with every generated block made anew.

    Raises:
        ValueError: a block's markers are missing.
    """
    for name, block in BLOCKS.items():
        begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(name)
        page = f"{before}{begin}\n{block()}\n{end}{after}"
    return page


def write_clients() -> None:
    """Write the vendors' clients, with the same line ends on every system."""
    for name, content in clients().items():
        path = CLIENTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")


def write_table(name: str) -> None:
    """Write the table that the script of this name makes: of routes, of the doctor's rules."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    table_writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table_writer)
    table_writer.PAGE.write_text(table_writer.rendered(table_writer.PAGE.read_text("utf-8")), "utf-8")


def main() -> None:
    """Rewrite the pages and the clients."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for name in TABLES:
        write_table(name)
    write_clients()


if __name__ == "__main__":
    main()

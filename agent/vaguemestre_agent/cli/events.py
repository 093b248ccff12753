"""``vaguemestre events``: prints changes as they come, one line each, across restarts of the agent."""

from __future__ import annotations

import argparse

from vaguemestre_agent.cli.connection import make_client
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import STATES, local, situation
from vaguemestre_agent.cli.readers import said
from vaguemestre_api import wire, wire_readers
from vaguemestre_api.answers import StreamItem
from vaguemestre_api.blocking import follow
from vaguemestre_api.codec import to_json


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--after", type=int, metavar="NUMÉRO", help="reprendre après ce changement")
    parser.add_argument("--count", type=int, metavar="N", help="s'arrêter après N évènements")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print until interrupted, or until the count is reached."""
    left = arguments.count

    def receive(item: StreamItem) -> bool:
        nonlocal left
        show(item, console)
        if left is not None:
            left -= 1
        return left is None or left > 0

    follow(lambda: make_client(arguments), receive, arguments.after)
    return Exit.OK


def show(item: StreamItem, console: Console) -> None:
    """Print one event."""
    content = item.content
    if console.as_json:
        name = type(content).__name__.removesuffix("Event").lower()
        console.give_json({"event": name, "resume_after": item.resume_after, "data": to_json(content)})
    elif isinstance(content, wire.Snapshot):
        for order in content.orders:
            console.say(f"        {order.client_ref} : {situation(order)}")
        if content.last:
            console.say(f"{content.at:>6}  état complet")
    elif isinstance(content, wire.Resync):
        console.say("        reprise complète")
    elif isinstance(content, wire_readers.Readers):
        console.say(
            f"        lecteurs : {len(content.readers)}, cartes : {sum(1 for item in content.readers if item.card_id)}"
        )
    elif isinstance(content, wire_readers.Card):
        card = content.professional
        failure = "" if card is None else said(card.failure)
        console.say(f"        carte {content.card_id} : {'' if card is None else card.session} {failure}".rstrip())
    elif isinstance(content, wire_readers.ScanEvent):
        console.say(f"        code lu : {content.code.kind or 'illisible'} ({content.scanner})")
    else:
        line = content.line
        state = "" if line.after is None else f" → {STATES.get(line.after, line.after)}"
        console.say(
            f"{line.seq:>6}  {local(line.at)}  {line.kind}  {line.client_ref or ''}{state}  ({line.actor.user})"
        )

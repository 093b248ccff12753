"""``vaguemestre orders``: lists, shows, explains; holds, releases, cancels, sends now, resolves; reconciles."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api import wire
from vaguemestre_api.client import Client
from vaguemestre_api.messages import message

STATES: Final[Mapping[str, str]] = {
    "preparing": "en préparation",
    "preparation_failed": "préparation refusée",
    "deferred": "différé",
    "ready": "prêt à partir",
    "offered": "proposé à un autre poste",
    "entrusted": "confié à un autre poste",
    "claimed": "sur le départ",
    "sending": "en cours d'envoi",
    "in_doubt": "issue pas encore connue",
    "sent": "envoyé",
    "rejected": "refusé par le service",
    "cancelled": "annulé",
    "superseded": "remplacé par une version plus récente",
    "abandoned": "abandonné",
    "unreadable": "à déposer de nouveau",
}
WAITS: Final[Mapping[str, str]] = {
    "auth": "attend une authentification",
    "network": "attend le réseau",
    "service": "attend le service",
    "station": "attend un autre poste",
    "predecessor": "attend la version précédente",
    "no_dmp": "le patient n'a pas de DMP",
}
STATUSES: Final[Mapping[str, str]] = {
    "unknown": "inconnu",
    "unknown_since_restore": "inconnu depuis la restauration : peut-être parti, à vérifier",
    "waiting": "en attente",
    "sent": "au DMP",
    "deleted": "supprimé du DMP",
    "doubtful": "issue pas encore connue",
    "stopped": "arrêté",
    "refused": "refusé",
    "body_needed": "à déposer de nouveau",
}
_CANCELS: Final[Mapping[str, str]] = {
    "cancelled": "Annulé : rien n'est parti.",
    "too_late": "Trop tard : le document est parti. Vous pouvez demander sa suppression du DMP.",
    "asked": "Annulation demandée ; on ne sait pas encore si le document est parti.",
}
_ACTIONS: Final[Mapping[str, Callable[[Client, str], Awaitable[wire.Order]]]] = {
    "hold": lambda client, order_id: client.hold(order_id),
    "release": lambda client, order_id: client.release(order_id),
    "release-from-shadow": lambda client, order_id: client.release_from_shadow(order_id),
    "send-now": lambda client, order_id: client.send_now(order_id),
}
REASONS: Final = ("seen_there", "not_seen_there", "sent_otherwise", "no_longer_needed")
_MAX_PAGE: Final = 500


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    listing = verbs.add_parser("list", parents=[common], help="ordres, le plus récent d'abord")
    listing.add_argument("--state", action="append", default=[], choices=sorted(STATES), metavar="ÉTAT")
    listing.add_argument("--ref", help="référence du document")
    listing.add_argument("--professional", help="PS_IdNat")
    listing.add_argument("--titles", action="store_true", help="montrer les titres (données personnelles)")
    listing.add_argument("--limit", type=int, default=100, help="nombre au plus (défaut : %(default)s)")
    for name, text in (("show", "un ordre"), ("why", "pourquoi il n'est pas parti")):
        verbs.add_parser(name, parents=[common], help=text).add_argument("order_id", metavar="ORDRE")
    for name, text in (
        ("hold", "bloquer"),
        ("release", "lever le blocage"),
        ("release-from-shadow", "laisser partir ce que le mode observation avait retenu"),
        ("cancel", "annuler"),
        ("send-now", "envoyer sans différé"),
    ):
        acting = verbs.add_parser(name, parents=[common], help=text)
        acting.add_argument("order_id", metavar="ORDRE")
        add_actor_options(acting)
    resolving = verbs.add_parser("resolve", parents=[common], help="trancher : parti, pas parti, abandonné")
    resolving.add_argument("order_id", metavar="ORDRE")
    resolving.add_argument("verdict", choices=("sent", "not_sent", "abandon"), metavar="VERDICT")
    resolving.add_argument("--reason", required=True, choices=REASONS, metavar="MOTIF", help=", ".join(REASONS))
    add_actor_options(resolving)
    reconciling = verbs.add_parser("reconcile", parents=[common], help="rapprocher des références")
    reconciling.add_argument("refs", nargs="+", metavar="RÉFÉRENCE")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    if arguments.verb in _ACTIONS:
        order = ask(arguments, lambda client: _ACTIONS[arguments.verb](client, arguments.order_id))
        console.give(order, describe(order))
        return Exit.OK
    if arguments.verb == "resolve":
        order = ask(arguments, lambda client: client.resolve(arguments.order_id, arguments.verdict, arguments.reason))
        console.give(order, describe(order))
        return Exit.OK
    readers = {"list": _list, "show": _show, "why": _why, "cancel": _cancel, "reconcile": _reconcile}
    return readers[arguments.verb](arguments, console)


def local(instant: datetime | None) -> str:
    """Return an instant as the person's clock shows it."""
    return "-" if instant is None else instant.astimezone().strftime("%d/%m/%Y %H:%M:%S")


_ON_THE_WIRE: Final = frozenset({"sending", "in_doubt"})


def situation(order: wire.Order) -> str:
    """Return where an order is, in words."""
    words = [STATES.get(order.state, order.state)]
    if order.holds:
        blocked = "à bloquer s'il revient" if order.state in _ON_THE_WIRE else "bloqué"
        words.append(f"{blocked} ({', '.join(order.holds)})")
    elif order.waiting is not None:
        words.append(WAITS.get(order.waiting, order.waiting))
    if order.cancel_requested:
        words.append("annulation demandée")
    return ", ".join(words)


def describe(order: wire.Order) -> str:
    """Return an order in lines."""
    lines = [
        f"Ordre {order.order_id} : {situation(order)}",
        f"  document   {order.client_ref}, version {order.version}" + (f", {order.title}" if order.title else ""),
        f"  demande    {order.kind}, type {order.type_code}, sous {order.professional}",
        f"  accepté    {local(order.accepted_at)} (par {order.actor.user})",
        f"  départ     {local(order.not_before)} au plus tôt, annulable jusqu'à {local(order.undo_until)}",
        f"  uniqueId   {order.unique_id}",
    ]
    if order.attempts:
        lines.append(f"  essais     {order.attempts}, prochain {local(order.next_attempt_at)}")
    if order.failure_code is not None:
        text = message(order.failure_code)
        lines.append(f"  cause      {text.title} [{order.failure_code}]")
        if text.action:
            lines.append(f"  → {text.action}")
    lines += [f"  reçu       {name} = {value}" for name, value in sorted(order.receipt.items())]
    return "\n".join(lines)


async def _all(client: Client, arguments: argparse.Namespace) -> tuple[wire.Order, ...]:
    found: list[wire.Order] = []
    after: str | None = None
    while len(found) < arguments.limit:
        page = await client.orders(
            states=arguments.state,
            client_ref=arguments.ref,
            professional=arguments.professional,
            titles=arguments.titles,
            limit=min(_MAX_PAGE, arguments.limit - len(found)),
            after=after,
        )
        found += page.orders
        after = page.next
        if after is None:
            break
    return tuple(found)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    orders = ask(arguments, lambda client: _all(client, arguments))
    header = ["ORDRE", "DOCUMENT", "ACCEPTÉ", "SITUATION"] + (["TITRE"] if arguments.titles else [])
    rows = [
        [order.order_id, order.client_ref, local(order.accepted_at), situation(order)]
        + ([order.title or "-"] if arguments.titles else [])
        for order in orders
    ]
    console.give_table(orders, header, rows, "Aucun ordre.")
    return Exit.OK


def _show(arguments: argparse.Namespace, console: Console) -> int:
    order = ask(arguments, lambda client: client.order(arguments.order_id))
    console.give(order, describe(order))
    return Exit.OK


def _why(arguments: argparse.Namespace, console: Console) -> int:
    why = ask(arguments, lambda client: client.why(arguments.order_id))
    lines = [f"Ordre {why.order.order_id} : {situation(why.order)}", f"  {why.blocking_title}"]
    lines += [f"  {'✓' if guard.passed else '✗'} {guard.guard} : {guard.title}" for guard in why.guards]
    if why.next_try_at is not None:
        lines.append(f"  prochain essai {local(why.next_try_at)}")
    if why.action:
        lines.append(f"→ {why.action}")
    console.give(why, "\n".join(lines))
    return Exit.OK


def _cancel(arguments: argparse.Namespace, console: Console) -> int:
    """Cancel; status 1 when it is too late, 4 when it is only asked."""
    answer = ask(arguments, lambda client: client.cancel(arguments.order_id))
    console.give(answer, _CANCELS.get(answer.answer, answer.answer))
    return {"cancelled": Exit.OK, "asked": Exit.UNKNOWN_OUTCOME}.get(answer.answer, Exit.REFUSED)


def _reconcile(arguments: argparse.Namespace, console: Console) -> int:
    documents = ask(arguments, lambda client: client.reconcile(arguments.refs))
    rows = [(client_ref, STATUSES.get(status, status)) for client_ref, status in documents.items()]
    console.give_table(documents, ("DOCUMENT", "ÉTAT"), rows, "")
    return Exit.OK

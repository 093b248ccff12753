"""How a command reaches the agent: endpoint, the pairing's secret, and who is acting.

Owns the reading and keeping of this user's own pairing. The secret is never an argument: environment, file or key
store.
"""

from __future__ import annotations

import argparse
import getpass
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from vaguemestre_agent.localapi.firstpairing import write_private
from vaguemestre_agent.paths import HOME_VARIABLE, AgentPaths, agent_paths
from vaguemestre_api import wire
from vaguemestre_api.blocking import call
from vaguemestre_api.client import Client, Credentials
from vaguemestre_api.jsontypes import JsonRefused, dump_json, parse_object
from vaguemestre_core.errors import Forbidden, StoreError
from vaguemestre_core.redaction import SecretBytes

T = TypeVar("T")

CLIENT_VARIABLE: Final = "VAGUEMESTRE_CLIENT"  # "<client_id>:<secret>"
CLIENT_FILE_VARIABLE: Final = "VAGUEMESTRE_CLIENT_FILE"
_KEY_STORE_ACCOUNT: Final = "cli"


def add_actor_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who acts."""
    group = parser.add_argument_group("qui agit")
    group.add_argument("--user", default=getpass.getuser(), help="identifiant de l'utilisateur (défaut : %(default)s)")
    group.add_argument("--role", default="poste", help="rôle au cabinet (défaut : %(default)s)")
    group.add_argument("--rpps", help="RPPS du professionnel qui agit")


def actor_of(arguments: argparse.Namespace) -> wire.Actor | None:
    """Return who acts, None when the command changes nothing."""
    if not hasattr(arguments, "role"):
        return None
    return wire.Actor(user=arguments.user, role=arguments.role, rpps=arguments.rpps)


def ask(arguments: argparse.Namespace, work: Callable[[Client], Awaitable[T]], *, anonymous: bool = False) -> T:
    """Return the agent's answer.

    Args:
        arguments: parsed options.
        work: what to ask.
        anonymous: the route needs no pairing; an existing one is used all the same.

    Raises:
        Forbidden: NOT_PAIRED, CREDENTIALS_UNREADABLE; ClientFailure.
    """
    return call(lambda: make_client(arguments, anonymous=anonymous), work)


def make_client(arguments: argparse.Namespace, *, anonymous: bool = False) -> Client:
    """Return a client of this user's agent."""
    paths = agent_paths(os.environ)
    credentials = read_credentials(paths)
    if credentials is None and not anonymous:
        raise Forbidden("NOT_PAIRED")
    return Client(paths.endpoint, credentials, actor=actor_of(arguments))


def read_credentials(paths: AgentPaths) -> Credentials | None:
    """Return this user's pairing, None when there is none.

    Raises:
        Forbidden: CREDENTIALS_UNREADABLE.
    """
    given = os.environ.get(CLIENT_VARIABLE)
    if given:
        client_id, colon, given_secret = given.partition(":")
        if not colon:
            raise Forbidden("CREDENTIALS_UNREADABLE")
        return Credentials(client_id=client_id, secret=given_secret)
    named = os.environ.get(CLIENT_FILE_VARIABLE)
    path = Path(named) if named else paths.credentials
    if not path.exists():
        return None
    try:
        if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Forbidden("CREDENTIALS_UNREADABLE")
        kept = parse_object(path.read_bytes())
    except (OSError, JsonRefused):
        raise Forbidden("CREDENTIALS_UNREADABLE") from None
    owner = kept.get("client_id")
    if not isinstance(owner, str):
        raise Forbidden("CREDENTIALS_UNREADABLE")
    secret = _key_store_secret(owner) if kept.get("kept_in") == "key_store" else kept.get("secret")
    if not isinstance(secret, str):
        raise Forbidden("CREDENTIALS_UNREADABLE")
    return Credentials(client_id=owner, secret=secret)


def keep_credentials(paths: AgentPaths, credentials: Credentials) -> str:
    """Keep a pairing: Windows and macOS in the system's key store, elsewhere in a private file; return where."""
    paths.credentials.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform in {"win32", "darwin"} and HOME_VARIABLE not in os.environ:
        from vaguemestre_agent.adapters.keystore.stores import SystemKeyStore

        SystemKeyStore(_KEY_STORE_ACCOUNT).put(credentials.client_id, SecretBytes(credentials.secret.encode()))
        content = dump_json({"client_id": credentials.client_id, "kept_in": "key_store"})
        write_private(paths.credentials, content)
        return "key_store"
    content = dump_json({"client_id": credentials.client_id, "secret": credentials.secret})
    write_private(paths.credentials, content)
    return "file"


def _key_store_secret(client_id: str) -> str | None:
    from vaguemestre_agent.adapters.keystore.stores import SystemKeyStore

    try:
        found = SystemKeyStore(_KEY_STORE_ACCOUNT).get(client_id)
    except StoreError:
        raise Forbidden("CREDENTIALS_UNREADABLE") from None
    return None if found is None else found.reveal().decode()

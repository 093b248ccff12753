"""Paired clients: authenticated rows, each change in the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from vaguemestre_core.errors import NotFound
from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Actor, Change, Client, ProductProfile, Scope
from vaguemestre_queue import ledger, rows
from vaguemestre_queue.connection import Connection, SqlRow, Value
from vaguemestre_queue.context import Context

SELECT_CLIENTS: Final = (
    "SELECT client_id, name, secret_digest, os_identity, scopes, product, created_at_us, revoked_at_us, mac "
    "FROM clients"
)


def _client_cells(client: Client) -> list[Value]:
    product = None if client.product is None else json.dumps(asdict(client.product), sort_keys=True)
    return [
        client.client_id,
        client.name,
        client.secret_digest,
        client.os_identity,
        ",".join(sorted(scope.value for scope in client.scopes)),
        product,
        rows.to_us(client.created_at),
        None if client.revoked_at is None else rows.to_us(client.revoked_at),
    ]


def client_of(context: Context, row: SqlRow) -> Client | None:
    """Return the client a row describes, or None when the row is not ours."""
    *cells, mac = row
    if not context.sealer.is_authentic("clients", cells, mac):
        return None
    client_id, name, digest, os_identity, scopes, product, created, revoked = cells
    return Client(
        client_id=ClientId(rows.as_text(client_id)),
        name=rows.as_text(name),
        secret_digest=rows.as_text(digest),
        os_identity=None if os_identity is None else rows.as_text(os_identity),
        scopes=frozenset(Scope(part) for part in rows.as_text(scopes).split(",") if part),
        product=None if product is None else ProductProfile(**json.loads(rows.as_text(product))),
        created_at=rows.from_us(created),
        revoked_at=None if revoked is None else rows.from_us(revoked),
    )


def _write(connection: Connection, context: Context, client: Client, actor: Actor, kind: str) -> Change:
    cells = _client_cells(client)
    connection.run(
        "INSERT INTO clients VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client_id) DO UPDATE SET "
        "revoked_at_us = excluded.revoked_at_us, mac = excluded.mac",
        [*cells, context.sealer.authenticate("clients", cells)],
    )
    detail = (("scopes", rows.as_text(cells[4])),)
    entry = ledger.append(
        connection,
        ledger.Line(at=context.clock.now(), kind=kind, actor=actor, client_id=client.client_id, detail=detail),
    )
    return Change(entry=entry, order=None)


def add_client(connection: Connection, context: Context, client: Client, actor: Actor, changes: list[Change]) -> None:
    """Keep a paired client."""
    changes.append(_write(connection, context, client, actor, "client.paired"))


def all_clients(connection: Connection, context: Context) -> list[Client]:
    """Return every client, revoked ones too; rows that are not ours are left out."""
    found = connection.run(f"{SELECT_CLIENTS} ORDER BY created_at_us, client_id")
    return [client for row in found if (client := client_of(context, row)) is not None]


def revoke_client(
    connection: Connection, context: Context, client_id: ClientId, actor: Actor, changes: list[Change]
) -> None:
    """Revoke a client. Raises NotFound CLIENT_UNKNOWN."""
    found = connection.run(f"{SELECT_CLIENTS} WHERE client_id = ?", [client_id])
    client = client_of(context, found[0]) if found else None
    if client is None or client.revoked_at is not None:
        raise NotFound("CLIENT_UNKNOWN")
    revoked = Client(
        client_id=client.client_id,
        name=client.name,
        secret_digest=client.secret_digest,
        os_identity=client.os_identity,
        scopes=client.scopes,
        product=client.product,
        created_at=client.created_at,
        revoked_at=context.clock.now(),
    )
    changes.append(_write(connection, context, revoked, actor, "client.revoked"))


def known(found: Sequence[Client], client_id: ClientId) -> Client:
    """Return the live client of that id. Raises NotFound CLIENT_UNKNOWN."""
    for client in found:
        if client.client_id == client_id and client.revoked_at is None:
            return client
    raise NotFound("CLIENT_UNKNOWN")

"""The sealed bodies that clients gave: kept once at acceptance, copied when another order takes a document's place."""

from __future__ import annotations

from typing import Final

from vaguemestre_queue import rows
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.rows import Row
from vaguemestre_queue.sealing import Envelope

NONE: Final = b""  # in given_digest: this order carries no body


def keep(connection: Connection, row: Row, sealed: Envelope) -> None:
    """Keep what was given for a new order."""
    recipients = rows.pairs_json([(recipient, "") for recipient in sealed.recipients])
    connection.run(
        "INSERT INTO bodies VALUES (?, 'given', ?, ?, ?)",
        [row["order_id"], sealed.sealed, recipients, row["accepted_at_us"]],
    )


def copy(connection: Connection, source: Row, target: Row) -> None:
    """Give an order the body that was given for another, sealed as it is: nothing is opened."""
    connection.run(
        "INSERT OR IGNORE INTO bodies SELECT ?, role, envelope, recipients, created_at_us FROM bodies "
        "WHERE order_id = ? AND role = 'given'",
        [target["order_id"], source["order_id"]],
    )

"""Wire models of whole documents: what is at the DMP, what is under way.

Owns shapes only, like ``vaguemestre_api.wire``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vaguemestre_api import wire


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentThere:
    """A version at the DMP, by the verdicts known; ``visibility`` is None while a change of it is in doubt."""

    order_id: str
    unique_id: str
    version: int
    visibility: tuple[str, ...] | None
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A wish that is not done: feeding, correction, deletion or visibility, and how far it is."""

    wish: str
    progress: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document: in one word, at the DMP, under way, and its orders, newest first."""

    client_ref: str
    status: str
    presence: str
    there: DocumentThere | None
    under_way: tuple[UnderWay, ...]
    orders: tuple[wire.Order, ...]

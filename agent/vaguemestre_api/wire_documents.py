"""Wire models of whole documents: what is at the DMP, what is under way, what is to announce to the patient.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A document hidden from the patient at the DMP, and the local days on which he is told and sees it."""

    client_id: str
    client_ref: str
    order_id: str
    unique_id: str
    version: int
    type_code: str
    professional: str
    since: datetime
    age_days: int
    announce_due: str
    is_announce_due: bool
    visible_due: str
    is_visible_due: bool
    under_way: tuple[UnderWay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """What is to announce, the oldest first."""

    documents: tuple[Announcement, ...]
    count: int
    announce_due_count: int
    has_more: bool

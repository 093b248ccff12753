"""What a handler receives and gives back: a checked call and an answer, nothing of HTTP's machinery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_api.jsontypes import JsonObject
from vaguemestre_api.openapi import Operation
from vaguemestre_core.errors import Forbidden, InvalidInput
from vaguemestre_core.records import Actor, Client, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """The parts of a document's deposit."""

    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str
    hold: bool
    send_now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One document of a batch: its own members, content and media type."""

    client_ref: str
    idempotency_key: str | None
    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The parts of a deposit of several documents."""

    items: tuple[BatchItem, ...]
    hold: bool
    send_now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, after every check.

    Attributes:
        backend: the services.
        operation: what is asked.
        client: the paired client, or None on the routes of the unpaired.
        os_identity: the system user at the other end, or None when the system does not say.
        path, query, headers: parameters by name, in their types; absent ones are missing.
        body: the JSON body; empty when there is none.
        upload, batch: the parts, for a deposit of one or of several.
    """

    backend: Backend
    operation: Operation
    client: Client | None
    os_identity: str | None
    path: Mapping[str, str]
    query: JsonObject
    headers: Mapping[str, str]
    body: JsonObject = field(repr=False)
    upload: Upload | None = field(default=None, repr=False)
    batch: Batch | None = field(default=None, repr=False)
    given_actor: Actor | None = None

    @property
    def caller(self) -> Client:
        """The paired client. Raises Forbidden AUTHENTICATION_REQUIRED."""
        if self.client is None:
            raise Forbidden("AUTHENTICATION_REQUIRED")
        return self.client

    @property
    def actor(self) -> Actor:
        """Who asks. Raises InvalidInput ACTOR_REQUIRED."""
        if self.given_actor is None:
            raise InvalidInput("ACTOR_REQUIRED", pointer="/actor")
        return self.given_actor

    @property
    def is_admin(self) -> bool:
        """The client may see everything."""
        return self.client is not None and Scope.ADMIN in self.client.scopes

    def text(self, name: str) -> str | None:
        """Return a text of the query, or None."""
        value = self.query.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str, default: int) -> int:
        """Return a number of the query."""
        value = self.query.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else default


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler answers: a wire model (or nothing), a status, headers."""

    content: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = field(default=None, repr=False)


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]

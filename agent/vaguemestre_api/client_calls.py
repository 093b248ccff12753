"""What the parts of the client need of it: a call to one operation of the API, and its answer read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

from vaguemestre_api import wire
from vaguemestre_api.jsontypes import Json

T = TypeVar("T")


class Calls(ABC):
    """Part of ``Client``, with its errors."""

    @abstractmethod
    async def _read(
        self,
        operation_id: str,
        model: type[T],
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Json = None,
        form: tuple[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        actor: wire.Actor | None = None,
    ) -> T:
        """Call an operation and read its answer."""

    @abstractmethod
    async def _call(
        self, operation_id: str, *, path: Mapping[str, str] | None = None, actor: wire.Actor | None = None
    ) -> object:
        """Call an operation."""

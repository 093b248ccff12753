"""The agent while its store cannot be opened: health says why, everything else is refused with the same code.

Owns no waiting and no opening: the composition root tries again and says when it is over. Source: docs/bad-days.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from vaguemestre_agent.services.values import Health, HealthItem
from vaguemestre_core.errors import StoreError

# What may end without anybody touching the agent, or is better explained than left in silence.
EXPLAINED: Final = frozenset(
    {
        "STORE_FULL",
        "STORE_READ_ONLY",
        "STORE_IO_ERROR",
        "STORE_CANNOT_OPEN",
        "STORE_BUSY",
        "STORE_UNAVAILABLE",
        "STORE_CORRUPT",
        "STORE_TOO_NEW",
        "STORE_NOT_OURS",
        "STORE_MIGRATION_FAILED",
    }
)


class AilingBackend:
    """Answers for an agent without a store.

    Args:
        error: why the store is not there; replaced when the next try fails otherwise.
        version: of the product.
    """

    def __init__(self, error: StoreError, version: str) -> None:
        self.error = error
        self._version = version

    async def health(self) -> Health:
        """Return why nothing is accepted."""
        item = HealthItem(code=self.error.code, ok=False, params=self.error.params)
        return Health(version=self._version, ready=False, items=(item,), counts={})

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        """Refuse everything else, with a fresh error each time: it is raised in many tasks."""

        async def refused(*args: object, **kwargs: object) -> None:
            raise StoreError(self.error.code, **self.error.params)

        return refused

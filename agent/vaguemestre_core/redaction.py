"""Values that must not print: secrets and personal data whose repr, str and format show nothing.

``reveal()`` is the only way to the content, so a search for it lists every place that uses one.
"""

from __future__ import annotations

import hmac
from typing import Final, Generic, TypeVar

REDACTED: Final = "<redacted>"

T = TypeVar("T", str, bytes)


class Sealed(Generic[T]):
    """A value that redacts itself in repr, str and format, and refuses JSON and pickling.

    Comparison is constant in time. Never raises on printing.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    def reveal(self) -> T:
        """Return the content: the caller answers for where it goes."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, format_spec: str) -> str:
        return REDACTED

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self._value), _as_bytes(other._value))

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a sealed value is never serialised")


class Secret(Sealed[str]):
    """A token, cookie, PIN or password in text."""

    __slots__ = ()


class SecretBytes(Sealed[bytes]):
    """A key or other secret in bytes."""

    __slots__ = ()


class Personal(Sealed[str]):
    """Text about a person: a name, a title, a number."""

    __slots__ = ()


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value

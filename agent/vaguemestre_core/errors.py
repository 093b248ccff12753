"""Root of all errors: a stable code, what can be done about it, and parameters without personal data.

Owns the class tree only. The French title, cause and action of each code live in the catalogue of
``vaguemestre_api.catalogue``, keyed by code; a test walks all subclasses and compares.

::

    VaguemestreError
    ├── InvalidInput            the caller's fault: nothing was changed
    ├── NotFound
    ├── Conflict                the state does not allow it (idempotency, transition, lane)
    ├── Forbidden               identity or scope
    ├── StoreError              the send queue cannot accept or read
    ├── ServiceError            a national service or the way to it
    └── UnexpectedError         a bug, with a support id
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar


class Recovery(Enum):
    """What helps: nothing but the reader of the error decides to act."""

    NOW = "now"  # the same call may succeed at once
    BACKOFF = "backoff"  # the agent tries again by itself
    USER_ACTION = "user_action"  # a person has something to do, named in the catalogue
    NEVER = "never"  # the same call will always fail
    IN_DOUBT = "in_doubt"  # the outcome is unknown until a verdict


class VaguemestreError(Exception):
    """Base of every error of the product.

    Args:
        code: stable code, upper case with underscores; subclasses give a default.
        params: non-personal facts for the catalogue's sentence (numbers, codes, JSON pointers).
    """

    default_code: ClassVar[str] = "UNEXPECTED"
    recovery: Recovery = Recovery.NEVER  # of its class, unless one class stands for many situations

    def __init__(self, code: str | None = None, **params: str | int | float | bool | None) -> None:
        self.code: str = code or self.default_code
        self.params: Mapping[str, str | int | float | bool | None] = params
        super().__init__(self.code)

    def __str__(self) -> str:
        if not self.params:
            return self.code
        return f"{self.code} {dict(self.params)}"


class InvalidInput(VaguemestreError):
    """What was given breaks a rule; nothing was changed."""

    default_code = "INVALID_INPUT"
    recovery = Recovery.NEVER


class NotFound(VaguemestreError):
    """The thing named does not exist, or is not visible to this client."""

    default_code = "NOT_FOUND"
    recovery = Recovery.NEVER


class Conflict(VaguemestreError):
    """The present state does not allow it; nothing was changed."""

    default_code = "CONFLICT"
    recovery = Recovery.USER_ACTION


class Forbidden(VaguemestreError):
    """The caller is not who, or has not the scope, that this needs."""

    default_code = "FORBIDDEN"
    recovery = Recovery.USER_ACTION


class StoreError(VaguemestreError):
    """The send queue cannot accept or read; what it had acknowledged is kept."""

    default_code = "STORE_UNAVAILABLE"
    recovery = Recovery.USER_ACTION


class ServiceError(VaguemestreError):
    """A national service, or the way to it, did not do what was asked before any body byte left."""

    default_code = "SERVICE_UNAVAILABLE"
    recovery = Recovery.BACKOFF


class UnexpectedError(VaguemestreError):
    """A bug of ours: ``support_id`` links the answer and the log."""

    default_code = "UNEXPECTED"
    recovery = Recovery.NEVER

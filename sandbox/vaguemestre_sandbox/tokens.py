"""API access tokens that the simulated authorization server gives to the proxy, bound to its certificate.

Owns the live tokens, in memory. A token is never shown by the inspection page.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ApiToken:
    """One token: whose, until when, and the SHA-256 (hex) of the client certificate it is bound to."""

    value: str
    national_id: str
    expires_at: datetime
    certificate_sha256: str

    def __repr__(self) -> str:
        return "ApiToken(<redacted>)"


class ApiTokens:
    """Issues, finds and revokes tokens."""

    def __init__(self) -> None:
        self._tokens: dict[str, ApiToken] = {}

    def issue(self, *, national_id: str, certificate_sha256: str, now: datetime, lifetime_s: float) -> ApiToken:
        """Return a new token."""
        token = ApiToken(
            value=secrets.token_urlsafe(32),
            national_id=national_id,
            expires_at=now + timedelta(seconds=lifetime_s),
            certificate_sha256=certificate_sha256,
        )
        self._tokens[token.value] = token
        return token

    def find(self, value: str, *, certificate_sha256: str, now: datetime) -> ApiToken | None:
        """Return a live token presented over the certificate it is bound to, else None."""
        token = self._tokens.get(value)
        if token is None or token.expires_at <= now or token.certificate_sha256 != certificate_sha256:
            return None
        return token

    def revoke(self, value: str) -> None:
        """Forget one token."""
        self._tokens.pop(value, None)

    def revoke_all(self) -> None:
        """Forget every token: the next call of each session meets the API's own 401."""
        self._tokens.clear()

"""Checks made before anything else is looked at: who could not be a local program is refused before authentication.

Owns the rules about Origin, Referer, Sec-Fetch, Host and content codings; knows no route. Source: docs/architecture.md,
"The local API"; a browser sends these headers and cannot omit them, a local program has no reason to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vaguemestre_api.endpoint import HOST
from vaguemestre_core.errors import Forbidden, InvalidInput
from vaguemestre_core.orders import ClientId
from vaguemestre_core.redaction import Secret

# "localhost" is what HTTP libraries write for a Unix socket or a pipe when nothing else was given.
HOSTS: Final = frozenset({HOST, "localhost"})
_BROWSER_HEADERS: Final = (
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "Sec-Fetch-User",
    "Access-Control-Request-Method",
    "Access-Control-Request-Private-Network",
    "Access-Control-Request-Local-Network",
)
_SCHEME: Final = "Vaguemestre "


def refuse_browsers(headers: Mapping[str, str], hosts: list[str]) -> None:
    """Let a local program pass.

    Raises:
        Forbidden: ORIGIN_REFUSED (a header that only browsers send), HOST_REFUSED (missing, repeated or unexpected).
    """
    for name in _BROWSER_HEADERS:
        if name in headers:
            raise Forbidden("ORIGIN_REFUSED", header=name)
    if len(hosts) != 1 or hosts[0].lower() not in HOSTS:
        raise Forbidden("HOST_REFUSED")


def refuse_codings(headers: Mapping[str, str]) -> None:
    """Let only plain bodies pass. Raises InvalidInput CONTENT_ENCODING_UNSUPPORTED, UPGRADE_REFUSED."""
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidInput("CONTENT_ENCODING_UNSUPPORTED")
    if "Upgrade" in headers:
        raise InvalidInput("UPGRADE_REFUSED")


def credentials(header: str | None) -> tuple[ClientId, Secret] | None:
    """Return what ``Authorization: Vaguemestre <client_id>:<secret>`` says, None when the header is absent.

    Raises:
        Forbidden: AUTHENTICATION_REQUIRED when it is there but has another form.
    """
    if header is None:
        return None
    client_id, colon, secret = header.removeprefix(_SCHEME).partition(":")
    if not header.startswith(_SCHEME) or not colon or not client_id or not secret:
        raise Forbidden("AUTHENTICATION_REQUIRED")
    if len(client_id) > 64 or len(secret) > 256:
        raise Forbidden("AUTHENTICATION_REQUIRED")
    return ClientId(client_id), Secret(secret)

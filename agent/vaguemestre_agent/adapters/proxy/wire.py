"""The proxy's JSON: what connect asks and answers, and the descriptor of its own errors.

Pure: bytes in, values out. Source: OpenAPI of the reference Proxy e-santé, 6.1 to 6.3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from vaguemestre_core.redaction import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a successful connect says."""

    cookie: Secret
    session_state: str


def connect_body(national_id: str, binding_message: str, proxy_client_id: str, channel: str) -> bytes:
    """Return the JSON of a connect request."""
    return json.dumps(
        {
            "nationalId": national_id,
            "bindingMessage": binding_message,
            "clientId": proxy_client_id,
            "channel": channel,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def parse_connected(body: bytes, set_cookies: tuple[str, ...], cookie_name: str) -> Opened | None:
    """Return the session of a 200 answer, or None when it cannot be read or contradicts itself."""
    document = _object(body)
    if document is None:
        return None
    in_body = document.get(cookie_name)
    in_header = cookie_value(set_cookies, cookie_name)
    state = document.get("session_state")
    value = in_body if isinstance(in_body, str) and in_body else in_header
    if not value or (in_header and in_header != value):
        return None
    if not all("!" <= char <= "~" and char not in ' ",;\\' for char in value):
        return None
    return Opened(cookie=Secret(value), session_state=state if isinstance(state, str) else "")


def cookie_value(set_cookies: tuple[str, ...], name: str) -> str | None:
    """Return the last value that Set-Cookie headers give to one cookie, or None."""
    found: str | None = None
    for line in set_cookies:
        jar = SimpleCookie()
        try:
            jar.load(line)
        except CookieError:
            continue
        if name in jar:
            found = jar[name].value
    return found or None


def is_no_session(body: bytes, message: str) -> bool:
    """Say whether a 401's body is the proxy's own descriptor: its code and exactly that message."""
    document = _object(body)
    return document is not None and document.get("code") == "401" and document.get("message") == message


def _object(body: bytes) -> dict[str, object] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None

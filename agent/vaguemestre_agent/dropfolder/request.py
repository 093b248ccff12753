"""From the JSON file of a pair to a deposit: what the folder's requests may say.

Owns the shape of the request; the metadata themselves are judged by the intake, as for every client.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from vaguemestre_agent.dropfolder.folder import Drop
from vaguemestre_agent.localapi.backend import DocumentUpload
from vaguemestre_agent.localapi.reading import as_object, checked_actor
from vaguemestre_api.jsontypes import JsonObject, dump_json
from vaguemestre_core.errors import InvalidInput

_MEMBERS: Final = frozenset({"client_ref", "actor", "metadata", "hold", "send_now", "sha256", "request_id"})
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_BOM: Final = b"\xef\xbb\xbf"  # many Windows programs write one


def parse_request(drop: Drop) -> DocumentUpload:
    """Return the deposit that a pair asks for; its key is the digest of the pair.

    Raises:
        InvalidInput: JSON_INVALID, DROP_REQUEST_INVALID with a pointer, DROP_BODY_DIFFERS, ACTOR_…
    """
    request = as_object(drop.request.removeprefix(_BOM), "")
    for name in request:
        if name not in _MEMBERS:
            raise InvalidInput("DROP_REQUEST_INVALID", pointer=f"/{name}" if name.isidentifier() else "")
    _check_digest(request, drop.body)
    metadata = request.get("metadata")
    if not isinstance(metadata, dict):
        raise InvalidInput("DROP_REQUEST_INVALID", pointer="/metadata")
    hold, send_now = _flag(request, "hold"), _flag(request, "send_now")
    if hold and send_now:
        raise InvalidInput("OPTIONS_CONTRADICTORY", pointer="/send_now")
    return DocumentUpload(
        client_ref=_text(request, "client_ref"),
        metadata=dump_json(metadata),
        body=drop.body,
        media_type=drop.media_type,
        actor=checked_actor(request.get("actor"), "/actor"),
        hold=hold,
        send_now=send_now,
        idempotency_key=f"drop-{drop.digest}",
    )


def _check_digest(request: JsonObject, body: bytes) -> None:
    stated = request.get("sha256")
    if stated is None:
        return
    if not isinstance(stated, str) or _SHA256.fullmatch(stated) is None:
        raise InvalidInput("DROP_REQUEST_INVALID", pointer="/sha256")
    if stated.lower() != hashlib.sha256(body).hexdigest():
        raise InvalidInput("DROP_BODY_DIFFERS", pointer="/sha256")


def _text(request: JsonObject, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise InvalidInput("DROP_REQUEST_INVALID", pointer=f"/{name}")
    return value


def _flag(request: JsonObject, name: str) -> bool:
    value = request.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInput("DROP_REQUEST_INVALID", pointer=f"/{name}")
    return value

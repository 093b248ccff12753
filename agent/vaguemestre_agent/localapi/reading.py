"""Bounded reading of request bodies: JSON and multipart, by size, number of parts and time.

Owns the bounds; what the metadata mean is not looked at here. Nothing read is ever put in an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from vaguemestre_agent.localapi.calls import Upload
from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_agent.localapi.mapping import actor_from_wire
from vaguemestre_agent.localapi.refusals import RequestInvalid
from vaguemestre_api import openapi, wire
from vaguemestre_api.codec import from_json
from vaguemestre_api.jsontypes import Json, JsonObject, JsonRefused, parse_object
from vaguemestre_core.errors import InvalidInput, StoreError
from vaguemestre_core.records import Actor

_FORM: Final = "multipart/form-data"
_PARTS: Final = frozenset({"metadata", "body", "hold", "send_now", "actor"})
_FLAG_BYTES: Final = 8
_ACTOR_BYTES: Final = 2048
_CHUNK: Final = 256 * 1024


@dataclass(slots=True, kw_only=True)
class UploadBudget:
    """Document bytes held in memory by all uploads together."""

    free_bytes: int

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes of the budget. Raises StoreError AGENT_BUSY when they are not there."""
        if size > self.free_bytes:
            raise StoreError("AGENT_BUSY", retry_after_s=1)
        self.free_bytes -= size
        try:
            yield
        finally:
            self.free_bytes += size


@dataclass(slots=True, kw_only=True)
class _Parts:
    found: dict[str, bytes] = field(default_factory=dict)
    media_type: str = ""
    total: int = 0


def declared_size(request: web.BaseRequest, largest: int) -> int:
    """Return the size of the body to expect: its declared length, or the largest one when it is chunked.

    Raises:
        InvalidInput: BODY_TOO_LARGE.
    """
    length = request.content_length
    if length is None:
        return largest if request.body_exists else 0
    if length > largest:
        raise InvalidInput("BODY_TOO_LARGE", max_bytes=largest)
    return length


async def read_json(request: web.BaseRequest, limits: ApiLimits) -> JsonObject | None:
    """Return the JSON object of a body, None when there is no body.

    Raises:
        InvalidInput: BODY_TOO_LARGE, MEDIA_TYPE_UNSUPPORTED, JSON_INVALID, REQUEST_TOO_SLOW, HTTP_MALFORMED.
    """
    if declared_size(request, limits.metadata_bytes) == 0:
        return None
    if request.content_type != "application/json":
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected="application/json")
    chunks: list[bytes] = []
    size = 0
    with _mapped_failures():
        async with asyncio.timeout(limits.body_s):
            while True:
                async with asyncio.timeout(limits.read_s):
                    chunk = await request.content.read(_CHUNK)
                if not chunk:
                    break
                size += len(chunk)
                if size > limits.metadata_bytes:
                    raise InvalidInput("BODY_TOO_LARGE", max_bytes=limits.metadata_bytes)
                chunks.append(chunk)
    return as_object(b"".join(chunks), "") if size else None


def as_object(data: bytes, pointer: str) -> JsonObject:
    """Return a JSON object within bounds. Raises InvalidInput JSON_INVALID with the reason."""
    try:
        return parse_object(data)
    except JsonRefused as refused:
        raise InvalidInput("JSON_INVALID", reason=refused.reason, pointer=pointer) from None


async def read_upload(request: web.BaseRequest, limits: ApiLimits) -> tuple[Upload, Actor | None]:
    """Return the parts of a deposit, and the actor when a part names one.

    Raises:
        InvalidInput: MEDIA_TYPE_UNSUPPORTED, MULTIPART_INVALID (reason), BODY_TOO_LARGE, JSON_INVALID,
            REQUEST_TOO_SLOW, HTTP_MALFORMED.
    """
    if request.content_type != _FORM:
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected=_FORM)
    with _mapped_failures():
        async with asyncio.timeout(limits.body_s):
            try:
                reader = MultipartReader(
                    request.headers,
                    request.content,
                    max_field_size=limits.header_line_bytes,
                    max_headers=limits.headers,
                )
            except (ValueError, AssertionError):
                raise InvalidInput("MULTIPART_INVALID", reason="boundary") from None
            parts = await _collect(reader, limits)
    for name in ("metadata", "body"):
        if name not in parts.found:
            raise InvalidInput("MULTIPART_INVALID", reason="missing", pointer=f"/{name}")
    as_object(parts.found["metadata"], "/metadata")
    actor = None
    if "actor" in parts.found:
        actor = checked_actor(as_object(parts.found["actor"], "/actor"))
    return (
        Upload(
            metadata=parts.found["metadata"],
            body=parts.found["body"],
            media_type=parts.media_type,
            hold=_flag(parts, "hold"),
            send_now=_flag(parts, "send_now"),
        ),
        actor,
    )


def checked_actor(value: Json, pointer: str = "/actor") -> Actor:
    """Return the actor that a JSON object names. Raises RequestInvalid with pointers."""
    found = list(openapi.schemas().violations(value, openapi.schemas().named("Actor"), pointer))
    if found:
        raise RequestInvalid([(f"SCHEMA_{item.keyword.upper()}", item.pointer) for item in found])
    return actor_from_wire(from_json(wire.Actor, value))


def header_actor(value: str) -> Actor:
    """Return the actor that the header names (form-encoded). Raises RequestInvalid, InvalidInput ACTOR_REQUIRED."""
    try:
        pairs = parse_qsl(value, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=8)
    except ValueError:
        raise InvalidInput("ACTOR_REQUIRED", pointer="/header/Vaguemestre-Actor") from None
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInput("ACTOR_REQUIRED", pointer="/header/Vaguemestre-Actor")
    return checked_actor(members, "/header/Vaguemestre-Actor")


async def _collect(reader: MultipartReader, limits: ApiLimits) -> _Parts:
    parts = _Parts()
    largest = {
        "metadata": limits.metadata_bytes,
        "body": limits.body_bytes,
        "actor": _ACTOR_BYTES,
        "hold": _FLAG_BYTES,
        "send_now": _FLAG_BYTES,
    }
    count = 0
    while True:
        async with asyncio.timeout(limits.read_s):
            part = await reader.next()
        if part is None:
            return parts
        count += 1
        if count > limits.parts:
            raise InvalidInput("MULTIPART_INVALID", reason="too_many_parts", max_parts=limits.parts)
        if not isinstance(part, BodyPartReader) or part.name not in _PARTS:
            raise InvalidInput("MULTIPART_INVALID", reason="unknown_part")
        if part.name in parts.found:
            raise InvalidInput("MULTIPART_INVALID", reason="part_twice", pointer=f"/{part.name}")
        if "Content-Encoding" in part.headers or "Content-Transfer-Encoding" in part.headers:
            raise InvalidInput("CONTENT_ENCODING_UNSUPPORTED")
        _check_media_type(part)
        parts.found[part.name] = await _read_part(part, largest[part.name], limits.read_s)
        if part.name == "body":
            parts.media_type = _media_type(part)


async def _read_part(part: BodyPartReader, largest: int, read_s: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        async with asyncio.timeout(read_s):
            chunk = await part.read_chunk(_CHUNK)
        if not chunk:
            return b"".join(chunks)
        size += len(chunk)
        if size > largest:
            raise InvalidInput("BODY_TOO_LARGE", max_bytes=largest, pointer=f"/{part.name}")
        chunks.append(chunk)


def _media_type(part: BodyPartReader) -> str:
    return part.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _check_media_type(part: BodyPartReader) -> None:
    declared = _media_type(part)
    if part.name in {"metadata", "actor"} and declared != "application/json":
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected="application/json", pointer=f"/{part.name}")
    if part.name == "body" and not declared:
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected="application/pdf", pointer="/body")


def _flag(parts: _Parts, name: str) -> bool:
    value = parts.found.get(name, b"false")
    if value not in {b"true", b"false"}:
        raise RequestInvalid([("SCHEMA_ENUM", f"/{name}")])
    return value == b"true"


class _mapped_failures:  # noqa: N801 - reads as a statement where it is used
    """Maps what reading can raise to our errors; our own errors and cancellation pass."""

    _MALFORMED: Final[Sequence[type[BaseException]]] = (
        web.RequestPayloadError,
        HttpProcessingError,
        ValueError,
        AssertionError,
        EOFError,
        LookupError,
        RuntimeError,
    )

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise InvalidInput("REQUEST_TOO_SLOW") from None
        if isinstance(error, tuple(self._MALFORMED)):
            raise InvalidInput("HTTP_MALFORMED") from None

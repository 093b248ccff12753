"""Bounded reading of request bodies: JSON and multipart, by size, number of parts and time.

Owns the bounds; what the metadata mean is not looked at here. Nothing read is ever put in an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from vaguemestre_agent.localapi.calls import Batch, BatchItem, Upload
from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_agent.localapi.mapping import actor_from_wire
from vaguemestre_agent.localapi.refusals import RequestInvalid, schema_findings
from vaguemestre_api import openapi, wire, wire_facts
from vaguemestre_api.codec import from_json
from vaguemestre_api.jsontypes import Json, JsonObject, JsonRefused, dump_json, parse_object
from vaguemestre_core.errors import InvalidInput, StoreError
from vaguemestre_core.records import Actor

_FORM: Final = "multipart/form-data"
_JSON_PARTS: Final = frozenset({"metadata", "documents", "actor"})
_FILE_PARTS: Final = frozenset({"body", "bodies"})
_MANY: Final = "bodies"  # the one part that may be repeated
_FLAG_BYTES: Final = 8
_ACTOR_BYTES: Final = 2048
_CHUNK: Final = 256 * 1024
_SMALL_PARTS: Final[Mapping[str, int]] = {"actor": _ACTOR_BYTES, "hold": _FLAG_BYTES, "send_now": _FLAG_BYTES}


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
    files: list[tuple[bytes, str]] = field(default_factory=list)  # content and media type


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
    largest = {"metadata": limits.metadata_bytes, "body": limits.body_bytes, **_SMALL_PARTS}
    parts = await _read_form(request, limits, largest, limits.parts)
    for name in ("metadata", "body"):
        if name not in parts.found:
            raise InvalidInput("MULTIPART_INVALID", reason="missing", pointer=f"/{name}")
    as_object(parts.found["metadata"], "/metadata")
    [(body, media_type)] = parts.files
    upload = Upload(
        metadata=parts.found["metadata"],
        body=body,
        media_type=media_type,
        hold=_flag(parts, "hold"),
        send_now=_flag(parts, "send_now"),
    )
    return upload, _part_actor(parts)


async def read_batch(request: web.BaseRequest, limits: ApiLimits) -> tuple[Batch, Actor | None]:
    """Return the documents of a batch, and the actor when a part names one. Raises like ``read_upload``."""
    largest = {"documents": limits.metadata_bytes, _MANY: limits.body_bytes, **_SMALL_PARTS}
    parts = await _read_form(request, limits, largest, limits.parts + limits.batch)
    for name in ("documents", _MANY):
        if name not in parts.found:
            raise InvalidInput("MULTIPART_INVALID", reason="missing", pointer=f"/{name}")
    listed = as_object(parts.found["documents"], "/documents")
    check_schema(listed, "BatchRequest", "/documents")
    documents = from_json(wire_facts.BatchRequest, listed).documents
    if len(documents) != len(parts.files):
        raise InvalidInput("MULTIPART_INVALID", reason="count", pointer=f"/{_MANY}")
    items = tuple(
        BatchItem(
            client_ref=document.client_ref,
            idempotency_key=document.idempotency_key,
            metadata=dump_json(cast("JsonObject", document.metadata)),
            body=body,
            media_type=media_type,
        )
        for document, (body, media_type) in zip(documents, parts.files, strict=True)
    )
    batch = Batch(items=items, hold=_flag(parts, "hold"), send_now=_flag(parts, "send_now"))
    return batch, _part_actor(parts)


async def _read_form(request: web.BaseRequest, limits: ApiLimits, largest: Mapping[str, int], max_parts: int) -> _Parts:
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
            return await _collect(reader, limits, largest, max_parts)


def _part_actor(parts: _Parts) -> Actor | None:
    return checked_actor(as_object(parts.found["actor"], "/actor")) if "actor" in parts.found else None


def check_schema(value: Json, schema: str, pointer: str) -> None:
    """Check a value against a named schema. Raises RequestInvalid with pointers."""
    found = schema_findings(openapi.schemas().violations(value, openapi.schemas().named(schema), pointer))
    if found:
        raise RequestInvalid(found)


def checked_actor(value: Json, pointer: str = "/actor") -> Actor:
    """Return the actor that a JSON object names. Raises RequestInvalid with pointers."""
    check_schema(value, "Actor", pointer)
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


async def _collect(reader: MultipartReader, limits: ApiLimits, largest: Mapping[str, int], max_parts: int) -> _Parts:
    parts = _Parts()
    files_left = limits.body_bytes
    count = 0
    while True:
        async with asyncio.timeout(limits.read_s):
            part = await reader.next()
        if part is None:
            return parts
        count += 1
        if count > max_parts:
            raise InvalidInput("MULTIPART_INVALID", reason="too_many_parts", max_parts=max_parts)
        if not isinstance(part, BodyPartReader) or part.name is None or part.name not in largest:
            raise InvalidInput("MULTIPART_INVALID", reason="unknown_part")
        if part.name in parts.found and part.name != _MANY:
            raise InvalidInput("MULTIPART_INVALID", reason="part_twice", pointer=f"/{part.name}")
        if "Content-Encoding" in part.headers or "Content-Transfer-Encoding" in part.headers:
            raise InvalidInput("CONTENT_ENCODING_UNSUPPORTED")
        _check_media_type(part)
        name = part.name
        if name in _FILE_PARTS:
            content = await _read_part(part, files_left, limits)
            files_left -= len(content)
            parts.files.append((content, _media_type(part)))
            parts.found[name] = b""
        else:
            parts.found[name] = await _read_part(part, largest[name], limits)


async def _read_part(part: BodyPartReader, largest: int, limits: ApiLimits) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        async with asyncio.timeout(limits.read_s):
            chunk = await part.read_chunk(_CHUNK)
        if not chunk:
            return b"".join(chunks)
        size += len(chunk)
        if size > largest:
            most = limits.body_bytes if part.name in _FILE_PARTS else largest
            raise InvalidInput("BODY_TOO_LARGE", max_bytes=most, pointer=f"/{part.name}")
        chunks.append(chunk)


def _media_type(part: BodyPartReader) -> str:
    return part.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _check_media_type(part: BodyPartReader) -> None:
    declared = _media_type(part)
    if part.name in _JSON_PARTS and declared != "application/json":
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected="application/json", pointer=f"/{part.name}")
    if part.name in _FILE_PARTS and not declared:
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected="application/pdf", pointer=f"/{part.name}")


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

"""Reading request bodies off the wire, and cutting connections, with the scripted failures applied.

Owns what the simulated services share about sockets. It knows no message.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from asyncio.trsock import TransportSocket
from typing import Final

from aiohttp import web

from vaguemestre_sandbox.failures import Action, ArmedRule, RuleBook, Stage, Target, hang

_NO_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class ConnectionCutError(Exception):
    """The exchange is over: the sandbox cut it, or the caller left. `received` counts the body bytes read."""

    def __init__(self, received: int = 0) -> None:
        super().__init__("connection cut")
        self.received = received


class BodyTooLargeError(Exception):
    """The body passes the profile's limit."""


def reset(sock: socket.socket | TransportSocket) -> None:
    """Make the next close of `sock` a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def cut(request: web.Request, received: int = 0) -> ConnectionCutError:
    """Reset the connection of `request`; return the exception to raise."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            reset(sock)
        transport.abort()
    return ConnectionCutError(received)


def closed_answer() -> web.Response:
    """Return what a handler gives back once its connection is gone: nobody reads it."""
    return web.Response(status=500)


def plain_status(armed: ArmedRule) -> web.Response:
    """Return the empty answer of a status rule."""
    headers = {} if armed.rule.retry_after_s is None else {"Retry-After": str(armed.rule.retry_after_s)}
    return web.Response(status=armed.rule.status, headers=headers)


async def read_body(request: web.Request, book: RuleBook, target: Target, *, limit: int) -> bytes:
    """Return the complete body.

    Raises ConnectionCutError when the caller leaves before its end or a rule cuts; BodyTooLargeError past `limit`.
    """
    armed = book.take(target, Stage.BODY)
    chunks: list[bytes] = []
    size = 0
    try:
        while True:
            if armed is not None and armed.rule.action is Action.CUT_IN_BODY:
                room = armed.rule.after_bytes - size
                if room <= 0:
                    raise cut(request, size)
                chunk = await request.content.read(min(room, 65536))
            elif armed is not None and armed.rule.action is Action.THROTTLE:
                chunk = await request.content.read(max(1, armed.rule.bytes_per_second // 10))
                await asyncio.sleep(0.1 if chunk else 0)
            else:
                chunk = await request.content.readany()
            if not chunk and request.content.at_eof():
                break
            size += len(chunk)
            if size > limit:
                raise BodyTooLargeError
            chunks.append(chunk)
    except (ConnectionError, web.PayloadAccessError, asyncio.IncompleteReadError) as error:
        raise ConnectionCutError(size) from error
    return b"".join(chunks)


async def before_reading(request: web.Request, book: RuleBook, target: Target) -> ArmedRule | None:
    """Apply the rules looked up before the body; return the one that the service must answer, if any.

    Raises ConnectionCutError for a refusal.
    """
    armed = book.take(target, Stage.HEADERS)
    if armed is None:
        return None
    if armed.rule.action is Action.REFUSE:
        raise cut(request)
    if armed.rule.action is Action.HANG_BEFORE_READ:
        await hang(armed)
        return None
    return armed


async def before_processing(
    request: web.Request, book: RuleBook, target: Target, unique_ids: tuple[str, ...]
) -> ArmedRule | None:
    """Apply the hangs looked up once the body is read; return the rule the service must act upon, if any."""
    armed = book.take(target, Stage.READ, unique_ids)
    while armed is not None and armed.rule.action is Action.HANG_AFTER_READ:
        await hang(armed)
        armed = book.take(target, Stage.READ, unique_ids)
    return armed


async def after_storing(
    request: web.Request, book: RuleBook, target: Target, unique_ids: tuple[str, ...]
) -> ArmedRule | None:
    """Apply the hangs looked up once the work is done; return the rule the service must act upon, if any."""
    armed = book.take(target, Stage.STORED, unique_ids)
    while armed is not None and armed.rule.action is Action.HANG_AFTER_STORE:
        await hang(armed)
        armed = book.take(target, Stage.STORED, unique_ids)
    return armed


def spoil(response: web.Response, armed: ArmedRule) -> web.Response:
    """Return `response` as an answer-stage rule makes it."""
    body = response.body if isinstance(response.body, bytes) else b""
    content_type = response.headers.get("Content-Type", "application/octet-stream")
    match armed.rule.action:
        case Action.GARBAGE_XML:
            body = b"<soap:Envelope <<\x00\xff not xml"
        case Action.TRUNCATED_XML:
            body = body[: max(1, len(body) * 2 // 3)]
        case Action.WRONG_CONTENT_TYPE:
            content_type = "application/octet-stream"
        case Action.HTML:
            content_type = "text/html; charset=utf-8"
            body = b"<!DOCTYPE html><html><head><title>Portail</title></head><body>Connexion requise</body></html>"
        case _:
            return response
    status = 200 if armed.rule.action is Action.HTML else response.status
    return web.Response(status=status, body=body, headers={"Content-Type": content_type})

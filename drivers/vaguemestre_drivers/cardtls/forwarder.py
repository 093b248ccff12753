"""Opens TLS with a card's key to a configured host, and gives the agent the plain end of it, once.

Owns the connection, the handshake and the pump of each stream. The stream is told only after the handshake: who
connects to it knows that the service accepted the card, so "no connection" stays a certainty for the agent. Reaches no
host but those it was made with. Logs nothing that passes.
Source: docs/cards.md, "TLS with the card's key"; RFC 5246, RFC 8446.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import InvalidInput, ServiceError
from vaguemestre_drivers.cardtls.keys import TlsKey
from vaguemestre_drivers.cardtls.local import HAS_UNIX_SOCKETS, OneUse
from vaguemestre_drivers.cardtls.openssl import KeyUse, OpenSsl

_log = logging.getLogger(__name__)
_PIECE: Final = 64 * 1024
_ACCEPT_S: Final = 10.0


@unique
class TlsFailure(StrEnum):
    """What kept the stream from being opened; the agent's HTTP client has the same words."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    UNREACHABLE = "unreachable"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Where the forwarder may go and whom it believes.

    Attributes:
        hosts: host and port of each service.
        authorities: PEM of the authorities that may have issued their certificates; None: the system's.
        longest_s: longest life of a stream, seconds.
    """

    hosts: frozenset[tuple[str, int]]
    authorities: str | None = None
    longest_s: float = 900.0


class CardTls:
    """Streams to the configured hosts, each with a card's key.

    Args:
        trust: where it may go.
        folder: private folder for the streams.
        unix: see ``OneUse``.
    """

    def __init__(self, trust: Trust, folder: Path, *, unix: bool = HAS_UNIX_SOCKETS) -> None:
        self._trust = trust
        self._folder = folder
        self._unix = unix
        self._openssl = OpenSsl()

    def open(self, key: TlsKey, host: str, port: int, within_s: float) -> str:
        """Connect, shake hands with the card's key, and return the address of the plain stream. Blocks.

        Raises:
            InvalidInput: ``CARD_TLS_HOST_FORBIDDEN``, ``CARD_TLS_UNSUPPORTED``.
            ServiceError: ``CARD_TLS_FAILED`` with ``failure`` (``TlsFailure``).
        """
        if (host, port) not in self._trust.hosts:
            raise InvalidInput("CARD_TLS_HOST_FORBIDDEN")
        context = ssl.create_default_context(cadata=self._trust.authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        use = self._openssl.use(context, key)
        remote = _connected(context, use, host, port, within_s)
        try:
            waiting = OneUse(self._folder, unix=self._unix)
        except OSError:
            remote.close()
            raise ServiceError("CARD_TLS_FAILED", failure=TlsFailure.UNREACHABLE.value) from None
        pump = threading.Thread(target=self._serve, args=(waiting, remote, use), name="card-tls", daemon=True)
        pump.start()
        return waiting.address

    def _serve(self, waiting: OneUse, remote: ssl.SSLSocket, use: KeyUse) -> None:
        local = waiting.accept(_ACCEPT_S)
        if local is None:
            remote.close()
            return
        with remote, local:
            _pump(local, remote, time.monotonic() + self._trust.longest_s)
        # The context asks this object whenever it needs the key: it must outlive the stream.
        del use


def _connected(context: ssl.SSLContext, use: KeyUse, host: str, port: int, within_s: float) -> ssl.SSLSocket:
    failure: TlsFailure
    try:
        plain = socket.create_connection((host, port), within_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
    except TimeoutError:
        failure = TlsFailure.CONNECT_TIMEOUT
    except ssl.SSLError:
        failure = TlsFailure.TLS
    except socket.gaierror:
        failure = TlsFailure.DNS
    except ConnectionRefusedError:
        failure = TlsFailure.REFUSED
    except ConnectionResetError:
        failure = TlsFailure.TLS
    except OSError:
        failure = TlsFailure.UNREACHABLE
    if use.failure is not None:
        failure = TlsFailure.KEY
    _log.info("cardtls.not_opened", extra={"reason": failure.value})
    raise ServiceError("CARD_TLS_FAILED", failure=failure.value)


class _Way:
    """Bytes on their way from one side to the other."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.held = b""
        self.ended = False

    def move(self) -> bool:
        """Read if nothing is held, write what is; return whether anything moved. Raises OSError."""
        moved = False
        while True:
            if not self.held:
                if self.ended:
                    return moved
                try:
                    self.held = self.source.recv(_PIECE)
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return moved
                if not self.held:
                    self.ended = True
                    return True
            try:
                sent = self.target.send(self.held)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return moved
            self.held = self.held[sent:]
            moved = True


def _pump(local: socket.socket, remote: ssl.SSLSocket, until: float) -> None:
    """Move bytes both ways until the service ends, the agent goes, or the time is over. One thread: TLS is not safe."""
    local.setblocking(False)
    remote.setblocking(False)
    up, down = _Way(local, remote), _Way(remote, local)
    try:
        while not (down.ended and not down.held) and time.monotonic() < until:
            if up.move() | down.move():
                continue
            if up.ended and not up.held:  # the agent closed its end: it half-closes nothing
                return
            with selectors.DefaultSelector() as ready:
                ready.register(remote, selectors.EVENT_READ | (selectors.EVENT_WRITE if up.held else 0))
                wanted = (0 if up.held else selectors.EVENT_READ) | (selectors.EVENT_WRITE if down.held else 0)
                if wanted:
                    ready.register(local, wanted)
                ready.select(1.0)
    except OSError:
        return  # one side is gone: closing both tells the other

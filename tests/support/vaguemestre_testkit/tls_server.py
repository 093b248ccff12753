"""A small PKI and a hand-made TLS server whose behaviour each test writes, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class TestPki:
    """PEM files of one authority, a server, a client with an RSA key (it signs too) and a stranger's authority."""

    __test__ = False

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path
    other_ca: Path


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


def make_pki(folder: Path) -> TestPki:
    now = dt.datetime.now(dt.UTC)

    def certificate(
        subject: str,
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        )
        if subject == "localhost":
            names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def write(name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        (folder / f"{name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    ca_key = ec.generate_private_key(ec.SECP256R1())
    write("ca", certificate("Autorite d'essai", ca_key, "Autorite d'essai", ca_key, ca=True), ca_key)
    other = ec.generate_private_key(ec.SECP256R1())
    write("other", certificate("Autre autorite", other, "Autre autorite", other, ca=True), other)
    server = ec.generate_private_key(ec.SECP256R1())
    write("server", certificate("localhost", server, "Autorite d'essai", ca_key, ca=False), server)
    client = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    write("client", certificate("CABINET ESSAI", client, "Autorite d'essai", ca_key, ca=False), client)
    return TestPki(
        ca=folder / "ca.pem",
        server_cert=folder / "server.pem",
        server_key=folder / "server.key",
        client_cert=folder / "client.pem",
        client_key=folder / "client.key",
        other_ca=folder / "other.pem",
    )


@dataclass
class Server:
    """A running TLS server: its port and the connections it saw."""

    port: int
    connections: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@asynccontextmanager
async def tls_server(pki: TestPki, behaviour: Behaviour, *, mute: bool = False) -> AsyncIterator[Server]:
    """Serve one behaviour per connection, until the block ends and every connection is over.

    ``mute``: accept connections and never shake hands.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_cert, pki.server_key)
    state = Server(port=0)
    idle = asyncio.Condition()
    busy = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        busy += 1
        state.connections += 1
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            async with idle:
                busy -= 1
                idle.notify_all()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if mute else context)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        async with asyncio.timeout(10), idle:
            await idle.wait_for(lambda: busy == 0)


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as the hand-made server read it."""

    head: str
    body: bytes


async def read_request(reader: asyncio.StreamReader, body_bytes: int | None = None) -> ReceivedRequest:
    """Read the head and the whole body, or only the first bytes of it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(
        (int(line.partition(":")[2]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0
    )
    body = await reader.readexactly(length if body_bytes is None else min(body_bytes, length))
    return ReceivedRequest(head=head, body=body)


async def answer(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes = b"",
    headers: tuple[tuple[str, str], ...] = (),
    *,
    declared: int | None = None,
) -> None:
    """Write an answer; ``declared`` lies about its length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if declared is None else declared}"]
    lines += [f"{name}: {value}" for name, value in headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()

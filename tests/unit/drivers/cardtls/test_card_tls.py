"""The forwarder: what it opens, whom it believes, and that its stream serves one caller, once."""

from __future__ import annotations

import gc
import socket
import ssl
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from vaguemestre_agent.adapters.http import TlsFiles
from vaguemestre_core.errors import InvalidInput, ServiceError
from vaguemestre_core.redaction import Secret
from vaguemestre_drivers.cardtls.forwarder import CardTls, Trust
from vaguemestre_drivers.cardtls.keys import Padding, TlsKey
from vaguemestre_drivers.cardtls.local import HAS_UNIX_SOCKETS
from vaguemestre_drivers.cardtls.openssl import OpenSsl
from vaguemestre_drivers.process.vitals import resident_bytes
from vaguemestre_sandbox.pki import Pki, open_pki
from vaguemestre_testkit.card_pki import SoftCardAuthority, card_authority, card_of

HOLDER = "899700000012"
BIG = b"x" * 700_000


def sign(block: bytes, kind: Padding) -> bytes:
    pair = card_of(HOLDER).authentication
    return pair.padded(block) if kind is Padding.PKCS1 else pair.raised(block)


def card_key() -> TlsKey:
    return TlsKey(chain=(card_of(HOLDER).authentication.der,), sign=sign)


@pytest.fixture(scope="module")
def pki(pki: Path) -> Pki:
    return open_pki(pki)


class Service:
    """A service that wants a card: it reads one request, says which TLS it speaks, and answers with a lot."""

    def __init__(self, pki: Pki, cards: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki.server.certificate_path, pki.server.key_path)
        self._context.load_verify_locations(cards)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.seen: list[tuple[str, bytes]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as secured:
                    self.seen.append((secured.version() or "", secured.recv(100)))
                    secured.sendall(BIG)
            except OSError:
                plain.close()

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)


@pytest.fixture
def service(pki: Pki, tmp_path: Path) -> Iterator[Service]:
    started = Service(pki, card_authority().write(tmp_path / "cards.pem"))
    yield started
    started.stop()


@pytest.fixture(params=[True, False] if HAS_UNIX_SOCKETS else [False], ids=lambda unix: "unix" if unix else "loopback")
def tls(request: pytest.FixtureRequest, pki: Pki, service: Service, tmp_path: Path) -> CardTls:
    trust = Trust(
        hosts=frozenset({("127.0.0.1", service.port), ("127.0.0.1", 9), ("nulle-part.invalid", 443)}),
        authorities=pki.authority.certificate_path.read_text("ascii"),
    )
    return CardTls(trust, tmp_path / "streams", unix=request.param)


def joined(address: str, secret: bytes | None = None) -> socket.socket:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(rest)
        except OSError:
            stream.close()
            raise
        return stream
    port, _, told = rest.partition(":")
    stream = socket.create_connection(("127.0.0.1", int(port)))
    stream.sendall(bytes.fromhex(told) if secret is None else secret)
    return stream


def everything(stream: socket.socket) -> bytes:
    stream.settimeout(10)
    content = b""
    while piece := stream.recv(65536):
        content += piece
    return content


@pytest.mark.parametrize(("raises_blocks", "version"), [(False, "TLSv1.2"), (True, "TLSv1.3")])
def test_bytes_pass_both_ways_under_the_cards_key(
    tls: CardTls, service: Service, raises_blocks: bool, version: str
) -> None:
    key = TlsKey(chain=card_key().chain, sign=sign, raises_blocks=raises_blocks)
    with joined(tls.open(key, "127.0.0.1", service.port, 5.0)) as stream:
        stream.sendall(b"question")
        answer = everything(stream)

    assert answer == BIG
    assert service.seen == [(version, b"question")]


def test_a_stream_serves_once(tls: CardTls, service: Service) -> None:
    address = tls.open(card_key(), "127.0.0.1", service.port, 5.0)
    with joined(address) as stream:
        stream.sendall(b"question")
        everything(stream)
        with pytest.raises(OSError, match=r"."):
            joined(address)


@pytest.mark.skipif(not HAS_UNIX_SOCKETS, reason="no Unix sockets here")
def test_only_this_user_reaches_the_stream(pki: Pki, service: Service, tmp_path: Path) -> None:
    trust = Trust(
        hosts=frozenset({("127.0.0.1", service.port)}), authorities=pki.authority.certificate_path.read_text("ascii")
    )
    path = Path(CardTls(trust, tmp_path / "streams").open(card_key(), "127.0.0.1", service.port, 5.0).partition(":")[2])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    joined(f"unix:{path}").close()


def test_who_does_not_know_the_secret_gets_nothing(pki: Pki, service: Service, tmp_path: Path) -> None:
    trust = Trust(
        hosts=frozenset({("127.0.0.1", service.port)}), authorities=pki.authority.certificate_path.read_text("ascii")
    )
    address = CardTls(trust, tmp_path, unix=False).open(card_key(), "127.0.0.1", service.port, 5.0)
    with joined(address, secret=bytes(32)) as stream:
        assert everything(stream) == b""
    assert BIG not in [content for _, content in service.seen]


def test_a_key_that_cannot_sign_is_told_apart_from_the_network(tls: CardTls, service: Service) -> None:
    def gone(block: bytes, kind: Padding) -> bytes:
        raise ServiceError("CARD_TAKEN_OUT")

    def broken(block: bytes, kind: Padding) -> bytes:
        raise RuntimeError("middleware")

    for failing in (gone, broken):
        with pytest.raises(ServiceError) as caught:
            tls.open(TlsKey(chain=card_key().chain, sign=failing), "127.0.0.1", service.port, 5.0)
        assert caught.value.params["failure"] == "key"


@pytest.mark.parametrize(("host", "port", "failure"), [("127.0.0.1", 9, "refused"), ("nulle-part.invalid", 443, "dns")])
def test_a_host_that_is_not_there(tls: CardTls, host: str, port: int, failure: str) -> None:
    with pytest.raises(ServiceError) as caught:
        tls.open(card_key(), host, port, 5.0)
    assert caught.value.params["failure"] == failure


def test_an_untrusted_service_and_a_card_of_another_authority_are_refused(
    service: Service, pki: Pki, tmp_path: Path
) -> None:
    hosts = frozenset({("127.0.0.1", service.port)})
    stranger = SoftCardAuthority().write(tmp_path / "other.pem").read_text("ascii")
    other = SoftCardAuthority().issue(HOLDER).authentication
    cases = (
        (Trust(hosts=hosts, authorities=stranger), card_key()),
        (
            Trust(hosts=hosts, authorities=pki.authority.certificate_path.read_text("ascii")),
            TlsKey(chain=(other.der,), sign=lambda block, _: other.padded(block)),
        ),
    )
    for trust, key in cases:
        with pytest.raises(ServiceError) as caught:
            CardTls(trust, tmp_path / "streams").open(key, "127.0.0.1", service.port, 5.0)
        assert caught.value.params["failure"] == "tls"
    assert service.seen == []


def test_no_other_host_is_reached(tls: CardTls, service: Service) -> None:
    with pytest.raises(InvalidInput, match="CARD_TLS_HOST_FORBIDDEN"):
        tls.open(card_key(), "localhost", service.port, 5.0)
    assert service.seen == []


def test_a_key_that_is_not_rsa_is_refused(pki: Pki, service: Service, tmp_path: Path) -> None:
    assert isinstance(pki.server.certificate.public_key(), ec.EllipticCurvePublicKey)
    der = pki.server.certificate.public_bytes(serialization.Encoding.DER)
    tls = CardTls(Trust(hosts=frozenset({("127.0.0.1", service.port)})), tmp_path)
    with pytest.raises(InvalidInput, match="CARD_TLS_UNSUPPORTED"):
        tls.open(TlsKey(chain=(der,), sign=sign), "127.0.0.1", service.port, 5.0)


@pytest.mark.skipif(sys.platform != "linux", reason="measured where the system says the memory in use")
def test_a_context_that_is_over_leaves_no_key_behind() -> None:
    library, key = OpenSsl(), card_key()

    def use(times: int) -> int:
        for _ in range(times):
            library.use(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), key)
        gc.collect()
        return resident_bytes()

    before = use(300)
    assert use(3000) - before < 3000 * 900  # a key is 1 700 bytes, its method, which stays, 160


@pytest.mark.parametrize("name", ["structure.p12", "certificat remis.old"])
@pytest.mark.parametrize("password", [None, "s3cret"])
def test_a_p12_file_authenticates_as_its_pem_does(pki: Pki, tmp_path: Path, password: str | None, name: str) -> None:
    key = serialization.load_pem_private_key(pki.structure_client.key_path.read_bytes(), None)
    assert not isinstance(key, ec.EllipticCurvePrivateKey)
    encryption = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password.encode())
    )
    path = tmp_path / name
    content = pkcs12.serialize_key_and_certificates(b"s", key, pki.structure_client.certificate, None, encryption)  # type: ignore[arg-type]
    path.write_bytes(content)
    files = TlsFiles(certificate_file=path, key_password=None if password is None else Secret(password))
    assert files.context() is not None
    wrong = TlsFiles(certificate_file=path, key_password=Secret("wrong"))
    with pytest.raises(InvalidInput, match="SIGNER_INVALID"):
        wrong.context()
    assert not list(tmp_path.glob("*.pem"))

"""A process that stands for the readers process: it alone loads the PKCS#11 module, logs in once, signs and opens TLS.

Asked by lines of JSON on its standard input; the first is the PIN. Run as a module with one argument, a JSON object of
paths: no secret is an argument.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from pathlib import Path
from typing import Protocol, cast

import pkcs11
from pkcs11.util.rsa import decode_rsa_private_key

from vaguemestre_core.errors import ServiceError, VaguemestreError
from vaguemestre_drivers.cardtls.forwarder import CardTls, Trust
from vaguemestre_drivers.cardtls.keys import Padding, TlsKey

AUTHENTICATION, SIGNATURE = b"\x20", b"\x10"
_MECHANISMS = {Padding.PKCS1: pkcs11.Mechanism.RSA_PKCS, Padding.NONE: pkcs11.Mechanism.RSA_X_509}


class _Signs(Protocol):
    """What the library's own description of a private key forgets."""

    def sign(self, data: bytes, *, mechanism: pkcs11.Mechanism) -> bytes: ...


class Card:
    """The token, in one session opened with the PIN; closed when it is pulled."""

    def __init__(self, module: str, label: str, pin: str, keys: dict[bytes, bytes]) -> None:
        token = pkcs11.lib(module).get_token(token_label=label)
        self._session = token.open(rw=True, user_pin=pin)
        self._lock = threading.Lock()
        self.is_in = True
        self.uses: list[str] = []
        for key_id, der in keys.items():
            self._session.create_object({**decode_rsa_private_key(der), pkcs11.Attribute.ID: key_id})

    def sign(self, key_id: bytes, data: bytes, mechanism: pkcs11.Mechanism) -> bytes:
        """Sign in the session that the PIN opened."""
        with self._lock:
            if not self.is_in:
                raise ServiceError("CARD_TAKEN_OUT")
            key = self._session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id)
            assert isinstance(key, pkcs11.PrivateKey)
            self.uses.append(mechanism.name)
            return bytes(cast("_Signs", key).sign(data, mechanism=mechanism))

    def pull(self) -> None:
        """Close everything, as a card that leaves does."""
        with self._lock:
            self.is_in = False
            self._session.close()


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until the input ends."""
    given = json.loads(sys.argv[1])
    keys = {bytes.fromhex(key_id): Path(path).read_bytes() for key_id, path in given["keys"].items()}
    card = Card(given["module"], given["label"], sys.stdin.readline().strip(), keys)
    trust = Trust(
        hosts=frozenset({(given["host"], given["port"])}), authorities=Path(given["trust"]).read_text("ascii")
    )
    tls = CardTls(trust, Path(given["streams"]))
    tls_key = TlsKey(
        chain=(Path(given["certificate"]).read_bytes(),),
        sign=lambda block, kind: card.sign(AUTHENTICATION, block, _MECHANISMS[kind]),
        raises_blocks=given["raises_blocks"],
    )
    _say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, object] = {}
        try:
            match asked["verb"]:
                case "sign":
                    data = base64.b64decode(asked["data"])
                    value = card.sign(SIGNATURE, data, pkcs11.Mechanism.SHA256_RSA_PKCS)
                    answer = {"value": base64.b64encode(value).decode()}
                case "open":
                    answer = {"address": tls.open(tls_key, asked["host"], asked["port"], asked["within_s"])}
                case "pull":
                    card.pull()
                case _:
                    answer = {"uses": card.uses}
        except VaguemestreError as error:
            answer = {"code": error.code, "failure": error.params.get("failure")}
        _say(answer)


if __name__ == "__main__":
    main()

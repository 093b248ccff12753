"""Gives a TLS context of Python's ``ssl`` a private key that is elsewhere: OpenSSL asks our function at each use.

Owns the calls into the OpenSSL library that ``ssl`` itself uses, through ctypes: the same code on Linux, macOS and
Windows, no engine, no PIN in an address, no second PKCS#11 session. The address of the context inside the Python object
is checked against what ``ssl`` says of it before anything is written.
Source: OpenSSL manual, RSA_meth_set_priv_enc(3), SSL_CTX_use_PrivateKey(3), SSL_CTX_set1_client_sigalgs_list(3).
"""

from __future__ import annotations

import ctypes
import ssl
import sys
from collections.abc import Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from vaguemestre_core.errors import InvalidInput, ServiceError, VaguemestreError
from vaguemestre_drivers.cardtls.keys import Padding, TlsKey

_RSA_PKCS1_PADDING: Final = 1
_RSA_NO_PADDING: Final = 3
_PADDINGS: Final = {_RSA_PKCS1_PADDING: Padding.PKCS1, _RSA_NO_PADDING: Padding.NONE}
_METHOD_NO_CHECK: Final = 0x0001
_CTRL_EXTRA_CHAIN_CERT: Final = 14
_CTRL_CLIENT_SIGALGS_LIST: Final = 102
_PKCS1_ONLY: Final = b"RSA+SHA256:RSA+SHA384:RSA+SHA512"
_WINDOWS_LIBRARIES: Final = (
    ("libssl-3.dll", "libcrypto-3.dll"),
    ("libssl-3-x64.dll", "libcrypto-3-x64.dll"),
    ("libssl-3-arm64.dll", "libcrypto-3-arm64.dll"),
    ("libssl-1_1.dll", "libcrypto-1_1.dll"),
)
_Pointer = ctypes.c_void_p
_PRIV_ENC: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int)


class KeyUse:
    """The life of one key in one context; keep it as long as the context.

    Attributes:
        failure: why the card did not sign, or None.
    """

    def __init__(self, key: TlsKey) -> None:
        self._key = key
        self.failure: VaguemestreError | None = None
        self.callback = _PRIV_ENC(self._sign)

    def _sign(self, length: int, source: int, target: int, _rsa: int, padding: int) -> int:
        """Answer OpenSSL: the signature's length, or -1. Nothing may leave this function but a number."""
        kind = _PADDINGS.get(padding)
        if kind is None:
            return -1
        try:
            signature = self._key.sign(ctypes.string_at(source, length), kind)
        except VaguemestreError as error:
            self.failure = error
            return -1
        except Exception:  # noqa: BLE001 - not swallowed: a raise here would be lost in C, so it is kept and told
            self.failure = ServiceError("SIGNER_UNAVAILABLE")
            return -1
        ctypes.memmove(target, signature, len(signature))
        return len(signature)


class OpenSsl:
    """The OpenSSL that Python's ``ssl`` runs on.

    Raises:
        InvalidInput: ``CARD_TLS_UNSUPPORTED`` (reason library): its functions cannot be reached.
    """

    def __init__(self) -> None:
        self._crypto, self._ssl = _libraries()
        for name, result, arguments in _FUNCTIONS:
            function = self._function(name)
            function.restype = result
            function.argtypes = arguments

    def _function(self, name: str) -> Any:
        for library in (self._ssl, self._crypto):
            found = getattr(library, name, None)
            if found is not None:
                return found
        raise InvalidInput("CARD_TLS_UNSUPPORTED", reason="library")

    def _call(self, name: str, *arguments: object) -> int:
        answer: int = self._function(name)(*arguments)
        if not answer:
            raise InvalidInput("CARD_TLS_UNSUPPORTED", reason=name)
        return answer

    def use(self, context: ssl.SSLContext, key: TlsKey) -> KeyUse:
        """Make a context authenticate with a key; return what must live as long as the context.

        Raises:
            InvalidInput: ``CARD_TLS_UNSUPPORTED`` with a reason: no RSA key, a context that is not where it should be.
        """
        public = x509.load_der_x509_certificate(key.chain[0]).public_key()
        if not isinstance(public, rsa.RSAPublicKey):
            raise InvalidInput("CARD_TLS_UNSUPPORTED", reason="not_rsa")
        if not key.raises_blocks:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        pointer = self._pointer_of(context)
        use = KeyUse(key)
        for number, der in enumerate(key.chain):
            certificate = self._certificate(der)
            if number == 0:
                self._call("SSL_CTX_use_certificate", pointer, certificate)
                self._function("X509_free")(certificate)
            else:  # the context owns it from now on
                self._call("SSL_CTX_ctrl", pointer, _CTRL_EXTRA_CHAIN_CERT, 0, certificate)
        if not key.raises_blocks:
            algorithms = ctypes.create_string_buffer(_PKCS1_ONLY)
            self._call("SSL_CTX_ctrl", pointer, _CTRL_CLIENT_SIGALGS_LIST, 0, ctypes.addressof(algorithms))
        private = self._private(public, use)
        self._call("SSL_CTX_use_PrivateKey", pointer, private)
        self._function("EVP_PKEY_free")(private)  # the context holds it
        return use

    def _private(self, public: rsa.RSAPublicKey, use: KeyUse) -> int:
        numbers = public.public_numbers()
        method = self._call("RSA_meth_new", b"card", _METHOD_NO_CHECK)
        for part in _METHOD_PARTS:
            default = self._function("RSA_get_default_method")()
            inherited = self._function(f"RSA_meth_get_{part}")(default)
            if inherited:
                self._call(f"RSA_meth_set_{part}", method, inherited)
        self._call("RSA_meth_set_priv_enc", method, ctypes.cast(use.callback, _Pointer))
        private = self._call("RSA_new")
        self._call("RSA_set_method", private, method)
        parts = [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e)]
        modulus, exponent = (self._call("BN_bin2bn", part, len(part), None) for part in parts)
        self._call("RSA_set0_key", private, modulus, exponent, None)
        wrapped = self._call("EVP_PKEY_new")
        self._call("EVP_PKEY_set1_RSA", wrapped, private)
        self._function("RSA_free")(private)  # the wrapping holds it; it does not hold its method, which stays
        return wrapped

    def _certificate(self, der: bytes) -> int:
        content = ctypes.create_string_buffer(der, len(der))
        position = _Pointer(ctypes.addressof(content))
        return self._call("d2i_X509", None, ctypes.byref(position), len(der))

    def _pointer_of(self, context: ssl.SSLContext) -> int:
        """Return the SSL_CTX of a context: the first member of the object, after its head; checked before use."""
        place = id(context) + object.__basicsize__
        pointer = ctypes.cast(place, ctypes.POINTER(_Pointer))[0]
        if not pointer or self._function("SSL_CTX_get_options")(pointer) != int(context.options) & 0xFFFFFFFFFFFFFFFF:
            raise InvalidInput("CARD_TLS_UNSUPPORTED", reason="context")
        return int(pointer)


def _libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """Return the libraries that hold libcrypto's and libssl's functions, in that order."""
    if sys.platform == "win32":
        for tls, crypto in _WINDOWS_LIBRARIES:
            try:
                return ctypes.CDLL(crypto), ctypes.CDLL(tls)
            except OSError:
                continue
        raise InvalidInput("CARD_TLS_UNSUPPORTED", reason="library")
    else:  # noqa: RET506 - the type checker reads the other system's half so
        import _ssl

        # The loader looks a name up in what the library depends on too: these are ssl's own.
        own = ctypes.CDLL(_ssl.__file__)
        return own, own


_METHOD_PARTS: Final = ("pub_enc", "pub_dec", "mod_exp", "bn_mod_exp", "init", "finish")
_FUNCTIONS: Final[tuple[tuple[str, object, Sequence[object]], ...]] = (
    ("d2i_X509", _Pointer, [_Pointer, _Pointer, ctypes.c_long]),
    ("X509_free", None, [_Pointer]),
    ("BN_bin2bn", _Pointer, [ctypes.c_char_p, ctypes.c_int, _Pointer]),
    ("RSA_new", _Pointer, []),
    ("RSA_get_default_method", _Pointer, []),
    ("RSA_meth_new", _Pointer, [ctypes.c_char_p, ctypes.c_int]),
    *((f"RSA_meth_get_{part}", _Pointer, [_Pointer]) for part in _METHOD_PARTS),
    *((f"RSA_meth_set_{part}", ctypes.c_int, [_Pointer, _Pointer]) for part in (*_METHOD_PARTS, "priv_enc")),
    ("RSA_set_method", ctypes.c_int, [_Pointer, _Pointer]),
    ("RSA_set0_key", ctypes.c_int, [_Pointer, _Pointer, _Pointer, _Pointer]),
    ("EVP_PKEY_new", _Pointer, []),
    ("EVP_PKEY_set1_RSA", ctypes.c_int, [_Pointer, _Pointer]),
    ("EVP_PKEY_free", None, [_Pointer]),
    ("RSA_free", None, [_Pointer]),
    ("SSL_CTX_use_certificate", ctypes.c_int, [_Pointer, _Pointer]),
    ("SSL_CTX_use_PrivateKey", ctypes.c_int, [_Pointer, _Pointer]),
    ("SSL_CTX_ctrl", ctypes.c_long, [_Pointer, ctypes.c_int, ctypes.c_long, _Pointer]),
    ("SSL_CTX_get_options", ctypes.c_uint64, [_Pointer]),
)

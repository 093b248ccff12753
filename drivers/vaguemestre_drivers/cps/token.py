"""One PKCS#11 module and the cards it shows: which slot, what is public, one session at a time.

Owns the loaded library (one a process, one thread: ``C_Initialize`` is called without locks) and every call to the
binding, whose errors leave through ``returncodes``. Public objects are read without PIN; private keys and private data
are looked for after login only, because the middleware shows none before and says no error. It never logs.
A call may hang or kill the process: the readers process runs this in a thread that is watched, never the agent.
Source: PKCS #11 v2.40; middleware test results (labels, data objects, five sessions at most).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from vaguemestre_core.cps import CardNumber, CpsError, CpsHolder, CpsSituation, KeyRole
from vaguemestre_core.cpspin import PinState
from vaguemestre_core.redaction import REDACTED
from vaguemestre_drivers.cps.certificates import CardCertificate, holder_of, known_certificates, role_of
from vaguemestre_drivers.cps.holder import number_from_label, specialty_from_info
from vaguemestre_drivers.cps.returncodes import situation_of

if TYPE_CHECKING:
    import pkcs11

INFO_OBJECT: Final = "CPS_INFO_PS"
APPLICATION: Final = "CPS"
_MAX_OBJECTS: Final = 64
_MAX_OBJECT_BYTES: Final = 16_384
_CONTACTLESS_SUFFIX: Final = "_CL"
# CKF_USER_PIN_*: the most serious first.
_PIN_FLAGS: Final = (
    (0x0004_0000, PinState.BLOCKED),
    (0x0002_0000, PinState.LAST_TRY),
    (0x0001_0000, PinState.LOW),
)


def pin_state(flags: int, *, flags_are_kept: bool = True) -> PinState:
    """Return what a token's flags say of its PIN.

    Args:
        flags: CK_TOKEN_INFO.flags.
        flags_are_kept: False for a middleware whose flags never change (a setting): no flag then means nothing.
    """
    for bit, state in _PIN_FLAGS:
        if flags & bit:
            return state
    return PinState.OK if flags_are_kept else PinState.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TokenView:
    """A card as the module shows it, before anything is read.

    Attributes:
        slot: the module's number of the reader.
        reader: the reader's name as the module writes it, often cut at 64 characters.
        label, model: as the card says.
        number: from the label, or None (contactless).
        pin: what the flags say.
        is_contactless: the volet sans contact: no PIN, no signature.
    """

    slot: int
    reader: str
    label: str
    model: str
    number: CardNumber | None
    pin: PinState
    is_contactless: bool

    def __repr__(self) -> str:
        return f"TokenView(slot={self.slot}, model={self.model!r}, {REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CardReading:
    """Everything public on a card: its holder, and its certificates by role."""

    token: TokenView
    holder: CpsHolder
    certificates: tuple[CardCertificate, ...]

    def __repr__(self) -> str:
        return f"CardReading({REDACTED})"


def choose(tokens: Sequence[TokenView], number: CardNumber | None) -> TokenView:
    """Return the card to work with.

    Args:
        tokens: what the module shows.
        number: the card that was seen (EF.SN.ICC, a certificate), or None for the only one there is.

    Raises:
        CpsError: ``CPS_ABSENT``, ``CPS_SEVERAL``, ``CPS_CHANGED`` (others are there, not this one).
    """
    if not tokens:
        raise CpsError(CpsSituation.CPS_ABSENT)
    if number is not None:
        same = [one for one in tokens if one.number is not None and one.number.is_same_card(number)]
        if not same:
            raise CpsError(CpsSituation.CPS_CHANGED)
        # The same card may show twice, lying on the contactless reader of a combined one: the contact side works.
        return min(same, key=lambda one: one.is_contactless)
    contact = [one for one in tokens if not one.is_contactless] or list(tokens)
    if len(contact) > 1:
        raise CpsError(CpsSituation.CPS_SEVERAL)
    return contact[0]


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever the binding raises into its situation."""
    import pkcs11

    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise situation_of(error) from None


class CpsModule:
    """A loaded middleware. One a process, used by one thread.

    Args:
        path: the library.
        flags_are_kept: whether its PIN flags can be believed when none is set (a setting of the profile).

    Raises:
        CpsError: ``PKCS11_LIBRARY_ABSENT`` (no binding), ``MIDDLEWARE_UNLOADABLE``, ``MIDDLEWARE_FAILED``.
    """

    def __init__(self, path: str, *, flags_are_kept: bool = True) -> None:
        try:
            import pkcs11
        except ImportError:
            raise CpsError(CpsSituation.PKCS11_LIBRARY_ABSENT) from None
        self._flags_are_kept = flags_are_kept
        try:
            self._library = pkcs11.lib(path)
        except pkcs11.PKCS11Error as error:
            if type(error) is pkcs11.PKCS11Error:  # the loader's refusals have no class of their own
                raise CpsError(CpsSituation.MIDDLEWARE_UNLOADABLE) from None
            raise situation_of(error) from None

    def __repr__(self) -> str:
        return "CpsModule()"

    def tokens(self) -> tuple[TokenView, ...]:
        """Return the cards present. Raises CpsError."""
        return tuple(view for view, _ in self._present())

    def _present(self) -> list[tuple[TokenView, pkcs11.Token]]:
        found: list[tuple[TokenView, pkcs11.Token]] = []
        with translated():
            for slot in self._library.get_slots(token_present=True):
                token = slot.get_token()
                flags = int(token.flags)
                if flags & 0x400:  # CKF_TOKEN_INITIALIZED
                    found.append((self._view(slot, token, flags), token))
        return found

    def _view(self, slot: pkcs11.Slot, token: pkcs11.Token, flags: int) -> TokenView:
        label = token.label.rstrip("\0 ")
        return TokenView(
            slot=slot.slot_id,
            reader=slot.slot_description.rstrip("\0 "),
            label=label,
            model=token.model.rstrip("\0 "),
            number=number_from_label(label),
            pin=pin_state(flags, flags_are_kept=self._flags_are_kept),
            is_contactless=label.endswith(_CONTACTLESS_SUFFIX),
        )

    def restart(self) -> None:
        """Finalize and initialize again: forgets sessions, logins and a PC/SC service that is gone. Raises CpsError."""
        with translated():
            self._library.reinitialize()

    @contextmanager
    def card(self, number: CardNumber | None = None) -> Iterator[OpenCard]:
        """Give the card to work with, in a public session, and close everything on leaving, the login too.

        Raises:
            CpsError: as ``choose``, and whatever the middleware says.
        """
        present = self._present()
        view = choose([one for one, _ in present], number)
        token = next(token for one, token in present if one is view)
        with translated():
            session = token.open()
        opened = OpenCard(self, view, token, session)
        try:
            yield opened
        finally:
            opened.close()


class OpenCard:
    """A card in a session: read what is public, log in, then find private keys. Made by ``CpsModule.card``."""

    def __init__(self, module: CpsModule, view: TokenView, token: pkcs11.Token, session: pkcs11.Session) -> None:
        self._module = module
        self._token = token
        self._session = session
        self._logged: pkcs11.Session | None = None
        self._mechanisms: frozenset[str] | None = None
        self.view = view

    def __repr__(self) -> str:
        return f"OpenCard({self.view!r})"

    @property
    def is_open(self) -> bool:
        """Whether a login holds."""
        return self._logged is not None

    def close(self) -> None:
        """Log out and close; a card that is gone has closed everything itself."""
        import pkcs11

        for session in filter(None, (self._logged, self._session)):
            with suppress(pkcs11.PKCS11Error):
                session.close()
        self._logged = None

    def refreshed(self) -> TokenView:
        """Ask again what is in the slot.

        Raises:
            CpsError: ``CPS_ABSENT`` or ``CPS_CHANGED`` when the card is not the one that was chosen.
        """
        view = next((one for one in self._module.tokens() if one.slot == self.view.slot), None)
        if view is None:
            raise CpsError(CpsSituation.CPS_ABSENT)
        if view.label != self.view.label:
            raise CpsError(CpsSituation.CPS_CHANGED)
        return view

    def read(self) -> CardReading:
        """Return everything public: needs no PIN.

        Raises:
            CpsError: ``CPS_UNREADABLE``, ``CPS_CERTIFICATE_MISSING``, ``CPS_CHANGED`` (label and certificates differ).
        """
        certificates = known_certificates(self._certificates())
        info = self.data_object(INFO_OBJECT)
        holder = holder_of(certificates, None if info is None else specialty_from_info(info))
        if self.view.number is not None and not holder.number.is_same_card(self.view.number):
            raise CpsError(CpsSituation.CPS_CHANGED)
        return CardReading(token=self.view, holder=holder, certificates=certificates)

    def _certificates(self) -> list[tuple[bytes, str, bytes]]:
        import pkcs11

        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}
        kinds = (pkcs11.Attribute.ID, pkcs11.Attribute.LABEL, pkcs11.Attribute.VALUE)
        with translated():
            rows = [[item[kind] for kind in kinds] for item in _found(self._session, wanted)]
        return [(bytes(key_id), str(label), bytes(value)) for key_id, label, value in rows]

    def data_object(self, label: str) -> bytes | None:
        """Return a data object of the card, public ones before login, private ones after; None when there is none.

        Raises:
            CpsError: ``CPS_UNREADABLE`` for one of more than 16 KiB, and whatever the middleware says.
        """
        import pkcs11

        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.DATA, pkcs11.Attribute.LABEL: label}
        with translated():
            for item in _found(self._logged or self._session, wanted):
                if str(item[pkcs11.Attribute.APPLICATION]).rstrip("\0 ") == APPLICATION:
                    value = bytes(item[pkcs11.Attribute.VALUE])
                    if len(value) > _MAX_OBJECT_BYTES:
                        raise CpsError(CpsSituation.CPS_UNREADABLE, reason="size")
                    return value
        return None

    def log_in(self, pin: bytearray) -> None:
        """Present a PIN, once. The caller counts the tries (``login``) and clears ``pin``.

        The binding needs the PIN as text and leaks a session at each refusal: after one, the module is restarted, so
        that five refusals do not use up the five sessions the card allows; this session is then over.

        Raises:
            CpsError: ``PIN_WRONG``, ``PIN_BLOCKED``, ``PIN_MALFORMED``, and whatever the middleware says.
        """
        import pkcs11

        if self.view.is_contactless:
            raise CpsError(CpsSituation.CPS_CONTACTLESS)
        try:
            self._logged = self._token.open(user_pin=pin.decode("ascii"))
        except pkcs11.PKCS11Error as error:
            refusal = situation_of(error)
            self.close()
            with suppress(pkcs11.PKCS11Error):
                self._module.restart()
            raise refusal from None

    def private_key(self, certificate: CardCertificate) -> pkcs11.PrivateKey:
        """Return the private key of a certificate, by CKA_ID, then by the label of its role; after login only.

        Raises:
            CpsError: ``PIN_NEEDED`` (not logged in: the middleware would show nothing and say nothing),
                ``CPS_KEY_MISSING``.
        """
        import pkcs11

        if self._logged is None:
            raise CpsError(CpsSituation.PIN_NEEDED)
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        by_label: pkcs11.PrivateKey | None = None
        with translated():
            for item in _found(self._logged, wanted):
                if not isinstance(item, pkcs11.PrivateKey):
                    continue
                if certificate.key_id and bytes(item[pkcs11.Attribute.ID]) == certificate.key_id:
                    return item
                if role_of(b"", str(item[pkcs11.Attribute.LABEL])) is certificate.role:
                    by_label = item
        if by_label is None:
            raise CpsError(CpsSituation.CPS_KEY_MISSING, role=certificate.role.value)
        return by_label

    def sign(
        self, certificate: CardCertificate, block: bytes, mechanism: str, parameters: tuple[object, ...] | None = None
    ) -> bytes:
        """Return what the private key of a certificate makes of a block; what may be signed is for the caller to say.

        Args:
            certificate: whose key.
            block: prepared as the mechanism wants it.
            mechanism: one of ``mechanisms``.
            parameters: the mechanism's, as the binding takes them.

        Raises:
            CpsError: as ``private_key``, and whatever the middleware says.
        """
        import pkcs11

        key = self.private_key(certificate)
        if not isinstance(key, pkcs11.SignMixin):
            raise CpsError(CpsSituation.CPS_KEY_MISSING, role=certificate.role.value)
        with translated():
            return bytes(key.sign(block, mechanism=pkcs11.Mechanism[mechanism], mechanism_param=parameters))

    def mechanisms(self) -> frozenset[str]:
        """Return the names of the mechanisms the slot has, as the binding names them (``SHA256_RSA_PKCS``).

        The middleware is asked once: a card learns none while it is in.
        """
        if self._mechanisms is None:
            with translated():
                found = self._token.slot.get_mechanisms()
            self._mechanisms = frozenset(name for one in found if (name := getattr(one, "name", None)) is not None)
        return self._mechanisms


def _found(session: pkcs11.Session, wanted: Mapping[pkcs11.Attribute, object]) -> list[pkcs11.Object]:
    """Return the objects of a search, which is ended before any of them is read: a card does one thing at a time."""
    searching = session.get_objects(dict(wanted))
    try:
        found = list(islice(searching, _MAX_OBJECTS + 1))
    finally:
        close = getattr(searching, "close", None)
        if close is not None:
            close()
    if len(found) > _MAX_OBJECTS:
        raise CpsError(CpsSituation.CPS_UNREADABLE, reason="objects")
    return found


def is_usable_for(role: KeyRole) -> bool:
    """Return whether a key of this role may prove a professional's will."""
    return role is not KeyRole.TECHNICAL

"""The professionals' cards of this process: read, opened with a PIN, used, and closed when they leave.

Owns the one middleware, its lock (PKCS#11 is called by one thread at a time), and the open sessions by the stay of
their card. The lock is free while a person types: other cards go on. A card that leaves ends its session at once: what
asks for its key next is refused, whatever the middleware still believes. It never logs what a card says.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from vaguemestre_core.cardholders import OpenedCard, structure_of
from vaguemestre_core.cards import CardKind, CardTrouble, Insertion, Situation
from vaguemestre_core.cps import CardNumber, CpsError, CpsSituation, KeyRole
from vaguemestre_core.cpspin import LoginState, PinRequest, PinState, PinUse, Requester, worse_of
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_drivers.cardtls.cpskey import RAISES_BLOCKS, tls_key_of
from vaguemestre_drivers.cardtls.keys import TlsKey
from vaguemestre_drivers.cps.login import CardLogin, LoginDemand
from vaguemestre_drivers.cps.signing import CardSigner
from vaguemestre_drivers.cps.token import CardReading, CpsModule, OpenCard
from vaguemestre_drivers.cps.tries import TryBook
from vaguemestre_drivers.cps.volet import read_number
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.watching import Stay

_KEY_BYTES: Final = 8
_WITHDRAW_S: Final = 0.2
_LOST: Final = frozenset({CpsSituation.CPS_ABSENT, CpsSituation.CPS_REMOVED, CpsSituation.CPS_CHANGED})
# After these the middleware was started anew by the driver of the token: nothing that was open is.
_STARTED_ANEW: Final = frozenset({LoginState.REFUSED, LoginState.BLOCKED, LoginState.LOST})


class PinAsker(Protocol):
    """Who asks a person for a PIN (``PinDesk``)."""

    def ask_for_login(self, request: PinRequest) -> bytearray | None:
        """Ask; return the digits, or None. Raises CardTrouble PIN_WINDOW_ABSENT."""

    def withdraw(self) -> None:
        """Take the question back; harmless without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    opened: OpenedCard
    card: OpenCard
    reading: CardReading
    closing: ExitStack


class CpsDesk:
    """See the module. Blocks; its calls come from lanes, ``left`` from the thread that watches the readers.

    Args:
        access: the way to the cards' public files.
        stay_of: tells a stay while it lasts.
        load: loads the middleware, once; raises CpsError.
        tries: the count of PIN tries.
        pin: who asks.
        now: the time, aware.
        tell: called, from any thread, after each change of ``opened``.
    """

    def __init__(
        self,
        access: CardAccess,
        stay_of: Callable[[Insertion], Stay | None],
        *,
        load: Callable[[], CpsModule],
        tries: TryBook,
        pin: PinAsker,
        now: Callable[[], datetime],
        tell: Callable[[], None],
    ) -> None:
        self._access = access
        self._stay_of = stay_of
        self._load = load
        self._tries = tries
        self._pin = pin
        self._now = now
        self._tell = tell
        self._middleware = threading.Lock()
        self._module: CpsModule | None = None
        self._state = threading.Lock()
        self._sessions: dict[Insertion, _Session] = {}
        self._numbers: dict[Insertion, CardNumber] = {}
        self._asking: Insertion | None = None

    def opened(self) -> tuple[OpenedCard, ...]:
        """Return the cards that are open."""
        with self._state:
            return tuple(session.opened for session in self._sessions.values())

    def read(self, stay: Insertion) -> tuple[CardReading, PinState]:
        """Return what is public on a card, and what is known of its tries. No PIN.

        Raises:
            CardTrouble: CARD_CHANGED, CARD_OTHER_KIND, and what the reader says.
            CpsError: CPS_CONTACTLESS, and what the middleware says.
        """
        number = self._number(stay)
        with self._middleware, self._loaded().card(number) as card:
            reading = card.read()
        return reading, worse_of(reading.token.pin, self._tries.counted(number))

    def open(self, stay: Insertion, asker: str) -> OpenedCard:
        """Ask for the PIN and keep the card open until it leaves; one that is open already is returned as it is.

        Raises:
            CardTrouble: as ``read``; PIN_WINDOW_ABSENT.
            CpsError: CPS_EXPIRED, CPS_NOT_YET_VALID (the PIN is not asked for), PIN_WRONG and the like, CPS_REMOVED.
        """
        number = self._number(stay)
        with self._middleware:
            with self._state:
                held = self._sessions.get(stay)
            if held is not None:
                return held.opened
            with ExitStack() as stack:
                card = stack.enter_context(self._loaded().card(number))
                reading = card.read()
                reading.holder.validity.require(self._now())
                self._log_in(stay, card, reading, asker)
                opened = _opened(stay, reading)
                session = _Session(opened=opened, card=card, reading=reading, closing=stack.pop_all())
            with self._state:
                self._sessions[stay] = session
            if self._stay_of(stay) is None:  # it left meanwhile: ``left`` may have come too early for us
                self._drop(stay)
                session.closing.close()
                raise CpsError(CpsSituation.CPS_REMOVED)
        self._tell()
        return session.opened

    def close(self, stay: Insertion) -> bool:
        """Close a card's session; return whether there was one."""
        session = self._drop(stay)
        if session is None:
            return False
        self._tell()
        with self._middleware:
            session.closing.close()
        return True

    def left(self, stay: Insertion) -> None:
        """End what a card that is gone had: at once, without waiting for the middleware."""
        with self._state:
            self._numbers.pop(stay, None)
            is_asked = self._asking == stay
        if is_asked:
            threading.Thread(target=self._withdraw, args=(stay,), name="pin-withdraw", daemon=True).start()
        session = self._drop(stay)
        if session is not None:
            self._tell()
            threading.Thread(target=self._bury, args=(session,), name="cps-closing", daemon=True).start()

    def sign(self, key: str, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Sign for a purpose with an open card. Raises CpsError CPS_REMOVED when it is not open, and others."""
        with self._using(key) as session:
            return CardSigner(session.card, session.reading).sign(purpose, data, algorithm, self._now())

    def tls_key(self, key: str) -> TlsKey:
        """Return the authentication key of an open card, for one connection. Raises CpsError."""

        def run(work: Callable[[], bytes]) -> bytes:
            with self._using(key):
                return work()

        with self._using(key) as session:
            raises_blocks = RAISES_BLOCKS in session.card.mechanisms()
            return tls_key_of(session.card, session.reading.certificates, run, raises_blocks=raises_blocks)

    @contextmanager
    def _using(self, key: str) -> Iterator[_Session]:
        with self._middleware:
            with self._state:
                session = next((item for item in self._sessions.values() if item.opened.key == key), None)
            if session is None or self._stay_of(session.opened.stay) is None:
                raise CpsError(CpsSituation.CPS_REMOVED)
            try:
                yield session
            except CpsError as error:
                if error.situation in _LOST and self._drop(session.opened.stay) is not None:
                    session.closing.close()
                    self._tell()
                raise

    def _loaded(self) -> CpsModule:
        if self._module is None:
            self._module = self._load()
        return self._module

    def _number(self, insertion: Insertion) -> CardNumber:
        stay = self._stay_of(insertion)
        if stay is None:
            raise CardTrouble(Situation.CARD_CHANGED)
        if stay.card is CardKind.CPS3_CONTACTLESS:
            raise CpsError(CpsSituation.CPS_CONTACTLESS)
        if stay.card is None or not stay.card.is_cps:
            raise CardTrouble(Situation.CARD_OTHER_KIND)
        with self._state:
            known = self._numbers.get(insertion)
        if known is not None:
            return known
        number = self._access.using_card(stay.reader, read_number, is_repeatable=True, insertion=insertion)
        with self._state:
            self._numbers[insertion] = number
        return number

    def _log_in(self, stay: Insertion, card: OpenCard, reading: CardReading, asker: str) -> None:
        demand = LoginDemand(
            asker=asker, use=PinUse.OPEN_SESSION, requester=Requester.PERSON, holder=reading.holder.family_name
        )
        login = CardLogin(card, self._tries, lambda request: self._asked(stay, request))
        try:
            login.open(demand)
        except CpsError:
            if login.state in _STARTED_ANEW:
                self._drop_all()
            raise

    def _asked(self, stay: Insertion, request: PinRequest) -> bytearray | None:
        with self._state:
            self._asking = stay
        self._middleware.release()
        try:
            # Said gone before ``_asking`` was set: nobody will take the question back.
            return None if self._stay_of(stay) is None else self._pin.ask_for_login(request)
        finally:
            with self._state:
                self._asking = None
            self._middleware.acquire()

    def _withdraw(self, stay: Insertion) -> None:
        """Take the question back until it is: its window may only just be opening."""
        pause = threading.Event()
        while True:
            with self._state:
                if self._asking != stay:
                    return
            self._pin.withdraw()
            pause.wait(_WITHDRAW_S)

    def _drop(self, stay: Insertion) -> _Session | None:
        with self._state:
            return self._sessions.pop(stay, None)

    def _drop_all(self) -> None:
        with self._state:
            dropped, self._sessions = list(self._sessions.values()), {}
        for session in dropped:
            session.closing.close()
        if dropped:
            self._tell()

    def _bury(self, session: _Session) -> None:
        with self._middleware:
            session.closing.close()


def _opened(stay: Insertion, reading: CardReading) -> OpenedCard:
    holder = reading.holder
    signature = next((one.der for one in reading.certificates if one.role is KeyRole.SIGNATURE), b"")
    return OpenedCard(
        stay=stay,
        key=secrets.token_hex(_KEY_BYTES),
        category=holder.category,
        holder=holder.identifier.value,
        structure=structure_of(holder.identifier),
        until=holder.validity.ends_at,
        certificate=signature,
    )

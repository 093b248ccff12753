"""The window, with tkinter: who asks, what for, what a wrong code costs; digits shown as dots, all by keyboard too.

Owns the widgets. The field is ours and not tkinter's entry, whose content would stay in the interpreter of Tcl: each
key goes straight to the buffer. It runs in a child process that ends with the answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from vaguemestre_core.cpspin import PIN_LENGTH
from vaguemestre_drivers.pin import words
from vaguemestre_drivers.pin.typing_buffer import TypedDigits
from vaguemestre_drivers.pin.values import PinNotGiven
from vaguemestre_drivers.pin.wire import GIVEN

if TYPE_CHECKING:
    import tkinter

BACKGROUND: Final = "#f6f7f9"
INK: Final = "#1b1f24"
QUIET: Final = "#4a5563"
URGENT: Final = "#a40000"
ACCENT: Final = "#0b57a4"
_WIDTH: Final = 460


class WindowImpossible(Exception):
    """No display, or no tkinter here."""


def ask_in_window(wording: words.Wording, *, deadline_s: float) -> bytearray | PinNotGiven:
    """Show the window until the person answers; return the answer's bytes (to be wiped) or why there are none.

    Raises:
        WindowImpossible: there is no display, or tkinter is not installed.
    """
    try:
        import tkinter
    except ImportError as error:
        raise WindowImpossible from error
    try:
        root = tkinter.Tk(className="Vaguemestre")
    except tkinter.TclError as error:
        raise WindowImpossible from error
    window = _Window(root, wording)
    root.after(max(1, int(deadline_s * 1000)), window.expire)
    root.mainloop()
    with contextlib.suppress(tkinter.TclError):  # closed by the window manager already
        root.destroy()
    return window.result


class _Window:
    def __init__(self, root: tkinter.Tk, wording: words.Wording) -> None:
        self.result: bytearray | PinNotGiven = PinNotGiven.REFUSED
        self._typed = TypedDigits()
        self._root = root
        root.title(words.TITLE)
        root.configure(background=BACKGROUND, padx=24, pady=20)
        root.resizable(width=False, height=False)
        root.protocol("WM_DELETE_WINDOW", self.cancel)
        self._texts(wording)
        self._field = self._make_field()
        self._progress = self._label(words.counted(0), color=QUIET)
        self._progress.pack(anchor="w")
        self._accept = self._make_buttons()
        self._label(words.PROMISE, color=QUIET).pack(anchor="w", pady=(14, 0))
        self._keys()
        self._place()

    def _label(self, text: str, *, color: str = INK, size: int = 10, weight: str = "normal") -> tkinter.Label:
        import tkinter

        return tkinter.Label(
            self._root,
            text=text,
            background=BACKGROUND,
            foreground=color,
            font=("TkDefaultFont", size, weight),
            justify="left",
            wraplength=_WIDTH,
        )

    def _texts(self, wording: words.Wording) -> None:
        self._label(words.HEADING, size=15, weight="bold").pack(anchor="w", pady=(0, 10))
        facts = [("Programme", wording.asker), ("Demande", wording.requester), ("Pour", wording.use)]
        if wording.holder is not None:
            facts.append(("Carte de", wording.holder))
        for name, value in facts:
            self._label(f"{name} : {value}", size=11).pack(anchor="w", pady=1)
        color, weight = (URGENT, "bold") if wording.tries_urgent else (QUIET, "normal")
        self._label(wording.tries, color=color, size=11, weight=weight).pack(anchor="w", pady=(8, 12))
        self._label(words.FIELD, size=11, weight="bold").pack(anchor="w")

    def _make_field(self) -> tkinter.Label:
        import tkinter

        field = tkinter.Label(
            self._root,
            text=_dots(0),
            font=("TkFixedFont", 24),
            background="white",
            foreground=INK,
            highlightthickness=2,
            highlightbackground="#8a94a0",
            highlightcolor=ACCENT,
            padx=14,
            pady=4,
            takefocus=True,
            cursor="xterm",
        )
        field.pack(anchor="w", pady=(4, 2))
        field.bind("<Button-1>", lambda _: field.focus_set())
        return field

    def _make_buttons(self) -> tkinter.Button:
        import tkinter

        row = tkinter.Frame(self._root, background=BACKGROUND)
        row.pack(anchor="e", fill="x", pady=(14, 0))

        def button(text: str, command: Callable[[], None]) -> tkinter.Button:
            made = tkinter.Button(row, text=text, underline=0, command=command, width=11, highlightcolor=ACCENT)
            made.bind("<Return>", lambda _: made.invoke())
            return made

        cancel, accept = button(words.CANCEL, self.cancel), button(words.ACCEPT, self.accept)
        accept.configure(state="disabled")
        # Packed from the right, created in the order of the Tab key: field, Annuler, Valider.
        accept.pack(side="right", padx=(10, 0))
        cancel.pack(side="right")
        return accept

    def _keys(self) -> None:
        self._field.bind("<Key>", self._key)
        self._field.bind("<BackSpace>", self._backspace)
        self._field.bind("<Return>", lambda _: self.accept())
        self._field.bind("<KP_Enter>", lambda _: self.accept())
        self._root.bind("<Escape>", lambda _: self.cancel())
        self._root.bind("<Alt-v>", lambda _: self.accept())
        self._root.bind("<Alt-a>", lambda _: self.cancel())

    def _place(self) -> None:
        root = self._root
        root.update_idletasks()
        left = (root.winfo_screenwidth() - root.winfo_reqwidth()) // 2
        top = (root.winfo_screenheight() - root.winfo_reqheight()) // 3
        root.geometry(f"+{max(0, left)}+{max(0, top)}")
        root.attributes("-topmost", True)
        root.lift()
        root.focus_force()
        self._field.focus_set()

    def _key(self, event: tkinter.Event[tkinter.Misc]) -> None:
        # Alt and Control make shortcuts, never digits.
        if len(event.char) == 1 and not _has_modifier(event.state):
            self._typed.add(ord(event.char))
            self._show()

    def _backspace(self, _: tkinter.Event[tkinter.Misc]) -> str:
        self._typed.erase_last()
        self._show()
        return "break"

    def _show(self) -> None:
        count = self._typed.count
        self._field.configure(text=_dots(count))
        self._progress.configure(text=words.counted(count))
        self._accept.configure(state="normal" if self._typed.is_complete else "disabled")

    def accept(self) -> None:
        """Take the digits, when there are enough."""
        if self._typed.is_complete:
            self.result = self._typed.answer(GIVEN)
            self._root.quit()

    def cancel(self) -> None:
        """Take nothing."""
        self._leave(PinNotGiven.REFUSED)

    def expire(self) -> None:
        """Nobody answered."""
        self._leave(PinNotGiven.EXPIRED)

    def _leave(self, why: PinNotGiven) -> None:
        self._typed.wipe()
        self.result = why
        self._root.quit()


_CONTROL: Final = 0x0004
_ALT: Final = 0x0008  # Mod1 of X11; on Windows the flag below
_ALT_WINDOWS: Final = 0x20000


def _has_modifier(state: int | str) -> bool:
    import sys

    alt = _ALT_WINDOWS if sys.platform == "win32" else _ALT
    return isinstance(state, int) and bool(state & (_CONTROL | alt))


def _dots(count: int) -> str:
    return " ".join("●" * count + "○" * (PIN_LENGTH - count))

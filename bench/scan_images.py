"""The image families of ``vaguemestre bench scan``: drawn from a seed, the same wherever the libraries are.

Half of the symbols are GS1 boxes (invented products), half are INS codes (invented people). libdmtx and zxing-cpp
encode them in turn, so that neither decoder reads only its own; a symbol is then drawn as a camera sees it: printed on
a label, through a homography, sampled by area, with noise. Each family spoils one thing, from easy to hopeless.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray
from pylibdmtx import pylibdmtx, wrapper

Grey = NDArray[np.uint8]
Modules = NDArray[np.bool_]  # True: dark
Real = NDArray[np.float64]

FNC1: Final = 29
FNC1_PROPERTY: Final = 104
SAMPLES: Final = 24
SUPERSAMPLED: Final = 3
FRAME: Final = (720, 1280)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture and what its only symbol holds (FNC1 in first position not included, as scanners do)."""

    image: Grey
    content: bytes
    gs1: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A symbol before it is drawn."""

    modules: Modules
    content: bytes
    gs1: bool


# ---- contents and symbols


def box(rng: np.random.Generator, *, short: bool = False) -> bytes:
    """Return an invented box: GTIN, expiry, and unless short lot and serial."""
    body = f"034009{rng.integers(0, 10**7):07d}"
    check = -sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(reversed(body))) % 10
    content = f"01{body}{check}17{rng.integers(27, 32):02d}{rng.integers(1, 13):02d}00"
    if not short:
        letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
        lot, serial = ("".join(rng.choice(list(letters), size=size)) for size in (6, 12))
        content += f"10{lot}\x1d21{serial}"
    return content.encode("ascii")


def identity(rng: np.random.Generator) -> bytes:
    """Return an INS code of somebody who does not exist."""
    first = str(rng.choice(["ZOE", "ANNE-MARIE LOU", "JEAN", "TOM KEVIN"]))
    last = str(rng.choice(["ADRUN", "PAT-TROIS", "D'EXEMPLE", "FICTIF"]))
    body = f"1{rng.integers(20, 99):02d}{rng.integers(1, 13):02d}99{rng.integers(100, 999)}{rng.integers(1, 999):03d}"
    key = 97 - int(body) % 97
    born = f"{rng.integers(1, 29):02d}-{rng.integers(1, 13):02d}-{rng.integers(1930, 2020)}"
    fields = (
        f"S1{body}{key:02d}S21.2.250.1.213.1.4.8\x1dS3{first}\x1dS4{last}\x1dS5MS6{born}S799{rng.integers(100, 999)}"
    )
    return ("IS01" + "0" * 22 + fields).encode("ascii")


def by_libdmtx(content: bytes, *, gs1: bool, scheme: str, size: str) -> Modules:
    """Encode with libdmtx, FNC1 first when GS1."""
    data = (b"\x1d" + content) if gs1 else content
    with pylibdmtx._encoder() as encoder:  # noqa: SLF001 - its public call sets neither FNC1 nor reads modules
        wrapper.dmtxEncodeSetProp(
            encoder, wrapper.DmtxProperty.DmtxPropScheme, wrapper.DmtxScheme[f"DmtxScheme{scheme}"]
        )
        wrapper.dmtxEncodeSetProp(
            encoder, wrapper.DmtxProperty.DmtxPropSizeRequest, wrapper.DmtxSymbolSize[f"DmtxSymbol{size}"]
        )
        if gs1:
            wrapper.dmtxEncodeSetProp(encoder, FNC1_PROPERTY, FNC1)
        if not wrapper.dmtxEncodeDataMatrix(encoder, len(data), ctypes.cast(ctypes.c_char_p(data), wrapper.c_ubyte_p)):
            raise ValueError("libdmtx cannot encode this")
        image = encoder[0].image
        width = wrapper.dmtxImageGetProp(image, wrapper.DmtxProperty.DmtxPropWidth)
        height = wrapper.dmtxImageGetProp(image, wrapper.DmtxProperty.DmtxPropHeight)
        pixels = np.frombuffer(ctypes.string_at(image[0].pxl, width * height * 3), np.uint8).reshape(height, width, 3)
    return np.ascontiguousarray(pixels[12:-10:5, 12:-10:5, 0] < 128)  # a margin of 10 pixels, modules of 5


def by_zxing(content: bytes, *, gs1: bool) -> Modules:
    """Encode with zxing-cpp; it chooses rectangles, the extended ones included, when they are smaller."""
    if not gs1:
        made = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.DataMatrix)
    else:
        text = content.decode("ascii")
        spoken = f"(01){text[2:16]}(17){text[18:24]}"
        if len(text) > 24:
            lot, serial = text[26:].split("\x1d21")
            spoken += f"(10){lot}(21){serial}"
        made = zxingcpp.create_barcode(spoken, zxingcpp.BarcodeFormat.DataMatrix, gs1=True)
    return np.array(made.to_image(scale=1, add_quiet_zones=False)) < 128


def square(rng: np.random.Generator, index: int) -> Symbol:
    """Return a square symbol: even samples are boxes, odd ones are identities."""
    if index % 2:
        content = identity(rng)
        scheme = ("C40", "AutoBest", "Ascii")[index // 2 % 3]
        return Symbol(
            modules=by_libdmtx(content, gs1=False, scheme=scheme, size="SquareAuto"), content=content, gs1=False
        )
    content = box(rng)
    made = (
        by_zxing(content, gs1=True)
        if index % 4
        else by_libdmtx(content, gs1=True, scheme="AutoBest", size="SquareAuto")
    )
    return Symbol(modules=made, content=content, gs1=True)


def rectangle(rng: np.random.Generator, index: int) -> Symbol:
    """Return a rectangular symbol: boxes in standard sizes, every fourth an identity in an extended one (DMRE)."""
    if index % 4 == 3:
        content = identity(rng)
        return Symbol(modules=by_zxing(content, gs1=False), content=content, gs1=False)
    content = box(rng, short=index % 4 == 1)
    made = (
        by_zxing(content, gs1=True)
        if index % 4 == 1
        else by_libdmtx(content, gs1=True, scheme="AutoBest", size="RectAuto")
    )
    return Symbol(modules=made, content=content, gs1=True)


# ---- drawing


def clutter(rng: np.random.Generator, shape: tuple[int, int], *, lines: int) -> Real:
    """Return what surrounds a label: flat areas, and lines of text in several sizes."""
    height, width = shape
    scene = np.full(shape, int(rng.integers(150, 245)), np.uint8)
    for _ in range(lines // 2):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        corner = (x + int(rng.integers(20, width // 2)), y + int(rng.integers(10, height // 3)))
        cv2.rectangle(scene, (x, y), corner, int(rng.integers(40, 255)), -1 if rng.random() < 0.6 else 2)
    for _ in range(lines):
        words = " ".join("".join(rng.choice(list("aeimnorstuLMPQ0459")) for _ in range(7)) for _ in range(3))
        place = (int(rng.integers(-20, width)), int(rng.integers(0, height)))
        ink, size = int(rng.integers(0, 120)), float(rng.uniform(0.3, 1.1))
        cv2.putText(scene, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, int(rng.integers(1, 3)), cv2.LINE_AA)
    return scene.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a symbol is drawn; pixels for lengths, degrees for angles, grey levels for tones."""

    module: float = 5.0
    angle: float = 0.0
    tilt: float = 0.0  # how far corners move, as a part of the side
    dark: float = 25.0
    light: float = 235.0
    blur_modules: float = 0.15
    noise: float = 2.0
    canvas: tuple[int, int] | None = None  # None: a picture cut around the label
    lines: int = 0


def draw(rng: np.random.Generator, modules: Modules, look: Look) -> Real:
    """Draw the symbol on its label in a scene, as a camera samples it; noise is left to ``finish``."""
    quiet = 2
    label = np.pad(modules, quiet, constant_values=False)
    rows, columns = label.shape
    fine = max(2, round(look.module * SUPERSAMPLED))
    tones = np.where(label, float(look.dark), float(look.light))
    picture = cv2.resize(tones, (columns * fine, rows * fine), interpolation=cv2.INTER_NEAREST)
    width, height = columns * look.module, rows * look.module
    turn = np.deg2rad(look.angle)
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    corners += rng.uniform(-look.tilt, look.tilt, (4, 2)) * min(width, height)
    corners = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if look.canvas is None:
        margin = 3 * look.module + 6
        shape = (int(high[1] - low[1] + 2 * margin), int(high[0] - low[0] + 2 * margin))
        origin = margin - low + rng.uniform(0, 1, 2)
    else:
        shape = look.canvas
        room = np.array([shape[1], shape[0]]) - (high - low) - 40
        origin = 20 - low + rng.uniform(0, 1, 2) * room
    scene = clutter(rng, shape, lines=look.lines) if look.lines else np.full(shape, look.light)
    large = (shape[1] * SUPERSAMPLED, shape[0] * SUPERSAMPLED)
    target = ((corners + origin) * SUPERSAMPLED).astype(np.float32)
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32) * fine
    homography = cv2.getPerspectiveTransform(source, target)
    ink = cv2.warpPerspective(picture, homography, large, flags=cv2.INTER_LINEAR, borderValue=0)
    cover = cv2.warpPerspective(np.ones_like(picture), homography, large, flags=cv2.INTER_LINEAR, borderValue=0)
    ink, cover = (cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_AREA) for part in (ink, cover))
    drawn = scene * (1 - cover) + ink
    return cv2.GaussianBlur(drawn, (0, 0), max(0.05, look.blur_modules * look.module)).astype(np.float64)


def finish(rng: np.random.Generator, drawn: Real, noise: float) -> Grey:
    """Add the sensor's noise and quantise."""
    return np.clip(drawn + rng.normal(0, noise, drawn.shape), 0, 255).round().astype(np.uint8)


def plain(rng: np.random.Generator, symbol: Symbol, look: Look) -> Grey:
    """Draw and finish."""
    return finish(rng, draw(rng, symbol.modules, look), look.noise)


# ---- families


def clean(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """As printed by a computer, seen straight."""
    return plain(rng, symbol, Look(module=float(rng.integers(3, 9)), blur_modules=0.05, noise=0.5))


def rotated(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Any angle."""
    return plain(rng, symbol, Look(module=rng.uniform(3.5, 8), angle=rng.uniform(0, 360)))


def blurred(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Out of focus: a Gaussian of 0.35 to 0.85 module."""
    look = Look(
        module=rng.uniform(4, 8),
        angle=rng.uniform(-8, 8),
        blur_modules=rng.uniform(0.35, 0.85),
        noise=rng.uniform(0.5, 2),
    )
    return plain(rng, symbol, look)


def low_contrast(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Faded print: 10 to 45 grey levels between ink and paper, under a gradient of light."""
    dark = rng.uniform(60, 150)
    look = Look(
        module=rng.uniform(4, 7),
        angle=rng.uniform(-20, 20),
        dark=dark,
        light=dark + rng.uniform(10, 45),
        blur_modules=0.2,
    )
    drawn = draw(rng, symbol.modules, look)
    slope = np.linspace(0, rng.uniform(10, 60), drawn.shape[1])
    return finish(rng, drawn + slope, rng.uniform(1.0, 3.0))


def small_720p(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Anywhere in a camera's cluttered frame, modules of 2 to 3.5 pixels."""
    look = Look(
        module=rng.uniform(2.0, 3.5),
        angle=rng.uniform(-30, 30),
        blur_modules=rng.uniform(0.2, 0.4),
        noise=rng.uniform(2, 5),
        canvas=FRAME,
        lines=40,
    )
    return plain(rng, symbol, look)


def damaged(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Scratches, spots and torn corners, on the finder too."""
    look = Look(module=rng.uniform(4, 7), angle=rng.uniform(-15, 15))
    drawn = draw(rng, symbol.modules, look)
    height, width = drawn.shape
    for _ in range(int(rng.integers(2, 6))):
        tone = float(look.light if rng.random() < 0.6 else look.dark)
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        if rng.random() < 0.5:
            end = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            cv2.line(drawn, (x, y), end, tone, int(rng.integers(1, max(2, int(look.module * 0.8)))), cv2.LINE_AA)
        else:
            cv2.circle(drawn, (x, y), int(rng.uniform(0.8, 2.4) * look.module), tone, -1, cv2.LINE_AA)
    return finish(rng, drawn, look.noise)


def glare(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """A lamp's reflection over part of the symbol, and its halo."""
    look = Look(module=rng.uniform(4, 7), angle=rng.uniform(-20, 20), light=200)
    drawn = draw(rng, symbol.modules, look)
    height, width = drawn.shape
    y, x = np.mgrid[0:height, 0:width]
    across, along = rng.uniform(0.08, 0.22) * width, rng.uniform(0.3, 0.9) * height
    turn = rng.uniform(0, np.pi)
    dx, dy = x - rng.uniform(0.1, 0.9) * width, y - rng.uniform(0.1, 0.9) * height
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    spot = np.exp(-((u / across) ** 2 + (v / along) ** 2) / 2) * rng.uniform(120, 330)
    return finish(rng, drawn + spot, look.noise)


def perspective(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Held at a slant: each corner moves by up to a seventh of the side."""
    look = Look(module=rng.uniform(4, 8), angle=rng.uniform(-45, 45), tilt=rng.uniform(0.03, 0.15))
    return plain(rng, symbol, look)


def inverse(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """Light on dark, as on some boxes and screens."""
    look = Look(module=rng.uniform(3.5, 7), angle=rng.uniform(-15, 15), dark=225, light=30)
    return plain(rng, symbol, look)


def rectangular(rng: np.random.Generator, symbol: Symbol) -> Grey:
    """The long symbols of narrow boxes."""
    return plain(rng, symbol, Look(module=rng.uniform(3.5, 7), angle=rng.uniform(-25, 25)))


FAMILIES: Final[Mapping[str, Callable[[np.random.Generator, Symbol], Grey]]] = {
    "clean": clean,
    "rotated": rotated,
    "blurred": blurred,
    "low_contrast": low_contrast,
    "small_720p": small_720p,
    "damaged": damaged,
    "glare": glare,
    "perspective": perspective,
    "inverse": inverse,
    "rectangular": rectangular,
}


def samples(family: str, *, count: int = SAMPLES, seed: int = 1) -> list[Sample]:
    """Return the first pictures of a family: sample n is the same whatever the count."""
    place = list(FAMILIES).index(family)
    made: list[Sample] = []
    for index in range(count):
        rng = np.random.default_rng([seed, place, index])
        symbol = rectangle(rng, index) if family == "rectangular" else square(rng, index)
        made.append(Sample(image=FAMILIES[family](rng, symbol), content=symbol.content, gs1=symbol.gs1))
    return made

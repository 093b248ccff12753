"""Decoding families of images: ours beside bare zxing-cpp and bare pylibdmtx, on the same pictures, in one run.

    python bench/scan.py [--json] [--samples N] [--rounds N] [--seed N] [--table]

Bare means: ``zxingcpp.read_barcodes(image, formats=DataMatrix)`` with its defaults, and ``pylibdmtx.decode(image,
timeout=500, max_count=1)`` with FNC1 kept, without which it reads no box. ``rate``: pictures whose exact content was
given, over all. ``ms``: mean time on the pictures that the faster bare reader of the family reads, so that the three
are compared on the same ones; each picture counts its best round, rounds alternate and the order turns. ``--table``
prints what docs/scanning.md shows: also the mean over all pictures, those that nobody reads included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scan_images
import zxingcpp
from machine import machine
from scan_images import FAMILIES, FNC1, FNC1_PROPERTY, SAMPLES, Grey, Sample

from vaguemestre_drivers.datamatrix.decoding import NativeDecoder

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports distutils
    from pylibdmtx import pylibdmtx, wrapper

TARGET: Final = 1.3
DMTX_LIMIT_MS: Final = 500
SLOW_S: Final = 0.1  # a picture this slow is not measured again
OURS, ZXING, DMTX = "ours", "zxing", "dmtx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One reader on one picture: whether the content came, and the best time."""

    read: bool
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The figures of a family."""

    rate: Mapping[str, float]
    ms: Mapping[str, float]
    mean_ms: Mapping[str, float]
    faster: str | None

    @property
    def ratio(self) -> float | None:
        """Ours over the faster bare reader, on what that one reads."""
        if self.faster is None:
            return None
        return self.ms[OURS] / self.ms[self.faster]

    @property
    def met(self) -> bool:
        """Whether ours reads as much as the best, within the time."""
        best = max(self.rate[ZXING], self.rate[DMTX])
        return self.rate[OURS] >= best and (self.ratio is None or self.ratio <= TARGET)


def with_fnc1(create: Callable[..., object]) -> Callable[..., object]:
    """Return libdmtx's constructor with FNC1 given as GS."""

    def created(*given: object) -> object:
        decoder = create(*given)
        wrapper.dmtxDecodeSetProp(decoder, FNC1_PROPERTY, FNC1)
        return decoder

    return created


def readers() -> Mapping[str, Callable[[Grey], Sequence[bytes]]]:
    """Return the three readers."""
    ours = NativeDecoder()
    pylibdmtx.dmtxDecodeCreate = with_fnc1(pylibdmtx.dmtxDecodeCreate)
    data_matrix = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.DataMatrix)

    def by_ours(image: Grey) -> Sequence[bytes]:
        return [one.content.reveal() for one in ours.decode(image).symbols]

    def by_zxing(image: Grey) -> Sequence[bytes]:
        return [one.bytes for one in zxingcpp.read_barcodes(image, formats=data_matrix)]

    def by_dmtx(image: Grey) -> Sequence[bytes]:
        found = pylibdmtx.decode(image, timeout=DMTX_LIMIT_MS, max_count=1)
        return [one.data.removeprefix(b"\x1d") for one in found]

    all_readers = {OURS: by_ours, ZXING: by_zxing, DMTX: by_dmtx}
    for warm in all_readers.values():
        warm(np.full((64, 64), 255, np.uint8))  # libraries load at their first use
    return all_readers


def timed(read: Callable[[Grey], Sequence[bytes]], sample: Sample, before: Timed | None) -> Timed:
    """Read a picture once more, unless it is known to be slow; return the better of both."""
    if before is not None and before.ms > SLOW_S * 1000:
        return before
    started = time.perf_counter()
    contents = read(sample.image)
    ms = (time.perf_counter() - started) * 1000
    good = sample.content in contents
    return Timed(read=good, ms=ms) if before is None else Timed(read=before.read and good, ms=min(before.ms, ms))


def measure(
    samples: Sequence[Sample], rounds: int, all_readers: Mapping[str, Callable[[Grey], Sequence[bytes]]]
) -> Family:
    """Alternate the readers over the pictures; return the figures."""
    results: dict[str, list[Timed | None]] = {name: [None] * len(samples) for name in all_readers}
    names = list(all_readers)
    for turn in range(rounds):
        for index, sample in enumerate(samples):
            first = (turn + index) % len(names)  # whoever comes after a long search finds cold caches: in turn
            for name in names[first:] + names[:first]:
                read = all_readers[name]
                results[name][index] = timed(read, sample, results[name][index])
    known = {name: [one for one in column if one is not None] for name, column in results.items()}
    own = {name: [one.ms for one in known[name] if one.read] for name in (ZXING, DMTX)}
    faster = min((name for name in own if own[name]), key=lambda name: statistics.mean(own[name]), default=None)
    shared = [index for index in range(len(samples)) if faster is None or known[faster][index].read]
    return Family(
        rate={name: sum(one.read for one in column) / len(samples) for name, column in known.items()},
        ms={name: statistics.mean(column[index].ms for index in shared) for name, column in known.items()},
        mean_ms={name: statistics.mean(one.ms for one in column) for name, column in known.items()},
        faster=faster,
    )


def table(figures: Mapping[str, Family]) -> str:
    """Return the table of docs/scanning.md."""
    lines = [
        "| Family | Read: ours | zxing-cpp | libdmtx | ms: ours | zxing-cpp | libdmtx | Ratio | Mean ms of all: ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in figures.items():
        rates = " | ".join(f"{one.rate[reader]:.0%}" for reader in (OURS, ZXING, DMTX))
        times = " | ".join(f"{one.ms[reader]:.2f}" for reader in (OURS, ZXING, DMTX))
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        lines.append(f"| {name} | {rates} | {times} | {ratio} | {one.mean_ms[OURS]:.0f} |")
    return "\n".join(lines)


def main() -> int:
    """Measure every family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--families", nargs="*", choices=list(FAMILIES), default=list(FAMILIES))
    given = parser.parse_args()
    all_readers = readers()
    figures = {
        name: measure(scan_images.samples(name, count=given.samples, seed=given.seed), given.rounds, all_readers)
        for name in given.families
    }
    if given.json:
        shape = {
            name: {
                reader: {"rate": round(one.rate[reader], 4), "ms": round(one.ms[reader], 3)} for reader in all_readers
            }
            for name, one in figures.items()
        }
        print(json.dumps({"families": shape}))
    elif given.table:
        print(table(figures))
    else:
        print(machine())
        for name, one in figures.items():
            sides = ", ".join(f"{reader} {one.rate[reader]:.0%} {one.ms[reader]:.2f} ms" for reader in all_readers)
            print(f"{name}: {sides}, ratio {one.ratio}, met {one.met}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

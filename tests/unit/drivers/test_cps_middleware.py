"""Finding the middleware: the tables of paths, headers of the three systems, and one explanation for each finding."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_api.messages import catalogue
from vaguemestre_core.cps import CpsSituation
from vaguemestre_drivers.cps.middleware import (
    PATHS,
    Architecture,
    FileVerdict,
    HostSystem,
    MiddlewareSearch,
    architectures,
    candidate_paths,
    host_system,
    program_architecture,
    search,
)
from vaguemestre_drivers.cps.probing import (
    ProbeEnd,
    ProbeReport,
    TechnicalReason,
    explain_middleware,
    read_report,
)


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)


def pe(machine: int) -> bytes:
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", machine) + bytes(20)


def fat(*cpus: int) -> bytes:
    slices = b"".join(struct.pack(">IIIII", cpu, 0, 0, 0, 0) for cpu in cpus)
    return b"\xca\xfe\xba\xbe" + struct.pack(">I", len(cpus)) + slices


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (elf(0x3E), {Architecture.X86_64}),
        (elf(0xB7), {Architecture.ARM64}),
        (elf(0xF3), set()),  # RISC-V: a library, not one of ours
        (pe(0x8664), {Architecture.X86_64}),
        (pe(0x014C), {Architecture.X86}),
        (b"\xcf\xfa\xed\xfe" + struct.pack("<I", 0x0100000C), {Architecture.ARM64}),
        (fat(0x01000007, 0x0100000C), {Architecture.X86_64, Architecture.ARM64}),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x41", None),  # a Java class
        (b"INPUT(libreal.so)", None),
        (b"MZ" + bytes(70), None),
        (b"", None),
    ],
)
def test_a_header_says_what_a_library_is_made_for(head: bytes, expected: set[Architecture] | None) -> None:
    assert architectures(head) == (None if expected is None else frozenset(expected))


@given(
    st.binary(max_size=200)
    | st.builds(
        bytes.__add__,
        st.sampled_from([b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", elf(3)[:18], pe(3)[:66]]),
        st.binary(max_size=200),
    )
)
def test_no_bytes_break_the_header_reader(head: bytes) -> None:
    found = architectures(head)
    assert found is None or found <= set(Architecture)


def test_the_interpreter_counts_not_the_machine() -> None:
    assert program_architecture("AMD64", 4) is Architecture.X86
    assert program_architecture("AMD64", 8) is Architecture.X86_64
    assert program_architecture("arm64", 8) is Architecture.ARM64
    assert program_architecture("vax", 4) is None
    assert [host_system(name) for name in ("win32", "darwin", "linux", "freebsd14")] == [
        HostSystem.WINDOWS,
        HostSystem.MACOS,
        HostSystem.LINUX,
        HostSystem.LINUX,
    ]


def looked(
    files: dict[str, bytes], system: HostSystem, needed: Architecture, override: str | None = None
) -> MiddlewareSearch:
    def head(path: str) -> bytes | None:
        if files.get(path) == b"secret":
            raise PermissionError(path)
        return files.get(path)

    return search(
        candidate_paths(system, windir="D:\\WIN\\", override=override),
        system=system,
        needed=needed,
        read_head=head,
        is_override=bool(override),
    )


OTHER = TechnicalReason.OTHER_ARCHITECTURE
W64, W32 = r"D:\WIN\System32\cps3_pkcs11_w64.dll", r"D:\WIN\SysWOW64\cps3_pkcs11_w32.dll"
LUX = PATHS[HostSystem.LINUX][0]


@pytest.mark.parametrize(
    ("files", "system", "needed", "override", "situation", "reason"),
    [
        ({}, "windows", "x86_64", None, "MIDDLEWARE_ABSENT", TechnicalReason.NO_FILE),
        ({}, "linux", "x86_64", "/x.so", "MIDDLEWARE_ABSENT", TechnicalReason.OVERRIDE_MISSING),
        ({LUX: elf(0x3E)}, "linux", "x86_64", "/x.so", "MIDDLEWARE_ABSENT", TechnicalReason.OVERRIDE_MISSING),
        ({W32: pe(0x14C)}, "windows", "x86_64", None, "MIDDLEWARE_WRONG_ARCHITECTURE", OTHER),
        ({LUX: b"#!/bin/sh"}, "linux", "x86_64", None, "MIDDLEWARE_UNLOADABLE", TechnicalReason.NOT_A_LIBRARY),
        ({LUX: b"secret"}, "linux", "x86_64", None, "MIDDLEWARE_UNLOADABLE", TechnicalReason.UNREADABLE_FILE),
        ({W32: pe(0x14C), W64: pe(0x8664)}, "windows", "x86_64", None, None, TechnicalReason.NOT_TRIED),
    ],
)  # fmt: skip
def test_what_the_files_say_is_explained(
    files: dict[str, bytes],
    system: str,
    needed: str,
    override: str | None,
    situation: str | None,
    reason: str,
) -> None:
    found = looked(files, HostSystem(system), Architecture(needed), override)
    said = explain_middleware(found, None)
    assert said.situation == situation
    assert said.reason == reason
    assert_readable(said.situation, said.reason, said.params)


def assert_readable(situation: str | None, reason: str, params: Mapping[str, str | int]) -> None:
    """Both sentences find everything they name."""
    for code in filter(None, (situation, reason)):
        assert set(re.findall(r"\{(\w+)\}", catalogue()[code].title)) <= set(params), code


FOUND = search([LUX], system=HostSystem.LINUX, needed=Architecture.X86_64, read_head=lambda _: elf(0x3E))
WORKING = ProbeReport(
    end=ProbeEnd.FINISHED,
    step="done",
    exit_code=0,
    facts={"library": "5.2", "cryptoki": "2.20", "description": "CPS", "readers": 2, "cards": 1},
)


@pytest.mark.parametrize(
    ("report", "situation", "reason"),
    [
        (WORKING, None, TechnicalReason.WORKS),
        (replace(WORKING, facts={**WORKING.facts, "readers": 0, "cards": 0}), None, TechnicalReason.NO_READER),
        (replace(WORKING, facts={**WORKING.facts, "cards": 0}), None, TechnicalReason.NO_CARD),
        (ProbeReport(end=ProbeEnd.NOT_STARTED), None, TechnicalReason.NOT_TRIED),
        (ProbeReport(end=ProbeEnd.CRASHED, step="load", exit_code=-11), "MIDDLEWARE_CRASHED", TechnicalReason.CRASHED),
        (ProbeReport(end=ProbeEnd.SILENT, step="slots"), "MIDDLEWARE_SILENT", TechnicalReason.SILENT),
        (
            ProbeReport(end=ProbeEnd.FINISHED, step="load", failed=True, facts={"errno": 126}),
            "MIDDLEWARE_UNLOADABLE",
            TechnicalReason.DEPENDENCY_MISSING,
        ),
        (
            ProbeReport(end=ProbeEnd.FINISHED, step="load", failed=True, facts={"errno": 193}),
            "MIDDLEWARE_UNLOADABLE",
            TechnicalReason.NOT_A_LIBRARY,
        ),
        (
            ProbeReport(end=ProbeEnd.FINISHED, step="entry", failed=True),
            "MIDDLEWARE_UNLOADABLE",
            TechnicalReason.NO_ENTRY_POINT,
        ),
        (
            ProbeReport(end=ProbeEnd.FINISHED, step="initialize", failed=True, facts={"rv": 5}),
            "MIDDLEWARE_FAILED",
            TechnicalReason.CALL_FAILED,
        ),
    ],
)
def test_what_the_child_said_is_explained(report: ProbeReport, situation: str | None, reason: TechnicalReason) -> None:
    said = explain_middleware(FOUND, report)
    assert (said.situation, said.reason, said.path) == (situation, reason, LUX)
    assert_readable(said.situation, said.reason, said.params)


def test_an_old_library_is_told_when_a_minimum_is_set() -> None:
    assert explain_middleware(FOUND, WORKING, minimum_version=(5, 2)).situation is None
    said = explain_middleware(FOUND, WORKING, minimum_version=(5, 10))
    assert said.situation is CpsSituation.MIDDLEWARE_TOO_OLD
    assert said.params["found"] == "5.2"
    assert_readable(said.situation, said.reason, said.params)


def test_every_technical_reason_has_its_sentence() -> None:
    assert {reason.value for reason in TechnicalReason} <= set(catalogue())


@given(st.binary(max_size=300) | st.lists(st.text().map("vaguemestre-probe {}".format)).map("\n".join).map(str.encode))
def test_whatever_a_middleware_prints_a_report_comes_out(output: bytes) -> None:
    report = read_report(output, end=ProbeEnd.SILENT, exit_code=None)
    assert explain_middleware(FOUND, report).situation is CpsSituation.MIDDLEWARE_SILENT


def test_the_first_library_that_fits_is_chosen() -> None:
    found = looked({W32: pe(0x14C), W64: pe(0x8664)}, HostSystem.WINDOWS, Architecture.X86)
    assert found.chosen is not None
    assert found.chosen.path == W32
    assert [one.verdict for one in found.candidates][:2] == [FileVerdict.OTHER_ARCHITECTURE, FileVerdict.MISSING]

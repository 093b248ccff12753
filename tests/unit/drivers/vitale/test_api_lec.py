"""The GIE's library through ctypes: a small C library with the same three functions, honest or not, compiled here."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from vaguemestre_cardkit.building import built
from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.vitale import VitaleSource
from vaguemestre_drivers.vitale.api_lec import USUAL_PLACES, ApiLec, ApiLecPlace, find_api_lec
from vaguemestre_drivers.vitale.fingerprint import Fingerprints

# The folder given to Hn_Init says how it behaves: `manner` holds a word, `answer.xml` what is read.
SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
#include <string.h>
static char folder[4096], manner[64];
static int opened;
static size_t slurp(const char *name, char *out, size_t room) {
    char path[4300]; snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb"); if (!f) return 0;
    size_t n = fread(out, 1, room, f); fclose(f); return n;
}
static void tell(const char *word) {
    char path[4300]; snprintf(path, sizeof path, "%s/calls", folder);
    FILE *f = fopen(path, "ab"); if (f) { fprintf(f, "%s\n", word); fclose(f); }
}
uint16_t Hn_Init(const char *path, uint16_t *mode, uint16_t *err) {
    strncpy(folder, path, sizeof folder - 1);
    memset(manner, 0, sizeof manner); slurp("manner", manner, sizeof manner - 1);
    tell("init"); *mode = 1;
    if (!strcmp(manner, "init")) { *err = 77; return 12; }
    opened++; return 0;
}
uint16_t Hn_LectureVitaleDonneesIdentification(int16_t wait, char *out, uint32_t *len, int16_t *card, uint16_t *err) {
    uint32_t room = *len;
    tell(wait == 7 && opened == 1 ? "read" : "read?");
    if (!strcmp(manner, "read")) { *card = 3; *err = 41; return 5; }
    if (!strcmp(manner, "lying")) { *len = 4000000000u; return 0; }
    if (!strcmp(manner, "overrun")) { memset(out, 'x', room + 1); return 0; }
    uint32_t n = (uint32_t) slurp("answer.xml", out, room);
    if (strcmp(manner, "silent")) *len = n + (strcmp(manner, "counted") ? 0 : 1);
    return 0;
}
uint16_t Hn_Finir(uint16_t *err) { tell("finish"); opened--; *err = 9; return !strcmp(manner, "unclean"); }
"""

ANSWER = """<?xml version="1.0" encoding="ISO-8859-1"?><r><listeBenef><benef><ident><nomUsuel>FICTIF</nomUsuel>
<nomPatronymique>NAISSANCE</nomPatronymique><prenomUsuel>{given}</prenomUsuel><naissance><date>12031979</date>
<dateEnCarte>790312</dateEnCarte></naissance><nir>279037511234547</nir><rangDeNaissance>1</rangDeNaissance></ident>
</benef></listeBenef><heure>{hour}</heure></r>"""

compiled_here = pytest.mark.skipif(shutil.which("gcc") is None or sys.platform == "win32", reason="needs gcc")
MARKS = Fingerprints(bytes(range(32)))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library once."""
    return built(tmp_path_factory.mktemp("api_lec"), "libapi_lec", SOURCE)


def place(library: Path, folder: Path, manner: str, *, given: str = "Hélène", hour: str = "08:00") -> ApiLecPlace:
    (folder / "manner").write_text(manner, encoding="ascii")
    (folder / "answer.xml").write_text(ANSWER.format(given=given, hour=hour), encoding="iso-8859-1")
    return ApiLecPlace(library=library, data_folder=folder)


def component(library: Path, folder: Path, manner: str) -> ApiLec:
    return ApiLec(place(library, folder, manner), MARKS, timeout=7)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="ascii").split()


@compiled_here
@pytest.mark.parametrize("manner", ["plain", "counted", "silent", "unclean"])
def test_a_card_is_read_through_the_library(library: Path, tmp_path: Path, manner: str) -> None:
    component_here = component(library, tmp_path, manner)
    reading = component_here.read()

    assert reading.source is VitaleSource.API_LEC
    (person,) = reading.beneficiaries
    assert (person.usual_name, person.given_name, person.birth_name) == ("FICTIF", "Hélène", "NAISSANCE")
    component_here.read()
    assert calls(tmp_path) == ["init", "read", "finish"] * 2


@compiled_here
@pytest.mark.parametrize(
    ("manner", "step", "expected", "made"),
    [
        ("init", "init", {"status": 12, "error": 77}, ["init"]),
        ("read", "read", {"status": 5, "error": 41, "card_state": 3}, ["init", "read", "finish"]),
        ("lying", "read", {"reason": "length"}, ["init", "read", "finish"]),
        ("overrun", "read", {"reason": "overrun"}, ["init", "read", "finish"]),
    ],
)
def test_its_failures_keep_its_numbers(
    library: Path, tmp_path: Path, manner: str, step: str, expected: dict[str, object], made: list[str]
) -> None:
    with pytest.raises(CardTrouble) as refused:
        component(library, tmp_path, manner).read()

    assert refused.value.situation is Situation.VITALE_COMPONENT_FAILED
    assert refused.value.params == {"step": step} | expected
    assert calls(tmp_path) == made


@compiled_here
def test_an_answer_that_is_no_xml_is_a_failure(library: Path, tmp_path: Path) -> None:
    component_here = component(library, tmp_path, "plain")
    (tmp_path / "answer.xml").write_bytes(b"\xff\xfe garbage")

    with pytest.raises(CardTrouble) as refused:
        component_here.read()

    assert refused.value.params == {"step": "answer", "reason": "xml"}


@compiled_here
def test_a_swapped_card_is_seen_and_the_hour_is_not(library: Path, tmp_path: Path) -> None:
    component_here = component(library, tmp_path, "plain")
    choice = component_here.read().choose(0)

    place(library, tmp_path, "plain", hour="09:15")
    assert choice.confirmed_by(component_here.read()).given_name == "Hélène"
    place(library, tmp_path, "plain", given="Jeanne")
    with pytest.raises(CardTrouble) as refused:
        choice.confirmed_by(component_here.read())
    assert refused.value.situation is Situation.CARD_CHANGED


@compiled_here
def test_a_library_without_the_functions_is_a_failure(tmp_path: Path) -> None:
    other = built(tmp_path, "other", "int other(void) { return 0; }")

    with pytest.raises(CardTrouble) as refused:
        component(other, tmp_path, "plain").read()

    assert refused.value.params == {"step": "load", "reason": "functions"}


def test_a_file_that_is_no_library_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "api_lec").write_bytes(b"not a library")

    with pytest.raises(CardTrouble) as refused:
        component(tmp_path / "api_lec", tmp_path, "plain").read()

    assert refused.value.situation is Situation.VITALE_COMPONENT_FAILED
    assert refused.value.params == {"step": "load", "reason": "library"}


def test_its_absence_is_a_situation() -> None:
    absent = ApiLec(None, MARKS)

    assert not absent.is_present
    with pytest.raises(CardTrouble) as refused:
        absent.read()
    assert refused.value.situation is Situation.VITALE_COMPONENT_ABSENT
    with pytest.raises(ValueError, match="16-bit"):
        ApiLec(None, MARKS, timeout=40_000)


def test_the_setting_comes_before_the_usual_places(tmp_path: Path) -> None:
    (tmp_path / "lib").write_bytes(b"")
    set_here = ApiLecPlace(library=tmp_path / "lib", data_folder=tmp_path)

    assert find_api_lec(set_here) == set_here
    assert find_api_lec(ApiLecPlace(library=tmp_path / "absent", data_folder=tmp_path)) is None
    assert find_api_lec(None, platform="linux") is None
    assert USUAL_PLACES["win32"][0].library == PureWindowsPath(r"C:\Program Files\santesocial\api_lec\api_lec64.dll")
    assert isinstance(USUAL_PLACES["darwin"][0].library, PurePosixPath)

"""The library's XML: its published shape is read, its dates in either order, and it fails by its own error only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.vitale import Beneficiary, RightsPeriod
from vaguemestre_drivers.vitale.identification_xml import MAX_BYTES, IdentificationInvalid, decode_identification

WHOLE = {
    "nomUsuel": "FICTIF",
    "nomPatronymique": "NAISSANCE",
    "prenomUsuel": "Hélène",
    "date": "12031979",
    "dateEnCarte": "790312",
    "nir": "2790375112345 47",
    "nirCertifie": "",
    "rangDeNaissance": "1",
    "ligne1": "",
    "ligne2": "1 RUE DE L'ESSAI",
    "ligne5": "75012 PARIS",
}
AMO = (
    "<amo><qualBenef>0</qualBenef><codeRegime>01</codeRegime><caisse>751</caisse>"
    "<centreGestion>0001</centreGestion>"
    "<codeGestion>10</codeGestion><listePeriodesDroits>"
    "<element><debut>01012020</debut><fin>31122026</fin></element>"
    "<element><debut>01012027</debut><fin/></element></listePeriodesDroits>"
    "<libelleExo>PAS D'EXONERATION</libelleExo></amo>"
)


def person(changes: Mapping[str, str], amo: str = "") -> str:
    field = {name: f"<{name}>{escape(value)}</{name}>" for name, value in (WHOLE | dict(changes)).items()}
    lines = "".join(field[name] for name in sorted(field) if name.startswith("ligne"))
    plain = ("nomUsuel", "nomPatronymique", "prenomUsuel", "nir", "nirCertifie", "rangDeNaissance")
    birth = f"<naissance>{field['date']}{field['dateEnCarte']}</naissance>"
    return f"<benef><ident>{''.join(field[n] for n in plain)}{birth}<adresse>{lines}</adresse></ident>{amo}</benef>"


def document(*people: str) -> str:
    return f"<donneesVitale><listeBenef>{''.join(people)}</listeBenef></donneesVitale>"


def decoded(changes: Mapping[str, str], amo: str = "") -> Beneficiary:
    (found,) = decode_identification(document(person(changes, amo)).encode())
    return found


def test_everything_published_is_read() -> None:
    found = decoded({}, AMO)

    assert (found.usual_name, found.birth_name, found.given_name) == ("FICTIF", "NAISSANCE", "Hélène")
    assert found.birth_date is not None
    assert found.birth_date.text == "19790312"
    assert found.nir is not None
    assert found.nir.usable == "279037511234547"
    assert found.certified_nir is None
    assert found.birth_rank == 1
    assert found.address == ("1 RUE DE L'ESSAI", "75012 PARIS")
    assert found.coverage is not None
    assert found.coverage.is_insured
    assert (found.coverage.regime_code, found.coverage.fund_code, found.coverage.centre_code) == ("01", "751", "0001")
    assert found.coverage.periods == (
        RightsPeriod(begins_on=dt.date(2020, 1, 1), ends_on=dt.date(2026, 12, 31)),
        RightsPeriod(begins_on=dt.date(2027, 1, 1)),
    )


def test_the_order_of_the_answer_is_kept() -> None:
    people = [person({"prenomUsuel": name}) for name in ("A", "B", "C")]

    assert [found.given_name for found in decode_identification(document(*people).encode())] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("date", "on_card", "expected"),
    [
        ("19790312", "790312", "19790312"),
        ("12031979", "790312", "19790312"),
        ("12/03/1979", "", "19790312"),
        ("1979-03-12", "", "19790312"),
        ("20011920", "200120", "19200120"),  # a lunar 2001 or a plain 1920: the card settles it
        ("20011920", "011920", "20011920"),
        ("20011920", "", "19200120"),
        ("00001941", "410000", "19410000"),
        ("19410000", "", "19410000"),
    ],
)
def test_dates_are_understood_in_either_order(date: str, on_card: str, expected: str) -> None:
    found = decoded({"date": date, "dateEnCarte": on_card}).birth_date

    assert found is not None
    assert found.text == expected


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252"])
def test_declared_and_undeclared_encodings_are_read(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>{document(person({}))}'.encode(encoding)
    undeclared = document(person({})).encode(encoding)

    for content in (declared, undeclared, b"\n" + undeclared + b"\x00\x00"):
        assert decode_identification(content)[0].given_name == "Hélène"


def test_a_namespace_changes_nothing() -> None:
    content = document(person({})).replace("<donneesVitale>", '<donneesVitale xmlns="urn:x">').encode()

    assert decode_identification(content)[0].usual_name == "FICTIF"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nomUsuel": ""}, "usual_name"),
        ({"prenomUsuel": "a\u0085b"}, "given_name"),
        ({"date": "1979"}, "birth_date"),
        ({"date": "99999999"}, "birth_date"),
        ({"nir": "12"}, "vitale_nir_invalid"),
        ({"nirCertifie": "X" * 15}, "vitale_nir_invalid"),
        ({"rangDeNaissance": "un"}, "birth_rank"),
        ({"rangDeNaissance": "42"}, "birth_rank"),
        ({"rangDeNaissance": "²"}, "birth_rank"),
    ],
)
def test_what_is_there_and_wrong_is_refused(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(IdentificationInvalid) as refused:
        decoded(changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize("period", ["<debut/><fin>01012026</fin>", "<debut>99999999</debut>", "<debut>2026</debut>"])
def test_a_period_without_a_day_is_refused(period: str) -> None:
    amo = f"<amo><listePeriodesDroits><element>{period}</element></listePeriodesDroits></amo>"
    with pytest.raises(IdentificationInvalid) as refused:
        decoded({}, amo)
    assert refused.value.reason == "period"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "xml"),
        (b"<a>", "xml"),
        (b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a><benef><ident>&e;</ident></benef></a>', "xml"),
        (b"<a/>" + b" " * MAX_BYTES + b"<!-- -->", "xml"),
        (b"<a>" * 250 + b"</a>" * 250, "xml"),
        (b"<a/>", "nobody"),
        (("<a>" + person({}) * 33 + "</a>").encode(), "too_many"),
    ],
)
def test_documents_that_are_no_answer_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(IdentificationInvalid) as refused:
        decode_identification(content)
    assert refused.value.reason == reason


def _reason(content: bytes) -> str:
    try:
        decode_identification(content)
    except IdentificationInvalid as error:
        return error.reason
    return "read"


@given(
    st.binary(max_size=400) | st.text(max_size=200).map(lambda text: f"<benef><ident>{text}</ident></benef>".encode())
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert _reason(content)


@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), st.text(max_size=20), max_size=4))
def test_any_field_is_read_or_refused(changes: dict[str, str]) -> None:
    assert _reason(document(person(changes)).encode("utf-8", "surrogatepass"))


def test_refusals_do_not_quote_the_answer() -> None:
    with pytest.raises(IdentificationInvalid) as refused:
        decoded({"date": "FICTIF79"})
    assert "FICTIF" not in str(refused.value)

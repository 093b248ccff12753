"""Certificates and data objects of a card: the shapes cards have, and any other bytes refused with a clear error."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from vaguemestre_core.cps import CardCategory, CardNumber, CpsError, CpsSituation, KeyRole
from vaguemestre_drivers.cps.certificates import (
    certificate_for,
    holder_of,
    known_certificates,
    role_of,
)
from vaguemestre_drivers.cps.holder import (
    number_from_label,
    number_from_serial_file,
    read_certificate,
    sector_from_activity,
    specialty_from_info,
)
from vaguemestre_sandbox.cards.cpspki import DOCTOR, NURSE, SECRETARY, CardAuthority, CardPerson

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
AUTHORITY = CardAuthority(BEGIN, ends_at=END)
ISSUED = AUTHORITY.issue(DOCTOR, begins_at=BEGIN, ends_at=END)
SIGNATURE, AUTHENTICATION = ISSUED.signature[1], ISSUED.authentication[1]
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
AUT_ID, SIG_ID = bytes.fromhex("3533323520"), bytes.fromhex("3533323510")
AUT_LABEL, SIG_LABEL = "Certificat d'Authentification CPS", "Certificat de Signature CPS"


def other_card(person: CardPerson) -> bytes:
    return AUTHORITY.issue(person, begins_at=BEGIN, ends_at=END).signature[1]


def certificate(
    rdns: list[list[tuple[x509.ObjectIdentifier, str]]], extensions: dict[str, bytes], key: object = KEY
) -> bytes:
    name = x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in rdn]) for rdn in rdns]
    )
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AC IGC-SANTE FORT PERSONNES")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    for oid, value in extensions.items():
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
    from cryptography.hazmat.primitives import serialization

    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


CN, SN, GN, TITLE = NameOID.COMMON_NAME, NameOID.SURNAME, NameOID.GIVEN_NAME, NameOID.TITLE
NUMBER = b"\x13\x158025000001/2800636234"
GOOD = {
    "1.2.250.1.71.1.2.2": b"\x02\x01\x01",
    "1.2.250.1.71.1.2.3": NUMBER,
    "1.2.250.1.71.1.2.5": b"\x04\x01\x00",
    "1.2.250.1.71.1.2.7": b"\x02\x01\x60",
}


def test_the_multi_valued_name_and_the_extensions_are_read() -> None:
    holder = read_certificate(SIGNATURE).holder
    assert holder.rpps is not None
    assert (holder.identifier.value, holder.number.digits) == ("899700000012", "2900995235")
    assert holder.given_name is not None
    assert (holder.family_name.reveal(), holder.given_name.reveal()) == ("ESSAI", "CAMILLE")
    assert (holder.profession, holder.category, holder.is_test) == (10, CardCategory.CPS, True)
    assert (holder.validity.begins_at, holder.validity.ends_at) == (BEGIN, END)
    assert read_certificate(SIGNATURE).is_for_signature
    assert not read_certificate(AUTHENTICATION).is_for_signature


def test_a_real_card_of_a_person_in_training() -> None:
    holder = read_certificate(certificate([[(CN, "912345678"), (SN, "B")]], GOOD)).holder
    assert (holder.category, holder.is_test, holder.given_name, holder.profession) == (
        CardCategory.CPF,
        False,
        None,
        96,
    )
    assert holder.rpps is None


@pytest.mark.parametrize(
    ("rdns", "changed", "reason"),
    [
        ([[(CN, "812345678901"), (CN, "899700000012"), (SN, "A")]], {}, "name"),
        ([[(CN, "812345678901")], [(SN, "A")], [(SN, "B")]], {}, "name"),
        ([[(SN, "A")]], {}, "value"),
        ([[(CN, "812345678901")]], {}, "value"),
        ([[(CN, "712345678901"), (SN, "A")]], {}, "value"),
        ([[(CN, "812345678901"), (SN, "A\x07")]], {}, "value"),
        ([[(CN, "812345678901"), (SN, "A")]], {"1.2.250.1.71.1.2.2": b"\x02\x01\x09"}, "extension"),
        ([[(CN, "812345678901"), (SN, "A")]], {"1.2.250.1.71.1.2.3": b"\x13\x03abc"}, "extension"),
        ([[(CN, "812345678901"), (SN, "A")]], {"1.2.250.1.71.1.2.3": NUMBER + b"x"}, "extension"),
        ([[(CN, "812345678901"), (SN, "A")]], {"1.2.250.1.71.1.2.7": b"\x02\x81\x01\x60"}, "extension"),
        ([[(CN, "812345678901"), (SN, "A")]], {"1.2.250.1.71.1.2.5": b""}, "extension"),
    ],
)
def test_half_a_holder_is_refused(
    rdns: list[list[tuple[x509.ObjectIdentifier, str]]], changed: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(CpsError) as refused:
        read_certificate(certificate(rdns, GOOD | changed))
    assert (refused.value.situation, refused.value.params["reason"]) == (CpsSituation.CPS_UNREADABLE, reason)


def test_another_kind_of_key_is_refused() -> None:
    with pytest.raises(CpsError) as refused:
        read_certificate(
            certificate([[(CN, "812345678901"), (SN, "A")]], GOOD, ec.generate_private_key(ec.SECP256R1()))
        )
    assert refused.value.params["reason"] == "key"


class CpsUnreadable(Exception):
    """The one refusal that is allowed."""


def refuses_or_reads(der: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser warns of what it tolerates
        with suppress(CpsUnreadable):
            try:
                read_certificate(der)
            except CpsError as refused:
                raise (
                    CpsUnreadable if refused.situation is CpsSituation.CPS_UNREADABLE else AssertionError
                ) from refused


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_clearly(der: bytes) -> None:
    refuses_or_reads(der)


@settings(max_examples=600)
@given(st.data())
def test_a_damaged_certificate_is_refused_clearly(data: st.DataObject) -> None:
    der = bytearray(SIGNATURE)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(der) - 1))
        der[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(der)))
    refuses_or_reads(bytes(der[: cut or None]))


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=15)  # 64 bytes at most: the builder's own bound


@settings(max_examples=60, deadline=None)
@given(common=NAMES, family=NAMES, given_name=NAMES, split=st.booleans())
def test_any_name_is_read_or_refused(common: str, family: str, given_name: str, *, split: bool) -> None:
    values = [(CN, common), (SN, family), (GN, given_name)]
    rdns = [[value] for value in values] if split else [values]
    refuses_or_reads(certificate(rdns, GOOD))


@given(st.binary(max_size=64))
def test_any_data_object_gives_a_code_or_nothing(content: bytes) -> None:
    found = specialty_from_info(content)
    assert found is None or (len(found) == 4 and found.startswith("S"))
    sector = sector_from_activity(content)
    assert sector is None or sector.startswith("SA")


def test_codes_at_the_end_of_data_objects() -> None:
    assert specialty_from_info(b"\x0c\x0610SM26") == "SM26"
    assert specialty_from_info(b"\x30\x08....SM54\x00\x00") == "SM54"
    assert specialty_from_info(b"\x0c\x0260") is None
    assert specialty_from_info(b"") is None
    assert sector_from_activity("CABINET SAINT-ÉLOI SA07".encode("latin-1")) == "SA07"
    assert sector_from_activity(b"SM26") is None


@pytest.mark.parametrize(
    ("label", "digits"),
    [
        ("CPS3v3-2900995235", "2900995235"),
        ("CPS4v1-3100603746   ", "3100603746"),
        ("CPS3v3_CL", None),
        ("", None),
        ("CPS-12", None),
    ],
)
def test_numbers_in_labels(label: str, digits: str | None) -> None:
    found = number_from_label(label)
    assert (found.digits if found else None) == digits


def test_the_serial_file_and_the_label_name_one_card() -> None:
    found = number_from_serial_file(bytes.fromhex("5a0a8025000001290099523f")[:12])
    label = number_from_label("CPS3v3-2900995235")
    assert found is not None
    assert label is not None
    assert found.is_same_card(label)
    for wrong in (b"", bytes(12), bytes.fromhex("5a0a80250000022900995235"), bytes.fromhex("5a0a802500000129ff995235")):
        assert number_from_serial_file(wrong) is None


@given(st.binary(max_size=20))
def test_any_serial_file(content: bytes) -> None:
    found = number_from_serial_file(content)
    assert found is None or isinstance(found, CardNumber)


@pytest.mark.parametrize(
    ("key_id", "label", "role"),
    [
        (AUT_ID, "", KeyRole.AUTHENTICATION),
        (SIG_ID, "whatever", KeyRole.SIGNATURE),
        (b"\x99", "CPS_PRIV_SIG", KeyRole.SIGNATURE),
        (b"", "CPS_PRIV_AUT", KeyRole.AUTHENTICATION),
        (b"\x20", "Certificat Technique CPS", KeyRole.TECHNICAL),
        (b"\x20", "CPS_PRIV_TECH_AUT", KeyRole.TECHNICAL),
        (b"\x99", "Certificat AC", None),
        (b"", "", None),
    ],
)
def test_roles_by_id_then_by_label(key_id: bytes, label: str, role: KeyRole | None) -> None:
    assert role_of(key_id, label) is role


def test_the_certificates_of_a_card_name_one_holder() -> None:
    known = known_certificates(
        [(b"\x99", "AC", b"not read"), (SIG_ID, SIG_LABEL, SIGNATURE), (AUT_ID, "", AUTHENTICATION)]
    )
    assert [one.role for one in known] == [KeyRole.AUTHENTICATION, KeyRole.SIGNATURE]
    assert holder_of(known, "SM26").specialty == "SM26"
    for person in (NURSE, replace(DOCTOR, number="2900995999"), SECRETARY):
        mixed = known_certificates([(SIG_ID, SIG_LABEL, other_card(person)), (AUT_ID, AUT_LABEL, AUTHENTICATION)])
        with pytest.raises(CpsError) as refused:
            holder_of(mixed, None)
        assert refused.value.situation is CpsSituation.CPS_UNREADABLE


def test_the_shorter_validity_counts() -> None:
    short = AUTHORITY.issue(DOCTOR, begins_at=BEGIN, ends_at=END - timedelta(days=10)).signature[1]
    known = known_certificates([(SIG_ID, "", short), (AUT_ID, "", AUTHENTICATION)])
    assert holder_of(known, None).validity.ends_at == END - timedelta(days=10)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(CpsError) as refused:
        known_certificates([])
    assert refused.value.situation is CpsSituation.CPS_CERTIFICATE_MISSING
    technical = known_certificates([(b"\x30", "Certificat Technique CPS", AUTHENTICATION)])
    with pytest.raises(CpsError) as refused:
        certificate_for(technical, KeyRole.SIGNATURE)
    assert refused.value.situation is CpsSituation.CPS_CONTACTLESS
    only = known_certificates([(AUT_ID, "", AUTHENTICATION)])
    with pytest.raises(CpsError) as refused:
        certificate_for(only, KeyRole.SIGNATURE)
    assert refused.value.situation is CpsSituation.CPS_CERTIFICATE_MISSING

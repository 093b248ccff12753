"""The CDA builder: every mandatory header element, with and without an INS, for every body."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vaguemestre_core.contacts import Telecom
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS, IdentityStatus, LocalPatientId
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.check import check_cda
from vaguemestre_documents.cda.read import BodyLevel, parse_cda, read_cda, read_n1_body
from vaguemestre_documents.cda.request import (
    CdaRequest,
    Recipient,
    RecipientKind,
    ReplacedVersion,
    require_media_type,
)
from vaguemestre_documents.codes import MediaType
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_testkit import cda_samples

NOT_QUALIFIED = [status for status in IdentityStatus if status is not IdentityStatus.QUALIFIEE]


@pytest.mark.req("LGC.MDV.03")
@given(st.binary(min_size=1, max_size=500), st.sampled_from(MediaType))
def test_the_body_is_embedded_byte_for_byte(content: bytes, media_type: MediaType) -> None:
    cda = build_cda_n1(cda_samples.with_body(media_type, content))
    assert read_n1_body(parse_cda(cda)) == content
    assert read_cda(cda).body_media_type == media_type.value


def test_the_same_request_gives_the_same_bytes() -> None:
    assert build_cda_n1(cda_samples.request()) == build_cda_n1(cda_samples.request())


def test_the_header_says_what_was_asked() -> None:
    header = read_cda(build_cda_n1(cda_samples.request()))
    assert header.level is BodyLevel.N1
    assert header.id is not None
    assert (header.id.root, header.id.extension) == (cda_samples.DOCUMENT_ID, None)
    assert header.patient is not None
    assert header.patient.ids[0].extension == cda_samples.MATRICULE
    assert (header.patient.birth_name, header.patient.birth_place_cog) == ("EXEMPLE", "75056")
    assert (header.patient.given_names, header.patient.first_given_name) == ("LINA MARIE", "LINA")
    assert header.effective_time == "20261123101500+0100"


@pytest.mark.req("INS/va1.53")
@pytest.mark.parametrize("status", NOT_QUALIFIED)
def test_an_identity_that_is_not_qualified_leaves_no_ins_anywhere(status: IdentityStatus) -> None:
    cda = build_cda_n1(cda_samples.request(status))
    assert cda_samples.MATRICULE.encode() not in cda
    assert cda_samples.MATRICULE[:13].encode() not in cda
    assert not {element.get("root") for element in etree.fromstring(cda).iter()} & INS_OIDS
    assert check_cda(cda, for_dmp=False, is_ins_allowed=False) == ()


@pytest.mark.req("INS/va1.53")
@pytest.mark.parametrize("status", NOT_QUALIFIED)
def test_a_field_that_repeats_the_matricule_is_refused(status: IdentityStatus) -> None:
    request = cda_samples.request(status)
    mailbox = Telecom(value=f"mailto:{cda_samples.MATRICULE}@patient.mssante.fr")
    in_number = LocalPatientId(value=cda_samples.MATRICULE, oid=cda_samples.LOCAL_OID)
    for leaking in (
        replace(request, patient=replace(request.patient, telecoms=(mailbox,))),
        replace(request, patient=replace(request.patient, local_id=in_number)),
        replace(request, title=f"CR de {cda_samples.MATRICULE[:13]}"),
        replace(request, title="CR 2 26 02 75 056 123 68"),
    ):
        with pytest.raises(InvalidInput) as refused:
            build_cda_n1(leaking)
        assert refused.value.code == "INS_WOULD_LEAK"


@pytest.mark.req("SC.DMP/HISTO.03")
def test_a_historical_document_keeps_the_date_of_the_act() -> None:
    request = cda_samples.request()
    day = Hl7Time.from_day(dt.date(2021, 3, 4))
    header = read_cda(build_cda_n1(replace(request, act=replace(request.act, start=day))))
    assert header.events[0].low == "20210304"
    assert header.effective_time == "20261123101500+0100"


def test_a_new_version_names_the_one_it_replaces() -> None:
    replaced = ReplacedVersion(document_id=cda_samples.DOCUMENT_ID, version_number=1)
    request = replace(
        cda_samples.request(), document_id=cda_samples.DOCUMENT_ID + ".2", version_number=2, replaces=replaced
    )
    header = read_cda(build_cda_n1(request))
    assert [item.root for item in header.replaced_ids] == [cda_samples.DOCUMENT_ID]
    assert header.version_number == 2


@pytest.mark.req("DOC/va1.09")
def test_every_recipient_is_named() -> None:
    recipients = (
        Recipient(kind=RecipientKind.PROFESSIONAL, family_name="DURÈVE", given_name="Zoé", ps_idnat="899700000020"),
        Recipient(kind=RecipientKind.STRUCTURE, structure_name="Clinique d'Essai", struct_idnat="499700000020001"),
    )
    cda = build_cda_n1(replace(cda_samples.request(), recipients=recipients))
    names = etree.fromstring(cda).xpath("//*[local-name()='informationRecipient']//text()")
    assert {"DURÈVE", "Zoé", "Clinique d'Essai"} <= set(names)  # type: ignore[arg-type]  # xpath of text is text
    assert check_cda(cda, for_dmp=True, is_ins_allowed=True) == ()


@given(st.text(min_size=1, max_size=128))
def test_any_accepted_title_comes_back(title: str) -> None:
    try:
        request = replace(cda_samples.request(), title=title)
    except InvalidInput:
        return
    assert read_cda(build_cda_n1(request)).title == " ".join(title.split())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"document_id": "1.2.0.03"}, "OID_INVALID"),
        ({"set_id": cda_samples.DOCUMENT_ID}, "OID_INVALID"),
        ({"title": "x" * 129}, "TEXT_INVALID"),
        ({"version_number": 0}, "VERSION_INVALID"),
        ({"replaces": ReplacedVersion(document_id="1.2.3")}, "VERSION_INVALID"),
        ({"created_at": Hl7Time.from_day(dt.date(2026, 1, 1))}, "HL7_TIME_INVALID"),
    ],
)
def test_what_cannot_be_a_document(changes: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        replace(cda_samples.request(), **changes)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.code == code


def test_without_ins_a_local_number_is_needed() -> None:
    request = cda_samples.request(IdentityStatus.VALIDEE)
    with pytest.raises(InvalidInput) as refused:
        replace(request, patient=replace(request.patient, local_id=None))
    assert refused.value.code == "PATIENT_ID_MISSING"


def test_png_is_refused_with_its_own_code() -> None:
    with pytest.raises(InvalidInput) as refused:
        require_media_type("image/png")
    assert refused.value.code == "BODY_PNG_REFUSED"


def test_a_request_does_not_print() -> None:
    request: CdaRequest = cda_samples.request()
    assert "EXEMPLE" not in repr(request)

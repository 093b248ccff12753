"""Fictitious people, structures and bodies for tests of documents (test OID of the NIR, test RPPS)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from vaguemestre_core.contacts import AddressUse, CodedConcept, PostalAddress, Telecom, TelecomUse
from vaguemestre_core.identities import (
    OID_INS_NIR_TEST,
    BirthDate,
    IdentityStatus,
    Ins,
    LocalPatientId,
    PatientIdentity,
    Sex,
)
from vaguemestre_core.professionals import Civility, Professional, Rpps, Structure, Title, struct_idnat_from_rpps
from vaguemestre_documents.cda.request import Act, Body, CdaRequest, Encounter, Participation
from vaguemestre_documents.codes import DOCUMENT_TYPES, ENCOUNTERS, PRACTICE_SETTINGS, SECTORS, MediaType
from vaguemestre_documents.hl7time import Hl7Time

PARIS_WINTER = dt.timezone(dt.timedelta(hours=1))
NOW = dt.datetime(2026, 11, 23, 10, 15, tzinfo=PARIS_WINTER)
MATRICULE = "226027505612368"
LOCAL_OID = "1.2.250.1.999.1.1.1"
DOCUMENT_ID = "1.2.250.1.999.1.1.20.1001"
SET_ID = "1.2.250.1.999.1.1.20.1"


def pdf(text: str = "Bonjour", *, pdfa: bool = True) -> bytes:
    """A small well-formed PDF of one page, claiming PDF/A-1 in its XMP or not."""
    claim = (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"><pdfaid:part>1</pdfaid:part>'
        "<pdfaid:conformance>B</pdfaid:conformance></rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    )
    metadata = claim if pdfa else "<x/>"
    stream = f"BT /F1 12 Tf ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /Metadata 4 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R >>",
        f"<< /Type /Metadata /Subtype /XML /Length {len(metadata)} >>\nstream\n{metadata}\nendstream",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
    ]
    out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    xref = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n".encode()
    return out


def jpeg() -> bytes:
    """The smallest thing that starts and ends like a JPEG with one frame header."""
    frame = bytes.fromhex("ffc0000b080001000101011100")
    return (
        bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + frame + bytes.fromhex("ffda0008010100003f0037ffd9")
    )


def patient(status: IdentityStatus = IdentityStatus.QUALIFIEE) -> PatientIdentity:
    """LINA EXEMPLE, born on 18/02/2026 in Paris: nobody."""
    return PatientIdentity(
        birth_name="EXEMPLE",
        given_names="LINA MARIE",
        first_given_name="LINA",
        birth_date=BirthDate(value=dt.date(2026, 2, 18)),
        sex=Sex.FEMININ,
        status=status,
        birth_place_cog="75056",
        ins=Ins(matricule=MATRICULE, oid=OID_INS_NIR_TEST),
        local_id=LocalPatientId(value="P-000042", oid=LOCAL_OID),
        address=PostalAddress(
            house_number="3", street_name="rue des Essais", postal_code="75010", city="PARIS", use=AddressUse.HOME
        ),
        telecoms=(Telecom(value="tel:+33100000000", use=TelecomUse.HOME),),
    )


def professional() -> Professional:
    """Dr Alix ESSAI, test RPPS."""
    return Professional(
        rpps=Rpps(value="99700000012"),
        family_name="ESSAI",
        given_name="Alix",
        civility=Civility.MADAME,
        title=Title.DOCTEUR,
        profession=CodedConcept(
            code="G15_10/SM26",
            code_system="1.2.250.1.213.1.1.4.5",
            label="Médecin - Qualifié en Médecine Générale (SM)",
        ),
        telecoms=(Telecom(value="tel:+33100000001", use=TelecomUse.WORK),),
    )


def structure() -> Structure:
    """The practice of Dr ESSAI."""
    return Structure(
        struct_idnat=struct_idnat_from_rpps(Rpps(value="99700000012"), rank=3),
        name="CABINET MEDICAL DR ESSAI",
        sector=SECTORS["SA07"],
        practice_setting=PRACTICE_SETTINGS["AMBULATOIRE"],
        telecoms=(Telecom(value="tel:+33100000001", use=TelecomUse.WORK),),
    )


def request(status: IdentityStatus = IdentityStatus.QUALIFIEE) -> CdaRequest:
    """A consultation report as a PDF."""
    who = Participation(professional=professional(), structure=structure())
    now = Hl7Time.from_instant(NOW)
    start = Hl7Time.from_instant(NOW - dt.timedelta(minutes=15))
    return CdaRequest(
        document_id=DOCUMENT_ID,
        set_id=SET_ID,
        version_number=1,
        document_type=DOCUMENT_TYPES["11488-4"].concept,
        title="Compte rendu de consultation",
        created_at=now,
        patient=patient(status),
        author=who,
        authored_at=now,
        legal_authenticator=who,
        signed_at=now,
        custodian=structure(),
        act=Act(start=start, performer=who),
        encounter=Encounter(kind=ENCOUNTERS["AMB"], facility=SECTORS["SA07"], start=start),
        body=Body(media_type=MediaType.PDF, content=pdf()),
    )


def with_body(media_type: MediaType, content: bytes) -> CdaRequest:
    """The same report with another body."""
    return replace(request(), body=Body(media_type=media_type, content=content))

"""The codes that several tests scan: a patient's INS, as a code and as an identity, and a box. Fictitious."""

from __future__ import annotations

import datetime as dt

from vaguemestre_core.identities import OID_INS_NIR, BirthDate, IdentityStatus, Ins, PatientIdentity, Sex

INS = b"]d1IS010000000000000000000000S1275126322074974S21.2.250.1.213.1.4.8\x1dS3ZOE\x1dS4ADRUN\x1dS5FS631-12-1975"
BOX = b"]d2010340093000001417261130" + b"10LOT42"
ZOE = PatientIdentity(
    birth_name="ADRUN",
    given_names="ZOE",
    first_given_name="ZOE",
    birth_date=BirthDate(value=dt.date(1975, 12, 31)),
    sex=Sex.FEMININ,
    status=IdentityStatus.QUALIFIEE,
    birth_place_cog="63220",
    ins=Ins(matricule="275126322074974", oid=OID_INS_NIR),
)

#!/usr/bin/env python3
"""Makes the three documents of the demonstration: a text PDF, a scanned page and a ready CDA R2 level 1.

Every person, number and address is fictitious. The text PDF and the frame of the CDA are written byte by byte; the two
page images are drawn with poppler's pdftoppm and Pillow, so their bytes depend on those versions: the files kept here
are the reference. Run by a developer only: ``python docs/demo/make_documents.py``.
Source: CI-SIS Structuration minimale 1.16.8 for the CDA header.
"""

from __future__ import annotations

import base64
import io
import random
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pdfwriting import GreyImage, Line, Rule, image_pdf, run_lengths, text_pdf, wrap
from PIL import Image, ImageChops, ImageFilter

HERE = Path(__file__).parent
LEFT_PT, RIGHT_PT, TOP_PT, BOTTOM_PT = 62.0, 533.0, 790.0, 72.0
LEADING_PT = 14.0

PRACTICE = ("Cabinet médical du Dr Alix ESSAI", "12, place des Exemples, 75010 PARIS", "Téléphone 01 00 00 00 01")
CONSULTATION_TITLE = "Compte rendu de consultation"
CONSULTATION = (
    "Patient : M. Marc ESSAI, né le 14/03/1985 à Paris",
    "Date de la consultation : 23/11/2026",
    "",
    "# Motif",
    "Bilan annuel d'un patient de quarante et un ans suivi pour une hypertension artérielle traitée depuis 2022 et pour"
    " une rhinite allergique saisonnière. Il signale une gêne à l'effort soutenu depuis trois semaines, sans douleur"
    " thoracique ni palpitation.",
    "",
    "# Antécédents",
    "Hypertension artérielle essentielle (2022). Rhinite allergique aux graminées. Appendicectomie en 1999. Pas de"
    " diabète connu. Ancien fumeur, sevrage en 2019 (douze paquets-années). Père : infarctus du myocarde à 61 ans.",
    "",
    "# Traitement en cours",
    "- Amlodipine 5 mg : un comprimé le matin.",
    "- Cétirizine 10 mg : un comprimé le soir, d'avril à juillet.",
    "",
    "# Examen clinique",
    "Poids 82 kg pour 1,78 m, soit un indice de masse corporelle de 25,9 kg/m². Pression artérielle 142/88 mmHg au bras"
    " droit et 140/86 mmHg au bras gauche, en position assise après cinq minutes de repos. Fréquence cardiaque 74/min,"
    " régulière. Saturation en oxygène 98 % en air ambiant.",
    "Auscultation cardiaque : bruits du cœur réguliers, pas de souffle. Auscultation pulmonaire : murmure vésiculaire"
    " symétrique, pas de bruit surajouté. Mollets souples et indolores, pas d'œdème des membres inférieurs. Abdomen"
    " souple. Pas d'adénopathie palpée.",
    "",
    "# Examens réalisés au cabinet",
    "Électrocardiogramme de repos : rythme sinusal à 72/min, axe normal, pas de trouble de la repolarisation, pas"
    " d'hypertrophie ventriculaire gauche. Débit expiratoire de pointe : 560 L/min, soit 95 % de la valeur attendue.",
    "",
    "# Résultats biologiques apportés (laboratoire d'exemple, 16/11/2026)",
    "- Créatinine 81 µmol/L, débit de filtration glomérulaire estimé à 98 mL/min/1,73 m².",
    "- Potassium 4,2 mmol/L, sodium 140 mmol/L.",
    "- Cholestérol LDL 3,9 mmol/L, HDL 1,1 mmol/L, triglycérides 1,6 mmol/L.",
    "- Glycémie à jeun 5,4 mmol/L, hémoglobine glyquée 5,6 %.",
    "- Hémoglobine 148 g/L, plaquettes 243 G/L, leucocytes 6,1 G/L.",
    "",
    "# Conclusion",
    "Pression artérielle au-dessus de l'objectif sous monothérapie, chez un patient dont le risque cardiovasculaire est"
    " augmenté par l'hérédité, le tabagisme ancien et un LDL élevé. La gêne à l'effort sera explorée par une épreuve"
    " d'effort avant toute reprise sportive soutenue.",
    "",
    "# Conduite à tenir",
    "- Automesure tensionnelle pendant trois jours, matin et soir, relevé à rapporter.",
    "- Amlodipine portée à 10 mg le matin ; surveillance des œdèmes de cheville.",
    "- Règles hygiéno-diététiques rappelées : réduction du sel, activité d'endurance modérée, alcool limité.",
    "- Épreuve d'effort demandée auprès d'un cardiologue.",
    "- Contrôle du bilan lipidique dans trois mois ; une statine sera discutée au vu du résultat.",
    "- Vaccination contre la grippe proposée et acceptée, faite ce jour au bras gauche.",
    "",
    "Consultation de contrôle prévue dans six semaines, plus tôt en cas de douleur thoracique, de malaise ou"
    " d'essoufflement au repos : le patient sait qu'il doit alors appeler le 15.",
    "",
    "Dr Alix ESSAI",
    "Médecine générale - RPPS 99700000012",
)
LETTER_TITLE = "Lettre d'adressage"
LETTER = (
    "Paris, le 20 novembre 2026",
    "",
    "Objet : Mme Marie-Rose D'ARTIFICE, née le 02/03/1979 à Lyon",
    "",
    "Cher confrère,",
    "",
    "Je vous remercie de recevoir ma patiente pour un avis sur des céphalées qui évoluent depuis deux mois. Elles sont"
    " fronto-temporales, plutôt à droite, pulsatiles, durent quatre à douze heures et s'accompagnent de nausées et"
    " d'une gêne à la lumière. Leur fréquence est de trois à quatre épisodes par mois.",
    "",
    "Mon examen neurologique est normal, la pression artérielle est de 124/76 mmHg. Le fond d'œil fait en mai l'était"
    " aussi. L'IRM cérébrale du 9 novembre ne montre pas d'anomalie : le compte rendu est joint.",
    "",
    "Je pense à une migraine sans aura. J'ai prescrit un anti-inflammatoire à prendre tôt dans la crise et demandé la"
    " tenue d'un agenda. Votre avis m'aidera à décider d'un traitement de fond.",
    "",
    "Elle n'a pas d'antécédent notable ni d'allergie connue, et ne prend aucun autre traitement.",
    "",
    "Bien confraternellement,",
    "",
    "",
    "Dr Alix ESSAI",
    "Médecine générale - RPPS 99700000012",
)
CERTIFICATE_TITLE = "Certificat d'absence de contre-indication au judo en compétition"
CERTIFICATE = (
    "Je soussignée, Dr Alix ESSAI, certifie avoir examiné ce jour Marc ESSAI, né le 14/03/1985, et n'avoir pas constaté"
    " de contre-indication à la pratique du judo en compétition.",
    "",
    "Certificat remis en main propre à l'intéressé, à sa demande.",
    "",
    "Fait à Paris, le 23 novembre 2026",
    "",
    "Dr Alix ESSAI",
)


def pages_of(title: str, paragraphs: tuple[str, ...], footer: str) -> list[list[Line | Rule]]:
    """Lay paragraphs out: ``#`` is a heading, ``-`` a list item, an empty one a half line."""
    pages: list[list[Line | Rule]] = [[]]
    y = TOP_PT
    for index, text in enumerate(PRACTICE):
        pages[0].append(Line(x_pt=LEFT_PT, y_pt=y, text=text, size_pt=12 if index == 0 else 9.5, bold=index == 0))
        y -= LEADING_PT
    pages[0].append(Rule(x_pt=LEFT_PT, y_pt=y, width_pt=RIGHT_PT - LEFT_PT))
    y -= 34
    for line in wrap(title, 17, RIGHT_PT - LEFT_PT):
        pages[0].append(Line(x_pt=LEFT_PT, y_pt=y, text=line, size_pt=15, bold=True))
        y -= 20
    y -= 8
    for paragraph in paragraphs:
        if not paragraph:
            y -= LEADING_PT / 2
            continue
        heading = paragraph.startswith("# ")
        indent = 12.0 if paragraph.startswith("- ") else 0.0
        lines = wrap(paragraph.removeprefix("# "), 10.5, RIGHT_PT - LEFT_PT - indent)
        needed = LEADING_PT * (len(lines) + (2 if heading else 0))
        if y - needed < BOTTOM_PT:
            pages.append([])
            y = TOP_PT
        for line in lines:
            pages[-1].append(Line(x_pt=LEFT_PT + indent, y_pt=y, text=line, bold=heading))
            y -= LEADING_PT
    for number, page in enumerate(pages, 1):
        page.append(Rule(x_pt=LEFT_PT, y_pt=52, width_pt=RIGHT_PT - LEFT_PT))
        page.append(Line(x_pt=LEFT_PT, y_pt=38, text=f"{footer} - page {number}/{len(pages)}", size_pt=8))
    return pages


def consultation_pdf() -> bytes:
    """Return the text PDF: the same bytes on every machine."""
    return text_pdf(CONSULTATION_TITLE, pages_of(CONSULTATION_TITLE, CONSULTATION, "Document fictif de démonstration"))


def drawn(pdf: bytes, dots_per_inch: int) -> Image.Image:
    """Draw the first page in grey with pdftoppm."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.pdf"
        source.write_bytes(pdf)
        command = [
            "pdftoppm",
            "-gray",
            "-singlefile",
            "-r",
            str(dots_per_inch),
            str(source),
            str(Path(folder) / "page"),
        ]
        subprocess.run(command, check=True, timeout=60)  # noqa: S603 - a fixed command on our own file
        return Image.open(io.BytesIO((Path(folder) / "page.pgm").read_bytes())).convert("L")


def scanned(page: Image.Image) -> Image.Image:
    """Make a page look scanned: turned a little, greyed paper, soft edges, grain."""
    draw = random.Random(20261123)  # noqa: S311 - grain, not a secret
    paper = page.point(lambda level: 40 + level * 196 // 255)
    paper = paper.rotate(-0.7, resample=Image.Resampling.BICUBIC, fillcolor=214).filter(ImageFilter.GaussianBlur(0.5))
    grain = Image.frombytes("L", paper.size, bytes(draw.randrange(242, 256) for _ in range(paper.width * paper.height)))
    return ImageChops.multiply(paper, grain)


def letter_pdf() -> bytes:
    """Return the scanned letter: one JPEG on one page, PDF/A-1b, no text."""
    image = scanned(drawn(text_pdf(LETTER_TITLE, pages_of(LETTER_TITLE, LETTER, "Document fictif")), 110))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=42, optimize=False)
    grey = GreyImage(width_px=image.width, height_px=image.height, data=jpeg.getvalue(), encoding="DCTDecode", bits=8)
    return image_pdf(LETTER_TITLE, grey)


def certificate_pdf() -> bytes:
    """Return the certificate as a one-bit image, PDF/A-1b: the body of the ready CDA."""
    page = drawn(text_pdf(CERTIFICATE_TITLE, pages_of(CERTIFICATE_TITLE, CERTIFICATE, "Document fictif")), 100)
    black = page.point(lambda level: 0 if level > 150 else 255).convert("1", dither=Image.Dither.NONE)
    grey = GreyImage(
        width_px=black.width,
        height_px=black.height,
        data=run_lengths(black.tobytes()),
        encoding="RunLengthDecode",
        bits=1,
    )
    return image_pdf(CERTIFICATE_TITLE, grey)


DOCTOR_ID = '<id root="1.2.250.1.71.4.2.1" extension="899700000012"/>'
DOCTOR_CODE = (
    '<code code="G15_10/SM26" codeSystem="1.2.250.1.213.1.1.4.5"'
    ' displayName="Médecin - Qualifié en Médecine Générale (SM)"/>'
)
DOCTOR_NAME = "<name><prefix>MME</prefix><given>Alix</given><family>ESSAI</family><suffix>DR</suffix></name>"
PRACTICE_ID = '<id root="1.2.250.1.71.4.2.2" extension="499700000012003"/>'
PRACTICE_NAME = "<name>Cabinet médical du Dr Alix ESSAI</name>"
PRACTICE_ADDRESS = (
    '<addr use="WP"><houseNumber>12</houseNumber><streetNameType>place</streetNameType><streetName>des Exemples'
    "</streetName><postalCode>75010</postalCode><city>PARIS</city></addr>"
)
PRACTICE_TELECOM = '<telecom value="tel:+33100000001" use="WP"/>'
SETTING = '<standardIndustryClassCode code="AMBULATOIRE" codeSystem="1.2.250.1.213.1.1.4.9" displayName="Ambulatoire"/>'
ORGANISATION = f"<representedOrganization>{PRACTICE_ID}{PRACTICE_NAME}{SETTING}</representedOrganization>"
DOCTOR = f"{DOCTOR_ID}{DOCTOR_CODE}{PRACTICE_ADDRESS}{PRACTICE_TELECOM}<assignedPerson>{DOCTOR_NAME}</assignedPerson>"
SIGNED_AT = "20261123171000+0100"
SEEN_AT = "20261123164500+0100"


def certificate_cda(pdf: bytes) -> bytes:
    """Return a CDA R2 level 1 as an LGC that makes its own would give it, around a PDF/A-1b."""
    body = "\n".join(textwrap.wrap(base64.b64encode(pdf).decode("ascii"), 76))
    document = f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <realmCode code="FR"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <templateId root="2.16.840.1.113883.2.8.2.1"/>
  <templateId root="1.2.250.1.213.1.1.1.1"/>
  <templateId root="1.3.6.1.4.1.19376.1.2.20"/>
  <id root="1.2.250.1.999.2.7.40.1"/>
  <code code="CERT_DECL" codeSystem="1.2.250.1.213.1.1.4.12" displayName="Certificat, déclaration"/>
  <title>{CERTIFICATE_TITLE}</title>
  <effectiveTime value="{SIGNED_AT}"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25" displayName="Normal"/>
  <languageCode code="fr-FR"/>
  <setId root="1.2.250.1.999.2.7.40"/>
  <versionNumber value="1"/>
  <recordTarget>
    <patientRole classCode="PAT">
      <id root="1.2.250.1.213.1.4.10" extension="185037505604240"/>
      <id root="1.2.250.1.999.2.1" extension="D-0007"/>
      <addr use="H"><houseNumber>5</houseNumber><streetNameType>rue</streetNameType><streetName>du Modèle</streetName>
        <postalCode>75010</postalCode><city>PARIS</city></addr>
      <telecom value="tel:+33600000000" use="MC"/>
      <patient classCode="PSN">
        <name>
          <family qualifier="BR">ESSAI</family>
          <given>MARC</given>
          <given qualifier="BR">MARC</given>
        </name>
        <administrativeGenderCode code="M" codeSystem="2.16.840.1.113883.5.1" displayName="Masculin"/>
        <birthTime value="19850314"/>
        <birthplace><place><addr><county>75056</county><city>PARIS</city></addr></place></birthplace>
      </patient>
    </patientRole>
  </recordTarget>
  <author>
    <time value="{SIGNED_AT}"/>
    <assignedAuthor>{DOCTOR}{ORGANISATION}</assignedAuthor>
  </author>
  <custodian>
    <assignedCustodian>
      <representedCustodianOrganization>{PRACTICE_ID}{PRACTICE_NAME}{PRACTICE_TELECOM}{PRACTICE_ADDRESS}
      </representedCustodianOrganization>
    </assignedCustodian>
  </custodian>
  <legalAuthenticator>
    <time value="{SIGNED_AT}"/>
    <signatureCode code="S"/>
    <assignedEntity>{DOCTOR}{ORGANISATION}</assignedEntity>
  </legalAuthenticator>
  <documentationOf>
    <serviceEvent>
      <effectiveTime><low value="{SEEN_AT}"/></effectiveTime>
      <performer typeCode="PRF"><assignedEntity>{DOCTOR}{ORGANISATION}</assignedEntity></performer>
    </serviceEvent>
  </documentationOf>
  <componentOf>
    <encompassingEncounter>
      <code code="AMB" codeSystem="2.16.840.1.113883.5.4" displayName="Ambulatoire (hors établissement)"/>
      <effectiveTime><low value="{SEEN_AT}"/></effectiveTime>
      <location>
        <healthCareFacility>
          <code code="SA07" codeSystem="1.2.250.1.71.4.2.4" displayName="Cabinet individuel"/>
        </healthCareFacility>
      </location>
    </encompassingEncounter>
  </componentOf>
  <component>
    <nonXMLBody>
      <text mediaType="application/pdf" representation="B64">
{body}
      </text>
    </nonXMLBody>
  </component>
</ClinicalDocument>
"""
    return document.encode("utf-8")


def main() -> None:
    """Write the three documents beside this file."""
    (HERE / "consultation.pdf").write_bytes(consultation_pdf())
    (HERE / "lettre-scannee.pdf").write_bytes(letter_pdf())
    (HERE / "certificat.cda.xml").write_bytes(certificate_cda(certificate_pdf()))


if __name__ == "__main__":
    main()

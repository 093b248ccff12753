"""One French sentence for each code that this package or the identities of the core may raise on an input.

Owns the sentences that go with a JSON pointer in a refusal; never repeats a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SENTENCES: Final[Mapping[str, str]] = {
    "ACT_DATES_INVALID": "La fin de l'acte précède son début.",
    "ADDRESS_INVALID": "L'adresse est vide, ou mélange lignes et éléments.",
    "BODY_EMPTY": "Le document est vide.",
    "BODY_ENCRYPTED": "Le PDF est protégé par un mot de passe ou chiffré.",
    "BODY_MEDIA_TYPE_REFUSED": "Ce format de fichier ne peut pas être envoyé : PDF, JPEG, TIFF, texte ou RTF.",
    "BODY_MISMATCH": "Le contenu du fichier n'est pas du format annoncé.",
    "BODY_PNG_REFUSED": "Le format PNG n'est pas accepté par le DMP : enregistrer l'image en JPEG ou en PDF.",
    "BODY_TOO_LARGE": "Le document est trop volumineux.",
    "BODY_TRUNCATED": "Le fichier est incomplet : sa fin manque.",
    "BOX_CODE_INVALID": "Le code de la boîte est illisible ou faux.",
    "CDA_BODY_UNREADABLE": "Le corps du document CDA ne se lit pas.",
    "CDA_METADATA_MISMATCH": "Le document CDA et les métadonnées ne disent pas la même chose.",
    "CDA_REFUSED": "Le document CDA ne suit pas les règles du CI-SIS.",
    "CDA_ROOT_INVALID": "Le fichier XML n'est pas un document CDA.",
    "CERTIFICATE_INVALID": "Le certificat de signature ne se lit pas.",
    "HL7_TIME_INVALID": "Cette date n'existe pas ou n'est pas assez précise.",
    "IDENTITY_ATTRIBUTES_INVALID": "Ces attributs d'identité ne vont pas ensemble ou pas avec le statut.",
    "IDENTITY_INCOMPLETE": "Une identité récupérée ou qualifiée demande l'INS et les cinq traits stricts.",
    "INS_CODE_INVALID": "Ce Datamatrix INS ne peut pas être lu.",
    "INS_CODE_REFUSED": "Le Datamatrix INS n'est fait que pour une identité qualifiée que son format peut contenir.",
    "INS_INVALID": "Le matricule INS n'est pas valide.",
    "INS_WOULD_LEAK": "Un champ contient le matricule INS d'une identité qui n'est pas qualifiée.",
    "LOCAL_ID_INVALID": "Le numéro local du patient n'est pas valide.",
    "MENTION_TOO_LONG": "La mention du bas de page est trop longue.",
    "METADATA_INVALID": "Les métadonnées ne suivent pas le schéma.",
    "METADATA_NOT_JSON": "Les métadonnées ne sont pas un objet JSON lisible.",
    "OID_INVALID": "Cet identifiant n'est pas un OID utilisable.",
    "PATIENT_ID_MISSING": "Sans INS qualifiée, le numéro local du patient est obligatoire.",
    "PREPARED_UNREADABLE": "Le document préparé ne se relit pas.",
    "RECIPIENT_INVALID": "Un destinataire n'a pas de nom, ou son identifiant n'est pas valide.",
    "REGISTRY_ANSWER_INVALID": "La réponse du registre ne se lit pas.",
    "RPPS_INVALID": "Le numéro RPPS n'a pas onze chiffres.",
    "SCAN_INVALID": "Ce qui a été lu n'est pas un code acceptable.",
    "SECTOR_UNKNOWN": "Ce secteur d'activité demande son libellé.",
    "SIGNATURE_REQUEST_INVALID": "La demande de signature est incomplète.",
    "STRUCTURE_ID_INVALID": "L'identifiant de la structure n'est pas un Struct_IdNat.",
    "SUBMISSION_INVALID": "Le lot est vide ou réunit plusieurs patients.",
    "TELECOM_INVALID": "La coordonnée n'est pas de la forme préfixe:valeur.",
    "TEXT_INVALID": "Ce texte est vide, trop long ou contient des caractères interdits.",
    "TRAIT_INVALID": "Ce trait d'identité ne suit pas les règles d'écriture de l'INS.",
    "TYPE_UNKNOWN": "Ce type de document demande son système, son libellé et sa classe.",
    "VERSION_INVALID": "Le numéro de version ou la version remplacée n'est pas valide.",
    "VISIBILITY_COMBINATION_FORBIDDEN": "Un document masqué aux professionnels et au patient n'aurait pas de lecteur.",
    "XDS_ATTRIBUTE_MISSING": "Une information que le DMP demande manque dans le document.",
    "XDS_CLASS_UNKNOWN": "La classe de ce type de document n'est pas connue.",
    "XDS_FORMAT_UNKNOWN": "Le format de ce modèle de document n'est pas connu.",
    "XML_DTD_REFUSED": "Le fichier XML contient une déclaration de type, refusée par sécurité.",
    "XML_ENCODING_REFUSED": "Le codage de caractères du fichier XML n'est pas accepté.",
    "XML_MALFORMED": "Le fichier XML est mal formé.",
    "XML_TOO_DEEP": "Le fichier XML est trop imbriqué.",
    "XML_TOO_LARGE": "Le fichier XML est trop volumineux.",
}

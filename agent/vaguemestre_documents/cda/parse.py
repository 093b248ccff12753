"""Turn untrusted bytes into an XML tree: no DTD, no entity, no network, bounded size.

Owns the safety of parsing for every XML that enters this package; never looks at the meaning.
Security: a document type declaration is refused before the parser sees it, so no entity can exist.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from vaguemestre_core.errors import InvalidInput

# 25 MB: the largest message of MSSanté, and far above what a practice produces.
DEFAULT_MAX_BYTES: Final = 25_000_000
# libxml2 refuses text nodes above 10 MB unless told otherwise; the size cap bounds what this opens.
_LARGE_TEXT_BYTES: Final = 9_000_000
_ENCODINGS: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_DECLARED: Final = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")
MAX_DEPTH: Final = 200


def parse_xml(content: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES, keep_comments: bool = False) -> etree._Element:
    """Return the root element, without comments and processing instructions unless they are asked for.

    Raises:
        InvalidInput: ``XML_TOO_LARGE``, ``XML_ENCODING_REFUSED``, ``XML_DTD_REFUSED``, ``XML_MALFORMED``,
            ``XML_TOO_DEEP``.
    """
    if len(content) > max_bytes:
        raise InvalidInput("XML_TOO_LARGE", max_bytes=max_bytes)
    declared = _DECLARED.match(content)
    if b"\x00" in content[:64] or (declared is not None and declared[1].decode("ascii").lower() not in _ENCODINGS):
        raise InvalidInput("XML_ENCODING_REFUSED")
    if b"<!DOCTYPE" in content:
        raise InvalidInput("XML_DTD_REFUSED")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        remove_comments=not keep_comments,
        remove_pis=not keep_comments,
        huge_tree=len(content) > _LARGE_TEXT_BYTES,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        # The parser's own message quotes the document: it goes no further.
        raise InvalidInput("XML_MALFORMED") from None
    _require_shallow(root)
    return root


def _require_shallow(root: etree._Element) -> None:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise InvalidInput("XML_TOO_DEEP", max_depth=MAX_DEPTH)

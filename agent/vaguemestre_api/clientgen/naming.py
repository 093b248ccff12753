"""Names of the wire in the customs of each language, and comments that cannot break out of their comment."""

from __future__ import annotations

import re


def words(name: str) -> list[str]:
    """Return the words of ``snake_case``, ``kebab-case`` or ``camelCase``."""
    return [word for word in re.split(r"[_-]|(?<=[a-z0-9])(?=[A-Z])", name) if word]


def pascal(name: str) -> str:
    """Return ``OrderId`` for ``order_id``."""
    return "".join(word[:1].upper() + word[1:] for word in words(name))


def camel(name: str) -> str:
    """Return ``orderId`` for ``order_id``."""
    whole = pascal(name)
    return whole[:1].lower() + whole[1:]


def comment(text: str) -> str:
    """Return a sentence of the document on one line that ends no comment."""
    return " ".join(text.split()).replace("*/", "* /")


def xml_comment(text: str) -> str:
    """Return a sentence for a C# documentation comment."""
    return comment(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

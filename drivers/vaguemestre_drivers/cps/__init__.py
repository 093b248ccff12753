"""A professional's card (CPS, CPF, CPE, CPA) through its PKCS#11 middleware: holder, PIN, purpose-bound signing."""

from __future__ import annotations

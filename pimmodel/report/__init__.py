"""Results as documents, tables and pictures."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from pimmodel.errors import UnknownNameError

SCHEMAS = ("estimate", "comparison")


def schema(name: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a document that the library writes: "estimate" or "comparison".

    Raises
    ------
    UnknownNameError : no such document.

    >>> schema("estimate")["properties"]["schema"]["const"]
    'pimmodel/estimate/2'
    """
    if name not in SCHEMAS:
        raise UnknownNameError("schema", name, SCHEMAS)
    text = (files("pimmodel.report") / f"{name}.schema.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]

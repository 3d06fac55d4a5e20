"""Whether somebody says under which licence the code may be used, and whether all say the same."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.supply.need import Label, Manifest
from remit.teams.audit.supply.paths import home_of, is_shipped
from remit.teams.audit.supply.supply import Supply

_LONGEST = 100_000
"""Characters of a licence that are read."""
_TITLE = re.compile(r"^[ \t]*GNU (?P<kind>LESSER |LIBRARY |AFFERO )?GENERAL PUBLIC LICENSE[ \t]*$", re.MULTILINE)
_TEXTS = (
    ("Apache", re.compile(r"Apache License,?\s+Version 2\.0, January 2004", re.IGNORECASE)),
    ("MIT", re.compile(r"Permission is hereby granted, free of charge, to any person obtaining", re.IGNORECASE)),
    ("BSD", re.compile(r"Redistribution and use in source and binary forms", re.IGNORECASE)),
    ("MPL", re.compile(r"^[ \t]*Mozilla Public License,? Version [12]\.\d", re.IGNORECASE | re.MULTILINE)),
    ("ISC", re.compile(r"Permission to use, copy, modify, and(?:/or)? distribute this software", re.IGNORECASE)),
    ("Unlicense", re.compile(r"free and unencumbered software released into the public domain", re.IGNORECASE)),
)
_NAMES = (
    ("AGPL", re.compile(r"\bAGPL|Affero", re.IGNORECASE)),
    ("LGPL", re.compile(r"\bLGPL|Lesser General|Library or Lesser", re.IGNORECASE)),
    ("GPL", re.compile(r"\bGPL|(?<!Lesser )(?<!Affero )General Public", re.IGNORECASE)),
    ("Apache", re.compile(r"\bApache", re.IGNORECASE)),
    ("MIT", re.compile(r"\bMIT\b|\bExpat\b", re.IGNORECASE)),
    ("BSD", re.compile(r"\bBSD\b|\b0BSD\b", re.IGNORECASE)),
    ("MPL", re.compile(r"\bMPL|Mozilla", re.IGNORECASE)),
    ("ISC", re.compile(r"\bISCL?\b", re.IGNORECASE)),
    ("Unlicense", re.compile(r"\bUnlicense\b", re.IGNORECASE)),
)
_OWN = ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "requirements.txt")
"""Manifests by how likely they are to say it."""


def sightings(supply: Supply) -> Iterator[Sighting]:
    """Give a root that says nothing of a licence, and every manifest that says another one than the text beside it."""
    if missing := _missing(supply):
        yield missing
    for manifest in supply.manifests:
        if is_shipped(manifest.path) and (said := _mismatch(manifest, supply)):
            yield said


def _missing(supply: Supply) -> Sighting | None:
    texts = [path for path in supply.licences if is_shipped(path.path)]
    roots = {
        name: item for item in supply.manifests if not home_of(item.path) for name in (PurePosixPath(item.path).name,)
    }
    said = any(item.licences or item.has_licence_text for item in supply.manifests)
    manifest = next((roots[name] for name in _OWN if name in roots), None)
    if texts or said or manifest is None or "Private ::" in manifest.source.text:
        return None
    line = manifest.name.line if manifest.name else _first_line(manifest)
    return seen(manifest.source, "no-licence", line)


def _first_line(manifest: Manifest) -> int:
    """Give the first line that says something; a comment may be a tool's."""
    lines = enumerate(manifest.source.lines, 1)
    return next((number for number, line in lines if line.strip() and not line.startswith("#")), 1)


def _mismatch(manifest: Manifest, supply: Supply) -> Sighting | None:
    """Give the field that names one licence where the text beside it is another's."""
    folder = PurePosixPath(manifest.path).parent
    beside = [item for item in supply.licences if PurePosixPath(item.path).parent == folder]
    texts = set[str]().union(*(kinds_of_text(item.text) for item in beside))
    named = set[str]().union(*(kinds_of_name(item.text) for item in manifest.licences))
    if len(beside) != 1 or len(texts) != 1 or len(named) != 1 or texts & named:
        return None
    field = _plainest(manifest.licences)
    name = PurePosixPath(beside[0].path).name
    return seen(
        manifest.source, "licence-mismatch", field.line, detail=f"it says {named.pop()}, and {name} is {texts.pop()}"
    )


def _plainest(fields: Sequence[Label]) -> Label:
    return next(item for item in fields if kinds_of_name(item.text))


def kinds_of_text(text: str) -> set[str]:
    """Give the families of the licences that a text holds; the licences of GNU by their title alone."""
    text = text[:_LONGEST]
    found = {name for name, pattern in _TEXTS if pattern.search(" ".join(text.split()) if name != "MPL" else text)}
    for title in _TITLE.finditer(text):
        kind = (title["kind"] or "").strip()
        found.add({"": "GPL", "AFFERO": "AGPL"}.get(kind, "LGPL"))
    return found


def kinds_of_name(text: str) -> set[str]:
    """Give the families that a field or a classifier names."""
    found = {name for name, pattern in _NAMES if pattern.search(text)}
    return (
        found - {"GPL"}
        if found & {"AGPL", "LGPL"} and "GPL" not in text.replace("LGPL", "").replace("AGPL", "")
        else found
    )

"""What speaks against a finding about dependencies: each function gives a reason why it does not hold, or nothing."""

import re

from remit.teams.audit.code.excuse import Spot, explained
from remit.teams.audit.place import place_of
from remit.teams.audit.supply.import_names import beginnings, companion, is_imported, providers, works_by_presence
from remit.teams.audit.supply.supply import Supply

_SUBJECT = re.compile(r"^`([^`]+)`")
_SCRIPT = re.compile(r"^# /// script\s*$", re.MULTILINE)


def supplied_otherwise(spot: Spot) -> str:
    """The imported name is there, or its absence is provided for, though no manifest declares it."""
    name, supply = _subject(spot), spot.supply()
    top = name.partition(".")[0]
    if _SCRIPT.search(spot.source.text):
        return "the script lists its dependencies itself"
    if re.search(
        rf"pip3? install [^\n]{{0,200}}\b{re.escape(top)}\b|find_spec\([\"']{re.escape(top)}", spot.source.text
    ):
        return "the module says what to install if it is missing"
    scope = supply.scope(spot.source.path)
    if path := supply.vendored(top):
        return f"a copy of it lies in the repository: {path}"
    if path := supply.guarded(name, scope):
        return f"it is optional: {path} tries the import first"
    if path := _installed_by(providers(name), supply):
        return f"{path} speaks of it"
    if scope.package is not None and not supply.is_loaded(spot.source.path):
        return "nothing imports the module: it is for those who have what it needs"
    return explained(spot)


def brought_along(spot: Spot) -> str:
    """Something that is declared is made of it; still, nobody says in which version the code needs it.

    What is declared for an extra counts where the same file imports it: without it the file is of no use.
    """
    path, name, supply = spot.source.path, _subject(spot), spot.supply()
    scope = supply.scope(path)
    imported = frozenset(part for item in supply.names.get(path, ()) for part in beginnings(item))
    there = scope.required | {item for item in scope.declared if is_imported(item, imported)}
    brings = companion(providers(name), there if place_of(path) == "shipped" else scope.declared)
    return f"{brings}, which is declared, is made of it and brings it along" if brings else ""


def _installed_by(distributions: tuple[str, ...], supply: Supply) -> str:
    """Give a file that installs one of some distributions, or a manifest that says in a comment why it does not."""
    word = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, distributions))})(?![\w-])", re.IGNORECASE)
    for manifest in supply.manifests:
        if any(line.lstrip().startswith("#") and word.search(line) for line in manifest.source.lines):
            return manifest.path
    said = (item for name in distributions for item in supply.mentions(name))
    return next((path for path, line in said if re.search(r"\binstall\b|\bdeps\b|requirements", line)), "")


def used_otherwise(spot: Spot) -> str:
    """The dependency does its work without being imported."""
    name, supply = _subject(spot), spot.supply()
    if works_by_presence(name):
        return "it works by being installed: a server, a driver, a plugin, a tool"
    if path := supply.backs(name):
        return f"{path} imports a part of another distribution that is called after it"
    if brings := companion((name,), supply.scope(spot.source.path).declared):
        return f"{brings}, which is declared, brings it along: the line says in which versions"
    return explained(spot)


def _subject(spot: Spot) -> str:
    found = _SUBJECT.match(spot.message)
    return found[1] if found else ""

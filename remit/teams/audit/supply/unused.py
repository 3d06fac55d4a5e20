"""Dependencies that a manifest requires at run time, and that nothing in the repository imports or names."""

from collections.abc import Iterator

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.supply.import_names import is_imported, is_known, works_by_presence
from remit.teams.audit.supply.need import Manifest, Need
from remit.teams.audit.supply.paths import is_shipped
from remit.teams.audit.supply.supply import Supply

WHAT = "that nothing uses"
"""How it is told when this was not looked for."""

MOST_FILES, MOST, MOST_OF_ALL = 2000, 10, 60
"""Files that may name a dependency, and dependencies of one and of all manifests that are suspected: beyond, nothing is
said."""


def sightings(supply: Supply) -> Iterator[Sighting]:
    """Give every dependency that no import, text, command line or plugin names."""
    if len(supply.wiring) > MOST_FILES:
        supply.skip(f"dependencies {WHAT}", f"more than {MOST_FILES} files may name one")
        return
    looked = 0
    own = {item.name.text for item in supply.manifests if item.name}
    for manifest in supply.manifests:
        if not is_shipped(manifest.path) or is_frozen(manifest):
            continue
        required = _required(manifest)
        suspects = [need for need in required if need.name not in own and _is_suspect(need, supply)]
        doubtful = [need for need in suspects if not works_by_presence(need.name)]
        looked += len(suspects)
        if len(doubtful) > min(MOST, len(required) / 2) or looked > MOST_OF_ALL:
            supply.skip(f"dependencies of {manifest.path} {WHAT}", "most of them are imported nowhere here")
            continue
        for need in suspects:
            if next(supply.mentions(need.name), None) is None:
                yield seen(manifest.source, "unused-dependency", need.line, detail=f"`{need.name}`")


def is_frozen(manifest: Manifest) -> bool:
    """Say whether a manifest may list what its dependencies depend on: a tool wrote it, or it pins everything."""
    is_list = manifest.path.endswith((".txt", ".in"))
    needs = _required(manifest)
    return manifest.is_compiled or (is_list and all(need.range.startswith("==") for need in needs))


def _required(manifest: Manifest) -> list[Need]:
    return [need for need in manifest.needs if need.group == "runtime" and need.name]


def _is_suspect(need: Need, supply: Supply) -> bool:
    if need.is_conditional or is_imported(need.name, supply.imported):
        return False
    return is_known(need.name) or not supply.has_riddles

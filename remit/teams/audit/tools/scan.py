"""One pass over the files of a shard, in a process of its own, which `scanner` starts.

The request comes as JSON on standard input, the answer goes to standard output. A process of its own keeps the
parser's time and memory out of the gateway, and gives every shard a core.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from remit.teams.audit.code import complexity, duplication, missing_f, secret, swallowed, unsafe_call, untested, waiting
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.module_graph import ModuleGraph, Unit, unit
from remit.teams.audit.docs import scan as docs_scan
from remit.teams.audit.finding import Skill
from remit.teams.audit.history import blame as blame_scan
from remit.teams.audit.history import scan as history_scan
from remit.teams.audit.place import HEAD_LINES, place_of
from remit.teams.audit.sighting import Doubt, Look, Measure, Scan, Sighting, Skipped
from remit.teams.audit.source import TEXT_LIMIT, Source, UnreadableError, load
from remit.teams.audit.supply import scan as supply_scan
from remit.teams.audit.supply.requires_python import RUNNING, RequiredPython, named
from remit.teams.audit.tools import again
from remit.teams.audit.tools.tally import summed

Detector = Callable[[Source], Iterator[Sighting]]
DETECTORS: dict[Skill, tuple[Detector, ...]] = {
    "code": (complexity.sightings, missing_f.sightings),
    "security": (unsafe_call.sightings, waiting.sightings, swallowed.sightings, secret.sightings),
}


TOO_DEEP = "what is in it nests too deeply"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at, and how."""

    view: Skill | Literal["again", "blame"]
    root: str
    files: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()


def main() -> None:
    """Answer one request."""
    gc.disable()  # the process is short-lived, and a parser makes nothing but small objects that stay
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))


def answer(request: Request) -> Scan | tuple[Look, ...]:
    """Look at the files of a request, or again at its doubts."""
    root = Path(request.root)
    match request.view:
        case "again":
            return again.looks(root, request.files, request.doubts)
        case "blame":
            return blame_scan.scan(root, request.files)
        case "code" | "security":
            return scan_files(root, request.files, request.view)
        case view:
            return TREES[view](root, request.files)


def scan_files(root: Path, files: tuple[str, ...], skill: Skill) -> Scan:
    """Look at files one by one; a file that does not decode or parse is a sighting of the code view."""
    found: list[Sighting] = []
    blobs: dict[str, str] = {}
    skipped: list[Skipped] = []
    measures: list[Measure] = []
    required = RequiredPython(root)
    lines = 0
    for path in files:
        try:
            source = load(root, path)
            blobs[path] = source.digest
            lines += source.length
            measures += complexity.measures(source) if skill == "code" else []
            found.extend(item for see in DETECTORS[skill] for item in see(source))
        except UnreadableError as error:
            if not error.rule:
                skipped.append(Skipped(what=path, cause=error.cause))
            elif skill == "code" and (newer := _for_newer(required, path, error)) is not None:
                skipped.append(newer)
            elif skill == "code":
                blobs.setdefault(path, error.digest)
                found.append(_unreadable(root, path, error))
        except RecursionError:
            skipped.append(Skipped(what=path, cause=TOO_DEEP))
    return summed(found, blobs, skipped, files=len(files), lines=lines, measures=measures)


def scan_tree(root: Path, files: tuple[str, ...]) -> Scan:
    """Look at what only all files together show."""
    units = [item for path in files if (item := _unit(root, path)) is not None]
    shipped = [item for item in units if _is_shipped(item.source)]
    found = [
        *duplication.sightings(shipped),
        *ModuleGraph(shipped).cycles(),
        *untested.sightings(ModuleGraph(units), frozenset(item.source.path for item in shipped)),
    ]
    tested = any(place_of(item.source.path) == "test" for item in units)
    skipped = [] if tested else [Skipped(what="modules that no test mentions", cause="no tests were found")]
    blobs = {item.source.path: item.source.digest for item in units}
    return summed(found, blobs, skipped, files=len(units), lines=sum(item.source.length for item in units))


TREES: dict[Skill, Callable[[Path, tuple[str, ...]], Scan]] = {
    "structure": scan_tree,
    "history": history_scan.scan,
    "supply": supply_scan.scan,
    "docs": docs_scan.scan,
}
"""Views of many files at once."""


def _unit(root: Path, path: str) -> Unit | None:
    try:
        return unit(load(root, path))
    except UnreadableError:  # the code view says so
        return None


def _is_shipped(source: Source) -> bool:
    return place_of(source.path, "\n".join(source.lines[:HEAD_LINES])) == "shipped"


def _for_newer(required: RequiredPython, path: str, error: UnreadableError) -> Skipped | None:
    """Say why a file that does not parse is no finding: it may be written for a newer Python than runs here."""
    if error.rule != "syntax-error" or error.is_given_up or not (wanted := required.newer(path)):
        return None
    cause = (
        f"it does not parse with Python {named(RUNNING)}, which runs the audit; it is written for {wanted} and newer"
    )
    return Skipped(what=path, cause=cause)


def _unreadable(root: Path, path: str, error: UnreadableError) -> Sighting:
    try:
        source = load(root, path)
    except UnreadableError:
        return Sighting(rule=error.rule, path=path, line=error.line, detail=error.cause)
    words = f"{error.cause[:TEXT_LIMIT]} (Python {named(RUNNING)})"  # another Python has other words
    return seen(source, error.rule, error.line, detail=words if error.rule == "syntax-error" else error.cause)

"""One pass over the files of a shard, in a process of its own, which `scanner` starts.

The request comes as JSON on standard input, the answer goes to standard output. A process of its own keeps the
parser's time and memory out of the gateway, and gives every shard a core.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from remit.teams.audit.code import complexity
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.place import HEAD_LINES, place_of
from remit.teams.audit.sighting import Look, Measure, Scan, Sighting, Skipped
from remit.teams.audit.source import TEXT_LIMIT, Source, UnreadableError, load
from remit.teams.audit.supply.requires_python import RUNNING, RequiredPython, named
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.tally import summed

if TYPE_CHECKING:
    from remit.teams.audit.code.module_graph import Unit

Detector = Callable[[Source], Iterator[Sighting]]


TOO_DEEP = "what is in it nests too deeply"


def main() -> None:
    """Answer one request."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))


def answer(request: Request) -> Scan | tuple[Look, ...]:
    """Look at the files of a request, or again at its doubts. Only what this view needs is imported."""
    root, files = Path(request.root), request.files
    match request.view:
        case "again":
            from remit.teams.audit.tools import again

            return again.looks(root, files, request.doubts)
        case "blame":
            from remit.teams.audit.history import blame

            return blame.scan(root, files)
        case "code" | "security":
            return scan_files(root, files, request.view)
        case "structure":
            return scan_tree(root, files)
        case "history":
            from remit.teams.audit.history import scan as history

            return history.scan(root, files)
        case "supply":
            from remit.teams.audit.supply import scan as supply

            return supply.scan(root, files)
        case "docs":
            from remit.teams.audit.docs import scan as docs

            return docs.scan(root, files)


def _detectors(skill: Literal["code", "security"]) -> tuple[Detector, ...]:
    if skill == "code":
        from remit.teams.audit.code import missing_f

        return (complexity.sightings, missing_f.sightings)
    from remit.teams.audit.code import secret, swallowed, unsafe_call, waiting

    return (unsafe_call.sightings, waiting.sightings, swallowed.sightings, secret.sightings)


def scan_files(root: Path, files: tuple[str, ...], skill: Literal["code", "security"]) -> Scan:
    """Look at files one by one; a file that does not decode or parse is a sighting of the code view."""
    found: list[Sighting] = []
    blobs: dict[str, str] = {}
    skipped: list[Skipped] = []
    measures: list[Measure] = []
    required, detectors = RequiredPython(root), _detectors(skill)
    lines = 0
    for path in files:
        try:
            source = load(root, path)
            blobs[path] = source.digest
            lines += source.length
            measures += complexity.measures(source) if skill == "code" else []
            found.extend(item for see in detectors for item in see(source))
        except UnreadableError as error:
            if not error.rule:
                skipped.append(Skipped(what=path, cause=error.cause))
            elif skill == "code" and (newer := _for_newer(required, path, error)) is not None:
                skipped.append(msgspec.structs.replace(newer, lines=_length(root, path)))
            elif skill == "code":
                blobs.setdefault(path, error.digest)
                found.append(_unreadable(root, path, error))
        except RecursionError:
            skipped.append(Skipped(what=path, cause=TOO_DEEP))
    return summed(found, blobs, skipped, files=len(files), lines=lines, measures=measures)


def scan_tree(root: Path, files: tuple[str, ...]) -> Scan:
    """Look at what only all files together show."""
    from remit.teams.audit.code import duplication, untested
    from remit.teams.audit.code.module_graph import ModuleGraph

    units = [item for path in files if (item := _unit(root, path)) is not None]
    shipped = [item for item in units if _is_shipped(item.source)]
    found = [
        *duplication.sightings(shipped),
        *ModuleGraph(shipped).cycles(),
        *untested.sightings(ModuleGraph(units), frozenset(item.source.path for item in shipped), _declared(root)),
    ]
    tested = any(place_of(item.source.path) == "test" for item in units)
    skipped = [] if tested else [Skipped(what="modules that no test mentions", cause="no tests were found")]
    blobs = {item.source.path: item.source.digest for item in units}
    return summed(found, blobs, skipped, files=len(units), lines=sum(item.source.length for item in units))


def _declared(root: Path) -> str:
    """Give the text of the files in which a project names the modules that others start."""
    found: list[str] = []
    for name in ("pyproject.toml", "setup.cfg"):
        try:
            found.append(load(root, name).text)
        except UnreadableError:
            continue  # it is not there, or the supply view says so
    return "\n".join(found)


def _unit(root: Path, path: str) -> "Unit | None":
    from remit.teams.audit.code.module_graph import unit

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


def _length(root: Path, path: str) -> int:
    try:
        return load(root, path).length
    except UnreadableError:
        return 0


def _unreadable(root: Path, path: str, error: UnreadableError) -> Sighting:
    try:
        source = load(root, path)
    except UnreadableError:
        return Sighting(rule=error.rule, path=path, line=error.line, detail=error.cause)
    words = f"{error.cause[:TEXT_LIMIT]} (Python {named(RUNNING)})"  # another Python has other words
    return seen(source, error.rule, error.line, detail=words if error.rule == "syntax-error" else error.cause)

"""The tool that makes a patch of lines that somebody proposes; it looks at what comes of them, not at their author."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from remit import ToolScope, tool
from remit.teams.audit.code import secret, swallowed, unsafe_call, waiting
from remit.teams.audit.finding import Finding, fingerprint
from remit.teams.audit.patch import difference
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, UnreadableError, blob_digest, content, parsed
from remit.teams.audit.tools.ruff_fix import FILE_BYTES, Attempt

REACH = 40
"""Lines from a cited line within which something may be changed: more than that nobody was shown."""
BESIDE = 2
"""Lines from a cited line: of lines that stand in the file several times, those are meant that are so near."""
PATCH_BYTES = 4 * 1024
EDITS = 6
_DETECTORS: tuple[Callable[[Source], Iterator[Sighting]], ...] = (
    unsafe_call.sightings,
    waiting.sightings,
    swallowed.sightings,
    secret.sightings,
)


class _UnfitError(Exception):
    """An edit that cannot be made, in the words of the report."""


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """Lines as they stand in a file, and what replaces them."""

    old: str
    new: str


@tool(name="fs.rewrite", risk="low", effect="pure")
def fs_rewrite(
    *, path: str, blob: str, edits: tuple[Edit, ...], findings: tuple[Finding, ...], scope: ToolScope
) -> Attempt:
    """Give the patch by which some lines replace others, if the findings are gone with it and no others come.

    Nothing is written. What is replaced must be whole lines near the findings, and the file must be the one that was
    audited.
    """
    try:
        data = content(Path(scope.source("repository")), path)
        before = data.decode()
        if blob_digest(data) != blob:
            return Attempt(problem="the file changed since it was audited")
        if len(data) > FILE_BYTES:
            return Attempt(problem=f"the file is larger than {FILE_BYTES} bytes")
        after = before
        for edit in edits[:EDITS]:
            after = _edited(after, edit, findings)
        return _attempt(path, findings, before=before, after=after)
    except _UnfitError as error:
        return Attempt(problem=str(error))
    except UnreadableError as error:
        return Attempt(problem=error.cause)
    except UnicodeDecodeError:
        return Attempt(problem="the file is not UTF-8, so that a patch of it would not be text")


def _edited(text: str, edit: Edit, findings: Sequence[Finding]) -> str:
    """Give the text with some lines replaced; where they stand several times, those at the cited line.

    Raises:
        _UnfitError: they are not there, not at one place, no whole lines, or far from what was found.
    """
    old, new = edit.old.strip("\n"), edit.new.strip("\n")
    places = list(_places(text, old)) if old.strip() else []
    near = [at for at in places if len(places) == 1 or _distance(text.count("\n", 0, at) + 1, old, findings) <= BESIDE]
    if len(near) != 1:
        raise _UnfitError(f"the lines to replace stand in the file {len(places)} times")
    (at,) = near
    if _distance(text.count("\n", 0, at) + 1, old, findings) > REACH:
        raise _UnfitError("the lines to replace stand far from what was found")
    return f"{text[:at]}{new}{text[at + len(old) :]}"


def _places(text: str, old: str) -> Iterator[int]:
    """Give every place where whole lines stand."""
    at = text.find(old)
    while at >= 0:
        end = at + len(old)
        if (not at or text[at - 1] == "\n") and (end == len(text) or text[end] == "\n"):
            yield at
        at = text.find(old, at + 1)


def _distance(first: int, old: str, findings: Sequence[Finding]) -> int:
    """Give how many lines some lines from `first` on are away from the nearest cited one; 0 if that is among them."""
    last = first + old.count("\n")
    return min((max(first - item.line, item.line - last, 0) for item in findings), default=REACH + 1)


def _attempt(path: str, findings: Sequence[Finding], *, before: str, after: str) -> Attempt:
    try:
        parsed(after)
        left, old = _seen(path, after), _seen(path, before)
    except (UnreadableError, RecursionError) as error:
        return Attempt(problem=f"what comes of it does not compile: {error}")
    if {item.fingerprint for item in findings} & left:
        return Attempt(problem="what was found is still found with it")
    if left - old:
        return Attempt(problem="something is found with it that was not found before")
    try:
        text = difference(path, before, after)
    except ValueError:
        return Attempt(problem="the name of the file cannot stand in a patch")
    if len(text.encode()) > PATCH_BYTES:
        return Attempt(problem=f"the patch would be larger than {PATCH_BYTES} bytes")
    return Attempt(text=text) if text else Attempt(problem="it changes nothing")


def _seen(path: str, text: str) -> set[str]:
    """Give the fingerprints of all that the detectors of unsafe code see in a text."""
    source = Source(path, text, "")
    counts: dict[tuple[str, str, str], int] = {}
    found: set[str] = set()
    sightings = (item for see in _DETECTORS for item in see(source))
    for item in sorted(sightings, key=lambda item: (item.path, item.line, item.rule)):
        key = (item.rule, item.symbol, " ".join(item.text.split()))
        counts[key] = counts.get(key, -1) + 1
        found.add(fingerprint(item.rule, path, symbol=item.symbol, snippet=item.text, nth=counts[key]))
    return found

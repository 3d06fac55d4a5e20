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
PATCH_BYTES = 4 * 1024
EDITS = 6
_DETECTORS: tuple[Callable[[Source], Iterator[Sighting]], ...] = (
    unsafe_call.sightings,
    waiting.sightings,
    swallowed.sightings,
    secret.sightings,
)


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """Lines as they stand in a file, and what replaces them."""

    old: str
    new: str


@tool(name="fs.rewrite", risk="low", effect="pure")
def fs_rewrite(
    *, path: str, blob: str, edits: tuple[Edit, ...], findings: tuple[Finding, ...], scope: ToolScope
) -> Attempt:
    """Give the patch by which some lines replace others, if the findings are gone with it and no others come.

    Nothing is written. What is replaced must stand in the file once, near the findings, and the file must be the one
    that was audited.
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
            if problem := _unfit(edit, after, findings):
                return Attempt(problem=problem)
            after = after.replace(edit.old.strip("\n"), edit.new.strip("\n"), 1)
        return _attempt(path, findings, before=before, after=after)
    except UnreadableError as error:
        return Attempt(problem=error.cause)
    except UnicodeDecodeError:
        return Attempt(problem="the file is not UTF-8, so that a patch of it would not be text")


def _unfit(edit: Edit, text: str, findings: Sequence[Finding]) -> str:
    """Say why an edit cannot be made; nothing if it can."""
    old = edit.old.strip("\n")
    count = text.count(old) if old.strip() else 0
    if count != 1:
        return f"the lines to replace stand in the file {count} times"
    at = text.index(old)
    if at and text[at - 1] != "\n":
        return "what is to be replaced is no whole line"
    first = text.count("\n", 0, at) + 1
    last = first + old.count("\n")
    if not any(first - REACH <= item.line <= last + REACH for item in findings):
        return "the lines to replace stand far from what was found"
    return ""


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

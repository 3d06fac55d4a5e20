"""The tool that asks ruff for real defects, not for style, with a command that nobody can change."""

import os
import re
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import msgspec

from remit import ToolFailedError, ToolScope, run_program, tool
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Blob, Scan, Sighting, Skipped, clipped, few
from remit.teams.audit.source import Source, UnreadableError, load
from remit.teams.audit.tools.parts import in_parts
from remit.teams.audit.tools.scratch import Stored, fetched

TIMEOUT_S = 60
"""Of one file that is mended."""
_CODE = re.compile(r"[A-Z]+[0-9]+$")
_CALLED = re.compile(r"(?P<name>[\w.]+)\(")
SECOND_OPINIONS = {
    "S102": "dynamic-code",
    "S307": "dynamic-code",
    "S301": "unsafe-deserialisation",
    "S302": "unsafe-deserialisation",
    "S506": "unsafe-deserialisation",
    "S306": "insecure-temp-file",
    "S113": "missing-timeout",
    "S602": "shell-injection",
    "S605": "shell-injection",
    "S501": "tls-check-off",
    "S110": "swallowed-exception",
    "S112": "swallowed-exception",
}
"""Codes that say what a rule of the security view says: two tools on one place are more than one."""
DEFECTS = (
    *("F402", "F502", "F503", "F504", "F505", "F506", "F507", "F508", "F509", "F521", "F522", "F523", "F524", "F525"),
    *("F601", "F621", "F622", "F631", "F632", "F633", "F634", "F701", "F702", "F704", "F706", "F707", "F811", "F821"),
    *("F822", "F823", "B002", "B003", "B005", "B006", "B012", "B015", "B016", "B018", "B020", "B021", "B022", "B023"),
    *("B025", "B029", "B030", "B031", "B032", "B035", "PLE", "PLW0129", "PLW0133", "PLW0177", "PLW0711"),
    *("PLW1501", "PLW2101", "RUF006", "RUF008", "RUF016", "RUF018", "RUF024", "ASYNC210", "ASYNC221", "ASYNC222"),
    *("ASYNC251", "YTT", "F541", "W605"),
)

NOT_DEFECTS = "PLE0704"
"""A bare `raise` in a function that handlers call is an idiom."""


class Row(msgspec.Struct, frozen=True):
    """A place in ruff's answer."""

    row: int


class Diagnostic(msgspec.Struct, frozen=True):
    """One line of ruff's answer; for a file that does not parse the code is a word."""

    filename: str
    message: str
    location: Row
    code: str | None = None


@tool(name="proc.ruff", risk="medium", effect="pure")
def proc_ruff(files: Stored, *, scope: ToolScope) -> Scan:
    """Give ruff's findings in the files that a stored list names; `noqa` comments are the critic's to weigh."""
    root = Path(scope.source("repository"))
    paths = msgspec.json.decode(fetched(scope.scratch, files), type=list[str])
    if not paths:
        return Scan()
    safe = [path for path in paths if (root / path).resolve().is_relative_to(root.resolve())]
    said, left = in_parts(safe, lambda part, seconds: _run(root, part, seconds))
    found, blobs = _sightings(root, [item for part in said for item in part])
    kept, more = clipped(found)
    skipped = [Skipped(what=path, cause="ruff gave up on it") for path in sorted(left)]
    return Scan(files=len(paths), sightings=kept, blobs=blobs, skipped=(*few(skipped), *more))


def command(paths: Sequence[str]) -> list[str]:
    """Give the whole command: no settings of the repository, no cache, no network, no writing."""
    rules = ",".join([*DEFECTS, *SECOND_OPINIONS])
    options = ["--isolated", "--no-cache", "--quiet", "--exit-zero", "--ignore-noqa", "--output-format", "json"]
    return [binary(), "check", *options, "--select", rules, "--ignore", NOT_DEFECTS, "--", *paths]


def binary() -> str:
    """Give the ruff of our own environment.

    Raises:
        ToolFailedError: there is none.
    """
    found = shutil.which("ruff", path=sysconfig.get_path("scripts"))
    if found is None:
        raise ToolFailedError("ruff is not installed beside Remit", fix="pip install ruff")
    return found


def _run(root: Path, paths: Sequence[str], within_s: float) -> list[Diagnostic]:
    done = run_program(command(paths), folder=root, environment={"NO_COLOR": "1"}, within_s=within_s)
    if done.code:
        raise ToolFailedError("ruff ended early", got=done.errors.decode(errors="replace")[-300:])
    return msgspec.json.decode(done.output or b"[]", type=list[Diagnostic])


def _sightings(root: Path, said: list[Diagnostic]) -> tuple[list[Sighting], tuple[Blob, ...]]:
    sources: dict[str, Source | None] = {}
    found: list[Sighting] = []
    for item in said:
        path = os.path.relpath(item.filename, root.resolve())
        if not _CODE.match(item.code or "") or (source := _source(root, path, sources)) is None:
            continue  # what does not parse or decode is the code view's to say
        found.append(_sighting(source, item))
    read = sorted((path, source.digest) for path, source in sources.items() if source is not None)
    return found, tuple(Blob(path=path, digest=digest) for path, digest in read)


def _sighting(source: Source, item: Diagnostic) -> Sighting:
    code, row = item.code or "", item.location.row
    if code not in SECOND_OPINIONS:
        return msgspec.structs.replace(seen(source, code, row, detail=item.message), tool="ruff")
    called = _CALLED.search(source.line(row))
    detail = called["name"] if called else "it"
    rule = SECOND_OPINIONS[code]
    shown = f"`{detail}`" if rule == "missing-timeout" else detail
    return msgspec.structs.replace(seen(source, rule, row, detail=shown), tool="ruff")


def _source(root: Path, path: str, sources: dict[str, Source | None]) -> Source | None:
    if path not in sources:
        try:
            sources[path] = load(root, path)
        except UnreadableError:
            sources[path] = None
    return sources[path]

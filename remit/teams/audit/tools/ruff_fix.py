"""The tool that has ruff mend some rules in one file, and gives the difference; the file itself is never touched."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from remit import RefusedError, ToolScope, run_program, tool
from remit.teams.audit.patch import MECHANICAL, difference, is_only
from remit.teams.audit.source import UnreadableError, blob_digest, content
from remit.teams.audit.tools.ruff import TIMEOUT_S, binary

FILE_BYTES = 256 * 1024
"""Of a file that is mended: it is parsed twice, in the gateway's own process."""
PATCH_BYTES = 64 * 1024
"""Of one patch; nobody reads a longer one."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a patch, or why there is none."""

    text: str = ""
    problem: str = ""


@tool(name="proc.ruff_fix", risk="medium", effect="pure")
def proc_ruff_fix(path: str, rules: tuple[str, ...], blob: str, *, scope: ToolScope) -> Attempt:
    """Give the patch by which ruff's safe fixes mend a file, if that is still the one that was audited.

    A `noqa` comment is heeded. A fix that changes anything else than its rules are about is none.
    """
    if not rules or not set(rules) <= set(MECHANICAL):
        raise RefusedError(
            "not all of these rules are mended mechanically",
            where="rules",
            expected=", ".join(MECHANICAL),
            got=", ".join(rules),
        )
    try:
        data = content(Path(scope.source("repository")), path)
        before = data.decode()
    except UnreadableError as error:
        return Attempt(problem=error.cause)
    except UnicodeDecodeError:
        return Attempt(problem="the file is not UTF-8, so that a patch of it would not be text")
    if blob_digest(data) != blob:
        return Attempt(problem="the file changed since it was audited")
    if len(data) > FILE_BYTES:
        return Attempt(problem=f"the file is larger than {FILE_BYTES} bytes")
    return _attempt(path, rules, before=before, after=_fixed(path, rules, data))


def command(path: str, rules: Sequence[str]) -> list[str]:
    """Give the whole command: text in, text out, safe fixes of some rules, no settings of the repository."""
    options = ["--fix-only", "--isolated", "--no-cache", "--quiet", "--no-unsafe-fixes", "--select", ",".join(rules)]
    return [binary(), "check", *options, f"--stdin-filename={path}", "-"]


def _fixed(path: str, rules: Sequence[str], data: bytes) -> str | None:
    done = run_program(
        command(path, rules), folder=Path("/"), given=data, environment={"NO_COLOR": "1"}, within_s=TIMEOUT_S
    )
    return None if done.code else done.output.decode()


def _attempt(path: str, rules: Sequence[str], *, before: str, after: str | None) -> Attempt:
    if after is None:
        return Attempt(problem="ruff ended early")
    if after == before:
        return Attempt(problem="ruff has no safe fix for it")
    if not is_only(rules, before, after):
        return Attempt(problem="the fix would change more than what was found")
    try:
        text = difference(path, before, after)
    except ValueError:
        return Attempt(problem="the name of the file cannot stand in a patch")
    if len(text.encode()) > PATCH_BYTES:
        return Attempt(problem=f"the patch would be larger than {PATCH_BYTES} bytes")
    return Attempt(text=text)

"""What the report says about patches, and about the way on which a run came to them."""

from collections.abc import Sequence

from remit.teams.audit.mending import Dropped, Setback, Verification
from remit.teams.audit.patch import is_by_model
from remit.teams.audit.report.markdown_text import code, prose

SHOWN = 20
NOTHING_TO_MEND = "Nothing that was kept can be mended mechanically."
EACH_HOLDS = "Each applies to the audited files with `git apply`, and what comes of it compiles."
BY_MODEL = (
    "A patch whose name says `model` was written by a model. With it the finding is gone, and no other one came; nobody"
    " has run it. Read it before you apply it."
)
MADE_ANEW = "The plan was made anew without what failed, and what is above was made and verified after that."


def said(found: Verification) -> str:
    """Say the patches in a few words, as the verdict does."""
    count = len(found.patches)
    patches = f"{count} patch" if count == 1 else f"{count} patches"
    return f"{patches} ready" + (f", {len(found.dropped)} dropped" if found.dropped else "")


def own_tests(found: Verification) -> str:
    """Say what the repository's own tests say of the patches; nothing if nobody wanted them run."""
    return f"The repository's own tests {found.tests}." if found.tests else ""


def by_model(found: Verification) -> str:
    """Say what the patches of a model are; nothing if there are none."""
    return BY_MODEL if any(is_by_model(item.name) for item in found.patches) else ""


def patches(found: Verification) -> str:
    """Give the section of the patches: what each mends, and which there are not."""
    lines = ["## Patches", ""]
    if not found.patches and not found.dropped:
        return _text([*lines, NOTHING_TO_MEND])
    if found.patches:
        lines += [EACH_HOLDS, ""]
        lines += [own_tests(found), ""] if found.tests else []
        lines += [by_model(found), ""] if by_model(found) else []
        lines += ["| patch | rules | file | findings mended |", "|---|---|---|---|"]
    for item in found.patches:
        path = code(item.path).replace("|", "\\|")
        lines.append(f"| {item.name} | {', '.join(item.rules)} | {path} | {', '.join(item.findings)} |")
    if found.dropped:
        lines += ["", "Dropped:", "", *_dropped(found.dropped)]
    if found.more:
        lines += ["", more(found)]
    return _text(lines)


def more(found: Verification) -> str:
    """Say how many patches there could be besides; nothing if these are all."""
    return f"{found.more} more files could be mended after these." if found.more else ""


def way(setback: Setback | None) -> str:
    """Say in one line what was rolled back; nothing if nothing was."""
    if setback is None:
        return ""
    names = ", ".join(item.name for item in setback.failed) or "nothing that was verified"
    return f"rolled back once to {setback.to}: {names} did not hold; the plan goes on without it"


def went_wrong(setback: Setback) -> str:
    """Say to where a run was rolled back."""
    return f"The run was rolled back to {setback.to}: not every patch held."


def restored(setback: Setback) -> list[tuple[str, str]]:
    """Say of what is as it was before: of which file or patch, and what was done about it."""
    notes = [(path, "what the fixer had said in its note is taken back.") for path in setback.paths[:SHOWN]]
    return [*notes, *((name, "taken out of the scratch folder.") for name in setback.patches)]


def setback_section(setback: Setback) -> str:
    """Give the section that says what was rolled back, to where, why, and what was restored."""
    paths = set(setback.paths)
    back = [f"- {code(name) if name in paths else name}: {done}" for name, done in restored(setback)]
    head = ["## What went wrong on the way", "", went_wrong(setback), ""]
    return _text([*head, *_dropped(setback.failed), "", "Restored:", "", *back, "", MADE_ANEW])


def _dropped(found: Sequence[Dropped]) -> list[str]:
    return [f"- {item.name}: {prose(item.reason)}." for item in found]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"

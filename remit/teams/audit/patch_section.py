"""What the report says about patches, and about the way on which a run came to them."""

from collections.abc import Sequence

from remit.teams.audit.mending import Dropped, Setback, Verification

SHOWN = 20


def said(found: Verification) -> str:
    """Say the patches in a few words, as the verdict does."""
    count = len(found.patches)
    patches = f"{count} patch" if count == 1 else f"{count} patches"
    return f"{patches} ready" + (f", {len(found.dropped)} dropped" if found.dropped else "")


def patches(found: Verification) -> str:
    """Give the section of the patches: what each mends, and which there are not."""
    lines = ["## Patches", ""]
    if not found.patches and not found.dropped:
        return _text([*lines, "Nothing that was kept can be mended mechanically."])
    if found.patches:
        lines += ["Each applies to the audited files with `git apply`, and what comes of it compiles.", ""]
        lines += [f"The repository's own tests {found.tests}.", ""] if found.tests else []
        lines += ["| patch | rules | file | findings mended |", "|---|---|---|---|"]
    for item in found.patches:
        path = item.path.replace("|", "\\|")
        lines.append(f"| {item.name} | {', '.join(item.rules)} | `{path}` | {', '.join(item.findings)} |")
    if found.dropped:
        lines += ["", "Dropped:", "", *_dropped(found.dropped)]
    if found.more:
        lines += ["", f"{found.more} more files could be mended after these."]
    return _text(lines)


def way(setback: Setback | None) -> str:
    """Say in one line what was rolled back; nothing if nothing was."""
    if setback is None:
        return ""
    names = ", ".join(item.name for item in setback.failed) or "nothing that was verified"
    return f"rolled back once to {setback.to}: {names} did not hold; the plan goes on without it"


def setback_section(setback: Setback) -> str:
    """Give the section that says what was rolled back, to where, why, and what was restored."""
    notes = [f"- `{path}`: what the fixer had said in its note is taken back." for path in setback.paths]
    gone = [f"- {name}: taken out of the scratch folder." for name in setback.patches]
    return _text(
        [
            "## What went wrong on the way",
            "",
            f"The run was rolled back to {setback.to}: not every patch held.",
            "",
            *_dropped(setback.failed),
            "",
            "Restored:",
            "",
            *notes[:SHOWN],
            *gone,
            "",
            "The plan was made anew without what failed, and what is above was made and verified after that.",
        ]
    )


def _dropped(found: Sequence[Dropped]) -> list[str]:
    return [f"- {item.name}: {item.reason}." for item in found]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"

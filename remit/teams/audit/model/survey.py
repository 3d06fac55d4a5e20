"""What the cartographer has a model say: what the repository is, and what its parts are called and for."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from remit import Context
from remit.teams.audit.model import prompt
from remit.teams.audit.model.adviser import Adviser
from remit.teams.audit.model.remark import Words, one_line, what
from remit.teams.audit.tools.excerpt import fs_excerpt
from remit.teams.audit.tools.files import Passage

ROLE = "cartographer"
WITHIN_S = 60.0
COMPONENTS = 8
_FOLDERS = 40
_HEAD = 40
_TOKENS = 900
_NAME = 60


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the repository: one of its folders, what it is called, what it is for."""

    folder: str
    name: str
    purpose: str


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """The repository in two sentences, and its parts."""

    summary: str
    components: tuple[Component, ...] = ()


async def survey(paths: Sequence[str], entry_points: Sequence[str], *, model: str, ctx: Context) -> Words:
    """Give what a model says of a repository by its folders, its entry points and the head of its README.

    A part that is no folder of Python files is none.
    """
    adviser = Adviser(ctx, model, role=ROLE, within_s=WITHIN_S)
    folders = counted(paths)
    head = await _head_of_readme(paths, ctx)
    said = await adviser.ask(_prompt(folders, entry_points, head), Survey, max_tokens=_TOKENS)
    if said is None:
        adviser.miss(what("summary"))
        adviser.miss(what("component"))
        return adviser.words
    adviser.remark("summary", said.summary)
    known = [item for item in said.components if item.folder.strip("/") in folders]
    for item in {item.folder.strip("/"): item for item in known[:COMPONENTS]}.values():
        adviser.remark("component", f"{one_line(item.name, _NAME)}: {item.purpose}", item.folder.strip("/"))
    if left := len(said.components) - len(known):
        adviser.miss(what("component"), cause=f"{left} of the folders that it named hold no Python files here")
    return adviser.words


def counted(paths: Sequence[str]) -> dict[str, int]:
    """Count Python files by folder, one and two levels deep; the fullest ones."""
    counts = Counter[str]()
    for path in paths:
        if path.endswith((".py", ".pyw")):
            parts = PurePosixPath(path).parts[:-1]
            counts.update({"/".join(parts[:depth]) for depth in (1, 2) if len(parts) >= depth})
    fullest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_FOLDERS]
    return dict(sorted(fullest))


async def _head_of_readme(paths: Sequence[str], ctx: Context) -> str:
    readme = next((path for path in sorted(paths) if path.lower().startswith("readme")), "")
    found = await ctx.call(fs_excerpt, passages=(Passage(path=readme, count=_HEAD),)) if readme else ()
    return "\n".join(line for item in found for line in item.lines)


def _prompt(folders: dict[str, int], entry_points: Sequence[str], head: str) -> str:
    told = "\n".join(f"{folder}: {count} Python files" for folder, count in folders.items()) or "no folders"
    return prompt.joined(
        "Say in two sentences what this repository is (`summary`), and what its main parts are called and are for"
        f" (`components`, {COMPONENTS} at most; `folder` is one of the folders below, exactly).",
        prompt.data("folders", told),
        prompt.data("entry points", "\n".join(entry_points) or "none"),
        more=[prompt.data("head of the README", head)] if head else [],
    )

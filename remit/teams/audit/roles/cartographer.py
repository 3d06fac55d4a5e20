"""The cartographer: says what the repository holds, and cuts the work into shards."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from remit import Context, RefusedError, Role, StateRejected
from remit.teams.audit.history.commit_log import HISTORY
from remit.teams.audit.memory import INVENTORY
from remit.teams.audit.message import Assignment, AuditRequest, Inventory
from remit.teams.audit.model.survey import survey
from remit.teams.audit.place import place_of
from remit.teams.audit.shard import cut
from remit.teams.audit.sighting import Skipped, few
from remit.teams.audit.sighting import told as clipped_text
from remit.teams.audit.supply.paths import is_licence, is_manifest, is_wiring
from remit.teams.audit.tools.files import Entry, Passage, fs_list, fs_read
from remit.teams.audit.tools.head import git_head
from remit.teams.audit.tools.scratch import put

MAX_FILES = 6000
MANIFEST_LINES = 400
NAME_LIMIT = 80
"""Characters of a project's name."""
STATE_KEYS = 160
"""Files of one run whose judgements go into the shared state."""
QUOTA_BESIDE = 40
"""The same, of an analyst that looks at the whole tree once."""
_DOCUMENTS = (".md", ".rst", ".markdown")
_NO_HISTORY = Skipped(what=HISTORY, cause="this is no git repository")
_NO_SUPPLY = Skipped(
    what="dependencies: declared against imported, pins, locks, the licence",
    cause="no manifest was found (pyproject.toml, setup.py, setup.cfg, Pipfile, requirements.txt)",
)
_NO_DOCUMENTS = Skipped(what="documentation: snippets, links, names", cause="there are no documents to read")
_PROBLEMS = {
    "relative": ("the path is not absolute", "an absolute path"),
    "absent": ("there is nothing at this path", "an existing folder"),
    "not_a_folder": ("this path is no folder", "a folder"),
    "unreadable": ("this folder may not be read", "a folder that this user may read"),
}


class Cartographer(Role[AuditRequest, Inventory]):
    """Takes stock. What it says is written once: every analyst starts from the same map."""

    pool = 1

    async def handle(self, work: AuditRequest, ctx: Context) -> Inventory:
        """Give the inventory with its shards.

        Raises:
            RefusedError: there is nothing to audit at the path.
        """
        entries, skipped, is_git = await self._list(work, ctx)
        python, left = _python(entries)
        head = await ctx.call(git_head, ignore=_inside(work))
        shards = await self._shards(python, work.model, ctx)
        manifest = await self._manifest(entries, ctx)
        inventory = Inventory(
            files=len(entries),
            python_files=len(python),
            python_bytes=sum(entry.size_bytes for entry in python),
            tests=sum(place_of(entry.path) == "test" for entry in python),
            name=_name(manifest, work.path),
            shipped=sum(place_of(entry.path) == "shipped" for entry in python),
            packages=sum(entry.path.endswith("__init__.py") for entry in python),
            entry_points=_entry_points(entries, manifest),
            is_git=is_git,
            shards=shards,
            history=shards[:1] if is_git else (),
            supply=await self._beside("supply", manifests(entries), python=python, ctx=ctx),
            docs=await self._beside("docs", documents(entries), python=python, ctx=ctx),
            skipped=(*few(skipped), *left, *_other_languages(entries), *_without(entries, is_git=is_git)),
            out=work.out,
            head=head,
            since=work.since,
            branch=work.branch,
            model=work.model,
        )
        if work.model:
            paths = [entry.path for entry in entries]
            words = await survey(paths, inventory.entry_points, model=work.model, ctx=ctx)
            inventory = msgspec.structs.replace(inventory, words=words)
        verdict = await ctx.state.propose(INVENTORY.key(), inventory)
        if isinstance(verdict, StateRejected):
            raise RefusedError(
                "another inventory of this run is written already", where=verdict.key, got=verdict.reason
            )
        ctx.progress(f"{len(python)} Python files in {len(inventory.shards) - 1} shards")
        return inventory

    async def _list(self, work: AuditRequest, ctx: Context) -> tuple[list[Entry], list[Skipped], bool]:
        entries: list[Entry] = []
        skipped: list[Skipped] = []
        after = ""
        while True:
            page = await ctx.call(fs_list, after=after, ignore=_inside(work))
            if page.problem:
                message, expected = _PROBLEMS[page.problem]
                raise RefusedError(message, where="$.input.path", expected=expected, got=work.path)
            entries.extend(page.files)
            skipped.extend(page.skipped)
            after = page.more
            if not after:
                return entries, skipped, page.is_git

    async def _shards(self, python: Sequence[Entry], model: str, ctx: Context) -> tuple[Assignment, ...]:
        """Give one assignment for each shard and one for the whole tree, their lists of files stored."""
        shards = cut([(entry.path, entry.size_bytes) for entry in python])
        quota = max(4, STATE_KEYS // (len(shards) + 1))
        everything = [entry.path for entry in python]
        tree = Assignment(
            kind="tree", files=await put(ctx, "shards/tree.json", everything), count=len(python), quota=quota
        )
        parts = [
            Assignment(
                kind="files",
                files=await put(ctx, f"shards/{index}.json", paths),
                count=len(paths),
                quota=quota,
                model=model,
            )
            for index, paths in enumerate(shards)
        ]
        return (tree, *parts)

    async def _beside(
        self, name: str, found: Sequence[str], *, python: Sequence[Entry], ctx: Context
    ) -> tuple[Assignment, ...]:
        """Give one assignment over some files and all code beside them; none where there are no such files."""
        if not found:
            return ()
        listed = [*found, *(entry.path for entry in python)]
        files = await put(ctx, f"shards/{name}.json", listed)
        return (Assignment(kind="tree", files=files, count=len(found), quota=QUOTA_BESIDE),)

    async def _manifest(self, entries: Sequence[Entry], ctx: Context) -> dict[str, object]:
        """Give what `pyproject.toml` says of the project; nothing if there is none, or it does not parse."""
        if not any(entry.path == "pyproject.toml" for entry in entries):
            return {}
        (manifest,) = await ctx.call(fs_read, passages=(Passage(path="pyproject.toml", count=MANIFEST_LINES),))
        return _project("\n".join(manifest.lines))


def _python(entries: Sequence[Entry]) -> tuple[list[Entry], list[Skipped]]:
    """Give the files to audit, and what is left out because there are too many.

    Raises:
        RefusedError: there are none.
    """
    found = [entry for entry in entries if entry.path.endswith((".py", ".pyw"))]
    if not found:
        raise RefusedError(
            "there is no Python in this folder" if entries else "this folder is empty",
            where="$.input.path",
            expected="at least one .py file",
            got=f"{len(entries)} other files",
            fix="remit audit PATH, where PATH holds the code",
        )
    left = len(found) - MAX_FILES
    more = [Skipped(what=f"{left} Python files", cause=f"an audit takes {MAX_FILES}")] if left > 0 else []
    return found[:MAX_FILES], more


def manifests(entries: Sequence[Entry]) -> list[str]:
    """Give the files that say what the repository depends on, and those that say more about it; none without the first.

    What says more are the texts of licences, and files that name dependencies without importing them.
    """
    paths = [entry.path for entry in entries]
    found = [path for path in paths if is_manifest(path)]
    more = [path for path in paths if is_licence(path) or is_wiring(path)]
    return list(dict.fromkeys([*found, *more])) if found else []


def _without(entries: Sequence[Entry], *, is_git: bool) -> list[Skipped]:
    """Say what nobody looks at because there is nothing to look at it with."""
    return [
        *([] if is_git else [_NO_HISTORY]),
        *([] if manifests(entries) else [_NO_SUPPLY]),
        *([] if documents(entries) else [_NO_DOCUMENTS]),
    ]


def documents(entries: Sequence[Entry]) -> list[str]:
    """Give the files that are written for readers."""
    return [entry.path for entry in entries if entry.path.lower().endswith(_DOCUMENTS)]


def _inside(work: AuditRequest) -> str:
    """Give the output folder as a path in the repository, or nothing if it is elsewhere."""
    root, out = PurePosixPath(work.path), PurePosixPath(work.path) / work.out
    return str(out.relative_to(root)) if work.out and out.is_relative_to(root) and out != root else ""


def _project(manifest: str) -> dict[str, object]:
    try:
        project = tomllib.loads(manifest).get("project", {})
    except (ValueError, RecursionError):  # a manifest that does not parse says nothing
        return {}
    return project if isinstance(project, dict) else {}


def _entry_points(entries: Sequence[Entry], project: Mapping[str, object]) -> tuple[str, ...]:
    mains = [entry.path for entry in entries if PurePosixPath(entry.path).name == "__main__.py"]
    scripts = project.get("scripts")
    told = sorted(f"{name} = {target}" for name, target in scripts.items()) if isinstance(scripts, dict) else []
    return tuple([*told, *mains][:20])


def _name(project: Mapping[str, object], path: str) -> str:
    """Name the project; a clone in another folder has the same name where its manifest says one."""
    name = project.get("name")
    return clipped_text(name if isinstance(name, str) and name.strip() else PurePosixPath(path).name, NAME_LIMIT)


def _other_languages(entries: Sequence[Entry]) -> list[Skipped]:
    counts: dict[str, int] = {}
    for entry in entries:
        if (suffix := PurePosixPath(entry.path).suffix.lower()) in {
            ".ipynb",
            ".pyi",
            ".pyx",
            ".js",
            ".ts",
            ".go",
            ".rs",
        }:
            counts[suffix] = counts.get(suffix, 0) + 1
    return [
        Skipped(what=f"{count} {suffix} files", cause="no analyst reads them")
        for suffix, count in sorted(counts.items())
    ]

"""Builds of a team: kept beside its data, so that runs that one of them began can end on it.

A run is pinned to the build that started it. When another build is to serve, every open run is looked at: what is in
flight must be readable by the new build, or the new one is refused. A run whose every step replays on the new code
with the same decisions moves to it; any other one stays with the old build, which is served beside the new one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from remit import replay
from remit.bus import subject
from remit.contracts.document import StateContracts
from remit.contracts.errors import BuildRefusedError, RefusedError
from remit.contracts.message import decode
from remit.contracts.proposal import StateCommitted
from remit.contracts.task import RunBound
from remit.contracts.team import older_build
from remit.loader import TEAM_FILE, load_aside, sources
from remit.supervisor.binding import NOTHING_INHERITED, Inheritance
from remit.supervisor.inflight import Unreadable, unreadable
from remit.supervisor.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remit.bus.journal import Journal
    from remit.contracts.team import TeamSpec
    from remit.loader import Loaded
    from remit.supervisor.run_state import RunState

log = structlog.get_logger(__name__)

FOLDER: Final = "builds"
_LAST: Final = "LAST"
_SHOWN: Final = 10
"""Of what stands in the way of a build; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """Which builds are served beside the new one, and which build serves each run that another one began."""

    older: Mapping[str, str] = field(default_factory=dict)
    """References by digest."""
    inheritance: Inheritance = NOTHING_INHERITED


def keep(loaded: Loaded, data: Path) -> None:
    """The source files of a team's build lie in the deployment's data; those of an installed package do not."""
    build, folder = loaded.spec().build, data / FOLDER
    target = _place(folder, build)
    if target.exists() or not loaded.ref.endswith(".py"):
        return
    making = target.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    for name, path in sources(loaded.ref).items():
        copy = making / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    making.mkdir(parents=True, exist_ok=True)
    (making / "BUILD").write_text(build)
    making.replace(target)


def kept(data: Path) -> dict[str, str]:
    """Give the references of all builds that are kept, by digest."""
    found = (data / FOLDER).glob("*/BUILD")
    return {path.read_text(): str(path.with_name(TEAM_FILE)) for path in found if path.with_name(TEAM_FILE).exists()}


def _place(folder: Path, build: str) -> Path:
    return folder / build.removeprefix("sha256:")[:16]


async def settle(
    journal: Journal, loaded: Loaded, data: Path, *, strands: bool = False, is_alone: bool = True
) -> Settlement:
    """Find out how every open run goes on under this build.

    Unless we are alone, another build may begin runs after this, so that the next start is to look again.

    Raises:
        BuildRefusedError: the build cannot read what is in flight, or decides otherwise and the old build is not kept;
            the error names runs and fields. Nothing changed.
        BusUnavailableError: the journal could not be read; nothing changed.
    """
    refs, spec = kept(data), loaded.spec()
    if is_alone and _is_settled(data, spec.build):
        return Settlement()
    others = _loaded(refs, besides=spec.build)
    refs = {build: ref for build, ref in refs.items() if build in others or build == spec.build}
    bindings, problems, older = list[RunBound](), list[Unreadable](), dict[str, str]()
    for run in await _open(journal, replace(spec, older=others)):
        if build_of(run) == spec.build and not run.is_bound:
            continue
        found = unreadable(spec, run) or await _unreadable_state(journal, spec, run)
        bound = None if found else await _bound(journal, loaded, run, refs=refs)
        if bound is None:
            gone = Unreadable(run.run_id, "its steps", "the same decisions, or its own build", "neither")
            problems += found or [gone]
            continue
        bindings.append(bound)
        if bound.is_older:
            older[bound.build] = refs[bound.build]
    if problems and not strands:
        raise _refusal(loaded, problems)
    stranded = tuple(sorted({problem.run_id for problem in problems}))
    log.info("builds.settled", build=spec.build, moved=len(bindings), older=len(older), stranded=len(stranded))
    # Only a start that has nothing to journal is the last to look: the process may end before it is journaled.
    _note(data, "" if bindings or older or stranded or not is_alone else spec.build)
    return Settlement(older=older, inheritance=Inheritance(bindings=tuple(bindings), stranded=stranded))


def build_of(run: RunState) -> str:
    """Give the build that serves a run, or did when it was last served."""
    return run.bound_to or run.started.build


def _is_settled(data: Path, build: str) -> bool:
    """Say whether the last start was of this build, and had nothing to journal: then there is nothing to find out."""
    path = data / FOLDER / _LAST
    return path.exists() and path.read_text() == build


def _note(data: Path, build: str) -> None:
    path = data / FOLDER / _LAST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build)


def _loaded(refs: Mapping[str, str], *, besides: str) -> dict[str, TeamSpec]:
    """Give the other builds as far as they can be loaded: what one needs that is not kept with it may be gone."""
    found: dict[str, TeamSpec] = {}
    for build, ref in refs.items():
        try:
            if build != besides:
                found[build] = older_build(load_aside(ref), build)
        except RefusedError as error:
            log.warning("build.not_loaded", build=build, where=error.where, error=error.message)
    return found


async def _unreadable_state(journal: Journal, spec: TeamSpec, run: RunState) -> list[Unreadable]:
    """Give the documents of a run that the build cannot read."""
    newest: dict[str, StateCommitted] = {}
    async for entry in journal.read(subject.state_filter(run.run_id), start_seq=run.first_seq):
        version = decode(StateCommitted, entry.data)
        newest[version.key] = version
    contracts, found = StateContracts(spec.state), list[Unreadable]()
    for key, version in newest.items():
        if version.deleted or version.value_ref is not None:
            continue
        try:
            contracts.of(key).readable(bytes(version.value))
        except RefusedError as error:
            found.append(
                Unreadable(run.run_id, f"state {key} {error.where}", error.expected, error.got or error.message)
            )
    return found


async def _open(journal: Journal, spec: TeamSpec) -> list[RunState]:
    """Give the open runs, each as the build that began it sees it, as far as that is kept."""
    return list((await recover(journal, spec)).fold.runs.values())


async def _bound(journal: Journal, loaded: Loaded, run: RunState, *, refs: Mapping[str, str]) -> RunBound | None:
    """Say which build serves a run: the new one if it decides the same; else its own, if that is kept."""
    spec, old = loaded.spec(), build_of(run)
    found = await replay.replay(journal, replace(spec, older={}), run.run_id, roles=loaded.team.roles)
    otherwise = [step for step in found.steps if step.verdict == "different"]
    if not otherwise:
        said = f"{len(found.steps)} steps replay with the same decisions"
        return RunBound(run_id=run.run_id, build=spec.build, is_older=False, why=said)
    if old not in refs:
        return None
    step = otherwise[0]
    return RunBound(run_id=run.run_id, build=old, is_older=True, why=f"step {step.step} decides otherwise: {step.why}")


def _refusal(loaded: Loaded, problems: list[Unreadable]) -> BuildRefusedError:
    shown = "; ".join(str(problem) for problem in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    runs = len({problem.run_id for problem in problems})
    return BuildRefusedError(
        f"this build cannot go on with {runs} open run{'s' if runs > 1 else ''}: {shown}{more}",
        where=loaded.ref,
        expected="a build that reads what is in flight",
        got=loaded.spec().build,
        fix="give new fields a default or add an upcast; or serve the old build until they are over;"
        " or end them: remit up --strand",
    )

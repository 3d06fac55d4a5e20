"""Try a deployment: versions, disk, a real journaled write and read, and what is separated and what is not."""

from __future__ import annotations

import platform
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

from remit import groundwork, growth, offline, places
from remit.bus import stream, subject, topology, walls
from remit.bus.access import Access
from remit.bus.embedded import binary
from remit.contracts.errors import AnswerTimeoutError, NotFoundError, RemitError, sentence
from remit.contracts.task import PROBE_WORKFLOW as PROBE
from remit.contracts.task import TaskRequest

if TYPE_CHECKING:
    from remit.bus.profile import Proof
    from remit.bus.topology import Profile
    from remit.client import Client
    from remit.places import Place

State = Literal["good", "bad", "note"]
_ANSWER_S: Final = 5.0
_STARTING: Final = timedelta(seconds=60)
"""How long hosts may take after their supervisor; later "starting" is a pool that does not come up."""
_DISK_FREE_BYTES: Final = 1024**3
_PACKAGES: Final = ("remit", "ray", "nats-py", "msgspec")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    said: str


def look_here() -> list[Finding]:
    """Look at this machine, whatever is deployed."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    found = [_note("versions", f"python {platform.python_version()}, {versions}")]
    try:
        found.append(_good("nats-server", f"found at {binary()}"))
    except RemitError as error:
        found.append(_bad("nats-server", error))
    return [*found, _disk(places.home())]


def _disk(path: Path) -> Finding:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1024**3:.1f} GiB free at {there}"
    return Finding(what="disk", state="good" if free > _DISK_FREE_BYTES else "bad", said=said)


async def look_at(client: Client) -> list[Finding]:
    """Look at a deployment that answers: its server, its streams, its supervisor, one task through all of them."""
    found = [await _server(client), await _durability(client)]
    for look in (_walls, _growth, _supervisor, _round_trip):
        try:
            found.append(await look(client))
        except RemitError as error:
            found.append(_bad(_NAMES[look.__name__], error))
    return found


async def _growth(client: Client) -> Finding:
    found = await growth.look(client)
    return Finding(what="growth", state="bad" if found.is_near else "note", said=growth.said(found))


_NAMES: Final = {"_walls": "walls", "_growth": "growth", "_supervisor": "supervisor", "_round_trip": "write and read"}


async def _server(client: Client) -> Finding:
    try:
        await topology.verify(client.bus)
    except RemitError as error:
        return _bad("server", error)
    return _good("server", f"nats-server {client.bus.server_version} at {client.place.url}")


async def _durability(client: Client) -> Finding:
    state = await stream.state(client.bus, subject.JOURNAL)
    held = f"{state.messages} entries, {state.bytes / 1024**2:.1f} MiB in the journal"
    proof = await _proof(client)
    said = f"{proof.said()}; {held}"
    if proof.weaknesses:
        weak = "; ".join(f"{item.where}: {item.got}, expected {item.setting}" for item in proof.weaknesses)
        return Finding(what="durability", state="bad", said=f"not {said}: {weak}")
    return (_good if proof.evidence == "read" else _note)("durability", said)


async def _proof(client: Client) -> Proof:
    place = client.place
    access = _access(place)
    durability = offline.durability(Path(place.data)) if offline.is_embedded(place) else place.profile or "durable"
    async with groundwork.connected(place.url, access, "topology") as bus:
        return await groundwork.prove(bus, place.url, access, profile=cast("Profile", durability))


def _access(place: Place) -> Access:
    keys = Path(place.keys) if place.keys else Path(place.data) / "keys"
    return Access(keys=keys) if keys.is_dir() else Access(creds=Path(place.operator))


async def _walls(client: Client) -> Finding:
    found = await walls.breaches(client.place.url, _access(client.place))
    if found:
        return Finding(what="walls", state="bad", said=walls.said(found))
    return _good(
        "walls",
        "tried: an agent was refused when it spoke in another's name, and when it listened to another's answers; who "
        "shows no credentials is not let in. Agents and publishers live in accounts of their own, and reach the "
        "journal only by named requests; nobody writes an entry twice",
    )


async def _supervisor(client: Client) -> Finding:
    status = await client.status()
    waiting = [f"{role.role}: {role.pending_reason}" for role in status.roles if role.pending_reason]
    said = (
        f"team {status.team}, {len(status.roles)} roles, {len(status.gateways)} gateways, {status.open_runs} open runs"
    )
    state: State = "good" if status.gateways and not waiting else "bad"
    age = datetime.now(UTC) - datetime.fromisoformat(status.started_at)
    if state == "bad" and age < _STARTING and all(role.pending_reason in {"", "starting"} for role in status.roles):
        state = "note"
    return Finding(what="supervisor", state=state, said="; ".join([said, *waiting]))


async def _round_trip(client: Client) -> Finding:
    """A task that is refused takes the whole way: queue, supervisor, journal, results."""
    began = time.perf_counter()
    run = await client.submit(PROBE, TaskRequest(goal="remit doctor: is what is written read back?"))
    outcome = await client.outcome(run, _ANSWER_S)
    took_ms = (time.perf_counter() - began) * 1000
    entry = await client.journal.get(subject.decision(run, 1, "finished"))
    kept = await _kept(client, run)
    if entry is None or outcome.outcome != "refused" or not kept:
        where = f"{run} in the journal: {entry is not None}, in the results: {kept}"
        raise NotFoundError("what was written was not read back", where=where, got=outcome.outcome)
    return _good(
        "write and read",
        f"published a task for the workflow {PROBE}, which no team has; the supervisor refused it as run {run}; "
        f"read back from JOURNAL (sequence {entry.seq}) and RESULTS; {took_ms:.1f} ms from publish to outcome",
    )


async def _kept(client: Client, run: str) -> bool:
    """RESULTS follows the journal by milliseconds."""
    ends = time.monotonic() + _ANSWER_S
    while time.monotonic() < ends:
        if await client.finished(run) is not None:
            return True
    raise AnswerTimeoutError("the outcome does not reach RESULTS", where=run)


def separation(place: Place) -> list[Finding]:
    """Say what is not separated in a deployment."""
    if offline.is_embedded(place):
        return [
            _note(
                "not separated",
                f"all planes run as one user of this machine, who can read every key under {place.data}/keys; Ray "
                "isolates nothing: code of a role can reach every actor. Do not run foreign code in this profile",
            ),
        ]
    return [_note("not separated", "Ray isolates nothing: code of a role can reach every actor of its cluster")]


def absent(error: RemitError) -> Finding:
    """Say why there is no deployment to look at."""
    return _bad("deployment", error)


def _good(what: str, said: str) -> Finding:
    return Finding(what=what, state="good", said=said)


def _note(what: str, said: str) -> Finding:
    return Finding(what=what, state="note", said=said)


def _bad(what: str, error: RemitError) -> Finding:
    return Finding(what=what, state="bad", said=sentence(error.fault()))

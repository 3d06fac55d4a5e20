"""Child actors on Ray: started, found again, watched, drained and ended. Ray gives them a place and a life only."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import ray
import structlog
from ray.exceptions import RayError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = structlog.get_logger(__name__)

ANSWER_S: Final = 5.0
START_S: Final = 60.0
WATCH_S: Final = 15.0
_UNANSWERED: Final = 2
Kind = Literal["host", "gateway"]
CPU: Final = "CPU"
MEMORY: Final = "memory"


@dataclass(frozen=True, kw_only=True)
class Child:
    """A detached actor, called `<prefix>.<kind>.<label>.<generation>-<random>` in Ray.

    The label is its place in the layout, the generation is the deployment that it was started for.
    """

    kind: Kind
    label: str
    name: str
    generation: str
    actor: ray.actor.ActorHandle[object]

    async def ask(self, method: str, *arguments: object, within_s: float = ANSWER_S) -> object:
        """Call a method of the actor.

        Raises:
            RayError: the actor is dead, or raised.
            TimeoutError: no answer; the actor may be frozen.
        """
        return await asyncio.wait_for(getattr(self.actor, method).remote(*arguments), within_s)

    @property
    def id(self) -> str:
        """Name of the actor in Ray's own tables."""
        return str(self.actor._actor_id.hex())  # noqa: SLF001  # no public name of it

    async def outlive(self) -> str:
        """Return when the actor is dead, and say why; one that is frozen for too long is ended."""
        unanswered = 0
        while unanswered < _UNANSWERED:  # not one alone: it may have been we who were frozen
            try:
                await self.ask("watch", within_s=WATCH_S)  # it answers after five seconds
                unanswered = 0
            except TimeoutError:
                unanswered += 1
            except RayError as error:
                return str(error).splitlines()[0][:200]
        self.kill()  # or it would wake
        return f"it did not answer {_UNANSWERED} times"

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        ray.kill(self.actor)


def start(
    prefix: str, kind: Kind, label: str, *, generation: str, cls: object, resources: Mapping[str, float]
) -> Child:
    """Start a child that asks for a bundle of Ray's; it lives until it is ended, whoever started it."""
    name = f"{prefix}.{kind}.{label}.{generation}-{secrets.token_hex(3)}"
    actor = cls.options(  # type: ignore[attr-defined]  # an actor class, given as data
        name=name,
        lifetime="detached",
        num_cpus=resources.get(CPU, 0),
        memory=resources.get(MEMORY) or None,
        max_concurrency=100,
        resources={key: value for key, value in resources.items() if key not in {CPU, MEMORY}} or None,
    ).remote()
    return Child(kind=kind, label=label, name=name, generation=generation, actor=actor)


def find(prefix: str) -> list[Child]:
    """Find the children that an earlier supervisor started."""
    found: list[Child] = []
    for name in ray.util.list_named_actors():
        match name.removeprefix(prefix).split("."):
            case ["", "host" | "gateway" as kind, label, made] if name.startswith(prefix):
                try:
                    actor = ray.get_actor(name)
                except ValueError:  # it died between the two calls
                    continue
                found.append(
                    Child(
                        kind="host" if kind == "host" else "gateway",
                        label=label,
                        name=name,
                        generation=made.partition("-")[0],
                        actor=actor,
                    )
                )
    return found


def offered(resource: str) -> float:
    """Give how much of a resource the nodes of the cluster offer."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # ray says nothing
    return resources.get(resource, 0.0)


async def leaving_nodes() -> frozenset[str]:
    """Give the nodes that Ray drains: nothing new is placed there, and they will be gone."""
    from ray._private.state import state  # no public call tells it

    return frozenset(await asyncio.to_thread(state.get_draining_nodes))


async def nodes() -> dict[str, str]:
    """Give the node of every actor that lives, by the actor's id."""
    from ray._private.state import actors  # as above

    found = await asyncio.to_thread(actors, actor_state_name="ALIVE")
    return {name: about["Address"]["NodeID"] for name, about in found.items()}


def keep_warm(bundles: Sequence[Mapping[str, float]]) -> None:
    """Have an autoscaler of Ray keep nodes on which all of these fit; without one nothing follows."""
    from ray.autoscaler.sdk import request_resources

    try:
        request_resources(bundles=[dict(bundle) for bundle in bundles])
    except RayError as error:  # it is a wish: the hosts themselves ask for their nodes
        log.warning("nodes.not_kept", error=str(error)[:200])

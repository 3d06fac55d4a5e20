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
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

ANSWER_S: Final = 5.0
START_S: Final = 60.0
Kind = Literal["host", "gateway"]


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

    async def outlive(self) -> str:
        """Return when the actor is dead, and say why."""
        while True:
            try:
                await self.actor.watch.remote()
            except RayError as error:
                return str(error).splitlines()[0][:200]

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        ray.kill(self.actor)


def start(
    prefix: str, kind: Kind, label: str, *, generation: str, cls: object, resources: Mapping[str, float]
) -> Child:
    """Start a child; it lives until it is ended, whoever started it."""
    name = f"{prefix}.{kind}.{label}.{generation}-{secrets.token_hex(3)}"
    actor = cls.options(  # type: ignore[attr-defined]  # an actor class, given as data
        name=name, lifetime="detached", num_cpus=0, max_concurrency=100, resources=dict(resources) or None
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

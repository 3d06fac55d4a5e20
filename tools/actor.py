"""The Ray shell around a gateway: connects, serves in the background, ends its process when our own code fails."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import ray
import structlog

from remit.bus.connection import Bus
from remit.bus.identity import NKey
from remit.contracts.errors import NotFoundError
from remit.contracts.ids import GatewayId
from remit.tools.gateway import Gateway
from remit.tools.program import kill_every_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from remit.bus.access import Access
    from remit.bus.identity import Credentials
    from remit.contracts.team import TeamSpec
    from remit.tools.tool import Tool

log = structlog.get_logger(__name__)

_EX_UNAVAILABLE: Final = 69
_EX_SOFTWARE: Final = 70
WATCH_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class GatewaySpec:
    """What a gateway process is started with; holds no secret."""

    name: str
    url: str
    jwts: Mapping[str, str]
    """By connection, `<name>` and `<name>-answer`: the server's word that the key made here may act in that name."""
    access: Access
    team_ref: str
    load: Callable[[str], tuple[TeamSpec, Mapping[str, Tool[object]]]]
    """A function that can be imported by its name; it gives the team of `team_ref` and the tools' bodies."""
    data_dir: Path
    group_commit: bool = False
    """Whether appends are gathered: where the server syncs every write."""
    configure_logs: Callable[[], None] | None = None


@dataclass(frozen=True, kw_only=True)
class GatewayState:
    """A gateway process as it is now."""

    name: str
    pid: int
    open_calls: int
    hanging: int
    """Tools that outlived their deadline and still run."""
    is_connected: bool
    loop: str


class GatewayShell:
    """One gateway in one process: what the actor does, without Ray."""

    def __init__(self) -> None:
        self._keys: dict[str, NKey] = {}
        self._starting: asyncio.Task[Gateway] | None = None
        self._buses: tuple[Bus, ...] = ()

    async def keys(self, names: list[str]) -> dict[str, str]:
        """Give a new public key for every name; the private ones never leave this process."""
        made = {name: NKey.generate("user") for name in names}
        self._keys.update(made)
        return {name: key.public for name, key in made.items()}

    async def ensure(self, spec: GatewaySpec) -> str:
        """The gateway serves in the background; give its name. Called again, it is the same one.

        Raises:
            BusUnavailableError: nobody answers at the url; nothing was started.
            NotFoundError: a connection whose key was not made here; nothing was started.
            EnvironmentFaultError: the shared credentials are missing; nothing was started.
            CredentialsRefusedError: the server does not know this gateway; nothing was started.
            TeamInvalidError: the team cannot be loaded; nothing was started.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(self._start(spec))
        starting = self._starting
        try:
            return (await asyncio.shield(starting)).name
        except BaseException:
            if starting.done() and self._starting is starting:
                self._starting = None
            raise

    async def describe(self) -> GatewayState:
        """Give how the gateway is."""
        gateway = self._gateway()
        return GatewayState(
            name=gateway.name if gateway else "",
            pid=os.getpid(),
            open_calls=gateway.open_calls if gateway else 0,
            hanging=gateway.hanging if gateway else 0,
            is_connected=bool(self._buses) and all(bus.is_connected for bus in self._buses),
            loop=type(asyncio.get_running_loop()).__module__,
        )

    async def names(self) -> dict[str, str]:
        """Give the gateway's name, for a supervisor that finds this process again; nothing before `ensure`.

        A gateway that starts just now, as an earlier supervisor told, is waited for: the next one would call it by
        another name than it has.
        """
        if self._starting is not None:
            await asyncio.wait((self._starting,))
        gateway = self._gateway()
        return {"gateway": gateway.name} if gateway else {}

    async def watch(self) -> None:
        """Return after a few seconds; whoever awaits this hears at once when the process dies."""
        await asyncio.sleep(WATCH_S)

    async def drain(self, deadline_s: float) -> int:
        """No call is served any more; give how many were cut off and are left to another gateway."""
        if (gateway := self._gateway()) is None:
            return 0
        left = await gateway.drain(deadline_s)
        await gateway.stop()
        for bus in self._buses:
            await bus.close()
        return left

    def _gateway(self) -> Gateway | None:
        starting = self._starting
        if starting is None or not starting.done() or starting.cancelled() or starting.exception():
            return None
        return starting.result()

    def _credentials(self, spec: GatewaySpec, name: str) -> Credentials | None:
        if spec.access.keys is None:
            return spec.access.shared()
        if name not in self._keys or name not in spec.jwts:
            raise NotFoundError("this gateway made no key for that name", got=name, fix="ask it for `keys` first")
        return spec.access.signed(self._keys[name], spec.jwts[name])

    async def _start(self, spec: GatewaySpec) -> Gateway:
        if spec.configure_logs is not None:
            spec.configure_logs()
        team, tools = await asyncio.to_thread(spec.load, spec.team_ref)
        buses: list[Bus] = []
        try:
            for name in (spec.name, f"{spec.name}-answer"):
                credentials = self._credentials(spec, name)
                buses.append(
                    await Bus.connect(spec.url, name=name, credentials=credentials, on_closed=_end_unconnected)
                )
            self._buses = journal_bus, answer_bus = buses[0], buses[1]
            return await Gateway.start(
                journal_bus,
                answer_bus,
                team=team,
                tools=tools,
                name=GatewayId(spec.name),
                data_dir=spec.data_dir,
                on_bug=_end,
                group_commit=spec.group_commit,
            )
        except BaseException:
            for bus in buses:
                await bus.close()
            raise


@ray.remote(max_restarts=0, max_task_retries=0, num_cpus=0)
class GatewayActor(GatewayShell):
    """A gateway process. It is never restarted: the supervisor's pool replaces it under a new name."""


def _end(bug: BaseException) -> NoReturn:
    log.critical("process.ended", reason="bug", error=repr(bug))
    _leave(_EX_SOFTWARE)


def _end_unconnected() -> NoReturn:
    log.critical("process.ended", reason="the connection to NATS is closed for good")
    _leave(_EX_UNAVAILABLE)


def _leave(code: int) -> NoReturn:
    # Not sys.exit: Ray would catch it in its own loop, and threads that hang in a tool would keep the process.
    logging.shutdown()
    kill_every_program()
    os._exit(code)

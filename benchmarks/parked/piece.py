"""One process of a deployment without Ray: `piece.py supervisor|host URL DATA TEAM`; it says how far it is."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog
import uvloop

from remit import loader, logs
from remit.agents.host import AgentSpec, Host
from remit.bus import permission
from remit.bus.connection import Bus
from remit.bus.identity import Authority, Credentials
from remit.contracts.ids import new_agent
from remit.supervisor.control import PoolReport
from remit.supervisor.service import Supervisor

if TYPE_CHECKING:
    from remit.contracts.control import Heartbeat


log = structlog.get_logger(__name__)


class Pools:
    """Stands for Ray's actors: one gateway that nobody calls, and hosts that are always there."""

    def gateways(self, build: str = "") -> tuple[str, ...]:  # one serves every build
        """Give the one name."""
        return ("gw-1",)

    def knows(self, agent: str) -> bool:
        """Everyone lives."""
        return bool(agent)

    def heard(self, beat: Heartbeat) -> None:
        """Nothing is counted."""

    def scale(self, role: str, hosts: int) -> None:
        """Nothing is scaled."""

    def report(self, role: str) -> PoolReport:
        """Say that one host is there."""
        return PoolReport(desired=1, ready=1, busy=0, slots=32 if role else 0)


def _end(error: BaseException) -> NoReturn:
    log.error("piece.ended", exc_info=error)
    os._exit(70)  # as the actors do


async def supervise(url: str, data: Path, ref: str) -> None:
    """As `SupervisorActor` does it: connect, fold the journal, serve."""
    team = loader.load_spec(ref)
    buses = []
    for name in ("supervisor", "supervisor-answer"):
        credentials = Credentials.read(data / "credentials" / f"{name}.creds")
        buses.append(await Bus.connect(url, name=name, credentials=credentials))
    supervisor = Supervisor(team, journal_bus=buses[0], answer_bus=buses[1], on_bug=_end)
    print("connected", flush=True)
    await supervisor.recover()
    print("recovered", flush=True)
    await supervisor.serve(Pools())
    await buses[1].flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def work(url: str, data: Path, ref: str) -> None:
    """As `HostActor` does it: an identity for each role, then pull."""
    loaded = loader.load(ref)
    authority = Authority.create_or_load(data / "keys")
    host = Host("host-1", url, on_bug=_end)
    for name, kind in loaded.team.roles.items():
        charter = loaded.charter.roles[name]
        agent = new_agent(name)
        permissions = permission.agent_permissions(name, agent, tools=charter.tools, asks=charter.asks)
        credentials = authority.issue(agent, permissions=permissions)
        await host.ensure([AgentSpec(agent=agent, kind=kind, credentials=credentials, slots=charter.limits.slots)])
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Run one piece until it is killed."""
    kind, url, data, ref = sys.argv[1:]
    logs.configure()
    uvloop.run({"supervisor": supervise, "host": work}[kind](url, Path(data), ref))


if __name__ == "__main__":
    main()

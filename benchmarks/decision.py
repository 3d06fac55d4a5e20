"""How long the pure decisions take: the supervisor's, and a gateway's, with nothing of the bus around them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import team as bench
from workload import quantile_ms

from remit import loader
from remit.bus import subject
from remit.contracts.envelope import envelope_of
from remit.contracts.lease import Grant, Lease
from remit.contracts.message import encode, raw
from remit.contracts.step import RunStep, StepCompleted
from remit.contracts.task import TaskRequest
from remit.contracts.tool import CallTool
from remit.supervisor import admission, decide
from remit.supervisor.fold import settle, started_by
from remit.supervisor.run import evolve, new_run
from remit.tools import policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.contracts.team import TeamSpec

COUNT: Final = 5000
_RUN, _AGENT, _GATEWAY = "r1", "thinker-0123456789", "gw-0123456789"


def p99_ms() -> dict[str, float]:
    """Give the 99th percentile of each decision."""
    loaded = loader.load(loader.resolve(str(Path(bench.__file__))))
    team, now = loaded.spec(), datetime.now(UTC)
    desk = policy.Desk(gateway=_GATEWAY, tools=loaded.team.tools, charter=team.charter)
    lease, call = _lease(now), encode(_call())
    address = subject.tool(_GATEWAY, bench.tool_step.name, _AGENT)

    def admit() -> None:
        agent, asked = policy.read(address, call, _GATEWAY)
        policy.missing_review(policy.admit(agent, asked, lease, desk=desk, now=now))

    return {
        "supervisor: admit a task": _p99(lambda: _begin(team, now)),
        "supervisor: settle a step and finish": _p99(lambda: None, _finishing(team, now)),
        "gateway: admit a call": _p99(admit),
    }


def _p99(act: Callable[[], object], prepare: Callable[[], Callable[[], object]] | None = None) -> float:
    taken_s = []
    for _ in range(COUNT):
        prepared = prepare() if prepare is not None else act
        began = time.perf_counter()
        prepared()
        taken_s.append(time.perf_counter() - began)
    return quantile_ms(taken_s, 0.99)


def _begin(team: TeamSpec, now: datetime) -> RunStep:
    body = encode(TaskRequest(goal="be measured", input=raw(bench.task(1))))
    append = admission.start(team, run_id=_RUN, workflow="task", body=body, envelope=envelope_of(None), now=now)
    if not isinstance(append.message, RunStep):
        raise TypeError(append)
    return append.message


def _finishing(team: TeamSpec, now: datetime) -> Callable[[], Callable[[], object]]:
    """Give what makes a run whose one step is dispatched, and gives what settles and finishes it."""
    work = _begin(team, now)
    reply = raw(bench.result(bench.task(1)))
    done = encode(StepCompleted(run_id=_RUN, step="task", epoch=1, reply=reply, contract="bench.result.v1"))
    name = subject.agent_entry(_RUN, "task", agent="trivial-0123456789", index="1", kind="completed")
    parts, started = subject.parse_run(name), started_by(work)
    if parts is None or started is None:
        raise ValueError(name)

    def prepare() -> Callable[[], object]:
        run = new_run(started, team)
        evolve(run, 1, work, at=now)

        def finish() -> None:
            settle(team, run, parts, name=name, data=done, at=now)
            if decide.advance(team, run, {}, now=now) is None:
                raise ValueError(run)

        return finish

    return prepare


def _lease(now: datetime) -> Lease:
    return Lease(
        run_id=_RUN,
        step="run",
        epoch=1,
        role="thinker",
        agent=_AGENT,
        gateway=_GATEWAY,
        until_at=now + timedelta(hours=1),
        grant=Grant(tools=(bench.tool_step.name,)),
    )


def _call() -> CallTool:
    arguments = raw({"plan": "p" * 200})
    return CallTool(run_id=_RUN, step="run", epoch=1, position="1", tool=bench.tool_step.name, arguments=arguments)

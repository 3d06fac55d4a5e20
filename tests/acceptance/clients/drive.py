"""Publishes the tasks on standard input with the page's own client, each awaited only after its PubAck."""

from __future__ import annotations

import asyncio
import json
import sys

from remit_tasks import connect, outcome, submit  # type: ignore[import-not-found]  # written from the page by the test

AT_ONCE = 64


async def main(tasks: list[tuple[str, str]]) -> None:
    nc = await connect()
    free = asyncio.Semaphore(AT_ONCE)

    async def one(workflow: str, body: str) -> dict[str, object]:
        async with free:
            run = await submit(nc, workflow, body.encode())
            return {"run": run, "outcome": await outcome(nc, run)}

    done = await asyncio.gather(*(one(workflow, body) for workflow, body in tasks))
    await nc.close()
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))

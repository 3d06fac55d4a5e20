"""The process that counts effects: nothing of Remit is in it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

HOST = "127.0.0.1"


class EffectProcess:
    """Counts effects in a file, and holds whoever comes at a moment of which it was told to."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: dict[str, asyncio.Event] = {}
        self._seen: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._on_connection, HOST, 0)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # how its parent learns the port
        await server.serve_forever()

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, _, key = (await reader.readline()).decode().strip().partition(" ")
        answer = await self._answer(verb, key)
        writer.write(f"{answer}\n".encode())
        writer.close()

    async def _answer(self, verb: str, key: str) -> str:
        match verb:
            case "hold":
                self._held[key] = asyncio.Event()
            case "release":
                for event in self._held.values():
                    event.set()
                self._held.clear()
            case "seen":
                async with self._changed:
                    await self._changed.wait_for(lambda: self._seen[key] > 0)
            case "count":
                lines = self._file.read_text().splitlines() if self._file.exists() else []
                return str(lines.count(key))
            case _:
                await self._on_moment(verb, key)
        return "ok"

    async def _on_moment(self, verb: str, key: str) -> None:
        if verb == "hit":
            with self._file.open("a") as file:
                file.write(f"{key}\n")
        async with self._changed:
            self._seen[verb] += 1
            self._changed.notify_all()
        if verb in self._held:
            await self._held[verb].wait()


if __name__ == "__main__":
    asyncio.run(EffectProcess(Path(sys.argv[1])).serve())

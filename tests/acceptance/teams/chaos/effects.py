"""Counts effects in a process of its own: `once` as a receiver that knows keys, `add` as one that does not."""

from __future__ import annotations

import asyncio
from collections import Counter

counts: Counter[str] = Counter()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one line; the effect stands before the answer is given, which takes a moment."""
    verb, kind, key = (await reader.readline()).decode().split()
    name = f"{kind} {key}"
    if verb == "all":
        writer.write("".join(f"{count} {item}\n" for item, count in counts.items()).encode())
    else:
        if verb == "add" or (verb == "once" and not counts[name]):
            counts[name] += 1
        await asyncio.sleep(0.02)
        writer.write(f"{counts[name]}\n".encode())
    await writer.drain()
    writer.close()


async def main() -> None:
    """Serve on a free port, and say which."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # the parent reads it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""A model's server on this machine: speaks chat completions over HTTP, and does what it is told to, good or bad."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.contracts.message import Json

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Json]

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def last(self) -> str:
        """What was said last."""
        return str(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Reaction:
    """What the server does with one request."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    """The request is read and never answered."""
    sends: int | None = None
    """The connection is lost after so many bytes of the body."""
    pays: bool = False


Script = Callable[[Asked], Reaction]


def says(text: str | None, *, stop: str = "stop", tokens: tuple[int, int] = (10, 5), **message: object) -> Reaction:
    """It answers."""
    said = {"role": "assistant", "content": text, **message}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "small-2026",
        "choices": [{"index": 0, "message": said, "finish_reason": stop}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }
    return Reaction(json.dumps(body).encode(), pays=True)


def fails(status: int, message: str = "no", **headers: str) -> Reaction:
    """It answers with an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reaction(json.dumps({"error": {"message": message, "type": "x"}}).encode(), status, named)


class ModelServer:
    """Every request takes the next reaction; when there is none left, the last script answers, or `ok`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.paid = 0
        """Completions that were made; under a key that was seen before none is."""
        self.script: Script = lambda _asked: says("ok")
        self.reached = asyncio.Event()
        self._reactions: deque[Reaction] = deque()
        self._by_key: dict[str, Reaction] = {}
        self.honours_keys = True
        self.url = ""
        self._closing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[ModelServer]:
        model = cls()
        server = await asyncio.start_server(model._serve, HOST, 0)
        model.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield model
        finally:
            server.close()
            model._closing.set()
            await asyncio.gather(*model._connections)

    def then(self, *reactions: Reaction) -> None:
        """These come next."""
        self._reactions.extend(reactions)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._answer(await _read(reader), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked went away, which is theirs to do
        finally:
            writer.close()
            self._connections.discard(task)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.asked.append(asked)
        self.reached.set()
        reaction = self._react(asked)
        if reaction.hangs:
            await self._closing.wait()
            return
        head = {"Content-Type": "application/json", "Content-Length": str(len(reaction.body)), "Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (head | reaction.headers).items())
        writer.write(f"HTTP/1.1 {reaction.status} Said\r\n{lines}\r\n".encode() + reaction.body[: reaction.sends])
        await writer.drain()

    def _react(self, asked: Asked) -> Reaction:
        if self.honours_keys and asked.key in self._by_key:
            return self._by_key[asked.key]
        reaction = self._reactions.popleft() if self._reactions else self.script(asked)
        if reaction.pays:
            self.paid += 1
            # The whole answer is kept, also where the connection was lost before its end.
            self._by_key[asked.key] = Reaction(reaction.body, reaction.status, reaction.headers)
        return reaction


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
    body = await reader.readexactly(int(headers["content-length"]))
    return Asked(head[0].split()[1], headers, json.loads(body))

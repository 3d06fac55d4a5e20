"""A whole stream as one file, taken from a server that runs, and put back where there is none: NATS's own snapshots.

What the file holds is the server's; its digest is ours. Consumers are left out: their positions may be ahead of what
was copied, and a consumer that is ahead never delivers what it believes to be settled.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import stream
from remit.contracts.errors import BusRefusedError, BusUnavailableError, EvidenceBrokenError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from remit.bus.connection import Bus
    from remit.bus.wire import Incoming

CHUNK_BYTES: Final = 128 * 1024
_SILENCE_S: Final = 30.0


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A stream in a file."""

    name: str
    digest: str
    size_bytes: int
    messages: int
    last_seq: int
    config: msgspec.Raw
    state: msgspec.Raw


class _Snapshot(msgspec.Struct, frozen=True):
    config: msgspec.Raw
    state: msgspec.Raw


class _Restoring(msgspec.Struct, frozen=True):
    deliver_subject: str


class _Restored(msgspec.Struct, frozen=True):
    error: stream.ApiError | None = None


async def copy_out(bus: Bus, name: str, path: Path) -> Copied:
    """The file holds the stream as it was at one moment of this call.

    Raises:
        BusRefusedError: the server refused; there is no such stream, or it is damaged.
        BusUnavailableError: it was not sent to its end; the file is no copy.
        OSError: the file could not be written.
    """
    with path.open("wb") as file:
        receiver = _Receiver(bus, file)
        inbox = bus.new_inbox("b")
        subscription = await bus.subscribe(inbox, receiver.take)
        try:
            wish = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK_BYTES}
            answer = await stream.api(bus, "STREAM.SNAPSHOT", name, body=wish)
            await receiver.done(name)
            file.flush()
            os.fsync(file.fileno())
        finally:
            subscription.drop()
    about = msgspec.json.decode(answer, type=_Snapshot)
    state = msgspec.json.decode(about.state, type=stream.StreamState)
    return Copied(
        name=name,
        digest="sha256:" + receiver.digest.hexdigest(),
        size_bytes=path.stat().st_size,
        messages=state.messages,
        last_seq=state.last_seq,
        config=about.config,
        state=about.state,
    )


class _Receiver:
    """Writes what the server sends; an empty message is its end."""

    def __init__(self, bus: Bus, file: BinaryIO) -> None:
        self._bus = bus
        self._file = file
        self.digest = hashlib.sha256()
        self._news = asyncio.Event()
        self._outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, message: Incoming) -> None:
        if self._outcome.done():
            return
        self._news.set()
        if not message.data:
            if message.status:
                self._outcome.set_exception(BusUnavailableError("the copy broke off", got=message.description))
            else:
                self._outcome.set_result(None)
            return
        try:
            self._file.write(message.data)
        except OSError as error:
            self._outcome.set_exception(error)
            return
        self.digest.update(message.data)
        if message.reply:
            self._bus.send(message.reply)  # the server sends so much ahead, and no more

    async def done(self, name: str) -> None:
        """Return when all came; raises as `copy_out`."""
        while not self._outcome.done():
            self._news.clear()
            waiting = asyncio.ensure_future(self._news.wait())
            await asyncio.wait((waiting, self._outcome), timeout=_SILENCE_S, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and not self._outcome.done():
                waiting.cancel()
                raise BusUnavailableError("the copy broke off", where=name, got=f"nothing for {_SILENCE_S:.0f} s")
            waiting.cancel()
        await self._outcome


def check(copied: Copied, path: Path) -> None:
    """The file is the copy that is described.

    Raises:
        EvidenceBrokenError: it is another one.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    if found != copied.digest:
        raise EvidenceBrokenError("the file is damaged", where=str(path), expected=copied.digest, got=found)


async def copy_in(bus: Bus, copied: Copied, path: Path) -> None:
    """The stream is there, as it was when it was copied; on a server without a cluster in one copy.

    Raises:
        BusRefusedError: the server refused, a stream of this name may be there; nothing changed.
        BusUnavailableError: no answer came; the stream may or may not be there.
    """
    config: dict[str, object] = msgspec.json.decode(copied.config)
    if not bus.is_clustered:
        config["num_replicas"] = 1
    wish = {"config": config, "state": copied.state}
    answer = await stream.api(bus, "STREAM.RESTORE", copied.name, body=wish)
    to = msgspec.json.decode(answer, type=_Restoring).deliver_subject
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            await bus.ask(to, chunk, timeout_s=_SILENCE_S)
    end = msgspec.json.decode((await bus.ask(to, b"", timeout_s=_SILENCE_S)).data, type=_Restored)
    if end.error is not None:
        raise BusRefusedError("the stream was not put back", where=copied.name, got=end.error.description)

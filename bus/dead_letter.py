"""Deliveries that no run can own: kept with cause and pointer, and driven again as new tasks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import stream, subject
from remit.bus.blob import Blobs
from remit.bus.journal import Journal
from remit.bus.subject import DEAD
from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import Fault, NotFoundError
from remit.contracts.ids import RunId, run_id
from remit.contracts.message import Message, decode, encode
from remit.contracts.step import RunStep
from remit.contracts.task import RunStarted, TaskRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.connection import Bus

_EVERY_LETTER: Final = "remit.dead.>"
_TASK: Final = "remit.task."


class Pointer(Message, frozen=True, kw_only=True, tag="dead.pointer.v1"):
    """Where the original is stored, as long as its stream keeps it."""

    stream: str
    seq: int


class DeadLetter(Message, frozen=True, kw_only=True, tag="dead.letter.v1"):
    """What was given up, and why."""

    subject: str
    """Where the original was published."""
    cause: Fault
    pointer: Pointer
    body: bytes = b""
    """The original, where its stream does not keep it."""


class StoredLetter(msgspec.Struct, frozen=True):
    """A dead letter with the number that `redrive` takes."""

    seq: int
    stored_at: datetime | None
    letter: DeadLetter


class Undeliverable(msgspec.Struct, frozen=True):
    """What nats-server says when a consumer gave a message up after too many deliveries."""

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int = 0


def undeliverable_of(data: bytes) -> Undeliverable:
    """Read the server's notice, which DEAD keeps; raises MalformedMessageError if it is none."""
    return decode(Undeliverable, data)


class DeadLetters:
    """The stream DEAD."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._journal = Journal(bus)

    async def append(self, original: str, cause: Fault, pointer: Pointer, *, body: bytes = b"") -> int:
        """The delivery is kept as a dead letter; the same one twice within two minutes is kept once.

        Raises:
            BusRefusedError: the server could not store it; nothing was stored.
            BusUnavailableError: no answer came; it may or may not be stored.
        """
        kept = body if len(body) <= INLINE_LIMIT_BYTES else b""
        letter = DeadLetter(subject=original, cause=cause, pointer=pointer, body=kept)
        headers = {stream.MESSAGE_ID: f"{pointer.stream}:{pointer.seq}:{cause.code}"}
        return (await stream.store(self._bus, subject.dead(original), encode(letter), headers=headers)).seq

    async def list(self) -> AsyncIterator[StoredLetter]:
        """Give every dead letter, oldest first; raises BusUnavailableError if they cannot be read."""
        async for entry in stream.entries(self._bus, DEAD, _EVERY_LETTER):
            yield StoredLetter(entry.seq, entry.stored_at, decode(DeadLetter, entry.data))

    async def show(self, seq: int) -> StoredLetter:
        """Give one dead letter.

        Raises:
            NotFoundError: there is none with this number.
            BusUnavailableError: it could not be read.
        """
        entry = await stream.at(self._bus, DEAD, seq)
        if entry is None or not entry.subject.startswith("remit.dead."):
            raise NotFoundError("no such dead letter", where=str(seq), fix="remit dead list")
        return StoredLetter(seq, entry.stored_at, decode(DeadLetter, entry.data))

    async def redrive(self, seq: int) -> RunId:
        """The task behind a dead letter is published again; give its new run. Twice within two minutes is once.

        Raises:
            NotFoundError: no such letter, or neither it nor the journal holds the task; nothing was published.
            BusUnavailableError: no answer came; the task may or may not be published.
        """
        letter = (await self.show(seq)).letter
        target, body = await self._task_behind(letter)
        workflow = subject.last_token(target)
        headers = {stream.MESSAGE_ID: f"{workflow}:redrive:{seq}"}
        return run_id((await stream.store(self._bus, target, body, headers=headers)).seq)

    async def _task_behind(self, letter: DeadLetter) -> tuple[str, bytes]:
        if letter.subject.startswith(_TASK):
            return letter.subject, letter.body or await self._original(letter.pointer)
        about = subject.parse_run(letter.subject)
        start = await self._start_of(about.run) if about else None
        if start is None:
            raise NotFoundError("no task stands behind this dead letter", where=letter.subject)
        given = start.input if start.input_ref is None else msgspec.Raw(await Blobs(self._bus).get(start.input_ref))
        request = TaskRequest(goal=start.goal, input=given, wall_clock_s=start.limits.wall_clock_s)
        return subject.task(start.workflow), encode(request)

    async def _original(self, pointer: Pointer) -> bytes:
        entry = await stream.at(self._bus, pointer.stream, pointer.seq)
        if entry is None:
            raise NotFoundError("the original is gone", where=f"{pointer.stream} {pointer.seq}")
        return entry.data

    async def _start_of(self, run: str) -> RunStarted | None:
        """A run of one step starts within its first dispatch."""
        async for entry in self._journal.read(subject.lane(run)):
            about = subject.parse_run(entry.subject)
            if about is not None and about.kind == "started":
                return decode(RunStarted, entry.data)
            if about is not None and about.kind == "work":
                work = decode(RunStep, entry.data)
                return work.start and msgspec.structs.replace(work.start, input=work.body, input_ref=work.body_ref)
        return None

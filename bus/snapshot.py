"""Where the newest snapshot of the journal is kept: a few messages that are replaced together, or not at all.

A snapshot is a cache. Whoever finds none, or one that does not fit the journal, reads the journal from its beginning.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from remit.bus import stream, subject
from remit.bus.subject import JOURNAL, SNAPSHOT
from remit.contracts.errors import BusRefusedError, NoRespondersError, TooLargeError
from remit.contracts.message import digest

if TYPE_CHECKING:
    from remit.bus.connection import Bus

log = structlog.get_logger(__name__)

FORMAT: Final = 1
"""A snapshot of any other format is ignored."""
PART_BYTES: Final = 512 * 1024
LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Above it no snapshot is written: to read the journal again costs no more than to write this every minute."""
_ATTEMPTS: Final = 3
"""A reader may meet a writer: head and parts are then of two snapshots."""


class SnapshotHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of, and how to tell that it is whole."""

    format: int = FORMAT
    seq: int
    """Every entry up to this one is in it."""
    oldest_open_seq: int
    """Where the oldest run begins that is not over; nothing before it is needed by anybody who works."""
    anchor: str
    """Digest of the entry at `seq`: another journal has another one there."""
    team: str
    build: str
    """Whose supervisor wrote it. It tells of the journal alone, so any build may read it."""
    digest: str = ""
    size_bytes: int = 0
    parts: int = 0
    at: datetime
    """When it was written."""


_head = msgspec.json.Decoder(SnapshotHead)


class Snapshots:
    """The newest snapshot of one journal."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def anchor(self, seq: int) -> str:
        """Give the digest of the entry at a place in the journal; empty if there is none, as after a purge.

        Raises:
            BusUnavailableError: the journal could not be read.
        """
        entry = await stream.at(self._bus, JOURNAL, seq) if seq else None
        return digest(entry.subject.encode() + b"\n" + entry.data) if entry is not None else ""

    async def write(self, head: SnapshotHead, data: bytes) -> None:
        """The newest snapshot is this one.

        Raises:
            TooLargeError: nobody keeps one so large; the one before stands.
            BusRefusedError: the server refused; the one before stands.
            BusUnavailableError: no answer came; this one stands, or the one before.
        """
        if len(data) > LIMIT_BYTES:
            raise TooLargeError("the snapshot is too large", expected=f"at most {LIMIT_BYTES}", got=str(len(data)))
        parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
        whole = msgspec.structs.replace(
            head, digest=digest(data), size_bytes=len(data), parts=len(parts), at=datetime.now(UTC)
        )
        batch = secrets.token_hex(8)
        for number, part in enumerate(parts, 1):
            headers = {stream.EXPECTED_STREAM: SNAPSHOT, stream.BATCH_ID: batch, stream.BATCH_SEQUENCE: str(number)}
            await self._bus.publish(subject.snapshot(str(number - 1)), part, headers=headers)
        headers = {
            stream.EXPECTED_STREAM: SNAPSHOT,
            stream.BATCH_ID: batch,
            stream.BATCH_SEQUENCE: str(len(parts) + 1),
            stream.BATCH_COMMIT: "1",
        }
        body = msgspec.json.encode(whole)
        await stream.store(self._bus, subject.snapshot("head"), body, headers=headers, timeout_s=30.0)

    async def head(self) -> SnapshotHead | None:
        """Give the head of the newest snapshot if it is one of this journal; else None, and the log says why.

        Raises:
            BusUnavailableError: the journal could not be read.
        """
        try:
            found = await stream.last(self._bus, SNAPSHOT, subject.snapshot("head"))
        except NoRespondersError:  # somebody deleted the stream, or it was never made
            return None
        if found is None:
            return None
        try:
            head = _head.decode(found.data)
        except msgspec.MsgspecError as error:
            _ignored("its head cannot be read", str(error))
            return None
        if why := await self._is_odd(head):
            _ignored(why, str(head))
            return None
        return head

    async def oldest_open_seq(self) -> int:
        """Give where a consumer of the journal begins that has to be made: before it nobody works; raises as `head`."""
        head = await self.head()
        return head.oldest_open_seq if head is not None else 1

    async def _is_odd(self, head: SnapshotHead) -> str:
        """Say why a snapshot is none of this journal; empty if it is one."""
        if head.format != FORMAT:
            return "it is of another format"
        try:
            state = await stream.state(self._bus, JOURNAL)
        except BusRefusedError:
            return "there is no journal"
        if state.last_seq < head.seq:
            return "the journal ends before it"
        # None is there where the run of that entry was archived since; the numbers of entries are never used again.
        anchor = await self.anchor(head.seq)
        return "it is of another journal" if anchor and anchor != head.anchor else ""

    async def read(self) -> tuple[SnapshotHead, bytes] | None:
        """Give the newest snapshot, whole; None, and a line in the log, if there is none that can be used.

        Raises:
            BusUnavailableError: the journal could not be read.
        """
        for _ in range(_ATTEMPTS):
            if (head := await self.head()) is None:
                return None
            found = [
                await stream.last(self._bus, SNAPSHOT, subject.snapshot(str(number))) for number in range(head.parts)
            ]
            data = b"".join(part.data for part in found if part is not None)
            if len(data) == head.size_bytes and digest(data) == head.digest:
                return head, data
        _ignored("it is damaged", "its parts do not have its digest")
        return None


def _ignored(why: str, got: str) -> None:
    log.warning("snapshot.ignored", reason=why, got=got)

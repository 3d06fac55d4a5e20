"""Payloads that are too large for a message: stored once under their digest, read back in one sweep and verified.

The layout is that of NATS's object store, so `nats object get blobs <digest>` reads it. The name is the digest: the
same content is the same object, and nobody can put other content under it without the reader noticing.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import stream, subject
from remit.bus.subject import BLOB_STREAM, BLOBS
from remit.contracts.blob import BlobRef
from remit.contracts.errors import FencedOutError, MalformedMessageError, NotFoundError
from remit.contracts.message import digest

if TYPE_CHECKING:
    from remit.bus.connection import Bus

PART_BYTES: Final = 128 * 1024
_PARTS_IN_FLIGHT: Final = 16
_PARTS_PER_READ: Final = 128


class _Options(msgspec.Struct, frozen=True):
    max_chunk_size: int = PART_BYTES


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What NATS's object store keeps beside the parts."""

    name: str
    bucket: str = BLOBS
    nuid: str
    size: int
    chunks: int
    digest: str = ""
    mtime: str = ""
    options: _Options = _Options()
    deleted: bool = False


_meta = msgspec.json.Decoder(_Meta)


class Blobs:
    """The object store `blobs`, for connections of the trusted planes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def put(self, data: bytes) -> BlobRef:
        """The bytes are stored, once, and named by their digest.

        Raises:
            BusRefusedError: the server could not store all of it, its disk may be full; no object was made.
            BusUnavailableError: no answer came; it may or may not be stored. Put it again.
        """
        ref = BlobRef(digest=digest(data), size_bytes=len(data))
        where = subject.blob_meta(ref.digest)
        if await stream.last(self._bus, BLOB_STREAM, where) is not None:
            return ref
        nuid = secrets.token_hex(11)
        count = await self._put_parts(subject.blob_part(nuid), data)
        meta = _Meta(
            name=ref.digest,
            nuid=nuid,
            size=len(data),
            chunks=count,
            digest="SHA-256=" + urlsafe_b64encode(hashlib.sha256(data).digest()).decode(),
            mtime=datetime.now(UTC).isoformat(),
        )
        # Fenced on nothing being there: of two who put the same content at once the first stands.
        headers = {stream.ROLLUP: "sub", stream.EXPECTED_SEQ: "0"}
        try:
            await stream.store(self._bus, where, msgspec.json.encode(meta), headers=headers)
        except FencedOutError:
            return ref
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        """Give the bytes, verified.

        Raises:
            NotFoundError: nothing is stored under the digest.
            MalformedMessageError: what is stored does not have the digest.
            BusUnavailableError: the object store could not be read.
        """
        found = await stream.last(self._bus, BLOB_STREAM, subject.blob_meta(ref.digest))
        if found is None or (meta := _meta.decode(found.data)).deleted:
            raise NotFoundError("no such blob", where=ref.digest)
        parts = stream.entries(self._bus, BLOB_STREAM, subject.blob_part(meta.nuid), batch=_PARTS_PER_READ)
        data = b"".join([part.data async for part in parts]) if meta.chunks else b""
        if (got := digest(data)) != ref.digest or len(data) != ref.size_bytes:
            raise MalformedMessageError(
                "the stored blob is damaged",
                where=ref.digest,
                expected=f"{ref.digest}, {ref.size_bytes} bytes",
                got=f"{got}, {len(data)} bytes",
            )
        return data

    async def _put_parts(self, where: str, data: bytes) -> int:
        """Parts are stored in order: they are sent in order over one connection, acknowledged in groups."""
        parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
        for first in range(0, len(parts), _PARTS_IN_FLIGHT):
            group = parts[first : first + _PARTS_IN_FLIGHT]
            async with asyncio.TaskGroup() as tasks:
                for part in group:
                    tasks.create_task(stream.store(self._bus, where, part, timeout_s=30.0))
        return len(parts)

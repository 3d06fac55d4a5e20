"""Blobs: named by their content, stored once, verified when they are read."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from remit.bus import stream, subject, topology
from remit.bus.blob import PART_BYTES, Blobs
from remit.bus.subject import BLOB_STREAM
from remit.contracts.blob import BlobRef
from remit.contracts.errors import BusUnavailableError, MalformedMessageError, NotFoundError
from remit.contracts.message import digest

if TYPE_CHECKING:
    from remit.bus.connection import Bus


@pytest.fixture
async def blobs(bus: Bus) -> Blobs:
    await topology.ensure(bus, [])
    return Blobs(bus)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311  # the same bytes in every run


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 5_000_000, 20 * 1024 * 1024])
async def test_what_is_put_is_got(blobs: Blobs, size: int) -> None:
    data = noise(size)

    ref = await blobs.put(data)

    assert ref == BlobRef(digest=digest(data), size_bytes=size)
    assert await blobs.get(ref) == data


async def test_the_same_content_is_stored_once(bus: Bus, blobs: Blobs) -> None:
    data = noise(700_000)
    first = await blobs.put(data)
    before = (await stream.state(bus, BLOB_STREAM)).last_seq

    again = await blobs.put(data)

    assert again == first
    assert (await stream.state(bus, BLOB_STREAM)).last_seq == before


async def test_many_who_put_the_same_content_at_once_all_succeed(blobs: Blobs) -> None:
    data = noise(300_000)

    refs = await asyncio.gather(*(blobs.put(data) for _ in range(10)))

    assert set(refs) == {BlobRef(digest=digest(data), size_bytes=300_000)}
    assert await blobs.get(refs[0]) == data


async def test_an_unknown_blob_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError):
        await blobs.get(BlobRef(digest=digest(b"never put"), size_bytes=9))


async def test_other_content_under_the_digest_is_noticed(bus: Bus, blobs: Blobs) -> None:
    ref = await blobs.put(noise(200_000))
    part = (await stream.at(bus, BLOB_STREAM, 1)) or pytest.fail("no part is stored")
    await bus.request(part.subject, b"something else")

    with pytest.raises(MalformedMessageError) as caught:
        await blobs.get(ref)

    assert ref.digest in caught.value.expected


async def test_content_of_the_same_size_under_a_foreign_digest_is_noticed(bus: Bus, blobs: Blobs) -> None:
    true, false = await blobs.put(noise(1000)), await blobs.put(noise(999) + b"x")
    entry = (await stream.last(bus, BLOB_STREAM, subject.blob_meta(false.digest))) or pytest.fail("no such blob")
    await bus.request(subject.blob_meta(true.digest), entry.data, headers={"Nats-Rollup": "sub"})

    with pytest.raises(MalformedMessageError):
        await blobs.get(true)


async def test_the_object_store_of_nats_reads_it_too(nats_url: str, blobs: Blobs) -> None:
    import nats

    data = noise(400_000)
    ref = await blobs.put(data)
    foreign = await nats.connect(nats_url)

    found = await (await foreign.jetstream().object_store("blobs")).get(ref.digest)

    assert found.data == data
    await foreign.close()


async def test_without_an_object_store_putting_is_a_coded_error(bus: Bus) -> None:
    with pytest.raises(BusUnavailableError):
        await Blobs(bus).put(b"x")

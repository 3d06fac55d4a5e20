"""The cache shows current values and can be lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import nats
import pytest

from remit.bus import subject, topology
from remit.bus.journal import Journal
from remit.bus.state_cache import StateCache
from remit.contracts.message import encode, raw
from remit.contracts.proposal import StateCommitted, StateVersion

if TYPE_CHECKING:
    from remit.bus.connection import Bus

KEY = "finding.src/main.py:12"


@pytest.fixture
async def cache(bus: Bus) -> StateCache:
    await topology.ensure(bus, [])
    return StateCache(bus)


def committed(scope: str, key: str, *, version: int, value: object) -> StateCommitted:
    return StateCommitted(
        scope=scope,
        key=key,
        version=version,
        value=raw(value),
        run_id="r1",
        step="s",
        position="0",
        agent="clerk-a",
        rule="write",
        base_version=version - 1,
        committed_at=datetime.now(UTC),
    )


async def commit(bus: Bus, scope: str, key: str, *, version: int, value: object) -> None:
    entry = committed(scope, key, version=version, value=value)
    await Journal(bus).append(subject.state(scope, key, version), encode(entry))


async def test_the_cache_shows_the_last_version_put(cache: StateCache) -> None:
    await cache.show(committed("r1", KEY, version=1, value="open"))
    await cache.show(committed("r1", KEY, version=2, value={"state": "closed"}))

    assert await cache.get("r1", KEY) == StateVersion(key=KEY, scope="r1", version=2, value=raw({"state": "closed"}))
    assert await cache.get("r2", KEY) is None


async def test_a_cache_that_was_deleted_is_rebuilt_from_the_journal(bus: Bus, cache: StateCache) -> None:
    for version in (1, 2, 3):
        await commit(bus, "r1", KEY, version=version, value=version)
    await commit(bus, "team", "größe", version=1, value="L")
    await bus.request("$JS.API.STREAM.DELETE.KV_state")
    await topology.ensure(bus, [])

    assert await cache.rebuild() == 2

    assert await cache.get("r1", KEY) == StateVersion(key=KEY, scope="r1", version=3, value=raw(3))
    assert await cache.get("team", "größe") == StateVersion(key="größe", scope="team", version=1, value=raw("L"))


async def test_the_key_value_store_of_nats_reads_it_too(nats_url: str, cache: StateCache) -> None:
    await cache.show(committed("r1", "verdict", version=4, value="approved"))
    foreign = await nats.connect(nats_url)

    bucket = await foreign.jetstream().key_value("state")

    assert json.loads((await bucket.get("r1.verdict")).value or b"")["value"] == "approved"
    await foreign.close()

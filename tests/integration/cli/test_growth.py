"""What `remit doctor` says of growth is computed from what the streams say of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import json

from remit import growth, places
from remit.bus import permission, stream, subject, topology
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.bus.journal import Journal
from remit.client import Client
from remit.growth import Growth, Room, Size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remit.bus.identity import Credentials
    from remit.bus.permission import Permissions

DAY = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(tmp_path) as server:
        yield server


async def connect(server: EmbeddedServer, name: str, permissions: Permissions) -> Bus:
    credentials: Credentials = server.authority.issue(name, permissions=permissions)
    return await Bus.connect(server.url, name=name, credentials=credentials)


async def test_an_operator_sees_sizes_and_the_room_that_is_least(server: EmbeddedServer, tmp_path: Path) -> None:
    top = await connect(server, "topology", permission.topology_permissions())
    await topology.ensure(top, [])
    boss = await connect(server, "supervisor", permission.supervisor_permissions())
    for number in range(20):
        await Journal(boss).append(subject.decision("r1", number, "planned"), b"x" * 1000)
    operator = await connect(server, "operator", permission.operator_permissions("operator"))
    place = places.Place(
        name="t", url=server.url, team="t", team_ref="t", data=str(tmp_path), publisher="", operator=""
    )

    found = await growth.look(Client(place, operator))
    since = [await growth._since(operator, subject.JOURNAL, datetime.now(UTC) - age) for age in DAYS]

    journal = next(size for size in found.sizes if size.name == subject.JOURNAL)
    assert journal.entries == 20
    assert journal.bytes > 20_000
    assert found.room is not None
    assert found.room.what == "the server's JetStream limit", "it takes three quarters of the disk for itself"
    assert "too young" in growth.said(found)
    assert since == [20, 0]
    assert (await stream.state(operator, subject.JOURNAL)).first_ts > datetime.now(UTC) - timedelta(minutes=5)
    for bus in (top, boss, operator):
        await bus.close()


DAYS = (timedelta(days=1), timedelta(days=-1))


@pytest.mark.parametrize(
    ("left", "rate", "words", "is_near"),
    [
        (100 * DAY, DAY, "full on ", False),
        (5 * DAY, DAY, "full on ", True),
        (10**18, 1.0, "not full in twenty years", False),
    ],
)
def test_the_day_on_which_it_is_full_is_room_by_rate(left: int, rate: float, words: str, is_near: bool) -> None:  # noqa: FBT001  # a parameter
    room = Room(bytes=left, what="the disk")
    full_at = growth._full_at(room, rate)
    size = Size(name="JOURNAL", bytes=10, entries=1, a_day=rate, last_day=rate)
    found = Growth(sizes=(size,), room=room, a_day=rate, last_day=rate, full_at=full_at)

    assert words in growth.said(found)
    assert found.is_near is is_near
    if full_at is not None:
        assert abs(full_at - datetime.now(UTC) - timedelta(days=left / rate)) < timedelta(minutes=1)


def test_what_does_not_grow_is_never_full() -> None:
    assert growth._full_at(Room(bytes=1, what="the disk"), 0.0) is None


@pytest.mark.parametrize(
    ("limit", "copies", "left"), [(900, 1, 600), (900, 3, 200), (100, 1, 0), (-1, 1, None), (0, 3, None)]
)
def test_the_room_in_an_account_is_for_every_copy(limit: int, copies: int, left: int | None) -> None:
    """An account with limits by number of copies says 0 where others say their limit."""
    room = growth.account_room(json.encode({"storage": 300, "limits": {"max_storage": limit}}), copies=copies)

    assert (room.bytes if room is not None else None) == left

"""Read what an embedded deployment did while it is down: its nats-server alone, for as long as one command takes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remit.bus.data_directory import DataDirectory, KeptPort
from remit.bus.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.bus.embedded import Durability
    from remit.places import Place


def is_embedded(place: Place) -> bool:
    """Say whether the deployment's data is on this machine, and nobody but us would serve it."""
    return not place.ray_address and (Path(place.data) / "keys").is_dir()


@contextmanager
def served(place: Place) -> Iterator[Place]:
    """The data can be read at the place that is given; nothing works on it.

    Raises:
        DataDirectoryInUseError: somebody is just starting or ending this deployment; nothing changed.
        ServerStartError: the server did not start; nothing changed.
    """
    data = Path(place.data)
    with EmbeddedServer.start(data, port=first_choice(data), durability=durability(data)) as server:
        yield msgspec.structs.replace(place, url=server.url)


def first_choice(data: Path) -> int | None:
    """Give the port that this deployment asked for when it was started last, so that it is asked for again."""
    kept: KeptPort | None = DataDirectory(data, lock=-1).kept_port
    return kept.asked if kept is not None else None


def durability(data: Path) -> Durability:
    """Give the durability with which this deployment was started last."""
    config = data / "nats-server.conf"
    is_synced = config.is_file() and "sync_interval: always" in config.read_text(encoding="utf-8")
    return "durable" if is_synced else "embedded"

"""Which walls a server holds is found out by attacking it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from remit.bus import permission, walls
from remit.bus.access import Access
from remit.bus.embedded import EmbeddedServer, binary
from remit.contracts.errors import CredentialsRefusedError, ServerTooWeakError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def open_server(tmp_path: Path) -> AsyncIterator[str]:
    """A server that asks nobody who they are."""
    config = f'host: 127.0.0.1\nport: -1\nports_file_dir: "{tmp_path}"\njetstream {{ store_dir: "{tmp_path}/js" }}\n'
    (tmp_path / "server.conf").write_text(config)
    process = subprocess.Popen([binary(), "-c", tmp_path / "server.conf", "-l", tmp_path / "log"])  # noqa: ASYNC220
    ports = tmp_path / f"nats-server_{process.pid}.ports"
    async with asyncio.timeout(30):
        while not ports.exists() or not ports.read_text():
            await asyncio.sleep(0.01)
    yield json.loads(ports.read_text())["nats"][0].replace("localhost", "127.0.0.1")
    process.terminate()
    process.wait(30)


async def test_a_server_with_the_deployment_s_accounts_holds_every_wall(embedded_server: EmbeddedServer) -> None:
    assert await walls.breaches(embedded_server.url, Access(keys=embedded_server.directory / "keys")) == ()


async def test_a_server_that_asks_nobody_holds_none(open_server: str, tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / "own") as own:
        found = await walls.breaches(open_server, Access(keys=own.directory / "keys"))

    assert {breach.wall for breach in found} == set(walls.IDENTITY_WALLS)
    with pytest.raises(ServerTooWeakError, match=r"no credentials, so .*W13: .*W41: .*--allow-weaker"):
        walls.require(found, where=open_server)


async def test_one_identity_for_all_holds_none(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    found = await walls.breaches(embedded_server.url, Access(creds=tmp_path / "one.creds"))

    assert {breach.wall for breach in found} == set(walls.IDENTITY_WALLS)


async def test_agents_with_wider_rights_breach_what_they_should_not(
    embedded_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with rights that are too wide the attacks succeed, so the probe can fail."""
    rights = permission.Permissions(account="edge", publish_allow=(">",), subscribe_allow=(">",))
    monkeypatch.setattr(permission, "agent_permissions", lambda *_names, **_lists: rights)

    found = await walls.breaches(embedded_server.url, Access(keys=embedded_server.directory / "keys"))

    assert [breach.wall for breach in found] == ["W13", "W30"]


async def test_a_server_that_does_not_know_the_accounts_says_so(
    embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    with EmbeddedServer.start(tmp_path / "own") as own, pytest.raises(CredentialsRefusedError):
        await walls.breaches(embedded_server.url, Access(keys=own.directory / "keys"))

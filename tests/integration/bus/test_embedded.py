"""The embedded server lives as long as its parent, keeps its data and port, and says what is in its way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import nats.errors
import psutil
import pytest

from remit.bus import leash, permission
from remit.bus.embedded import EmbeddedServer, binary
from remit.contracts.errors import DataDirectoryInUseError, EnvironmentFaultError, ServerStartError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from remit.bus.embedded import Durability
    from tests.integration.bus.conftest import Deployment

GONE_S = 10
PARENT = """
import sys
from pathlib import Path
from remit.bus.embedded import EmbeddedServer

server = EmbeddedServer.start(Path(sys.argv[1]))
print("started", server.pid, server.port, flush=True)
sys.stdin.read()
"""


async def test_a_restart_takes_over_data_identities_and_port(deployment: Deployment) -> None:
    first, directory = deployment.server, deployment.server.directory
    credentials = first.authority.issue("supervisor", permissions=permission.supervisor_permissions())
    await (await deployment.connect("supervisor", credentials)).ask("remit.run.r1._.1.started", b"kept")

    first.stop()
    with EmbeddedServer.start(directory) as second:
        deployment.server = second
        entries = await deployment.journaled()
        await deployment.connect("supervisor", credentials)

    assert entries == ["remit.run.r1._.1.started"]
    assert second.port == first.port
    assert second.pid != first.pid


async def test_what_was_acknowledged_survives_sigkill_of_the_server(deployment: Deployment) -> None:
    await (await deployment.supervisor()).ask("remit.run.r1._.1.started")

    server = psutil.Process(deployment.server.pid)
    server.kill()
    server.wait(GONE_S)
    with EmbeddedServer.start(deployment.server.directory) as again:
        deployment.server = again

        assert await deployment.journaled() == ["remit.run.r1._.1.started"]


def test_the_server_dies_with_its_parent_and_the_next_start_takes_over_at_once(tmp_path: Path) -> None:
    with _parent(tmp_path) as parent:
        server_pid, port = _started(parent)
        server = psutil.Process(server_pid)
        parent.kill()

    with EmbeddedServer.start(tmp_path) as again:
        assert server.wait(GONE_S) is None  # no child of ours, and gone
        assert again.port == port


def test_the_server_is_no_part_of_its_parent_s_session_so_ctrl_c_passes_it_by(embedded_server: EmbeddedServer) -> None:
    assert os.getsid(embedded_server.pid) == embedded_server.pid
    assert os.getpgid(embedded_server.pid) != os.getpgid(0)


def test_the_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[EmbeddedServer] = []
    thread = threading.Thread(target=lambda: started.append(EmbeddedServer.start(tmp_path)))
    thread.start()
    thread.join()

    with started[0] as server:
        with pytest.raises(psutil.TimeoutExpired):
            psutil.Process(server.pid).wait(0.3)
        assert thread.native_id not in [task.id for task in psutil.Process().threads()]
        assert server.is_running


def test_stop_ends_the_process_and_may_be_said_twice(tmp_path: Path) -> None:
    server = EmbeddedServer.start(tmp_path)

    server.stop()
    server.stop()

    assert not server.is_running
    assert not psutil.pid_exists(server.pid)


def test_a_frozen_server_is_killed_after_the_grace(tmp_path: Path) -> None:
    server = EmbeddedServer.start(tmp_path)
    os.kill(server.pid, signal.SIGSTOP)

    server.stop(grace_s=0.2)

    assert not server.is_running
    assert not psutil.pid_exists(server.pid)


# --- whose directory -----------------------------------------------------------------------------


def test_a_directory_in_use_is_refused_with_both_processes_named(embedded_server: EmbeddedServer) -> None:
    with pytest.raises(DataDirectoryInUseError) as refused:
        EmbeddedServer.start(embedded_server.directory)

    assert str(embedded_server.pid) in refused.value.message
    assert str(os.getpid()) in refused.value.message
    assert refused.value.where == str(embedded_server.directory)
    assert embedded_server.is_running


def test_another_process_s_directory_is_refused_and_free_when_it_ends(tmp_path: Path) -> None:
    with _parent(tmp_path) as parent:
        server_pid, _ = _started(parent)
        with pytest.raises(DataDirectoryInUseError, match=str(server_pid)):
            EmbeddedServer.start(tmp_path)

    with EmbeddedServer.start(tmp_path) as server:
        assert server.is_running


@pytest.mark.parametrize("left", [b"", b"{", b'{"parent":1,"server":1}', b"\xff" * 9000])
def test_a_stale_lock_and_a_broken_note_of_the_port_are_passed_over(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "lock").write_bytes(left)
    (tmp_path / "port.json").write_bytes(left)

    with EmbeddedServer.start(tmp_path) as server:
        assert server.is_running
        with pytest.raises(DataDirectoryInUseError, match=str(server.pid)):
            EmbeddedServer.start(tmp_path)


def test_only_the_owner_reads_the_directory_the_keys_and_the_configuration(embedded_server: EmbeddedServer) -> None:
    directory = embedded_server.directory

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name in ("nats-server.conf", "port.json", "lock", "keys/authority.json"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_a_path_that_is_a_file_is_no_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")

    with pytest.raises(EnvironmentFaultError) as refused:
        EmbeddedServer.start(file)

    assert refused.value.where == str(file)
    assert file.read_text() == "mine"


def test_a_directory_with_quotes_spaces_and_backslashes_serves(tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / 'a "quoted\\ näme') as server:
        assert (server.directory / "js").is_dir()


def test_a_store_that_cannot_be_opened_is_said_in_the_server_s_words_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "js").write_text("not a directory")

    with pytest.raises(ServerStartError) as refused:
        EmbeddedServer.start(tmp_path)

    assert refused.value.got == "Can't start JetStream: storage directory is not a directory"
    assert refused.value.where == str(tmp_path / "nats-server.log")
    (tmp_path / "js").unlink()
    with EmbeddedServer.start(tmp_path) as server:
        assert server.is_running


# --- which port ----------------------------------------------------------------------------------


def test_the_wanted_port_is_taken_when_it_is_free(tmp_path: Path, free_port: int) -> None:
    with EmbeddedServer.start(tmp_path, port=free_port) as server:
        assert (server.port, server.port_was_taken) == (free_port, None)
        assert server.url == f"nats://127.0.0.1:{free_port}"


def test_a_taken_port_is_named_and_the_free_one_is_kept(tmp_path: Path, free_port: int) -> None:
    somebody = socket.create_server(("127.0.0.1", free_port))
    with closing(somebody), EmbeddedServer.start(tmp_path, port=free_port) as server:
        found = server.port
        assert server.port_was_taken == free_port
        assert found != free_port

    with EmbeddedServer.start(tmp_path, port=free_port) as again:
        assert (again.port, again.port_was_taken) == (found, None)


def test_another_wish_comes_before_the_kept_port(tmp_path: Path, free_port: int) -> None:
    with EmbeddedServer.start(tmp_path) as server:
        kept = server.port

    with EmbeddedServer.start(tmp_path, port=free_port) as server:
        assert server.port == free_port
    with EmbeddedServer.start(tmp_path) as server:
        assert server.port == free_port != kept


def test_a_kept_port_that_somebody_took_is_given_up(tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path) as server:
        kept = server.port

    with closing(socket.create_server(("127.0.0.1", kept))), EmbeddedServer.start(tmp_path) as server:
        assert server.port != kept
        assert server.port_was_taken == kept


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_is_no_port_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError):
        EmbeddedServer.start(tmp_path, port=port)


def test_the_server_listens_on_loopback_only(embedded_server: EmbeddedServer) -> None:
    listening = [
        connection.laddr
        for connection in psutil.Process(embedded_server.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]

    assert listening == [("127.0.0.1", embedded_server.port)]


# --- what it promises ----------------------------------------------------------------------------


@pytest.mark.parametrize(("durability", "is_synced"), [("embedded", False), ("durable", True)])
async def test_only_the_durable_profile_syncs_every_write(
    deployment: Deployment, durability: Durability, *, is_synced: bool
) -> None:
    deployment.server.stop()

    with EmbeddedServer.start(deployment.server.directory, durability=durability) as server:
        deployment.server = server
        monitor = await deployment.peer("doctor", permission.monitor_permissions("doctor"))
        answer = json.loads(await monitor.ask("$SYS.REQ.SERVER.PING.JSZ", b"{}"))

    assert answer["data"]["config"].get("sync_always", False) is is_synced


async def test_one_byte_over_the_limit_is_refused(deployment: Deployment) -> None:
    supervisor = await deployment.supervisor()
    limit = supervisor.client.max_payload

    assert limit == 1 << 20
    await supervisor.ask("remit.run.r1._.1.started", b"x" * limit)
    with pytest.raises(nats.errors.MaxPayloadError):
        await supervisor.ask("remit.run.r1._.2.finished", b"x" * (limit + 1))


async def test_a_server_whose_parent_only_holds_a_pipe_dies_with_it_too() -> None:
    """The way of systems without a parent-death signal."""
    watched = await _watched()
    server = psutil.Process(watched.pid).children()[0]

    assert watched.stdin is not None
    watched.stdin.close()

    assert await asyncio.wait_for(watched.wait(), GONE_S) is not None
    assert not server.is_running()


async def test_a_watcher_passes_the_end_on_to_its_server() -> None:
    watched = await _watched()
    server = psutil.Process(watched.pid).children()[0]

    watched.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(watched.wait(), GONE_S) is not None
    assert not server.is_running()


def test_a_server_whose_parent_died_before_it_started_does_not_start() -> None:
    command = [sys.executable, "-I", "-S", leash.__file__, "signal", "1", "0", str(binary()), "--version"]

    ended = subprocess.run(command, check=False, capture_output=True)

    assert (ended.returncode, ended.stdout) == (1, b"")


# --- what the tests above say in their own words -------------------------------------------------


@pytest.fixture
def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
    return port


def _parent(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _started(parent: subprocess.Popen[str]) -> tuple[int, int]:
    assert parent.stdout is not None
    line = next(line for line in parent.stdout if line.startswith("started"))
    return int(line.split()[1]), int(line.split()[2])


async def _watched() -> asyncio.subprocess.Process:
    """A watcher whose server is up."""
    watched = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        leash.__file__,
        "pipe",
        "0",
        "1",
        str(binary()),
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watched.stderr is not None
    while b"Server is ready" not in await asyncio.wait_for(watched.stderr.readline(), GONE_S):
        pass
    return watched

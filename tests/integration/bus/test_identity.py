"""Credentials that the server accepts or refuses, and the directory of the authority that issues them."""

from __future__ import annotations

import base64
import json
import pickle
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import nats.errors
import pytest

from remit.bus import permission
from remit.bus.identity import Authority, Credentials, NKey
from remit.bus.permission import Permissions, agent_permissions
from remit.contracts.errors import EnvironmentFaultError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.bus.conftest import Deployment

# --- credentials ---------------------------------------------------------------------------------


async def test_empty_allow_lists_mean_nothing_at_all(deployment: Deployment) -> None:
    nobody = await deployment.peer("nobody", Permissions(account="core"))

    assert await nobody.refuses_publish("anything")
    assert await nobody.refuses_subscribe("anything")


async def test_credentials_end_at_their_hour(deployment: Deployment) -> None:
    rights, authority = permission.operator_permissions("ann"), deployment.server.authority
    now = datetime.now(UTC)
    stale = authority.issue("ann", permissions=rights, expires_at=now - timedelta(seconds=5))
    fresh = authority.issue("ann", permissions=rights, expires_at=now + timedelta(hours=1))

    with pytest.raises(nats.errors.Error, match="Authorization"):
        await deployment.connect("ann", stale)

    assert await (await deployment.connect("ann", fresh)).client.rtt() > 0


async def test_a_jwt_without_its_seed_opens_nothing(deployment: Deployment) -> None:
    own = deployment.server.authority.issue("ann", permissions=permission.operator_permissions("ann"))
    stolen = Credentials(jwt=own.jwt, seed=NKey.generate().seed)

    with pytest.raises(nats.errors.Error, match="Authorization"):
        await deployment.connect("ann", stolen)

    assert await (await deployment.connect("ann", own)).client.rtt() > 0


def test_tools_children_and_people_have_an_hour_to_answer_an_agent(tmp_path: Path) -> None:
    """The server forgets the way back of a request after two minutes unless its door says otherwise."""
    authority = Authority.create_or_load(tmp_path)
    payload = authority.account_jwts()[authority.account("core")].split(".")[1]
    exports = json.loads(base64.urlsafe_b64decode(payload + "=="))["nats"]["exports"]

    patience_s = {door["subject"]: door["response_threshold"] / 1e9 for door in exports if door["type"] == "service"}

    assert all(patience_s[to] == 3600 for to in ("remit.tool.>", "remit.ask.>", "remit.review.>"))
    assert patience_s["$JS.API.CONSUMER.MSG.NEXT.JOURNAL.*"] == permission.PULL_ANSWER_S


async def test_another_authority_s_credentials_open_nothing(deployment: Deployment, tmp_path: Path) -> None:
    stranger = Authority.create_or_load(tmp_path / "other")

    with pytest.raises(nats.errors.Error, match="Authorization"):
        await deployment.connect("ann", stranger.issue("ann", permissions=permission.operator_permissions("ann")))


async def test_an_agent_of_three_hundred_tools_still_connects(deployment: Deployment) -> None:
    tools = [f"tool_{number}.with_a_rather_long_name" for number in range(300)]

    agent = await deployment.peer("clerk-c3", agent_permissions("clerk", "clerk-c3", tools=tools, asks=[]))

    assert not await agent.refuses_publish("remit.tool.gw-1.tool_299-with_a_rather_long_name.clerk-c3")


def test_credentials_are_read_back_as_written_and_only_by_their_owner(tmp_path: Path) -> None:
    authority = Authority.create_or_load(tmp_path / "keys")
    written = authority.issue("ci", permissions=permission.publisher_permissions("ci"))

    written.write(tmp_path / "ci.creds")

    assert Credentials.read(tmp_path / "ci.creds") == written
    assert stat.S_IMODE((tmp_path / "ci.creds").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", None])
def test_what_is_no_credentials_file_is_said_with_its_path(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "bad.creds"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(EnvironmentFaultError) as refused:
        Credentials.read(file)

    assert refused.value.where == str(file)


def test_secrets_are_neither_shown_nor_pickled(tmp_path: Path) -> None:
    authority = Authority.create_or_load(tmp_path / "keys")
    credentials = authority.issue("ci", permissions=permission.publisher_permissions("ci"))

    assert credentials.seed not in f"{credentials} {credentials!r} {credentials.key!r} {authority!r}"
    with pytest.raises(TypeError):
        pickle.dumps(credentials.key)


def test_a_broken_seed_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError) as refused:
        NKey("SUNOTASEEDATALL")

    assert "NOTASEED" not in str(refused.value)


# --- the authority's directory -------------------------------------------------------------------


def test_an_authority_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = Authority.create_or_load(tmp_path / "keys")

    again = Authority.create_or_load(tmp_path / "keys")

    assert again.account("core") == first.account("core")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "keys").iterdir()} == {0o600}


def test_of_those_who_make_an_authority_at_once_one_wins_and_all_agree(tmp_path: Path) -> None:
    at_once = threading.Barrier(8)

    def core_account(_: int) -> str:
        at_once.wait()
        return Authority.create_or_load(tmp_path / "keys").account("core")

    with ThreadPoolExecutor(8) as pool:
        accounts = set(pool.map(core_account, range(8)))

    assert len(accounts) == 1
    assert [file.name for file in (tmp_path / "keys").iterdir()] == [Authority.FILE]


def test_what_a_crash_left_half_written_is_passed_over(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / f".{Authority.FILE}.half").write_text('{"version":1,"oper')

    authority = Authority.create_or_load(keys)

    assert Authority.create_or_load(keys).account("edge") == authority.account("edge")


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"version":1,"operator":"SO'])
def test_damaged_keys_are_never_replaced_silently(tmp_path: Path, damage: bytes) -> None:
    Authority.create_or_load(tmp_path / "keys")
    file = tmp_path / "keys" / Authority.FILE
    file.write_bytes(damage)

    with pytest.raises(EnvironmentFaultError) as refused:
        Authority.create_or_load(tmp_path / "keys")

    assert refused.value.where == str(file)
    assert file.read_bytes() == damage

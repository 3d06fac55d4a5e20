"""Finding a cluster of Ray, and what its neighbours are given: what is refused before anything is done."""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING

import pytest

from remit import cluster, groundwork, identity_export, loader, places, ray_cluster
from remit.builds import Settlement
from remit.bus import topology
from remit.bus.identity import Authority, Credentials, Issuer
from remit.cli import deploy
from remit.cli.down import Duration
from remit.cli.main import main
from remit.contracts.blob import BlobRef
from remit.contracts.errors import ClusterLostError, EnvironmentFaultError, UsageError
from tests.acceptance.conftest import TEAMS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("address", ["", "nowhere", "http://a:1", "a:b", "local"])
def test_what_is_no_address_of_ray_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        ray_cluster.check_address(address)


def test_an_address_at_which_nobody_listens_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listened on
        with pytest.raises(ClusterLostError, match="Ray does not answer"):
            ray_cluster.check_address(f"127.0.0.1:{taken.getsockname()[1]}")


def test_an_address_at_which_somebody_listens_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ray_cluster.check_address(f"127.0.0.1:{server.getsockname()[1]}") == "127.0.0.1"
        assert ray_cluster.check_address(f"ray://127.0.0.1:{server.getsockname()[1]}") == "127.0.0.1"
    assert ray_cluster.check_address("auto") == ""


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("5m", 300.0), ("1h", 3600.0), ("7", 7.0), ("1.5s", 1.5)])
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "5 m", "1d"])
def test_what_is_no_duration_is_a_mistake_of_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--drain", text]) == 2
    assert "expected a duration such as 60s or 5m" in capsys.readouterr().err


def test_a_deployment_of_this_machine_is_not_taken_down_from_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    places.write(places.Place(name="a", url="nats://x", team="a", team_ref="a", data="", publisher="p", operator="o"))

    assert main(["down"]) == 2
    assert "Ctrl-C" in capsys.readouterr().err


def test_an_export_holds_what_each_neighbour_needs_and_no_more(tmp_path: Path, home: Path) -> None:
    written = identity_export.export("support", tmp_path / "out")

    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in written) == [
        "README.md",
        "accounts/core.jwt",
        "accounts/edge.jwt",
        "accounts/public.jwt",
        "remit-accounts.conf",
        "secrets/archivist.creds",
        "secrets/operator.creds",
        "secrets/publisher.creds",
        "secrets/signing.json",
        "secrets/topology.creds",
        "streams.json",
    ]
    authority = Authority.create_or_load(home / "deployments" / "support" / "keys")
    offered = [
        _claims((tmp_path / "out" / "accounts" / f"{name}.jwt").read_text()) for name in ("core", "edge", "public")
    ]
    signed_by = [str(claims["iss"]) for claims in offered]
    assert signed_by == [str(claims["sub"]) for claims in offered]
    assert signed_by == [authority.account("core"), authority.account("edge"), authority.account("public")]
    streams = json.loads((tmp_path / "out" / "streams.json").read_text())
    assert [item["name"] for item in streams] == [spec.name for spec in topology.STREAMS]
    secrets = tmp_path / "out" / "secrets"
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}
    assert Credentials.read(secrets / "operator.creds").jwt


def test_the_signing_keys_sign_users_and_hold_no_account_s_own_key(tmp_path: Path, home: Path) -> None:
    identity_export.export("support", tmp_path / "out")
    signing = (tmp_path / "out" / "secrets" / "signing.json").read_text()
    whole = json.loads((home / "deployments" / "support" / "keys" / "authority.json").read_text())

    issuer = Issuer.read(tmp_path / "out" / "secrets")

    claims = _claims(issuer.issue("web", permissions=groundwork.user_permissions()["publisher"]).jwt)
    assert claims["nats"]["issuer_account"] == issuer.account("public")
    for secret in ("operator", "system", "system_signing", "core", "edge", "public"):
        assert whole[secret] not in signing


def test_signing_keys_that_are_missing_or_damaged_name_their_file(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFaultError, match=r"signing\.json.*identity export"):
        Issuer.read(tmp_path)
    (tmp_path / "signing.json").write_text("{}")
    with pytest.raises(EnvironmentFaultError, match=r"damaged.*signing\.json"):
        Issuer.read(tmp_path)


def test_a_name_that_is_no_token_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    assert main(["identity", "export", "--name", "a b", "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_exporting_again_keeps_the_accounts(tmp_path: Path) -> None:
    identity_export.export("support", tmp_path / "one")
    identity_export.export("support", tmp_path / "two")

    subjects = [_claims((tmp_path / out / "accounts" / "core.jwt").read_text())["sub"] for out in ("one", "two")]
    assert subjects[0] == subjects[1]


def test_deploy_needs_to_know_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "."]) == 2
    assert "missing option '--nats'" in capsys.readouterr().err


def _claims(jwt: str) -> dict[str, dict[str, object]]:
    body = jwt.split(".")[1]
    claims: dict[str, dict[str, object]] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_paths_of_keys_mean_the_same_on_another_node_and_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.creds").touch()
    given = ["--nats", "n", "--ray-address", "r", "--secrets", "secrets", "--creds", "one.creds"]

    said = deploy.command.make_context("deploy", given).params

    assert (said["secrets"], said["creds"]) == (tmp_path / "secrets", tmp_path / "one.creds")


def test_a_deployment_stays_the_same_when_the_last_run_of_an_older_build_is_over() -> None:
    loaded = loader.load(str(TEAMS / "chaos" / "team.py"))
    target = cluster.Target(name="a", url="nats://x", ray_address="x:1")
    own, older = (BlobRef(digest=f"sha256:{name}", size_bytes=1) for name in ("own", "older"))
    code = {loaded.ref: own}

    def generation(settlement: Settlement, code: dict[str, BlobRef]) -> str:
        return cluster._generation(loaded, target, cluster._Prepared(settlement, code, ()))

    before = generation(Settlement(older={"sha256:b": "b/team.py"}), {**code, "b/team.py": older})
    assert generation(Settlement(), code) == before
    assert generation(Settlement(), {loaded.ref: older}) != before

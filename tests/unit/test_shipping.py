"""A team's code is packed, travels as bytes, and is loaded elsewhere as the same build."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from remit import identity_export, loader, places, shipping
from remit.bus.identity import Issuer
from remit.contracts.errors import TeamInvalidError
from tests.acceptance.conftest import TEAMS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(shipping.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A team of several files, with what is none of its build beside it."""
    folder = tmp_path / "team"
    shutil.copytree(TEAMS / "chaos", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("texts/greeting.j2", "test_team.py", ".env", "__pycache__/team.pyc", ".git/config", "venv/lib.py"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n")
    return folder


def test_shipped_code_is_the_same_build_and_brings_its_data_along(team: Path) -> None:
    archive = shipping.pack(str(team / "team.py"))

    ref = shipping.unpack(archive)

    assert Path(ref).parent != team
    assert loader.load_aside(ref).build == loader.load_aside(str(team / "team.py")).build
    names = {path.relative_to(Path(ref).parent).as_posix() for path in Path(ref).parent.rglob("*") if path.is_file()}
    assert {name for name in names if "__pycache__" not in name} == {
        "team.py",
        "charter.yaml",
        "effects.py",
        "texts/greeting.j2",
    }


def test_keys_that_lie_in_the_teams_folder_do_not_travel_and_change_no_build(
    team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loader.code_digest(str(team / "team.py"))
    monkeypatch.setenv(places.HOME, str(team / "home"))

    identity_export.export("shop", team / "nats" / "secret-things")
    shutil.copytree(team / "nats" / "secret-things" / "secrets", team / "mounted")
    archive = shipping.pack(str(team / "team.py"))

    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        held = b"".join(packed.read(name) for name in packed.namelist())
    keys = json.loads((team / "mounted" / Issuer.SIGNING_FILE).read_text())
    seeds = [value for key, value in keys.items() if key.endswith("_signing")]
    assert len(seeds) == 3
    assert not [seed for seed in seeds if seed.encode() in held]
    assert b"NKEY SEED" not in held
    shutil.rmtree(team / "nats")
    assert loader.code_digest(str(team / "team.py")) == before


def test_the_same_files_are_the_same_bytes_whatever_their_dates(team: Path) -> None:
    first = shipping.pack(str(team / "team.py"))
    os.utime(team / "team.py", (1, 2_000_000_000))

    assert shipping.pack(str(team / "team.py")) == first


def test_code_is_unpacked_once(team: Path) -> None:
    archive = shipping.pack(str(team / "team.py"))
    ref = Path(shipping.unpack(archive))
    before = ref.stat().st_mtime_ns

    assert shipping.unpack(archive) == str(ref)
    assert ref.stat().st_mtime_ns == before


def test_a_folder_that_is_too_large_is_named_with_what_to_do(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "LIMIT_BYTES", 100)

    with pytest.raises(TeamInvalidError, match="deploy it by the name of its module"):
        shipping.pack(str(team / "team.py"))


@pytest.mark.parametrize("name", ["../outside.py", "/etc/outside.py", "a/../../outside.py"])
def test_an_archive_whose_names_lead_out_is_not_unpacked(name: str, cache: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "x = 1\n")
        archive.comment = b"team.py"

    with pytest.raises(TeamInvalidError, match="leads out"):
        shipping.unpack(packed.getvalue())
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_what_is_installed_is_loaded_where_it_is(team: Path) -> None:
    archive = shipping.pack(str(team / "team.py"))
    code = {"elsewhere/team.py": archive}

    assert shipping.loading(len, "installed.module", code) is len
    assert shipping.loading(_folder_of, "elsewhere/team.py", code)("elsewhere/team.py") != "elsewhere"


def _folder_of(ref: str) -> str:
    assert ref not in sys.path
    return str(Path(ref).parent)


def test_an_archive_whose_entry_leads_out_is_not_loaded_from(cache: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("team.py", "x = 1\n")
        archive.comment = b"../../outside.py"

    with pytest.raises(TeamInvalidError, match="leads out"):
        shipping.unpack(packed.getvalue())

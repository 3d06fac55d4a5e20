"""A scan is a process of its own that starts quickly: every view works in it, with nothing imported beside it."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from remit.teams.audit.finding import Skill
from remit.teams.audit.sighting import Doubt, Look, Scan
from remit.teams.audit.tools import scanner
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scan import answer
from tests.unit.teams.audit.conftest import PROJECT, Write

VIEWS = (*get_args(Skill), "again", "blame")
DOUBTS = tuple(
    Doubt(
        fingerprint=rule,
        rule=rule,
        path="shop/cart.py",
        line=2,
        symbol="",
        snippet="import requests",
        message="`requests` is imported",
    )
    for rule in ("undeclared-dependency", "unknown-import", "swallowed-exception")
)


def started(request: Request, *options: str) -> subprocess.CompletedProcess[bytes]:
    python, *rest = scanner.COMMAND
    given = msgspec.json.encode(request)
    return subprocess.run([python, *options, *rest], input=given, check=True, capture_output=True, env={}, timeout=60)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_says_the_same_in_a_process_of_its_own(write: Write, view: str) -> None:
    root = write({**PROJECT, "README.md": "# Shop\n\nSee [this](nowhere.md).\n"})
    files = tuple(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))
    request = msgspec.convert(
        {"view": view, "root": str(root), "files": files, "doubts": msgspec.to_builtins(DOUBTS)}, Request
    )
    kind = tuple[Look, ...] if view == "again" else Scan

    said = msgspec.json.decode(started(request).stdout, type=kind)

    assert said == answer(request)


def test_a_scan_imports_neither_the_public_api_nor_the_team(tmp_path: Path) -> None:
    request = Request(view="code", root=str(tmp_path))

    imported = started(request, "-X", "importtime").stderr.decode()

    names = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "remit.teams.audit.tools.scan" in names
    assert {
        name for name in names if name.startswith(("remit.agents", "remit.contracts", "remit.teams.audit.roles"))
    } == set()
    assert names & {"asyncio", "site", "subprocess"} == set()


def test_no_file_of_the_folder_it_runs_in_is_imported(tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit(9)")
    (tmp_path / "ast.py").write_text("raise SystemExit(9)")
    command, given = scanner.COMMAND, msgspec.json.encode(Request(view="code", root=str(tmp_path)))

    done = subprocess.run(
        command,
        input=given,
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        timeout=60,
    )

    assert (done.returncode, command[0]) == (0, sys.executable)

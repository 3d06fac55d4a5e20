"""Small real repositories, and the audit of one on the bench: every role and every tool for real, no server."""

import subprocess
import textwrap
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from remit.teams.audit import team
from remit.teams.audit.finding import Skill
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.sighting import Doubt
from remit.teams.audit.tools.branch import git_branch_commit
from remit.teams.audit.tools.git_blame import git_blame
from remit.teams.audit.tools.git_log import git_log
from remit.teams.audit.tools.publication import fs_publish
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scan import answer
from remit.teams.audit.tools.scanner import py_ast, py_look_again
from remit.teams.audit.tools.scratch import Stored, fetched
from remit.testing import Bench

Write = Callable[[Mapping[str, str | bytes]], Path]
BenchFor = Callable[[Path], Bench]
Audit = Callable[..., Awaitable[tuple[Bench, Published]]]

GOAL = "audit this repository"

BRANCHES = "\n".join(
    f"    for item in items:\n        if item > {n} and key:\n            total += {n}" for n in range(6)
)
TANGLE = f"def tangle(items, key):\n    total = 0\n{BRANCHES}\n    return total\n"
CART = '''"""The cart."""
import requests
import subprocess


def fetch(url):
    return requests.get(url)


def pack(name):
    try:
        subprocess.run("tar " + name, shell=True, timeout=5)
    except Exception:
        pass


'''
LOGIN = """import hashlib


def digest(password):
    return hashlib.md5(password.encode()).hexdigest()  # nosec: the table is from 2004


"""
TESTS = "from shop import cart, left, login, tangle\n\n\ndef test_it():\n    assert eval(cart.name) == 1\n"
PROJECT: Mapping[str, str | bytes] = {
    "pyproject.toml": '[project]\nname = "shop"\nlicense = "MIT"\ndependencies = ["requests"]\n'
    '[project.scripts]\nshop = "shop.cart:main"\n',
    "shop/__init__.py": "",
    "shop/cart.py": CART + TANGLE,
    "shop/login.py": LOGIN + TANGLE,
    "shop/tangle.py": TANGLE,
    "shop/left.py": "from shop import right\n\n\ndef left():\n    return right.right()\n",
    "shop/right.py": "from shop import left\n\n\ndef right():\n    return left.left()\n",
    "shop/orphan.py": "\n".join(f"def orphan_{n}():\n    return {n}\n" for n in range(12)),
    "shop/broken.py": "def broken(:\n    pass\n",
    "shop/latin.py": b"# -*- coding: utf-8 -*-\nname = '\xe9t\xe9'\n",
    "tests/test_cart.py": TESTS,
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a repository; texts are dedented."""
    root = tmp_path / "repository"

    def into(files: Mapping[str, str | bytes]) -> Path:
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            data = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
            file.write_bytes(data)
        return root

    return into


@pytest.fixture
def project(write: Write) -> Path:
    """A repository with something for every analyst, under git."""
    root = write(PROJECT)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True, timeout=20)
    return root


@pytest.fixture
def bench_for() -> BenchFor:
    """A bench on which the whole team plays; scans run in this process, which saves its start-up."""
    return new_bench


def new_bench(root: Path) -> Bench:
    bench = Bench(team, goal=GOAL, data={"repository": str(root)}, reviewed=[fs_publish, git_branch_commit])
    bench.real(*team.tools.values())

    def scanned(view: Skill, files: Stored) -> object:
        return answer(Request(view=view, root=str(root), files=paths(bench, files)))

    def looked(doubts: tuple[Doubt, ...], files: Stored) -> object:
        return answer(Request(view="again", root=str(root), files=paths(bench, files), doubts=doubts))

    def remembered(files: Stored) -> object:
        return answer(Request(view="history", root=str(root), files=paths(bench, files)))

    def blamed(files: Stored) -> object:
        return answer(Request(view="blame", root=str(root), files=paths(bench, files)))

    bench.tool(py_ast, scanned)
    bench.tool(git_log, remembered)
    bench.tool(git_blame, blamed)
    bench.tool(py_look_again, looked)
    return bench


def paths(bench: Bench, files: Stored) -> tuple[str, ...]:
    return msgspec.json.decode(fetched(bench.scratch, files), type=tuple[str, ...])


@pytest.fixture
def audit() -> Audit:
    """Audit a repository; give the bench and what the publisher replies."""

    async def run(root: Path, out: str = "", since: Literal["", "last"] = "") -> tuple[Bench, Published]:
        bench = new_bench(root)
        reply = await bench.flow("audit", AuditRequest(path=str(root), out=out, since=since))
        assert isinstance(reply, Published)
        return bench, reply

    return run

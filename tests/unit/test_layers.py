"""The layer rules bite: each wrong import, planted in a copy of the tree, is refused by the linter's own run."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANES = ("agents", "bus", "contracts", "supervisor", "tools")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("remit", *PLANES):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    run = "import sys; from importlinter.cli import lint_imports; sys.path.insert(0, '.'); "
    run += "sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-P", "-c", run], cwd=tree, check=False, capture_output=True, text=True, timeout=60
    )


def test_the_tree_as_it_is_keeps_every_layer_rule(tree: Path) -> None:
    result = lint(tree)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("contracts/planted.py", "from remit.bus import subject", "remit.contracts is not allowed to import remit.bus"),
        ("bus/planted.py", "from remit.agents import role", "remit.bus is not allowed to import remit.agents"),
        ("agents/planted.py", "import remit.supervisor", "remit.agents is not allowed to import remit.supervisor"),
        ("tools/planted.py", "import remit.agents", "remit.tools is not allowed to import remit.agents"),
        ("supervisor/planted.py", "import remit.cli", "remit.supervisor is not allowed to import remit.cli"),
        ("agents/planted.py", "import nats", "remit is not allowed to import nats"),
        ("supervisor/planted.py", "import ray", "remit is not allowed to import ray"),
        ("contracts/planted.py", "import structlog", "remit.contracts is not allowed to import structlog"),
        ("remit/planted.py", "import json", "not listed as layers"),
    ],
)
def test_a_wrong_import_is_refused(tree: Path, file: str, line: str, broken: str) -> None:
    (tree / file).write_text(f'"""Planted."""\n\n{line}\n')

    result = lint(tree)

    assert result.returncode == 1
    assert broken in result.stdout


@pytest.mark.parametrize("plane", PLANES)
def test_the_init_of_a_plane_is_a_docstring_only(plane: str) -> None:
    body = ast.parse((ROOT / plane / "__init__.py").read_text()).body

    assert [type(node) for node in body] == [ast.Expr]


def functions() -> Iterator[tuple[str, int]]:
    """Give every function with its length in lines, its docstring not counted."""
    for folder in ("remit", *PLANES):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", length(node)


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_no_function_is_longer_than_forty_lines() -> None:
    assert {name: lines for name, lines in functions() if lines > 40} == {}


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    files = [path for folder in ("remit", *PLANES) for path in (ROOT / folder).rglob("*.py")]

    assert {path.name for path in files if len(path.read_text().splitlines()) > 400} == set()

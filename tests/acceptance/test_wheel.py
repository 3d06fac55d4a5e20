"""The wheel holds the tree: every file of the package under its imported name, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANES = ("agents", "bus", "contracts", "supervisor", "tools")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the wheel is made of: a build writes beside its sources, and must not find older builds."""
    copy = tmp_path / "tree"
    for folder in ("remit", *PLANES):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    return copy


def build(tree: Path) -> zipfile.ZipFile:
    """Build the wheel with the environment's own setuptools, so that no network is needed."""
    out = tree.parent / "dist"
    out.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=tree, check=True, capture_output=True, timeout=60)
    (wheel,) = out.glob("*.whl")
    return zipfile.ZipFile(wheel)


def files_of(folder: Path) -> set[str]:
    """Name every file below `folder`; a symlinked folder is another's and is not entered."""
    linked = {path for path in folder.iterdir() if path.is_symlink()}
    found = (path for path in folder.rglob("*") if path.is_file() and linked.isdisjoint(path.parents))
    return {path.relative_to(folder).as_posix() for path in found}


def expected_files(tree: Path) -> set[str]:
    planes = {f"remit/{plane}/{file}" for plane in PLANES for file in files_of(tree / plane)}
    return planes | {f"remit/{file}" for file in files_of(tree / "remit")}


def packaged_files(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_every_file_of_the_tree_and_nothing_else(tree: Path) -> None:
    expected = expected_files(tree)

    with build(tree) as wheel:
        packaged = packaged_files(wheel)

    assert expected - packaged == set(), "name the sub-package, or its data, in [tool.setuptools] of pyproject.toml"
    assert packaged - expected == set(), "what is in the wheel is not in the tree"


def test_a_sub_package_that_pyproject_does_not_name_is_noticed(tree: Path) -> None:
    unnamed = tree / "bus" / "unnamed"
    unnamed.mkdir()
    (unnamed / "__init__.py").touch()

    with build(tree) as wheel:
        packaged = packaged_files(wheel)

    assert expected_files(tree) - packaged == {"remit/bus/unnamed/__init__.py"}


def test_the_wheel_has_the_command_the_licence_and_the_marker_for_types(tree: Path) -> None:
    with build(tree) as wheel:
        names = wheel.namelist()
        (commands,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))

        assert b"remit = remit.cli.main:main" in wheel.read(commands)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "remit/py.typed" in names

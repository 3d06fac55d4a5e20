"""What pyproject.toml asks for is locked, by hash and without addresses, and each dependency earns its place."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN_TIME = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
TO_DEVELOP = [
    Requirement(text) for group in PYPROJECT["dependency-groups"].values() for text in group if isinstance(text, str)
]


def pins(file: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / file).read_text(), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("requirement", RUN_TIME + TO_DEVELOP, ids=str)
def test_what_is_asked_for_is_locked_to_a_version_that_fits(requirement: Requirement) -> None:
    version = pins("requirements.lock").get(canonicalize_name(requirement.name))

    assert version is not None, "run `make lock`"
    assert requirement.specifier.contains(version), "run `make lock`"


@pytest.mark.parametrize("file", ["requirements.lock", ".ci/uv.txt", ".ci/demo.txt"])
def test_a_lock_has_hashes_for_every_pin_and_no_address(file: str) -> None:
    entries = re.split(r"^(?=[a-z0-9-]+==)", (ROOT / file).read_text(), flags=re.MULTILINE)[1:]

    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert [entry for entry in entries if "://" in entry] == []


def test_every_dependency_says_why_it_earns_its_place() -> None:
    documented = re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(canonicalize_name(asked.name) for asked in RUN_TIME + TO_DEVELOP)

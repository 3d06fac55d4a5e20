"""A file that does not parse is a finding only where the repository is meant for the Python that runs the audit."""

from pathlib import Path

import pytest

from remit.teams.audit.report.unread import in_full
from remit.teams.audit.sighting import Scan
from remit.teams.audit.supply.requires_python import RUNNING, oldest
from remit.teams.audit.tools.scan import scan_files

HERE, LATER = f"{RUNNING[0]}.{RUNNING[1]}", f"{RUNNING[0]}.{RUNNING[1] + 1}"


def scanned(root: Path, manifest: str, text: str, broken: str = "def f(:\n") -> Scan:
    (root / "p").mkdir()
    (root / manifest).write_text(text)
    (root / "p" / "new.py").write_text(broken)
    return scan_files(root, ("p/new.py",), "code")


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("pyproject.toml", f'[project]\nrequires-python = ">={LATER}"'),
        ("pyproject.toml", f'[tool.poetry.dependencies]\npython = "^{LATER}"'),
        ("pyproject.toml", f'[project]\nclassifiers = ["Programming Language :: Python :: {LATER}"]'),
        ("setup.cfg", f"[options]\npython_requires = >={LATER},<9"),
        ("setup.py", f"setup(\n    python_requires='~={LATER}',\n)"),
    ],
)
def test_a_file_that_is_written_for_a_newer_python_is_left_out_and_said_so(
    tmp_path: Path, manifest: str, text: str
) -> None:
    scan = scanned(tmp_path, manifest, text)

    (left,) = scan.skipped
    assert scan.sightings == ()
    assert left.what == "p/new.py"
    assert f"Python {HERE}" in left.cause
    assert LATER in left.cause
    assert left.lines == 1
    assert in_full(scan.skipped, 4) == (
        f"1 of 4 shipped files not parsed (written for {LATER}, audited with {HERE}), 1 line, `p/new.py`"
    )


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("pyproject.toml", f'[project]\nrequires-python = ">={HERE}"'),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.8"\n[tool.x]\npython = ">=3.99"'),
        ("pyproject.toml", f"requires-python >={LATER} does not parse"),
        ("setup.cfg", "[options]\n"),
        ("setup.py", f"classifiers = ['Python :: {HERE}', 'Programming Language :: Python :: {HERE}', '{LATER}']"),
    ],
)
def test_a_file_that_this_python_should_parse_is_a_finding_with_the_words_of_the_parser(
    tmp_path: Path, manifest: str, text: str
) -> None:
    scan = scanned(tmp_path, manifest, text)

    (found,) = scan.sightings
    assert (found.rule, found.line) == ("syntax-error", 1)
    assert found.detail == f"invalid syntax (Python {HERE})"


def test_what_no_parser_takes_is_a_finding_for_any_python(tmp_path: Path) -> None:
    manifest = f'[project]\nrequires-python = ">={LATER}"'

    scan = scanned(tmp_path, "pyproject.toml", manifest, broken=f"x = {'-' * 200_000}1\n")

    assert [item.rule for item in scan.sightings] == ["syntax-error"]


@pytest.mark.parametrize(
    ("wanted", "bound"),
    [
        (">=3.12", (3, 12)),
        (">= 3.9, <4, !=3.14", (3, 9)),
        ("==3.12.*", (3, 12)),
        ("^3.11", (3, 11)),
        (">3", (3, 0)),
        ("<4", None),
        ("", None),
    ],
)
def test_the_oldest_python_of_a_range_is_its_highest_lower_bound(wanted: str, bound: tuple[int, int] | None) -> None:
    assert oldest(wanted) == bound

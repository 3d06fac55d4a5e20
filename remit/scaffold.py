"""Write a new team: a file, a charter that is complete, and a test that passes."""

from __future__ import annotations

import re
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Final

from remit.contracts.errors import ConflictError, EnvironmentFaultError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILES: Final = ("team.py", "charter.yaml", "test_team.py")
_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")


def write(folder: Path) -> tuple[Path, ...]:
    """A team called like the folder stands in it; give its files.

    Raises:
        UsageError: the folder's name cannot name a team; nothing was written.
        ConflictError: one of the files is there already; nothing was written.
        EnvironmentFaultError: a file could not be written; those before it are there.
    """
    name = folder.name
    if not _NAME.match(name):
        raise UsageError(
            f"{name!r} cannot name a team",
            expected="lower case letters, digits, '_' and '-', a letter first",
            got=name,
            fix="remit init support",
        )
    if taken := [file for file in FILES if (folder / file).exists()]:
        raise ConflictError(
            f"{', '.join(taken)} would be overwritten",
            where=str(folder),
            fix=f"choose another name, or remove {taken[0]}",
        )
    words = {"name": name, "tag": name.replace("-", "_")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_written(folder / file, words) for file in FILES)
    except OSError as error:
        raise EnvironmentFaultError(f"cannot write the team: {error.strerror}", where=str(folder)) from error


def _written(path: Path, words: dict[str, str]) -> Path:
    template = resources.files("remit").joinpath("templates", f"{path.name}.txt").read_text(encoding="utf-8")
    with path.open("x", encoding="utf-8") as file:
        file.write(Template(template).substitute(words))
    return path

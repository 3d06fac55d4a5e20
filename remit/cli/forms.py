"""The contracts of what a user names: a stored description, or a team that is loaded now."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.errors import EnvironmentFaultError, MalformedMessageError, TeamInvalidError
from remit.contracts.message import malformed
from remit.contracts.team_form import TeamForm, form_of

if TYPE_CHECKING:
    from remit.loader import Loaded

_EXPORT: Final = "import sys; from remit.cli.main import main; sys.exit(main())"


def of(loaded: Loaded) -> TeamForm:
    """Give the contracts of a team that is loaded."""
    return form_of(loaded.spec(), {name: tool.arguments for name, tool in loaded.team.tools.items()})


def read(target: str) -> TeamForm:
    """Give the contracts of what a user names, loaded in this process if it is a team.

    Raises:
        TeamInvalidError: there is nothing by this name, or it cannot be loaded.
        MalformedMessageError: it is a file, and no description.
    """
    from remit import loader

    return stored(Path(target)) if target.endswith(".json") else of(loader.load(loader.resolve(target)))


def stored(path: Path) -> TeamForm:
    """Give the contracts that a file describes.

    Raises:
        EnvironmentFaultError: it cannot be read.
        MalformedMessageError: it is no description.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=TeamForm)
    except OSError as error:
        raise EnvironmentFaultError(f"cannot read the contracts: {error.strerror}", where=str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = malformed(error)
        if isinstance(said, MalformedMessageError):
            said.where, said.fix = f"{path}: {said.where}", f"remit contract export TEAM > {path}"
        raise said from error


@dataclass(frozen=True)
class Apart:
    """A team that is loaded in a process of its own: the modules beside two teams may have the same names."""

    target: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, target: str) -> Apart:
        """Begin to load it."""
        command = [sys.executable, "-P", "-c", _EXPORT, "contract", "export", target]
        return cls(target, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))

    def form(self) -> TeamForm:
        """Give its contracts.

        Raises:
            TeamInvalidError: it cannot be loaded.
        """
        out, said = self.process.communicate()
        if self.process.returncode != 0:
            told = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise TeamInvalidError(
                f"the contracts of {self.target} cannot be read: {told}",
                where=self.target,
                fix=f"remit check {self.target}",
            )
        return msgspec.json.decode(out, type=TeamForm)


def pair(old: str, new: str) -> tuple[TeamForm, TeamForm]:
    """Give the contracts of two teams, or of two builds of one.

    Raises:
        TeamInvalidError: there is nothing by one of the names, or it cannot be loaded.
        MalformedMessageError: one is a file, and no description.
    """
    if old.endswith(".json"):
        return read(old), read(new)
    apart = Apart.start(old)
    try:
        after = read(new)
    except BaseException:
        apart.process.kill()
        apart.process.communicate()
        raise
    return apart.form(), after

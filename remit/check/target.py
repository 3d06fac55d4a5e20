"""Check what a user names: the charter's file, the team's file, and whether the two agree."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remit import charter_file, loader
from remit.check.agreement import disagreements
from remit.check.case import Case, shown
from remit.check.completion import unreachable_criteria
from remit.check.contract import contract_mistakes
from remit.check.pool import pool_mistakes
from remit.check.source import source_mistakes
from remit.check.state import state_mistakes
from remit.check.upcast import upcast_mistakes
from remit.contracts.errors import CharterInvalidError, RemitError

if TYPE_CHECKING:
    from remit.loader import Loaded


@dataclass(frozen=True)
class Verdict:
    """What was checked, and every mistake; `loaded` is there if both files could be read."""

    ref: str
    mistakes: tuple[RemitError, ...]
    loaded: Loaded | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the team may start."""
        return self.loaded is not None and not self.mistakes


def check(target: str) -> Verdict:
    """Give every mistake of a team and its charter, in the order of their places.

    Raises:
        TeamInvalidError: there is no team under this name.
    """
    ref = loader.resolve(target)
    try:
        loaded = loader.load(ref)
    except CharterInvalidError:
        return Verdict(ref, tuple(_charter_alone(ref)))
    except RemitError as error:
        return Verdict(ref, (error, *_charter_alone(ref)))
    return Verdict(ref, tuple(mistakes(loaded)), loaded)


def mistakes(loaded: Loaded) -> list[RemitError]:
    """Give what is wrong between a team and a charter that are each in order."""
    case = Case(loaded)
    contract = contract_mistakes(case)
    found = [*contract, *disagreements(case), *pool_mistakes(case), *state_mistakes(case)]
    found += upcast_mistakes(case)
    if not contract:  # what follows walks the plans
        found += [*source_mistakes(case), *unreachable_criteria(case)]
    return sorted(found, key=_place)


def _charter_of(ref: str) -> Path | None:
    """The charter stands beside the team, whether that is a file or a module; None if neither can be found."""
    file = ref if ref.endswith(".py") else getattr(sys.modules.get(ref), "__file__", None)
    return Path(shown(Path(file).with_name(loader.CHARTER_FILE))) if file else None


def _charter_alone(ref: str) -> list[CharterInvalidError]:
    path = _charter_of(ref)
    return charter_file.mistakes(path) if path is not None else []


def _place(mistake: RemitError) -> tuple[str, int]:
    path, _, line = mistake.where.rpartition(":")
    return (path, int(line)) if line.isdigit() else (mistake.where, 0)

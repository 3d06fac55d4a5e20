"""Load a team and its charter from where they stand: a folder, a team file, or a module that is installed."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from remit.charter_file import read_charter
from remit.contracts.errors import TeamInvalidError
from remit.team import Team

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from remit.agents.role import AnyRole
    from remit.contracts.charter import Charter
    from remit.contracts.team import TeamSpec
    from remit.contracts.upcast import Upcasts
    from remit.tools.tool import Tool

TEAM_FILE, CHARTER_FILE = "team.py", "charter.yaml"
_ASIDE = {"__pycache__", "node_modules", "venv", "site-packages", "build", "dist"}
"""Folders in which nothing is a team's own."""
_SECRET = re.compile(r"secrets|signing\.json|authority\.json|.+\.(creds|nk)")
"""What holds keys, such as the folder that `remit identity export` writes: it never travels with the code."""


@dataclass(frozen=True)
class Loaded:
    """A team, its charter, and the reference by which any process loads the same."""

    ref: str
    team: Team
    charter: Charter
    charter_path: Path

    def spec(self) -> TeamSpec:
        """Give the team as the planes see it; its build is known by the code as well."""
        return replace(self.team.spec(self.charter), code=code_digest(self.ref), build="")


def resolve(target: str) -> str:
    """Give the reference of what a user names: a folder with `team.py`, a team file, or a module.

    Raises:
        TeamInvalidError: there is nothing by this name.
    """
    path = Path(target)
    if path.is_dir():
        path /= TEAM_FILE
    if path.is_file():
        return str(path.resolve())
    if path.suffix != ".py" and "/" not in target and _is_module(target):
        return target
    raise TeamInvalidError(
        "there is no team here", where=str(path), expected=f"a folder with {TEAM_FILE}", fix="remit init support"
    )


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def load(ref: str) -> Loaded:
    """Load a team by its reference.

    Raises:
        TeamInvalidError: the module cannot be imported, or holds no `team`.
        CharterInvalidError: the charter is missing, or has missing, unknown or ill-typed keys.
    """
    module = _import(ref)
    team = getattr(module, "team", None)
    if not isinstance(team, Team):
        raise TeamInvalidError(
            "the file defines no team",
            where=ref,
            expected='team = Team("support", roles=[…], workflows={…})',
            got=type(team).__name__,
        )
    file = module.__file__
    path = Path(file).with_name(CHARTER_FILE) if file else Path(CHARTER_FILE)
    return Loaded(ref, team, read_charter(path), path)


def load_spec(ref: str) -> TeamSpec:
    """Give the team as the supervisor sees it."""
    return load(ref).spec()


def load_aside(ref: str) -> TeamSpec:
    """Give a team whose modules may be named like those of one that is loaded already; that one stays as it is."""
    path = Path(ref)
    if path.suffix != ".py":
        return load_spec(ref)
    names = {item.stem for item in path.parent.glob("*.py")} | {item.parent.name for item in path.parent.glob("*/*.py")}
    stash = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in names}
    sys.path.insert(0, str(path.parent))
    importlib.invalidate_caches()
    try:
        return load(ref).spec()
    finally:
        sys.path.remove(str(path.parent))
        for name in [name for name in sys.modules if name.split(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update(stash)


def sources(ref: str) -> dict[str, Path]:
    """Give the files that a build of a team is made of, by their names below its folder: code, charter; no tests."""
    folder = _folder(ref)
    found = [path for pattern in ("*.py", "*.yaml", "*.yml", "*.json", "*.toml") for path in folder.rglob(pattern)]
    named = {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    return {name: path for name, path in sorted(named.items()) if not is_aside(name)}


def code_digest(ref: str) -> str:
    """Give the digest of a team's source files."""
    told = hashlib.sha256()
    for name, path in sources(ref).items():
        told.update(f"{name} {path.stat().st_size}\n".encode())
        told.update(path.read_bytes())
    return f"sha256:{told.hexdigest()}"


def _folder(ref: str) -> Path:
    if ref.endswith(".py"):
        return Path(ref).parent
    found = importlib.util.find_spec(ref)
    return Path(found.origin).parent if found is not None and found.origin else Path(ref)


def is_aside(name: str) -> bool:
    """Say whether a file below a team's folder is none of its build: a test, hidden, secret, or made by a tool."""
    parts = name.split("/")
    is_test = parts[-1].startswith("test_") or parts[-1] == "conftest.py" or "tests" in parts[:-1]
    return is_test or any(part.startswith(".") or part in _ASIDE or _SECRET.fullmatch(part) for part in parts)


def load_roles(ref: str) -> Mapping[str, type[AnyRole]]:
    """Give the roles of a team, for a host."""
    return load(ref).team.roles


def load_upcasts(ref: str) -> Upcasts:
    """Give what brings a team's older messages forward, for a host."""
    return load(ref).team.upcast


def load_tools(ref: str) -> tuple[TeamSpec, Mapping[str, Tool[object]]]:
    """Give the team and the bodies of its tools, for a gateway."""
    loaded = load(ref)
    return loaded.spec(), loaded.team.tools


def _import(ref: str) -> ModuleType:
    try:
        if not ref.endswith(".py"):
            return importlib.import_module(ref)
        return _import_file(Path(ref))
    except TeamInvalidError:
        raise
    except Exception as error:  # whatever a user's module raises is the user's to see
        said = f"the team cannot be imported: {type(error).__name__}: {error}"
        raise TeamInvalidError(said, where=_place(error)) from error


def _place(error: Exception) -> str:
    """Give where a module's mistake is: a file that cannot be parsed names its line, and was never run."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _import_file(path: Path) -> ModuleType:
    """Import a file once per process, under a name that its classes keep; its folder is importable, too."""
    name = f"remit_team_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TeamInvalidError("this is no Python file", where=str(path))
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module

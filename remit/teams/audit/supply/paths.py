"""Which files say what a repository depends on, which may name a dependency, and whose folder they speak for."""

import re
from pathlib import PurePosixPath

from remit.teams.audit.place import place_of, place_of_manifest

LOCKS = frozenset({"Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock"})
_MANIFESTS = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "Pipfile", *LOCKS})
_REQUIREMENTS = re.compile(r"^(?:.*[-_.])?(?:requirements|constraints|reqs)(?:[-_.].*)?\.(?:txt|in)$", re.IGNORECASE)
_CONDA = re.compile(r"^(?:conda[-_.]?)?env(?:ironment)?(?:[-_.].*)?\.ya?ml$")
_LICENCE = re.compile(r"^(?:licen[cs]e|copying|unlicense)(?:[-_.].*)?$", re.IGNORECASE)
_NOT_TEXT = re.compile(r"\.(?:py|pyi|json|html|png|svg|ya?ml|toml)$", re.IGNORECASE)
_WIRING = re.compile(
    r"^(?:Procfile|Makefile|justfile|\.pre-commit-config\.yaml|(?:.*[-_.])?(?:Docker|Container)file(?:\..*)?)$"
    r"|\.(?:toml|cfg|ini|ya?ml|sh|bash|conf|ipynb|service|env|nix)$"
)
_SHELVES = frozenset(
    {"requirements", "reqs", "deps", "dependencies", "env", "envs", "environments", "conda", "docker", "build", "dev"}
)
"""Folders that hold manifests of the folder above them."""
_NOT_FOR_USE = re.compile(
    r"(?:^|[-_.])(?:dev|devel|develop|development|tests?|testing|docs?|lint|linting|ci|build|typing|types|mypy|tox"
    r"|optional|extras?|all|benchmarks?|examples?|release|local|debug|constraints)(?:[-_.]|$)",
    re.IGNORECASE,
)


def is_manifest(path: str) -> bool:
    """Say whether a file declares dependencies, or locks them."""
    pure = PurePosixPath(path)
    is_listed = pure.parent.name.lower() in {"requirements", "reqs"} and pure.suffix in {".txt", ".in"}
    return pure.name in _MANIFESTS or is_listed or is_requirements(path) or is_conda(path)


def is_requirements(path: str) -> bool:
    """Say whether a file is called after the requirements that it lists."""
    return _REQUIREMENTS.match(PurePosixPath(path).name) is not None


def is_conda(path: str) -> bool:
    """Say whether a file is an environment of conda."""
    return _CONDA.match(PurePosixPath(path).name) is not None


def is_licence(path: str) -> bool:
    """Say whether a file holds the text of a licence."""
    pure = PurePosixPath(path)
    named = _LICENCE.match(pure.name) is not None or pure.parent.name == "LICENSES"
    return named and _NOT_TEXT.search(pure.name) is None


def is_wiring(path: str) -> bool:
    """Say whether a file may name a dependency that no code imports: a command line, a plugin, a notebook."""
    pure = PurePosixPath(path)
    is_recorded = pure.suffix in {".yaml", ".yml"} and place_of(path) == "test"  # what a server said once
    return _WIRING.search(pure.name) is not None and not is_recorded


def is_python(path: str) -> bool:
    """Say whether a file is Python."""
    return path.endswith((".py", ".pyw"))


def for_use(path: str) -> bool:
    """Say whether a list of requirements is called as if it were what users install, not what developers do."""
    pure = PurePosixPath(path)
    return pure.suffix == ".txt" and _NOT_FOR_USE.search(pure.stem) is None


def home_of(path: str) -> str:
    """Give the folder that a manifest speaks for: its own, or the one above that ships; empty is the root."""
    parts = list(PurePosixPath(path).parent.parts)
    while parts and (_is_shelf(parts[-1]) or place_of("/".join([*parts, "x.toml"])) != "shipped"):
        parts.pop()
    return "/".join(parts)


def folder_of(path: str) -> str:
    """Give the folder of a file; empty is the root."""
    folder = str(PurePosixPath(path).parent)
    return "" if folder == "." else folder


def is_shipped(path: str) -> bool:
    """Say whether a manifest stands among what ships."""
    return place_of_manifest(path) == "shipped"


def is_above(home: str, path: str) -> bool:
    """Say whether a file lies in a folder, or below it."""
    return not home or path.startswith(f"{home}/")


def _is_shelf(name: str) -> bool:
    return name.lower() in _SHELVES or name.startswith(".")

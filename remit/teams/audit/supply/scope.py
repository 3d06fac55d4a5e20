"""What is declared for a part of the repository, and which of its files are what it ships."""

from functools import cached_property
from pathlib import PurePosixPath

from remit.teams.audit.place import place_of
from remit.teams.audit.sighting import Skipped
from remit.teams.audit.supply.import_names import is_provided, normal, spoken
from remit.teams.audit.supply.imports import Own
from remit.teams.audit.supply.need import Manifest
from remit.teams.audit.supply.paths import home_of, is_shipped
from remit.teams.audit.supply.pyproject import DYNAMIC

_SOURCE_FOLDERS = frozenset({"src", "lib", "python"})


class Scope:
    """The manifests that speak for a file."""

    def __init__(self, manifests: tuple[Manifest, ...], own: Own, *, unread: tuple[Skipped, ...]) -> None:
        self.manifests = manifests
        self._own = own
        self._unread = unread

    @cached_property
    def declared(self) -> frozenset[str]:
        """The distributions that are declared in any group, and the project itself."""
        own = {item.name.text for item in self.manifests if item.name}
        return frozenset(need.name for item in self.manifests for need in item.needs if need.name) | own

    @cached_property
    def required(self) -> frozenset[str]:
        """The distributions that are there wherever the project runs: extras and tools for its developers are not."""
        return frozenset(item.name for manifest in self.manifests for item in manifest.needs if item.group == "runtime")

    @cached_property
    def _said(self) -> frozenset[str]:
        return spoken(self.declared)

    def provides(self, name: str) -> bool:
        """Say whether something that is declared may provide an imported name."""
        return is_provided(name, self.declared, self._said)

    @cached_property
    def gap(self) -> str:
        """Why more may be declared than can be read; empty if that is all."""
        shipped = [item for item in self.manifests if is_shipped(item.path)]
        static = {home_of(item.path) for item in shipped if item.path.endswith(("setup.py", "setup.cfg"))}
        for item in shipped:
            for gap in item.gaps:
                if gap != DYNAMIC or home_of(item.path) not in static:
                    return f"{item.path}: {gap}"
        return next((f"{item.what}: {item.cause}" for item in self._unread), "")

    @cached_property
    def package(self) -> Manifest | None:
        """The nearest manifest that makes a distribution."""
        found = [item for item in self.manifests if item.is_package and is_shipped(item.path)]
        return max(found, key=lambda item: len(home_of(item.path)), default=None)

    def ships(self, path: str) -> bool:
        """Say whether a file is part of what the nearest manifest ships: a package of it, or any code of a program."""
        if place_of(path) != "shipped" or any(part.startswith(".") for part in PurePosixPath(path).parts):
            return False
        if self.package is None:
            return bool(self.manifests)
        return self._own.package(path) in self._packages

    @cached_property
    def _packages(self) -> set[PurePosixPath]:
        """The packages of the distribution: the one that is called like it, else those where packages usually lie."""
        if self.package is None:
            return set()
        home = home_of(self.package.path)
        tops = {top for top in self._own.packages(home) if _lies_well(top, home)}
        wanted = normal(self.package.name.text).replace("-", "") if self.package.name else ""
        return {top for top in tops if normal(top.name).replace("-", "") == wanted} or tops


def _lies_well(top: PurePosixPath, home: str) -> bool:
    inside = top.parent.relative_to(home) if home else top.parent
    return not inside.parts or (len(inside.parts) == 1 and inside.name in _SOURCE_FOLDERS)

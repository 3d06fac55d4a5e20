"""A dependency as a manifest declares it, and the manifest with all that it declares."""

import re
from dataclasses import dataclass
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement

from remit.teams.audit.source import Source
from remit.teams.audit.supply.import_names import normal

Group = Literal["runtime", "extra", "dev", "build"]
_NAME = re.compile(r"^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_LONGEST = 1000
"""Characters of a requirement; what is longer is not written by people."""
MOST = 1000
"""Dependencies of one list that are read."""
UNREAD = "?"
"""A range that is there but not understood; nothing is said about it."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """One dependency."""

    name: str
    """In normal form."""
    line: int
    group: Group = "runtime"
    range: str = ""
    """As PEP 440 writes it; empty if any version will do."""
    url: str = ""
    """Where it is fetched from, if not from an index: `git+https://host/project@ref`."""
    is_conditional: bool = False
    """A marker says where it is needed."""


@dataclass(frozen=True, kw_only=True)
class Index:
    """A place from which distributions are fetched."""

    line: int
    url: str
    """Or the name of a host whose certificate is not checked, after `trusted:`."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """A text with the line where it stands."""

    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What one file says."""

    source: Source
    needs: tuple[Need, ...] = ()
    is_package: bool = False
    """It says how the folder becomes a distribution."""
    name: Label | None = None
    """The distribution's own name."""
    licences: tuple[Label, ...] = ()
    """What it says about its licence, the field before the classifiers."""
    has_licence_text: bool = False
    """It names a file of its licence, or holds the text."""
    gaps: tuple[str, ...] = ()
    """Why it may need more than is read here."""
    includes: tuple[str, ...] = ()
    """Files that it reads its needs from, relative to the root."""
    indexes: tuple[Index, ...] = ()
    is_compiled: bool = False
    """A tool wrote it, with everything that its dependencies depend on."""

    @property
    def path(self) -> str:
        """Where it stands."""
        return self.source.path


def need(text: str, line: int, group: Group = "runtime") -> Need | None:
    """Read a dependency as PEP 508 writes it; what does not fit is known by its name alone."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    try:
        read = Requirement(text)
    except (InvalidRequirement, RecursionError):
        found = _NAME.match(text)
        return Need(name=normal(found[0]), line=line, group=group, range=UNREAD) if found else None
    return Need(
        name=normal(read.name),
        line=line,
        group=group,
        range=",".join(sorted(str(part) for part in read.specifier)),
        url=read.url or "",
        is_conditional=read.marker is not None,
    )


def needs(texts: list[Label], group: Group) -> list[Need]:
    """Read dependencies; what is none is left out."""
    return [read for item in texts[: MOST + 1] if (read := need(item.text, item.line, group)) is not None]

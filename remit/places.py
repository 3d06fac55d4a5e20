"""Where a deployment keeps its data, and how commands find it: contexts in the user's state directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import platformdirs

from remit.bus import private_file
from remit.contracts.errors import EnvironmentFaultError, MalformedMessageError, NotFoundError
from remit.contracts.message import Message, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME, CURRENT = "REMIT_HOME", "REMIT_CONTEXT"
_RESTORING: Final = "RESTORING"


class Place(Message, frozen=True, kw_only=True, tag="remit.context.v1"):
    """A context: where a deployment is, and which credentials open it. Holds paths, no secrets."""

    name: str
    url: str
    team: str
    team_ref: str
    data: str
    """Directory of the deployment."""
    publisher: str
    """Credentials that may publish tasks and hear results."""
    operator: str
    """Credentials that may read the journal and ask for control."""
    ray_address: str = ""
    profile: str = ""
    """Durability for which it was deployed on servers that are not ours."""
    keys: str = ""
    """Directory of the keys that sign identities, where it is not `keys` in the deployment's own."""


def home() -> Path:
    """Give the directory under which everything of Remit is kept: `REMIT_HOME`, or the user's state directory."""
    chosen = os.environ.get(HOME)
    return Path(chosen) if chosen else Path(platformdirs.user_state_dir("remit"))


def data_directory(name: str) -> Path:
    """Give the directory of a deployment."""
    return home() / "deployments" / name


def restoring(data: Path) -> None:
    """A restore has begun in the directory; `check_whole` refuses it until `restored`."""
    private_file.replace(data / _RESTORING, "")


def restored(data: Path) -> None:
    """The directory is as whole as a backup makes it."""
    (data / _RESTORING).unlink(missing_ok=True)
    private_file.sync_directory(data)


def check_whole(data: Path) -> None:
    """No restore was cut off in the directory.

    Raises:
        EnvironmentFaultError: one was: names that clients hold could be given again.
    """
    if (data / _RESTORING).exists():
        raise EnvironmentFaultError(
            "a restore was cut off here",
            where=str(data),
            expected="a deployment that was put back whole",
            fix="move the directory away, and restore again",
        )


def _contexts() -> Path:
    return home() / "contexts"


def write(place: Place) -> None:
    """The context is stored (0600) and is the current one."""
    private_file.private_directory(_contexts())
    private_file.replace(_contexts() / f"{place.name}.json", msgspec.json.encode(place).decode())
    use(place.name)


def use(name: str) -> None:
    """Make a context the current one.

    Raises:
        NotFoundError: there is none of this name; the current one stays.
    """
    read(name)
    private_file.replace(_contexts() / "current", name)


def read(name: str) -> Place:
    """Give a context by name.

    Raises:
        NotFoundError: there is none of this name, or it is damaged.
    """
    path = _contexts() / f"{name}.json"
    try:
        return decode(Place, path.read_bytes())
    except (OSError, MalformedMessageError) as error:
        known = ", ".join(place.name for place in every()) or "none"
        raise NotFoundError(f"no context {name!r}", expected=known, got=name, fix="remit context list") from error


def current(name: str = "") -> Place:
    """Give the context that was named, else `REMIT_CONTEXT`, else the current one.

    Raises:
        NotFoundError: nothing is deployed, or there is none of this name.
    """
    chosen = name or os.environ.get(CURRENT, "")
    if not chosen:
        try:
            chosen = (_contexts() / "current").read_text().strip()
        except OSError as error:
            raise NotFoundError("nothing is deployed yet", where=str(home()), fix="remit up") from error
    return read(chosen)


def every() -> Iterator[Place]:
    """Give all contexts that can be read, by name."""
    for path in sorted(_contexts().glob("*.json")):
        try:
            yield decode(Place, path.read_bytes())
        except (OSError, MalformedMessageError):
            continue

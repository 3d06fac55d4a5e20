"""What a person sees of an audit's report before it is written: the tree, the difference, and the reasons."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import decode
from remit.listing import Action
from remit.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.contracts.review import ReviewOpened
    from remit.history import History
    from remit.places import Place


class _File(msgspec.Struct, frozen=True):
    name: str
    digest: str
    size_bytes: int


class _Publication(msgspec.Struct, frozen=True):
    """The arguments of `fs.publish`."""

    out: str
    base: str
    tree: tuple[_File, ...]


def headline(opened: ReviewOpened) -> str:
    """Say what is to be decided, with its files."""
    action = _publication(opened)
    if action is None:
        return plain(opened.title)
    files = "\n".join(
        f"  {plain(item.name.removeprefix(action.base))}  {item.size_bytes} bytes" for item in action.tree
    )
    return f"write {len(action.tree)} files into {plain(action.out) or '.remit of the repository'}:\n{files}"


def why(opened: ReviewOpened, history: History) -> str:
    """Say who asks, and exactly what would be approved."""
    goal = plain(history.started.goal) if history.started is not None else ""
    shown = msgspec.json.format(bytes(opened.body), indent=2).decode()
    return "\n".join(
        [
            f'role {opened.role} asks at step {opened.step}, for the goal "{goal}"',
            "the charter says: this tool is of high risk, so a person decides",
            *(plain(line) for line in shown.splitlines()),
            f"approving names exactly this: {opened.subject}",
        ]
    )


def difference(opened: ReviewOpened, history: History, place: Place) -> str:
    """Give the difference between what stands in the output folder and what would be written."""
    action = _publication(opened)
    if action is None:
        return plain(opened.title)
    scratch = Path(place.data) / "scratch" / opened.run_id
    return "\n".join(_differences(action, scratch, _folder(action, history))) or "nothing would change"


def _folder(action: _Publication, history: History) -> Path:
    from remit.teams.audit.publication import output_folder

    given = decode(dict[str, str], history.started.input) if history.started is not None else {}
    return output_folder(given.get("path", ""), action.out)


def _differences(action: _Publication, scratch: Path, folder: Path) -> Iterator[str]:
    for item in action.tree:
        name = item.name.removeprefix(action.base)
        new = _lines(scratch / item.name)
        old = _lines(folder / name)
        yield from (plain(line) for line in difflib.unified_diff(old, new, f"now/{name}", f"then/{name}", lineterm=""))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _publication(opened: ReviewOpened) -> _Publication | None:
    try:
        return decode(_Publication, decode(Action, opened.body).arguments)
    except MalformedMessageError:
        return None

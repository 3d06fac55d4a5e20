"""What a person sees before deciding: of an audit's report the tree and the difference, of a conflict its sides."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import role_of
from remit.contracts.message import decode
from remit.contracts.policy import MISSING
from remit.disputes import conflict_of
from remit.listing import Action
from remit.words import plain, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.contracts.proposal import DisputedField, StateConflict
    from remit.contracts.review import ReviewKind, ReviewOpened
    from remit.history import History
    from remit.places import Place


_READ: Final = (".md", ".patch")
"""What a person reads line by line; of the rest it is said whether it changes."""


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
    """Say what is to be decided, with its files, or with its sides."""
    if opened.kind == "conflict" and (conflict := conflict_of(opened.body)) is not None:
        return "\n".join([plain(opened.title), *(f"  {line}" for line in sides(conflict))])
    action = _publication(opened)
    if action is None:
        return plain(opened.title)
    files = "\n".join(
        f"  {plain(item.name.removeprefix(action.base))}  {item.size_bytes} bytes" for item in action.tree
    )
    return f"write {len(action.tree)} files into {plain(action.out) or '.remit of the repository'}:\n{files}"


def names(opened: ReviewOpened) -> list[str]:
    """Give the files that would be written, as they are called in the output folder; none if it is about none."""
    action = _publication(opened)
    return [item.name.removeprefix(action.base) for item in action.tree] if action is not None else []


def sides(conflict: StateConflict) -> list[str]:
    """Say a conflict: of every field base, current and proposed value with their roles, and what a decision does."""
    lines = [line for item in conflict.fields for line in _sides(conflict, item)]
    own = ["approve --value JSON: this value stands"] if len(conflict.fields) == 1 else []
    return [*lines, "approve: what is proposed stands", *own, "reject: what is current stays"]


def _sides(conflict: StateConflict, item: DisputedField) -> Iterator[str]:
    proposal = conflict.proposal
    place = (proposal.run_id, proposal.step, proposal.position)
    before = [side for side in item.sides if (side.run_id, side.step, side.position) != place]
    others = sorted({side.role or side.agent for side in before})
    yield plain(f"{item.key} {item.path or '(all)'}, scope {item.scope}")
    yield plain(f"  base      {short(item.base)}")
    current = short(MISSING if item.current_is_missing else item.current)
    yield plain(f"  current   {current}  by {', '.join(others) or 'nobody that is known'}")
    proposed = short(MISSING if item.proposed_is_missing else item.proposed)
    yield plain(f"  proposed  {proposed}  by {role_of(conflict.agent)} ({conflict.agent}, step {proposal.step})")
    if item.rungs:
        yield plain(f"  tried     {', '.join(item.rungs)}")


def why(opened: ReviewOpened, history: History) -> str:
    """Say who asks, and exactly what would be approved."""
    goal = plain(history.started.goal) if history.started is not None else ""
    action = _publication(opened)
    shown = [] if action is not None else msgspec.json.format(bytes(opened.body), indent=2).decode().splitlines()
    return "\n".join(
        [
            f'role {opened.role} asks at step {opened.step}, for the goal "{goal}"',
            REASONS[opened.kind],
            *map(plain, shown),
            f"approving names exactly this: {opened.subject}",
            *([f"every file with its digest: remit review show {opened.review_id}"] if action is not None else []),
        ]
    )


REASONS: Final[dict[ReviewKind, str]] = {
    "action": "the charter says: this tool is of high risk, so a person decides",
    "question": "the role wants a person to say",
    "in_doubt": "nobody knows whether the call happened, so a person says",
    "conflict": "two proposals changed the same field, and its rule leaves that to a person",
}


def difference(opened: ReviewOpened, history: History, place: Place) -> str:
    """Give the difference between what stands in the output folder and what would be written."""
    action = _publication(opened)
    if action is None:
        return plain(opened.title)
    scratch = Path(place.data) / "scratch" / opened.run_id
    return "\n".join(_differences(action, scratch, _folder(action, history))) or "nothing would change"


def _folder(action: _Publication, history: History) -> Path:
    from remit.teams.audit.tools.publication import output_folder

    given = decode(dict[str, str], history.started.input) if history.started is not None else {}
    return output_folder(given.get("path", ""), action.out)


def _differences(action: _Publication, scratch: Path, folder: Path) -> Iterator[str]:
    for item in action.tree:
        name = item.name.removeprefix(action.base)
        new = _lines(scratch / item.name)
        old = _lines(folder / name)
        if not name.endswith(_READ):
            word = "unchanged" if new == old else "changed" if old else "new"
            yield plain(f"{word}: {name}, {item.size_bytes} bytes")
            continue
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

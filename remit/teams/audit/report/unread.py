"""What was not looked at: shipped files, said before anything else; and all of it, with what is alike told once."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from remit.teams.audit.place import place_of
from remit.teams.audit.sighting import Skipped, clipped_rule
from remit.teams.audit.tools.scan import TOO_DEEP
from remit.teams.audit.tools.scanner import EARLY

_NAMED = 3
"""Of what was left out for one reason."""
_NEWER: Final = re.compile(r"it does not parse with Python (\S+), .* it is written for (\S+) and newer")


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """What was left out for one reason."""

    whats: tuple[str, ...]
    cause: str

    @property
    def shown(self) -> tuple[str, ...]:
        """The first of them."""
        return self.whats[:_NAMED]

    @property
    def before(self) -> str:
        """How many there are, if not all are named."""
        return f"{len(self.whats)} alike, such as " if len(self.whats) > _NAMED else ""


def alike(skipped: Iterable[Skipped]) -> list[Alike]:
    """Give what was left out, in its order: files by the reason, and hits of one rule added up over all shards."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in skipped:
        groups.setdefault((_kind(item), item.cause), []).append(item.what)
    return [Alike(whats=_summed(whats), cause=cause) for (_what, cause), whats in groups.items()]


def _kind(item: Skipped) -> str:
    """Name what is told together with others: files, and hits of one rule; anything else stands for itself."""
    is_file = bool(item.lines) or " " not in item.what
    return "" if is_file else clipped_rule(item) or item.what


def in_short(skipped: Iterable[Skipped], shipped: int) -> str:
    """Say how many shipped files were not looked at; empty if all were."""
    found = _unread(skipped)
    if not found:
        return ""
    lines = sum(item.lines for item in found)
    return f"{_of(found, shipped)} {_how(found)}" + (f" ({lines:,} lines)" if lines else "")


def in_full(skipped: Iterable[Skipped], shipped: int) -> str:
    """Say which shipped files were not looked at, why, and the longest of them; empty if all were."""
    found = _unread(skipped)
    groups: dict[str, list[Skipped]] = {}
    for item in found:
        groups.setdefault(item.cause, []).append(item)
    return "; ".join(_sentence(items, shipped) for items in groups.values())


def _unread(skipped: Iterable[Skipped]) -> list[Skipped]:
    found = {item.what: item for item in skipped if _is_unread(item) and place_of(item.what) == "shipped"}
    return [*found.values()]


def _is_unread(item: Skipped) -> bool:
    return bool(item.lines) or (item.cause in {EARLY, TOO_DEEP} and item.what.endswith((".py", ".pyw")))


def _of(found: Sequence[Skipped], shipped: int) -> str:
    return f"{len(found)} of {shipped} shipped files" if shipped else f"{len(found)} shipped files"


def _how(found: Iterable[Skipped]) -> str:
    return "not parsed" if all(item.lines for item in found) else "not read in full"


def _sentence(found: Sequence[Skipped], shipped: int) -> str:
    newer = _NEWER.search(found[0].cause)
    why = f"written for {newer[2]}, audited with {newer[1]}" if newer else found[0].cause
    lines, longest = sum(item.lines for item in found), max(found, key=lambda item: item.lines)
    size = f"{lines:,} line{'' if lines == 1 else 's'}, " if lines else ""
    among = "among them " if len(found) > 1 else ""
    return f"{_of(found, shipped)} {_how(found)} ({why}), {size}{among}`{longest.what}`"


def _summed(whats: Sequence[str]) -> tuple[str, ...]:
    """Give names once each; hits that several shards left out are added up."""
    rule = clipped_rule(Skipped(what=whats[0], cause=""))
    if rule and len(whats) > 1:
        return (f"{sum(int(what.partition(' ')[0]) for what in whats)} more hits of {rule}",)
    return tuple(dict.fromkeys(whats))

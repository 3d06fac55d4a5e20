"""Upcasts that lead nowhere: a tag that is none, a chain with a gap, an end that no role takes or gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.errors import ContractInvalidError, RemitError, TeamInvalidError
from remit.contracts.form import Describer
from remit.contracts.upcast import chain, next_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remit.check.case import Case


def upcast_mistakes(case: Case) -> Iterator[RemitError]:
    """Give every upcast by which no older message reaches a role; a chain has no cycle, since versions are counted."""
    if not case.team.upcast:
        return
    known = _tags(case)
    given: Mapping[str, object] = case.team.upcast  # what an author writes may be anything
    for tag, function in given.items():
        if not next_tag(tag):
            yield ContractInvalidError(
                f"{tag!r} is no tag of an older message",
                where=case.upcast(tag),
                expected="<team>.<noun>.v<n>",
                got=tag,
            )
        elif not callable(function):
            yield TeamInvalidError(
                f"the upcast from {tag} is no function",
                where=case.upcast(tag),
                expected="a function from a dict to a dict",
                got=type(function).__name__,
            )
        else:
            yield from _end(case, tag, known)


def _end(case: Case, tag: str, known: frozenset[str]) -> Iterator[RemitError]:
    last = chain(tag, case.team.upcast)[-1]
    if last in known:
        return
    later = _later(last, known | case.team.upcast.keys())
    said = f"and then there is a gap up to {later}" if later else "which no role takes or gives"
    yield TeamInvalidError(
        f"the upcast from {tag} leads to {last}, {said}",
        where=case.upcast(tag),
        expected=f"an upcast from {last}" if later else f"a role that takes or gives {last}",
        fix=f'upcast={{"{last}": function}}' if later else f'give a message tag="{last}", or remove the upcast',
    )


def _later(tag: str, known: frozenset[str]) -> str:
    """Give the next version after a missing one that is there, if any is."""
    stem, _, number = tag.rpartition(".v")
    after = [int(other.rpartition(".v")[2]) for other in known if other.rpartition(".v")[0] == stem and next_tag(other)]
    found = [version for version in after if version > int(number)]
    return f"{stem}.v{min(found)}" if found else ""


def _tags(case: Case) -> frozenset[str]:
    """Give the tags of everything that roles take and give, what it holds included."""
    describer = Describer()
    for role in case.team.roles.values():
        try:
            spec = role.spec()
            describer.add(spec.takes)
            describer.add(spec.gives)
        except (ContractInvalidError, NameError):
            continue  # said of the role already
    return frozenset(record.tag for record in describer.records.values())

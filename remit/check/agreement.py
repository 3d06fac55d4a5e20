"""Team and charter name the same roles and tools, the charter is no laxer than the code, and nothing is idle."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, get_args

from remit.contracts.errors import CharterInvalidError, TeamInvalidError
from remit.contracts.tool import Risk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from remit.check.case import Case
    from remit.contracts.errors import RemitError

_RISKS: Final[tuple[str, ...]] = get_args(Risk)


def disagreements(case: Case) -> Iterator[RemitError]:
    """Give what one of the two says and the other does not."""
    yield from _team_name(case)
    yield from _both(case, "roles", chartered=case.charter.roles, coded=case.team.roles)
    yield from _both(case, "tools", chartered=case.charter.tools, coded=case.team.tools)
    yield from _uses(case)
    yield from _risks(case)
    yield from _idle(case)


def _team_name(case: Case) -> Iterator[RemitError]:
    if case.charter.team != case.team.name:
        yield CharterInvalidError(
            "the charter is of another team",
            where=case.key("team"),
            expected=case.team.name,
            got=case.charter.team,
            fix=f"team: {case.team.name}",
        )


def _both(case: Case, noun: str, *, chartered: Collection[str], coded: Collection[str]) -> Iterator[RemitError]:
    one = noun.removesuffix("s")
    for name in chartered:
        if name not in coded:
            yield CharterInvalidError(
                f"the team has no {one} {name}",
                where=case.key(noun, name),
                expected=", ".join(coded) or f"no {one}",
                got=name,
                fix=near(name, coded, otherwise=f"remove {noun}.{name}, or write the {one} in the team's file"),
            )
    for name in coded:
        if name not in chartered:
            place = case.role(name) if noun == "roles" else case.tool(name)
            yield CharterInvalidError(
                f"the charter says nothing of {one} {name} ({place})",
                where=case.key(noun),
                fix=f"add {name}: under {noun}",
            )


def _uses(case: Case) -> Iterator[RemitError]:
    for name, role in case.charter.roles.items():
        for kind, wanted, known in (
            ("tools", role.tools, case.charter.tools),
            ("asks", role.asks, case.charter.roles),
            ("data_sources", role.data_sources, case.charter.data_sources),
        ):
            for index, item in enumerate(wanted):
                if item not in known:
                    yield CharterInvalidError(
                        f"role {name} names {_ONE[kind]} {item}, which the charter does not have",
                        where=case.key("roles", name, kind, index),
                        expected=", ".join(known) or "none",
                        got=item,
                        fix=near(item, known, otherwise=f"add {item}: under {_SECTION[kind]}"),
                    )


_ONE: Final = {"tools": "the tool", "asks": "the role", "data_sources": "the data source"}
_SECTION: Final = {"tools": "tools", "asks": "roles", "data_sources": "data_sources"}


def _risks(case: Case) -> Iterator[RemitError]:
    for name, rule in case.charter.tools.items():
        coded = case.team.tools.get(name)
        if coded is not None and _RISKS.index(rule.risk) < _RISKS.index(coded.risk):
            yield CharterInvalidError(
                f"the charter thinks tool {name} less dangerous than its code does ({case.tool(name)})",
                where=case.key("tools", name, "risk"),
                expected=f"at least {coded.risk}",
                got=rule.risk,
                fix=f"risk: {coded.risk}",
            )


def _idle(case: Case) -> Iterator[RemitError]:
    """A wall that nobody stands before is a mistake in one of the two files."""
    used = {tool for role in case.charter.roles.values() for tool in role.tools}
    read = {source for role in case.charter.roles.values() for source in role.data_sources}
    for noun, one, verb, known, wanted in (
        ("tools", "tool", "use", case.charter.tools, used),
        ("data_sources", "data source", "read", case.charter.data_sources, read),
    ):
        for name in known:
            if name not in wanted:
                yield CharterInvalidError(
                    f"no role may {verb} {one} {name}",
                    where=case.key(noun, name),
                    fix=f"add {name} to {noun} of a role, or remove it",
                )
    for name, kind in case.team.roles.items():
        if not case.sent_to(name):
            yield TeamInvalidError(
                f"nobody sends anything to role {name}",
                where=case.role(name),
                expected=f"a workflow with {kind.__name__}, or a role whose asks name {name}",
                fix=f"add it to a workflow, or remove {kind.__name__}",
            )


def near(name: str, known: Collection[str], *, otherwise: str) -> str:
    """Ask whether the nearest known name was meant."""
    found = get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]}?" if found else otherwise

"""How many hosts of a role are wished for, by whom and why, as the state of the team says it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import convert
from remit.contracts.pool import PoolChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.team import RoleSpec

POOL_KEY: Final = "pool."


def changes(values: Mapping[str, object]) -> dict[str, PoolChanged]:
    """Give the last change of every pool from the team's state; what cannot be read was never wished."""
    found = {key.removeprefix(POOL_KEY): change_of(value) for key, value in values.items() if key.startswith(POOL_KEY)}
    return {role: change for role, change in found.items() if change is not None}


def change_of(value: object) -> PoolChanged | None:
    """Give a value of the state as a change; at first it was a number, and always an operator's wish."""
    if isinstance(value, int) and not isinstance(value, bool):
        return PoolChanged(hosts=value, was=value, by="operator", reason="wished by an operator", is_pinned=True)
    try:
        return convert(PoolChanged, value)
    except MalformedMessageError:
        return None


def hosts(roles: Mapping[str, RoleSpec], changed: Mapping[str, PoolChanged]) -> dict[str, int]:
    """Give the wished number of hosts of every role: what was wished or decided last, or what the team's file says."""
    wished = {name: role.pool for name, role in roles.items()}
    for name, role in roles.items():
        change = changed.get(name)
        if change is not None and (change.is_pinned or role.sizing.is_scaled):
            wished[name] = change.hosts
    return wished

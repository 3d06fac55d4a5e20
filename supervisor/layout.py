"""Which host serves which roles: pure, from what is wished alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.team import RoleSpec


def layout(
    roles: Mapping[str, RoleSpec], desired: Mapping[str, int], *, is_shared: bool = True
) -> dict[str, frozenset[str]]:
    """Give the roles of every host.

    Roles that are not isolated share: host `shared-0` serves each of them that wants at least one host,
    `shared-1` each that wants two, and so on. An isolated role has hosts of its own. Scaling a role down
    takes it from the last host first, so what is wished decides alone what runs where. Where hosts are not shared,
    as on a cluster whose nodes offer the resources of single roles, every role has hosts of its own.
    """
    hosts: dict[str, set[str]] = {}
    for name, role in roles.items():
        prefix = "shared" if is_shared and not role.isolated else name
        for index in range(desired.get(name, role.pool)):
            hosts.setdefault(f"{prefix}-{index}", set()).add(name)
    return {host: frozenset(served) for host, served in sorted(hosts.items())}

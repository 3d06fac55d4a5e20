"""What the supervisor's children are told to run: data that holds no secret, and names the build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remit import logs, shipping
from remit.contracts.ids import pool_name, role_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remit.bus.access import Access
    from remit.supervisor.births import Provision


@dataclass(frozen=True, kw_only=True)
class ChildSpecs:
    """What hosts and gateways have in common."""

    url: str
    access: Access
    team_ref: str
    older: Mapping[str, str] = field(default_factory=dict)
    """References of the older builds that are served, by their digest."""
    group_commit: bool = False
    """Whether appends are gathered: where the server syncs every write."""

    def ref_of(self, label: str) -> str:
        """Give the reference of the build that a child serves; the label of one of an older build says so."""
        kind = role_in(label)
        return next((ref for build, ref in self.older.items() if pool_name(kind, build) == label), self.team_ref)


@dataclass(frozen=True, kw_only=True)
class HostSpecs(ChildSpecs):
    """Tells a host what to run."""

    slots: Mapping[str, int]

    def __call__(self, host: str, given: Provision) -> object:
        """Give the spec of one host."""
        from remit.agents.actor import HostSpec
        from remit.loader import load_roles, load_upcasts

        ref = self.ref_of(host)
        return HostSpec(
            host=host,
            url=self.url,
            jwts=given.jwts,
            access=self.access,
            team_ref=ref,
            load=shipping.loading(load_roles, ref, given.code),
            upcasts=shipping.loading(load_upcasts, ref, given.code),
            slots=self.slots,
            group_commit=self.group_commit,
        )


@dataclass(frozen=True, kw_only=True)
class GatewaySpecs(ChildSpecs):
    """Tells a gateway what to serve."""

    data: Path

    def __call__(self, gateway: str, label: str, given: Provision) -> object:
        """Give the spec of one gateway."""
        from remit.loader import load_tools
        from remit.tools.actor import GatewaySpec

        ref = self.ref_of(label)
        return GatewaySpec(
            name=gateway,
            url=self.url,
            jwts=given.jwts,
            access=self.access,
            team_ref=ref,
            load=shipping.loading(load_tools, ref, given.code),
            configure_logs=logs.configure,
            data_dir=self.data,
            group_commit=self.group_commit,
        )

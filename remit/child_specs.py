"""What the supervisor's children are told to run: data that holds no secret, and names the build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remit import logs
from remit.contracts.ids import pool_name, role_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class HostSpecs:
    """Tells a host what to run."""

    url: str
    team_ref: str
    slots: Mapping[str, int]
    older: Mapping[str, str]
    group_commit: bool = False

    def __call__(self, host: str, jwts: Mapping[str, str]) -> object:
        """Give the spec of one host; the label of one that serves an older build says so."""
        from remit.agents.actor import HostSpec
        from remit.loader import load_roles, load_upcasts

        return HostSpec(
            host=host,
            url=self.url,
            jwts=jwts,
            team_ref=_ref_of(host, self.team_ref, self.older),
            load=load_roles,
            upcasts=load_upcasts,
            slots=self.slots,
            group_commit=self.group_commit,
        )


@dataclass(frozen=True)
class GatewaySpecs:
    """Tells a gateway what to serve."""

    url: str
    team_ref: str
    data: Path
    credentials: Path
    older: Mapping[str, str]
    group_commit: bool = False

    def __call__(self, gateway: str, label: str) -> object:
        """Give the spec of one gateway; the label of one that serves an older build says so."""
        from remit.loader import load_tools
        from remit.tools.actor import GatewaySpec

        return GatewaySpec(
            name=gateway,
            url=self.url,
            journal_creds=self.credentials / f"{gateway}-journal.creds",
            answer_creds=self.credentials / f"{gateway}-answer.creds",
            team_ref=_ref_of(label, self.team_ref, self.older),
            load=load_tools,
            configure_logs=logs.configure,
            data_dir=self.data,
            group_commit=self.group_commit,
        )


def _ref_of(label: str, ref: str, older: Mapping[str, str]) -> str:
    kind = role_in(label)
    return next((old for build, old in older.items() if pool_name(kind, build) == label), ref)

"""What stands before a team is served: credentials of its users, streams and pools on the server, builds settled."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from remit import builds, loader
from remit.bus import permission, topology
from remit.bus import profile as profiles
from remit.bus.connection import Bus
from remit.bus.journal import Journal
from remit.bus.private_file import private_directory
from remit.contracts.errors import CredentialsRefusedError
from remit.contracts.ids import pool_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.bus.access import Access
    from remit.bus.identity import Issuer
    from remit.bus.permission import Permissions
    from remit.bus.profile import Proof
    from remit.bus.topology import Profile
    from remit.loader import Loaded


def user_permissions() -> dict[str, Permissions]:
    """Give the identities that commands use, by name."""
    return {
        "publisher": permission.publisher_permissions("publisher"),
        "operator": permission.operator_permissions("operator"),
        "topology": permission.topology_permissions(),
    }


def issue(issuer: Issuer, directory: Path) -> None:
    """The directory holds new credentials of every user, 0600 each."""
    private_directory(directory)
    for name, permissions in user_permissions().items():
        issuer.issue(name, permissions=permissions).write(directory / f"{name}.creds")
    issue_archivist(issuer, directory)


def issue_archivist(issuer: Issuer, directory: Path) -> None:
    """The directory holds the archivist's credentials, issued once: who verifies archives knows that key."""
    if not (path := directory / "archivist.creds").exists():
        issuer.issue("archivist", permissions=permission.archivist_permissions()).write(path)


@asynccontextmanager
async def connected(url: str, access: Access, name: str) -> AsyncIterator[Bus]:
    """A connection under one of the users' identities while this lasts; raises as `Bus.connect`."""
    bus = await Bus.connect(url, name=name, credentials=access.own(name, user_permissions()[name]))
    try:
        yield bus
    finally:
        await bus.close()


async def prove(bus: Bus, url: str, access: Access, *, profile: Profile) -> Proof:
    """Give what is known of the durability of the servers at a url; raises as `profile.prove`.

    What they say of themselves is read where we may issue identities of their system account, else it is measured.
    """
    async with _monitoring(url, access) as monitor:
        return await profiles.prove(bus, profile, monitor=monitor)


@asynccontextmanager
async def _monitoring(url: str, access: Access) -> AsyncIterator[Bus | None]:
    name, issuer = "monitor", access.issuer()
    try:
        if issuer is None:
            monitor = None
        else:
            credentials = issuer.issue(name, permissions=permission.monitor_permissions(name))
            monitor = await Bus.connect(url, name=name, credentials=credentials)
    except (KeyError, CredentialsRefusedError):  # we have no key of the system account, or it is another one
        monitor = None
    try:
        yield monitor
    finally:
        if monitor is not None:
            await monitor.close()


async def settle(
    url: str, access: Access, loaded: Loaded, *, data: Path, strands: bool, is_alone: bool = True
) -> builds.Settlement:
    """It is known how every open run goes on under this build, and this build is kept for those that it begins.

    Raises: as `builds.settle`; nothing changed.
    """
    async with connected(url, access, "operator") as bus:
        settlement = await builds.settle(Journal(bus), loaded, data, strands=strands, is_alone=is_alone)
    builds.keep(loaded, data)
    return settlement


async def ensure_streams(bus: Bus, loaded: Loaded, settlement: builds.Settlement, *, profile: Profile) -> None:
    """Every stream, and a consumer for every pool of this build and of the older ones that are served, is there.

    Raises: as `topology.ensure`.
    """
    pools = list(loaded.team.roles)
    for build, ref in settlement.older.items():
        pools += [pool_name(role, build) for role in loader.load_aside(ref).roles]
    await topology.ensure(bus, sorted(pools), profile=profile)

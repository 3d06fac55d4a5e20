"""How the processes of a deployment come by their identities: paths of files, never what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remit.bus.identity import Credentials, Issuer, NKey

if TYPE_CHECKING:
    from pathlib import Path

    from remit.bus.permission import Permissions


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a process finds what lets it in; both absent is a server that asks nobody who they are."""

    keys: Path | None = None
    """Directory of an authority or of its signing keys, on the node of the supervisor. Everybody else makes a key of
    their own, and has it signed by the supervisor."""
    creds: Path | None = None
    """The one identity of a weaker server, shared by all; a file on every node."""

    def issuer(self) -> Issuer | None:
        """Give who signs identities, or None where everybody has the same.

        Raises:
            EnvironmentFaultError: the keys are missing or damaged.
        """
        return Issuer.read(self.keys) if self.keys is not None else None

    def own(self, name: str, permissions: Permissions) -> Credentials | None:
        """Give credentials for this process; raises as `issuer`, and if the shared file cannot be read."""
        issuer = self.issuer()
        return issuer.issue(name, permissions=permissions) if issuer is not None else self.shared()

    def signed(self, key: NKey, jwt: str) -> Credentials | None:
        """Give credentials from a key that was made here and the JWT that came for it."""
        return Credentials(jwt=jwt, seed=key.seed) if self.keys is not None else self.shared()

    def shared(self) -> Credentials | None:
        """Give the one identity of all, or None where there is none."""
        return Credentials.read(self.creds) if self.creds is not None else None

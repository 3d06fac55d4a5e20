"""What the operator of a NATS server, and the nodes of a cluster, must be given so that a deployment can live there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from remit import groundwork, places
from remit.bus import topology
from remit.bus.identity import Authority, Issuer
from remit.bus.private_file import private_directory, replace

if TYPE_CHECKING:
    from pathlib import Path

RESOLVER: Final = "./jwt"
README: Final = """# What {name} needs of NATS

Three accounts: CORE holds the streams and the trusted planes, EDGE the agents, PUBLIC the publishers. EDGE and PUBLIC
reach CORE through the service imports in their JWTs, and through nothing else. nats-server {oldest} or newer, with
JetStream for CORE; `sync_interval: always` and three servers for the profile `cluster`.

Either the server is this deployment's own: include `remit-accounts.conf` in the configuration of every server (it names
an operator and a system account of its own).

Or the accounts join an operator that is there. Each JWT in `accounts/` is signed by its own account, for the operator
to sign again:

    nsc import account --file accounts/core.jwt --overwrite
    nsc import account --file accounts/edge.jwt --overwrite
    nsc import account --file accounts/public.jwt --overwrite
    nsc push --all

`streams.json` lists the streams that the deployment makes in CORE, and their limits: what an account's limits must
leave room for.

`secrets/` (mode 0600) is for nobody who runs NATS. `signing.json` signs users of these three accounts, and can change
no account; mount it on the Ray nodes that offer `remit_trusted`, and on no other, and name its folder:
`remit deploy --secrets FOLDER`. The files `*.creds` are for people and programs: `publisher` publishes tasks and hears
outcomes, `operator` reads everything and asks for control, `archivist` alone may purge what was archived.
"""


def export(name: str, out: Path) -> list[Path]:
    """The folder holds what a deployment's neighbours need; give its files. The keys are made if there are none.

    Raises:
        EnvironmentFaultError: the keys or the folder cannot be written or read; what was written is whole.
    """
    authority = Authority.create_or_load(private_directory(places.data_directory(name)) / "keys")
    out.mkdir(parents=True, exist_ok=True)
    accounts, secrets = out / "accounts", private_directory(out / "secrets")
    accounts.mkdir(exist_ok=True)
    public = {accounts / f"{account}.jwt": jwt + "\n" for account, jwt in authority.offered_account_jwts().items()}
    oldest = ".".join(map(str, topology.OLDEST_SERVER))
    public |= {
        out / "remit-accounts.conf": authority.server_config(RESOLVER),
        out / "streams.json": _streams(),
        out / "README.md": README.format(name=name, oldest=oldest),
    }
    for path, text in public.items():
        path.write_text(text, encoding="utf-8")
    replace(secrets / Issuer.SIGNING_FILE, authority.signing_keys())
    groundwork.issue(authority, secrets)
    return [*public, *sorted(secrets.iterdir())]


def _streams() -> str:
    return msgspec.json.format(msgspec.json.encode(topology.STREAMS)).decode() + "\n"

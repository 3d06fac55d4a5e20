"""Keys, credentials and the authority that says which identity may do what."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Final, Literal, NoReturn

import msgspec
import nkeys  # type: ignore[import-untyped]  # ships no types

from remit.bus import claims, private_file
from remit.bus.permission import EDGE_DOORS, PUBLIC_DOORS, PUBLIC_FEEDS, AccountName, Door, Permissions
from remit.contracts.errors import EnvironmentFaultError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

KeyKind = Literal["operator", "account", "user"]

_PREFIX: Final[dict[KeyKind, int]] = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}
_CREDS = re.compile(r"-{3,}BEGIN [A-Z ]+-{3,}\s*(\S+)\s*-{3,}END [A-Z ]+-{3,}")


class NKey:
    """An ed25519 key as NATS spells it. It never leaves its process by accident: no pickle, no repr of the seed."""

    __slots__ = ("_pair", "public", "seed")

    def __init__(self, seed: str) -> None:
        try:
            self._pair = nkeys.from_seed(bytearray(seed.encode()))
            self.public: str = self._pair.public_key.decode()
        except (nkeys.NkeysError, ValueError, IndexError) as error:
            # The seed is a secret and stays out of the sentence, and so does the error that may quote it.
            raise UsageError("this is no nkey seed", expected="S…") from error
        self.seed: str = seed

    @classmethod
    def generate(cls, kind: KeyKind = "user") -> NKey:
        """Give a new key."""
        return cls(nkeys.encode_seed(os.urandom(32), _PREFIX[kind]).decode())

    def sign(self, data: bytes) -> bytes:
        """Give the raw signature of data."""
        signature: bytes = self._pair.sign(data)
        return signature

    def answer(self, nonce: str) -> bytes:
        """Give the signature of a server's nonce as nats clients send it."""
        return base64.b64encode(self.sign(nonce.encode()))

    def __repr__(self) -> str:
        return f"NKey({self.public})"

    def __reduce__(self) -> NoReturn:
        message = "a private key is not pickled; it travels as a file"
        raise TypeError(message)


class Credentials(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A user JWT with the seed that proves it; as a file every NATS client and CLI reads it."""

    jwt: str
    seed: str

    @property
    def key(self) -> NKey:
        """The private key."""
        return NKey(self.seed)

    def text(self) -> str:
        """Give the content of a `.creds` file."""
        return (
            f"-----BEGIN NATS USER JWT-----\n{self.jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self.seed}\n------END USER NKEY SEED------\n"
        )

    def write(self, path: Path) -> None:
        """The file holds the credentials, mode 0600, whole or unchanged."""
        private_file.replace(path, self.text())

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """Give the credentials of a file.

        Raises:
            EnvironmentFaultError: the file is missing, unreadable or no credentials.
        """
        try:
            found = _CREDS.findall(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise EnvironmentFaultError(f"cannot read the credentials: {error}", where=str(path)) from error
        if len(found) != 2:  # noqa: PLR2004  # the JWT and the seed
            raise EnvironmentFaultError("this is no credentials file", where=str(path), expected="a JWT and a seed")
        return cls(jwt=found[0], seed=found[1])

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Seeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of an authority: one secret per key, all written at once."""

    version: Literal[1] = 1
    operator: str
    system: str
    system_signing: str
    core: str
    core_signing: str
    edge: str
    edge_signing: str
    public: str
    public_signing: str


class _SigningKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of an issuer: accounts by their public keys, and the seeds that sign users for them."""

    version: Literal[1] = 1
    core: str
    core_signing: str
    edge: str
    edge_signing: str
    public: str
    public_signing: str


class _Account:
    """An account: the key that names it and the key that signs for it."""

    def __init__(self, public: str, signing_seed: str) -> None:
        self.public = public
        self.signing = NKey(signing_seed)


class Issuer:
    """Says which identity may do what: it signs users for the accounts of one deployment, and nothing else."""

    SIGNING_FILE: Final = "signing.json"

    def __init__(self, accounts: Mapping[AccountName, _Account]) -> None:
        self._accounts = accounts

    @staticmethod
    def read(directory: Path) -> Issuer:
        """Give the issuer whose keys a directory holds: signing keys alone, or a whole authority.

        Raises:
            EnvironmentFaultError: there are none, or they are damaged.
        """
        if (directory / Authority.FILE).exists():
            return Authority.create_or_load(directory)
        path = directory / Issuer.SIGNING_FILE
        try:
            keys = msgspec.json.decode(path.read_bytes(), type=_SigningKeys)
            return Issuer(
                {
                    "core": _Account(keys.core, keys.core_signing),
                    "edge": _Account(keys.edge, keys.edge_signing),
                    "public": _Account(keys.public, keys.public_signing),
                }
            )
        except OSError as error:
            fix = "mount the folder `secrets` of `remit identity export` there"
            raise EnvironmentFaultError(f"cannot read the signing keys: {error}", where=str(path), fix=fix) from error
        except (msgspec.DecodeError, UsageError) as error:
            fix = "write it again: remit identity export"
            raise EnvironmentFaultError("the signing keys are damaged", where=str(path), fix=fix) from error

    def account(self, name: AccountName) -> str:
        """Give the public key of an account."""
        return self._accounts[name].public

    def user_jwt(
        self,
        public_key: str,
        *,
        name: str,
        permissions: Permissions,
        expires_at: datetime | None = None,
    ) -> str:
        """Give the JWT that lets the holder of a key act as `name` with exactly these permissions."""
        issuer = self._accounts[permissions.account]
        user = claims.user(
            public_key,
            name=name,
            account=issuer.public,
            permissions=permissions.claims(),
            expires_at_s=None if expires_at is None else int(expires_at.timestamp()),
        )
        return claims.encode(user, signer=issuer.signing)

    def issue(self, name: str, *, permissions: Permissions, expires_at: datetime | None = None) -> Credentials:
        """Give credentials on a new key."""
        key = NKey.generate("user")
        jwt = self.user_jwt(key.public, name=name, permissions=permissions, expires_at=expires_at)
        return Credentials(jwt=jwt, seed=key.seed)


class Authority(Issuer):
    """The root of trust of one deployment: an operator, a system account, and CORE, EDGE and PUBLIC.

    EDGE and PUBLIC reach CORE through the doors listed in `permission`, and through nothing else.
    """

    FILE: Final = "authority.json"

    def __init__(self, seeds: _Seeds) -> None:
        self._seeds = seeds
        self._operator = NKey(seeds.operator)
        super().__init__(
            {
                "system": _Account(NKey(seeds.system).public, seeds.system_signing),
                "core": _Account(NKey(seeds.core).public, seeds.core_signing),
                "edge": _Account(NKey(seeds.edge).public, seeds.edge_signing),
                "public": _Account(NKey(seeds.public).public, seeds.public_signing),
            }
        )

    @classmethod
    def create_or_load(cls, directory: Path) -> Authority:
        """The directory holds exactly one authority, made now if there was none; a crash leaves all of it or nothing.

        Raises:
            EnvironmentFaultError: the directory or its file is unusable; nothing changed.
        """
        path = directory / cls.FILE
        try:
            private_file.private_directory(directory)
            if not path.exists():
                private_file.create(path, msgspec.json.encode(_new_seeds()).decode())
            return cls(msgspec.json.decode(path.read_bytes(), type=_Seeds))
        except OSError as error:
            raise EnvironmentFaultError(f"cannot keep the keys: {error}", where=str(directory)) from error
        except (msgspec.DecodeError, UsageError) as error:
            fix = "restore the file from a backup; without it every identity must be issued anew"
            raise EnvironmentFaultError("the keys are damaged", where=str(path), fix=fix) from error

    def signing_keys(self) -> str:
        """Give the file of an issuer: what signs users, without the keys that make or change accounts."""
        seeds, accounts = self._seeds, self._accounts
        keys = _SigningKeys(
            core=accounts["core"].public,
            core_signing=seeds.core_signing,
            edge=accounts["edge"].public,
            edge_signing=seeds.edge_signing,
            public=accounts["public"].public,
            public_signing=seeds.public_signing,
        )
        return msgspec.json.encode(keys).decode()

    def offered_account_jwts(self) -> dict[str, str]:
        """Give CORE, EDGE and PUBLIC by name, each signed by its own key, for another operator to sign again."""
        own = {"CORE": self._seeds.core, "EDGE": self._seeds.edge, "PUBLIC": self._seeds.public}
        claimed = {str(body["name"]): body for body in self._account_claims()}
        return {name.lower(): claims.encode(claimed[name], signer=NKey(seed)) for name, seed in own.items()}

    def account_jwts(self) -> dict[str, str]:
        """Give the JWT of every account by its public key, issued now."""
        return {str(body["sub"]): claims.encode(body, signer=self._operator) for body in self._account_claims()}

    def server_config(self, resolver_directory: Path | str) -> str:
        """Give the part of nats-server's configuration that makes it obey this authority.

        The accounts are issued anew, so the server takes them over what its resolver kept from an older release.
        """
        system = self.account("system")
        operator = claims.encode(claims.operator(self._operator.public, system_account=system), signer=self._operator)
        preload = "\n".join(f"  {public}: {jwt}" for public, jwt in self.account_jwts().items())
        resolver = f'type: full, dir: {quoted(resolver_directory)}, allow_delete: true, interval: "2m"'
        return (
            f"operator: {operator}\nsystem_account: {system}\n"
            f"resolver: {{ {resolver} }}\nresolver_preload: {{\n{preload}\n}}\n"
        )

    def _account_claims(self) -> tuple[dict[str, object], ...]:
        system, core, edge, public = (self._accounts[name] for name in ("system", "core", "edge", "public"))
        return (
            claims.account(system.public, name="SYS", signing_key=system.signing.public),
            claims.account(
                core.public, name="CORE", signing_key=core.signing.public, jetstream=True, exports=_exports()
            ),
            claims.account(
                edge.public,
                name="EDGE",
                signing_key=edge.signing.public,
                imports=_imports(core.public, EDGE_DOORS),
            ),
            claims.account(
                public.public,
                name="PUBLIC",
                signing_key=public.signing.public,
                imports=_imports(core.public, PUBLIC_DOORS, PUBLIC_FEEDS),
            ),
        )


def quoted(value: object) -> str:
    """Give a value as a quoted string of nats-server's configuration language."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _exports() -> list[dict[str, object]]:
    doors = [
        claims.answering(
            claims.service(door.subject),
            has_many_answers=door.has_many_answers,
            within_s=door.answer_within_s,
        )
        for door in (*EDGE_DOORS, *PUBLIC_DOORS)
    ]
    return [*doors, *(claims.feed(subject) for subject in PUBLIC_FEEDS)]


def _imports(core: str, doors: tuple[Door, ...], feeds: tuple[str, ...] = ()) -> list[dict[str, object]]:
    own = [*(claims.service(door.subject) for door in doors), *(claims.feed(subject) for subject in feeds)]
    return [{**claim, "account": core} for claim in own]


def _new_seeds() -> _Seeds:
    def account() -> str:
        return NKey.generate("account").seed

    return _Seeds(
        operator=NKey.generate("operator").seed,
        system=account(),
        system_signing=account(),
        core=account(),
        core_signing=account(),
        edge=account(),
        edge_signing=account(),
        public=account(),
        public_signing=account(),
    )

"""JWT claims of NATS (version 2): operator, accounts and users, encoded and signed by an nkey."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNLIMITED: Mapping[str, object] = {
    "subs": -1,
    "data": -1,
    "payload": -1,
    "imports": -1,
    "exports": -1,
    "wildcards": True,
    "conn": -1,
    "leaf": 0,
}
_JETSTREAM: Mapping[str, object] = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


class Signer(Protocol):
    """Whoever can sign a JWT."""

    @property
    def public(self) -> str:
        """The public key."""

    def sign(self, data: bytes) -> bytes:
        """Give the ed25519 signature."""


def encode(claims: Mapping[str, object], *, signer: Signer) -> str:
    """Give the signed JWT of claims, issued now."""
    body = {**claims, "iat": int(time.time()), "iss": signer.public, "jti": ""}
    # The id is the digest of the claims without it, as NATS' own tools spell it.
    digest = hashlib.sha256(_json(body)).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    signed = f"{_HEADER}.{_base64(_json(body))}"
    return f"{signed}.{_base64(signer.sign(signed.encode()))}"


def operator(public: str, *, system_account: str) -> dict[str, object]:
    """Give the claims of the operator."""
    nats = {"type": "operator", "version": 2, "system_account": system_account}
    return {"sub": public, "name": "remit", "nats": nats}


def account(
    public: str,
    *,
    name: str,
    signing_key: str,
    jetstream: bool = False,
    exports: Sequence[Mapping[str, object]] = (),
    imports: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    """Give the claims of an account."""
    nats: dict[str, object] = {
        "type": "account",
        "version": 2,
        "limits": {**_UNLIMITED, **(_JETSTREAM if jetstream else {})},
        "signing_keys": [signing_key],
    }
    if exports:
        nats["exports"] = list(exports)
    if imports:
        nats["imports"] = list(imports)
    return {"sub": public, "name": name, "nats": nats}


def service(subject: str) -> dict[str, object]:
    """Give a door for requests."""
    return {"name": subject, "subject": subject, "type": "service"}


def answering(door: Mapping[str, object], *, has_many_answers: bool, within_s: int) -> dict[str, object]:
    """Give a door as its exporter states it: how many answers come back, and until when."""
    exported = {**door, "response_threshold": within_s * 1_000_000_000}
    return {**exported, "response_type": "Stream"} if has_many_answers else exported


def feed(subject: str) -> dict[str, object]:
    """Give a door for messages that flow out of an account."""
    return {"name": subject, "subject": subject, "type": "stream"}


def user(
    public: str,
    *,
    name: str,
    account: str,
    permissions: Mapping[str, object],
    expires_at_s: int | None = None,
) -> dict[str, object]:
    """Give the claims of a user of an account."""
    nats = {"type": "user", "version": 2, "issuer_account": account, "subs": -1, "data": -1, "payload": -1}
    claims: dict[str, object] = {"sub": public, "name": name, "nats": {**nats, **permissions}}
    return claims if expires_at_s is None else {**claims, "exp": expires_at_s}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEADER = _base64(b'{"typ":"JWT","alg":"ed25519-nkey"}')

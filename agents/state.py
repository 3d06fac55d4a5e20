"""Shared state as a role sees it: read with version, propose from a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from remit.contracts.message import decode_any, digest_of, raw
from remit.contracts.proposal import ProposeState, ReadState, StateCommitted, StateRead, StateRejected

if TYPE_CHECKING:
    from remit.agents.context import Context

T = TypeVar("T")


@dataclass(frozen=True)
class Versioned(Generic[T]):
    """A value of shared state and the version that was read; version 0 and None if there is none."""

    key: str
    version: int
    value: T | None


class StateView:
    """`ctx.state`: the run's shared state; `scope="team"` outlives runs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self, key: str, kind: type[T], *, scope: str = "") -> Versioned[T]:
        """Give the current version of a key; recorded, so that a replay sees what was seen."""
        answer = await self._fetch(scope=scope, key=key)
        item = answer.items[0]
        value = None if item.version == 0 else decode_any(kind, item.value)
        return Versioned(item.key, item.version, value)

    async def list(self, prefix: str, kind: type[T], *, scope: str = "") -> tuple[Versioned[T], ...]:
        """Give all keys with a prefix, sorted by key, at one point in time; recorded."""
        answer = await self._fetch(scope=scope, prefix=prefix)
        return tuple(Versioned(item.key, item.version, decode_any(kind, item.value)) for item in answer.items)

    async def propose(
        self, key: str, value: object, *, base: int = 0, scope: str = ""
    ) -> StateCommitted | StateRejected:
        """Ask to move a key from the version that was read; merged or rejected by the key's rule if it moved on."""
        context = self._context
        body = raw(value)
        identity = {"scope": scope, "key": key, "base": base, "value": msgspec.json.decode(body)}

        async def act(position: str) -> bytes:
            proposal = ProposeState(
                run_id=context.run_id,
                step=context.step_id,
                epoch=context.epoch,
                position=position,
                scope=scope or context.run_id,
                key=key,
                base_version=base,
                value=body,
            )
            return msgspec.json.encode(await context.port.propose(proposal))

        answer = await context.recorded("propose", key, request=digest_of(identity), act=act)
        verdict: StateCommitted | StateRejected = decode_any(StateCommitted | StateRejected, answer)
        return verdict

    async def _fetch(self, *, scope: str, key: str = "", prefix: str = "") -> StateRead:
        context = self._context

        async def act(_position: str) -> bytes:
            request = ReadState(
                run_id=context.run_id,
                step=context.step_id,
                epoch=context.epoch,
                scope=scope or context.run_id,
                key=key,
                prefix=prefix,
            )
            return msgspec.json.encode(await context.port.read(request))

        request = digest_of({"scope": scope, "key": key, "prefix": prefix})
        answer = await context.recorded("read", key or f"{prefix}*", request=request, act=act)
        found: StateRead = decode_any(StateRead, answer)
        return found

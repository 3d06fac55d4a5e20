"""Which walls a server holds: those that rest on identities are attacked, each with the twin that must pass."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import permission, subject
from remit.bus.connection import Bus
from remit.contracts.errors import AnswerTimeoutError, CredentialsRefusedError, ServerTooWeakError

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.bus.access import Access
    from remit.bus.identity import Issuer
    from remit.bus.permission import Permissions

IDENTITY_WALLS: Final = {
    "W9": "an agent may ask in another's name, and so on another's routes",
    "W13": "whoever publishes chooses the name it does so under",
    "W16": "one agent cannot be shut out without all others",
    "W17": "whoever has the one identity is everybody",
    "W18": "an agent may write the current values of shared state",
    "W26": "an agent may purge the journal",
    "W28": "an agent may acknowledge another's work",
    "W30": "an agent may read another's answers",
    "W38": "there is no account between agents, publishers and the journal",
    "W41": "an agent may write into the supervisor's lane, and into a colleague's",
}
"""What does not hold where everybody has one identity."""
_HEARD_S: Final = 5.0
_LOOK_S: Final = 0.02
_ROLE, _RUN = "probe", "doctor"
_ATTACKER, _VICTIM, _ANSWERER = "probe-attacker", "probe-victim", "probe-answerer"


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A wall that a server does not hold, and how that is known."""

    wall: str
    why: str
    cause: str


async def breaches(url: str, access: Access) -> tuple[Breach, ...]:
    """Give the walls that a server cannot hold for a deployment, by attacking them as a role's agent would.

    Raises:
        BusUnavailableError: the server does not answer.
        CredentialsRefusedError: it does not know the deployment's accounts.
    """
    issuer = access.issuer()
    if issuer is None:
        return _all_breached("everybody has one identity")
    if await _lets_anybody_in(url):
        return _all_breached("the server lets in who shows no credentials")
    return await _by_attack(url, issuer)


def require(found: tuple[Breach, ...], *, where: str) -> None:
    """Every wall holds.

    Raises:
        ServerTooWeakError: one does not; the error names all of them.
    """
    if found:
        raise ServerTooWeakError(
            "this server cannot hold walls that keep agents in their remit",
            where=where,
            expected="accounts of the deployment's own, and a server that asks everybody who they are",
            got=said(found),
            fix="remit identity export, for who runs NATS; or --allow-weaker, which every run then says",
        )


def _all_breached(cause: str) -> tuple[Breach, ...]:
    return tuple(Breach(wall=wall, why=why, cause=cause) for wall, why in IDENTITY_WALLS.items())


def said(found: tuple[Breach, ...]) -> str:
    """Say breaches in words."""
    return f"{found[0].cause}, so " + "; ".join(f"{breach.wall}: {breach.why}" for breach in found)


async def _lets_anybody_in(url: str) -> bool:
    try:
        bus = await Bus.connect(url, name=_ROLE)
    except CredentialsRefusedError:
        return False
    await bus.close()
    return True


async def _by_attack(url: str, issuer: Issuer) -> tuple[Breach, ...]:
    """One agent speaks in another's name, and listens to the other's answers."""
    async with AsyncExitStack() as stack:

        async def enter(name: str, permissions: Permissions) -> Bus:
            bus = await Bus.connect(url, name=name, credentials=issuer.issue(name, permissions=permissions))
            stack.push_async_callback(bus.close)
            return bus

        attacker = await enter(_ATTACKER, permission.agent_permissions(_ROLE, _ATTACKER, tools=(), asks=()))
        victim = await enter(_VICTIM, permission.agent_permissions(_ROLE, _VICTIM, tools=(), asks=()))
        operator = await enter("operator", permission.operator_permissions("operator"))
        answers = (permission.inbox(_VICTIM),)
        own = (permission.inbox(_ANSWERER),)
        answerer = await enter(
            _ANSWERER, permission.Permissions(account="edge", publish_allow=answers, subscribe_allow=own)
        )
        attacker.expects_refusals = True
        spoken, answered, spied = list[str](), list[bytes](), list[bytes]()
        await operator.subscribe(subject.live(_RUN, "*"), lambda message: spoken.append(message.subject))
        await victim.subscribe(f"{victim.inbox}.>", lambda message: answered.append(message.data))
        await attacker.subscribe(f"{victim.inbox}.>", lambda message: spied.append(message.data))

        def strike() -> bool:
            """Again and again: in a cluster the other servers hear of a subscription a moment later."""
            attacker.send(subject.live(_RUN, _VICTIM), b"in another's name")
            attacker.send(subject.live(_RUN, _ATTACKER), b"in its own name")
            answerer.send(f"{victim.inbox}.probe", b"for one alone")
            return subject.live(_RUN, _ATTACKER) in spoken and bool(answered)

        await _until(strike, where=url)
        await attacker.flush()
    found = ["W13"] if subject.live(_RUN, _VICTIM) in spoken else []
    found += ["W30"] if spied else []
    return tuple(Breach(wall=wall, why=IDENTITY_WALLS[wall], cause="tried as an agent") for wall in found)


async def _until(is_so: Callable[[], bool], *, where: str) -> None:
    """What is allowed comes through, so that what does not come was refused."""
    ends = asyncio.get_running_loop().time() + _HEARD_S
    while not is_so():
        if asyncio.get_running_loop().time() > ends:
            raise AnswerTimeoutError("what an agent may say does not arrive", where=where, fix="remit doctor")
        await asyncio.sleep(_LOOK_S)

"""Pure checks: may this agent have this call, now, under this lease? Whatever is absent means no."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from remit.bus import subject
from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import (
    DeadlineError,
    GrantDeniedError,
    LeaseLostError,
    LimitReachedError,
    MalformedMessageError,
    RemitError,
    TooLargeError,
)
from remit.contracts.ids import LANE, is_position, is_run, is_tool, largest_in
from remit.contracts.message import canonical, decode, digest_of
from remit.contracts.tool import CallNeedsReview, CallTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from remit.contracts.charter import Charter, ToolCharter
    from remit.contracts.lease import Approval, Lease
    from remit.tools.tool import Tool

_STEP = re.compile(r"[a-z][a-z0-9_-]{0,199}")
_ARGUMENT_SHOWN, _SUMMARY_SHOWN = 60, 200


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What stands on the gateway's side: who it is, and which tools it may run under which charter."""

    gateway: str
    tools: Mapping[str, Tool[object]]
    charter: Charter


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call with all that decides about it. The agent's name comes from the server, the lease from the journal."""

    agent: str
    call: CallTool
    lease: Lease
    tool: Tool[object]
    rule: ToolCharter
    sent: msgspec.Raw
    """The arguments as they came, in their one canonical spelling: this is digested, journaled and executed."""
    arguments: msgspec.Struct
    """The same, decoded as the tool declares them."""
    digest: str
    now: datetime


Check: TypeAlias = "Callable[[Request], None]"


def read(address: str, body: bytes, gateway: str) -> tuple[str, CallTool]:
    """Give who calls, and the call, where both agree with the subject that the server let through.

    Raises:
        MalformedMessageError: the body does not fit, or says something else than its subject.
    """
    agent = subject.last_token(address)
    call = decode(CallTool, body)
    if not (is_run(call.run_id) and _STEP.fullmatch(call.step) and call.step != LANE):
        raise MalformedMessageError("this names no step", where="$.run_id, $.step", got=f"{call.run_id} {call.step}")
    # A position holds no letters: the attempts and take-overs that a gateway adds are out of an agent's reach.
    if not is_position(call.position) or call.epoch < 1:
        raise MalformedMessageError("this is no place in a step", where="$.position, $.epoch", got=call.position)
    if not is_tool(call.tool) or subject.tool(gateway, call.tool, agent) != address:
        raise MalformedMessageError("the tool is not the one of the subject", where="$.tool", got=call.tool)
    return agent, call


def admit(agent: str, call: CallTool, lease: Lease, *, desk: Desk, now: datetime) -> Request:
    """Give the request if every check passes. It may still need a person: see `missing_review`.

    Raises:
        GrantDeniedError: the lease is another agent's, or does not cover the call.
        LeaseLostError: the step is served by another gateway.
        LimitReachedError: the step has made as many operations as it may.
        DeadlineError: the lease has ended.
        MalformedMessageError: the arguments do not fit the tool.
        TooLargeError: the arguments do.
    """
    _check_holder(agent, call, lease)
    _check_gateway(lease, desk.gateway)
    _check_operations(call, lease)
    check_time(lease, now)
    tool, rule = _granted(call, lease, desk)
    given = _given_arguments(call)
    sent = msgspec.Raw(canonical(given))
    request = Request(
        agent=agent,
        call=call,
        lease=lease,
        tool=tool,
        rule=rule,
        sent=sent,
        arguments=_arguments(tool, sent),
        digest=digest_of({"tool": tool.name, "arguments": given}),
        now=now,
    )
    for check in CHECKS:
        check(request)
    return request


CHECKS: Final[tuple[Check, ...]] = ()
"""Run in this order on the decoded request, each raises its refusal: freeze, provenance, argument constraints, rate
and budget stand here. A check sees the request and nothing else; what it must know of other calls is put there."""


def approval(request: Request) -> Approval | None:
    """Give the approval of exactly this action at this position, if there is one: it serves no second call."""
    wanted = (request.call.position, request.digest)
    return next((item for item in request.lease.grant.approvals if (item.position, item.action) == wanted), None)


def missing_review(request: Request) -> CallNeedsReview | None:
    """Give what a person must approve first, or None if nothing is missing."""
    if request.rule.review == "none" or approval(request) is not None:
        return None
    return CallNeedsReview(action=request.digest, summary=summary(request))


def check_time(lease: Lease, now: datetime) -> None:
    """Pass while the lease lasts.

    Raises:
        DeadlineError: it has ended; nothing was called.
    """
    if now >= lease.until_at:
        raise DeadlineError(
            "the lease has ended", where=f"{lease.run_id} {lease.step}", expected=f"a call before {lease.until_at}"
        )


def summary(request: Request) -> str:
    """Say a call in one short line that cannot draw anything but itself."""
    fields = msgspec.json.decode(request.sent, type=dict[str, msgspec.Raw])
    said = ", ".join(f"{name}={_short(bytes(value).decode(), _ARGUMENT_SHOWN)}" for name, value in fields.items())
    return f"{request.tool.name}({_short(said, _SUMMARY_SHOWN)})"


# --- the checks ----------------------------------------------------------------------------------


def _check_holder(agent: str, call: CallTool, lease: Lease) -> None:
    where = f"{call.run_id} {call.step} epoch {call.epoch}"
    if (lease.run_id, lease.step, lease.epoch) != (call.run_id, call.step, call.epoch):
        raise GrantDeniedError("the lease is of another step", where=where)
    if lease.agent != agent:
        raise GrantDeniedError("the step is held by another agent", where=where, got=agent)


def _check_gateway(lease: Lease, gateway: str) -> None:
    if lease.gateway != gateway:
        raise LeaseLostError("the step is served by another gateway", expected=lease.gateway, got=gateway)


def _check_operations(call: CallTool, lease: Lease) -> None:
    if largest_in(call.position) >= lease.grant.operations:
        raise LimitReachedError(
            "the step has made as many operations as it may",
            where=f"charter.yaml: roles.{lease.role}.limits.operations",
            expected=f"at most {lease.grant.operations}",
            got=f"position {call.position}",
        )


def _granted(call: CallTool, lease: Lease, desk: Desk) -> tuple[Tool[object], ToolCharter]:
    tool, rule = desk.tools.get(call.tool), desk.charter.tools.get(call.tool)
    if call.tool not in lease.grant.tools or tool is None or rule is None:
        raise GrantDeniedError(
            f"role {lease.role} may not call {call.tool}",
            where=f"charter.yaml: roles.{lease.role}.tools",
            expected=", ".join(lease.grant.tools) or "no tool",
            got=call.tool,
        )
    return tool, rule


def _given_arguments(call: CallTool) -> dict[str, object]:
    """Give the arguments as plain JSON values, bounded and unambiguous.

    The tool's type is decoded from their canonical spelling, never from what came: what two readers of JSON could
    read differently (a key twice, digits beyond a float's) is either refused or settled before anyone looks.
    """
    if len(call.arguments) > INLINE_LIMIT_BYTES:
        raise TooLargeError(
            "the arguments are too large",
            where="$.arguments",
            expected=f"at most {INLINE_LIMIT_BYTES} bytes",
            got=str(len(call.arguments)),
        )
    try:
        json.loads(bytes(call.arguments), object_pairs_hook=_unique)
        return decode(dict[str, object], call.arguments)
    except MalformedMessageError as error:
        raise _below(error, "$.arguments") from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise MalformedMessageError(_short(str(error), _SUMMARY_SHOWN), where="$.arguments") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedMessageError("a key stands twice in one object")
    return found


def _arguments(tool: Tool[object], sent: msgspec.Raw) -> msgspec.Struct:
    try:
        return decode(tool.arguments, sent)
    except MalformedMessageError as error:
        raise _below(error, "$.arguments") from error
    except Exception as error:
        # A type of the team's own may raise anything in its checks; the answer is no, not our end.
        raise MalformedMessageError(
            f"the arguments do not fit {tool.name}", where="$.arguments", got=type(error).__name__
        ) from error


def _below(error: RemitError, path: str) -> MalformedMessageError:
    return MalformedMessageError(
        error.message,
        where=path + error.where.removeprefix("$"),
        expected=error.expected,
        got=error.got,
    )


def _short(text: str, limit: int) -> str:
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in shown)

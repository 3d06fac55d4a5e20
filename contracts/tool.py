"""A call of a tool: asked by an agent, journaled as intent and outcome by a gateway."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, TypeVar

import msgspec

from remit.contracts.blob import BlobRef
from remit.contracts.errors import Fault
from remit.contracts.message import NULL, Message

R_co = TypeVar("R_co", covariant=True)

Risk = Literal["low", "medium", "high"]
Effect = Literal["pure", "idempotent", "lookup", "at_most_once"]
"""pure: changes nothing · idempotent: the receiver knows the key · lookup: it can be asked whether it
happened · at_most_once: neither; a crash in the window is in doubt and goes to a person."""


class CallTool(Message, frozen=True, kw_only=True, tag="tool.call.v1"):
    """An agent asks its gateway for one call; repeated under the same position until answered."""

    run_id: str
    step: str
    epoch: int
    position: str
    tool: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class ToolCalled(Message, frozen=True, kw_only=True, tag="tool.called.v1"):
    """The intent: journaled before anything happens."""

    run_id: str
    step: str
    epoch: int
    position: str
    tool: str
    request: str
    """Digest of tool and canonical arguments."""
    arguments: msgspec.Raw
    agent: str
    gateway: str
    risk: Risk
    effect: Effect
    review_id: str = ""
    """The review that approved this action, where one was needed."""
    key: str = ""
    """The key under which the effect is known outside, if it is not the call's own: the origin of a fork began it."""
    deadline_at: datetime


class ToolReturned(Message, frozen=True, kw_only=True, tag="tool.returned.v1"):
    """The outcome: a value or an error, never both."""

    run_id: str
    step: str
    position: str
    tool: str
    value: msgspec.Raw = NULL
    value_ref: BlobRef | None = None
    error: Fault | None = None
    duration_ms: int = 0


class ToolInDoubt(Message, frozen=True, kw_only=True, tag="tool.in_doubt.v1"):
    """Whether the effect happened is not known; a person decides."""

    run_id: str
    step: str
    position: str
    tool: str
    request: str
    reason: str


class ToolAnswered(Message, frozen=True, kw_only=True, tag="tool.answered.v1"):
    """The gateway's answer to the agent: the recorded outcome."""

    value: msgspec.Raw = NULL
    value_ref: BlobRef | None = None
    error: Fault | None = None


class CallNeedsReview(Message, frozen=True, kw_only=True, tag="tool.needs_review.v1"):
    """A person must approve exactly this action first."""

    action: str
    """Digest of tool and canonical arguments."""
    summary: str


class ToolRef(Protocol[R_co]):
    """What a handler needs to know of a tool to name it; the body runs in a gateway, never here."""

    @property
    def name(self) -> str:
        """The tool's name."""

    @property
    def returns(self) -> type[R_co]:
        """The type of its result."""

"""Agent teams on Ray and NATS that stay within their remit: the whole public API.

Importing this imports neither ray nor nats, so a role is tested like any other class.
"""

from remit.agents.context import Context
from remit.agents.role import Role
from remit.agents.state import Versioned
from remit.contracts.errors import (
    AskFailedError,
    Fault,
    RefusedError,
    RemitError,
    ReviewRejectedError,
    ToolFailedError,
    ToolNotDoneError,
)
from remit.contracts.message import Message
from remit.contracts.proposal import StateCommitted, StateRejected
from remit.contracts.review import ReviewOutcome
from remit.team import Plan, Team, state, step, when
from remit.tools.tool import Tool, ToolScope, tool

__all__ = [
    "AskFailedError",
    "Context",
    "Fault",
    "Message",
    "Plan",
    "RefusedError",
    "RemitError",
    "ReviewOutcome",
    "ReviewRejectedError",
    "Role",
    "StateCommitted",
    "StateRejected",
    "Team",
    "Tool",
    "ToolFailedError",
    "ToolNotDoneError",
    "ToolScope",
    "Versioned",
    "state",
    "step",
    "tool",
    "when",
]

"""Agent teams on Ray and NATS that stay within their remit: the whole public API.

Importing this imports neither ray nor nats, so a role is tested like any other class.
"""

from remit.agents.context import Context
from remit.agents.reflection import Reflection
from remit.agents.role import Role
from remit.agents.state import Change, Conflict, Versioned
from remit.contracts import policy
from remit.contracts.document import StateContract
from remit.contracts.errors import (
    AskFailedError,
    BudgetSpentError,
    ContendedError,
    Fault,
    ModelOutputError,
    RefusedError,
    RemitError,
    ReviewRejectedError,
    ToolFailedError,
    ToolNotDoneError,
)
from remit.contracts.message import Message
from remit.contracts.model import Completion, ModelMessage
from remit.contracts.plan import ProposedPlan
from remit.contracts.pool import Pool
from remit.contracts.proposal import (
    StateBatch,
    StateCommitted,
    StateConflict,
    StateDecision,
    StateParked,
    StateRef,
    StateRejected,
    StateRuling,
)
from remit.contracts.reflection import AskedCritique, Critique, ReflectionRound, Requirement
from remit.contracts.review import ReviewOutcome
from remit.contracts.rollback import EffectDone, RolledBackNote, Undo
from remit.team import Plan, Team, propose, rollback, state, step, undo, when
from remit.tools.model import Price, model_tool
from remit.tools.program import ProgramEnded, run_program
from remit.tools.tool import Tool, ToolScope, tool

__all__ = [
    "AskFailedError",
    "AskedCritique",
    "BudgetSpentError",
    "Change",
    "Completion",
    "Conflict",
    "ContendedError",
    "Context",
    "Critique",
    "EffectDone",
    "Fault",
    "Message",
    "ModelMessage",
    "ModelOutputError",
    "Plan",
    "Pool",
    "Price",
    "ProgramEnded",
    "ProposedPlan",
    "Reflection",
    "ReflectionRound",
    "RefusedError",
    "RemitError",
    "Requirement",
    "ReviewOutcome",
    "ReviewRejectedError",
    "Role",
    "RolledBackNote",
    "StateBatch",
    "StateCommitted",
    "StateConflict",
    "StateContract",
    "StateDecision",
    "StateParked",
    "StateRef",
    "StateRejected",
    "StateRuling",
    "Team",
    "Tool",
    "ToolFailedError",
    "ToolNotDoneError",
    "ToolScope",
    "Undo",
    "Versioned",
    "model_tool",
    "policy",
    "propose",
    "rollback",
    "run_program",
    "state",
    "step",
    "tool",
    "undo",
    "when",
]

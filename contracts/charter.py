"""The charter: who owns a team, what it is for, and the walls of each role. Unknown or missing keys are refused."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from remit.contracts.lease import OPERATIONS, REPEATS
from remit.contracts.message import digest_of
from remit.contracts.plan import Operator
from remit.contracts.tool import Risk

Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RoleLimits(_Strict):
    """Bounds of one step of a role."""

    deadline_s: PositiveFloat = 60.0
    attempts: PositiveInt = 3
    slots: PositiveInt = 32
    repeats: Annotated[int, Field(ge=1, le=1000)] = REPEATS
    """How often a step may make the same call, or the same ask."""
    operations: Annotated[int, Field(ge=1, le=100_000)] = OPERATIONS
    """How many operations a step may make in all: the bound of every loop that its handler runs."""
    tokens: PositiveInt | None = None
    """How many tokens a step may have models read and write; None bounds nothing."""
    cost: PositiveFloat | None = None
    """What a step may spend on models, in the currency of their prices; None bounds nothing."""


class RoleCharter(_Strict):
    """What one role may use."""

    tools: tuple[str, ...]
    asks: tuple[str, ...] = ()
    data_sources: tuple[str, ...] = ()
    limits: RoleLimits = RoleLimits()


class ToolCharter(_Strict):
    """How dangerous a tool is, and who must agree before it runs."""

    risk: Risk
    review: Literal["none", "person"]
    timeout_s: PositiveFloat = 30.0

    @model_validator(mode="after")
    def _asks_a_person(self) -> Self:
        if self.risk == "high" and self.review != "person":
            raise ValueError("a tool of high risk needs `review: person`")
        return self


class DataSource(_Strict):
    """Something outside that roles read; its value is taken from the task's input or fixed here."""

    from_input: str = ""
    value: str = ""
    description: Text


class RunLimits(_Strict):
    """Ceilings of one run."""

    wall_clock_s: PositiveFloat
    steps: PositiveInt
    depth: PositiveInt = 8


class Capacity(_Strict):
    """Bounds of the whole deployment. Tasks beyond them wait in their queue; hosts beyond them are not started."""

    hosts: PositiveInt = 64
    """Hosts of all roles that are scaled, together."""
    price_per_hour: Annotated[float, Field(ge=0)] = 0.0
    """What the hosts of scaled roles may cost in an hour, by the `price` of their pools; 0 is no bound."""
    open_runs: PositiveInt = 50_000
    """Runs that are not over, those that wait for a person or a time included."""
    running: PositiveInt = 2_000
    """Runs in which something is going on."""
    running_per_workflow: PositiveInt = 1_000


class CompletionCheck(_Strict):
    """One criterion that the supervisor evaluates against recorded evidence."""

    name: Text
    check: Literal["steps_completed", "reply_field", "state_present", "no_open_review"]
    node: str = ""
    field: str = ""
    operator: Operator = "eq"
    value: str | int | float | bool | None = None
    key: str = ""


class ReviewPath(_Strict):
    """Who decides what a person must decide."""

    reviewers: tuple[Text, ...] = Field(min_length=1)
    expires_s: PositiveFloat = 7 * 86400.0


class Rollback(_Strict):
    """What undoes a run of this team, and whether that was tried."""

    procedure: Text
    tested: bool


class Charter(_Strict):
    """The whole charter of a team."""

    charter: Literal[1]
    team: Text
    owner: Text
    purpose: Text
    roles: dict[str, RoleCharter]
    tools: dict[str, ToolCharter]
    data_sources: dict[str, DataSource]
    limits: RunLimits
    capacity: Capacity = Capacity()
    completion: tuple[CompletionCheck, ...] = Field(min_length=1)
    review_path: ReviewPath
    rollback: Rollback
    retention_days: NonNegativeFloat = 30.0
    """How long a run that is over stays in the journal at least, before the archivist may take it out."""

    def digest(self) -> str:
        """Give the digest by which runs name the charter in force.

        Capacity is no part of it: no run was promised any, and one that is open is not pinned to it.
        """
        return digest_of(self.model_dump(mode="json", exclude={"capacity"}))

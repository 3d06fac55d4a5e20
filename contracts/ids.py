"""Names of runs, steps, agents, gateways and positions: how they are made and what they may hold."""

from __future__ import annotations

import re
import secrets
from typing import NewType

RunId = NewType("RunId", str)
"""`r<seq>`: the sequence that the server gave the task."""
StepId = NewType("StepId", str)
"""A plan node (`inventory`), a shard of it (`code-3`), or what a step asked for (`code-3-a0`)."""
AgentId = NewType("AgentId", str)
"""`<role>-<random>`: one connection of one host, never reused."""
GatewayId = NewType("GatewayId", str)
"""`gw-<random>`: one gateway process, never reused."""
Position = NewType("Position", str)
"""Place of an operation in a handler: `3`, or `3-0-1` inside the first branch of a gather at 3."""

LANE = "_"
"""The step token of the supervisor's own lane; no step may be called so."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ROLE = re.compile(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*")
_RUN = re.compile(r"r[1-9][0-9]{0,18}")
_TOOL = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_POSITION = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})*")
_BASE = re.compile(r"[0-9-]+")
_BASE_NUMBER = re.compile(r"[0-9]+")
_BUILD_SHOWN, _OLDER = 10, "-B"
_WORD = re.compile(r"(?<!^)(?=[A-Z])")

GENERATION = 1_000_000
"""Positions of a step that runs again because its result was outdated begin at a multiple of this."""
RESERVED_ROLES = frozenset({"lease", "call", "state", "gw"})
"""Words that stand where an agent's or a gateway's name stands in a subject."""


def run_id(seq: int) -> RunId:
    """Name the run of the task with this sequence."""
    return RunId(f"r{seq}")


def is_run(text: str) -> bool:
    """Say whether a text is a run's name."""
    return bool(_RUN.fullmatch(text))


def is_name(text: str) -> bool:
    """Say whether a text may name a workflow, a plan node, a criterion or a data source."""
    return bool(_NAME.fullmatch(text))


def is_role(text: str) -> bool:
    """Say whether a text may name a role."""
    return bool(_ROLE.fullmatch(text)) and len(text) <= 63 and text not in RESERVED_ROLES  # noqa: PLR2004


def is_tool(text: str) -> bool:
    """Say whether a text may name a tool: lower case words, joined by dots."""
    return bool(_TOOL.fullmatch(text)) and len(text) <= 63  # noqa: PLR2004


def is_position(text: str) -> bool:
    """Say whether a text may name a place in a handler; it becomes part of a step's name, and so of subjects."""
    return bool(_POSITION.fullmatch(text)) and len(text) <= 63  # noqa: PLR2004


def role_name(class_name: str) -> str:
    """Give the role's name of a class: `AnalystCode` is `analyst-code`."""
    return _WORD.sub("-", class_name).lower()


def new_agent(role: str) -> AgentId:
    """Name a new agent of a role, or of a role's pool of an older build."""
    return AgentId(f"{role}-{secrets.token_hex(5)}")


def role_of(agent: str) -> str:
    """Give the role in an agent's name."""
    return role_in(pool_of(agent))


def pool_of(agent: str) -> str:
    """Give the pool in an agent's name: its role, and the build if that is an older one."""
    return agent.rsplit("-", 1)[0]


def pool_name(role: str, build: str) -> str:
    """Name the pool of a role; of an older build, `<role>-B<build>`, which no role's name is: they are lower case."""
    return f"{role}{_OLDER}{build.removeprefix('sha256:')[:_BUILD_SHOWN]}" if build else role


def role_in(pool: str) -> str:
    """Give the role of a pool."""
    return pool.split(_OLDER, maxsplit=1)[0]


def new_gateway() -> GatewayId:
    """Name a new gateway process."""
    return GatewayId(f"gw-{secrets.token_hex(5)}")


def shard_step(node: str, index: int) -> StepId:
    """Name one shard of a fanned-out plan node."""
    return StepId(f"{node}-{index}")


def child_step(parent: str, position: str) -> StepId:
    """Name the step that a step asked for at a position."""
    return StepId(f"{parent}-a{position}")


def is_asked_before(step: str, asker: str, position: str) -> bool:
    """Say whether a step, however deep, goes back to what another one asked for before this place in its handler."""
    asked = step.removeprefix(f"{asker}-a")
    return asked != step and int(_BASE_NUMBER.match(asked)[0]) < int(position)  # type: ignore[index]  # a position begins with one


def conflict_step(proposer: str, position: str, rung: int) -> StepId:
    """Name the step in which a role arbitrates a conflict that a step's proposal met."""
    return StepId(f"{proposer}-c{rung}-{position}")


def node_of(step: str) -> str:
    """Give the plan node that a step belongs to."""
    return step.split("-", 1)[0]


def base_position(index: str) -> str:
    """Give the position of an attempt's index: `3-0` of `3-0`, `3-0r1` and `3-0r1t2`."""
    found = _BASE.match(index)
    return found[0] if found else index


def largest_in(position: str) -> int:
    """Give the largest number in a position, as the handler counts: generations begin anew."""
    return max(int(part) % GENERATION for part in position.split("-"))


def intent_key(run: str, step: str, position: str) -> str:
    """Name an effect: the same for every retry, crash and re-dispatch of the same operation."""
    return f"{run}.{step}.{position}"

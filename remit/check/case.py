"""What is checked: a team, its charter, and the file and line of everything in both."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from remit import charter_file
from remit.agents.role import contract_of
from remit.contracts.part import arbiters_in
from remit.contracts.plan import Node, PlanSpec, ProposedPlan
from remit.team import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remit.contracts.charter import Charter
    from remit.contracts.document import StateContract
    from remit.loader import Loaded
    from remit.team import Team


def shown(path: Path) -> str:
    """Give a path as a person standing here would write it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@dataclass(frozen=True)
class Case:
    """A team and its charter; `key`, `role`, `tool` and `workflow` say where each thing stands."""

    loaded: Loaded

    @property
    def team(self) -> Team:
        """The team."""
        return self.loaded.team

    @property
    def charter(self) -> Charter:
        """Its charter."""
        return self.loaded.charter

    @cached_property
    def plans(self) -> Mapping[str, PlanSpec]:
        """The workflows as data."""
        return {name: _plan(name, item) for name, item in self.team.workflows.items()}

    def key(self, *location: str | int) -> str:
        """Give `charter.yaml:12` for a key, or for the nearest one above it."""
        lines = self._charter_lines
        line = next((lines[location[:end]] for end in range(len(location), -1, -1) if location[:end] in lines), 1)
        return f"{shown(self.loaded.charter_path)}:{line}"

    def role(self, name: str) -> str:
        """Give `team.py:12` for a role's class."""
        kind = self.team.roles[name]
        return _place(kind, kind.__qualname__)

    def tool(self, name: str) -> str:
        """Give `team.py:12` for a tool's function."""
        return _place(self.team.tools[name].body, name)

    def workflow(self, name: str) -> str:
        """Give `team.py:12` for a workflow."""
        path = self._team_path
        return f"{shown(path)}:{self._team_words.get(name, 1)}" if path else f"workflows.{name}"

    def state(self, template: str) -> str:
        """Give `team.py:12` for a state contract."""
        path = self._team_path
        return f"{shown(path)}:{self._team_words.get(template, 1)}" if path else f"state {template}"

    def upcast(self, tag: str) -> str:
        """Give `team.py:12` for an upcast."""
        path = self._team_path
        return f"{shown(path)}:{self._team_words.get(tag, 1)}" if path else f"upcast {tag}"

    def sent_to(self, role: str) -> bool:
        """Say whether a workflow, a planner, a role that may ask, or a conflict of state sends something to a role."""
        return self._has_planner or role in self._arbiters or any(role in self.roles_of(name) for name in self.plans)

    @cached_property
    def _has_planner(self) -> bool:
        """Whether a role replies with plans, which may name any role."""
        return any(contract_of(kind)[1] is ProposedPlan for kind in self.team.roles.values())

    @cached_property
    def _arbiters(self) -> frozenset[str]:
        """The roles that state policies ask."""
        return frozenset(role for contract in self.team.state for role in _arbiters(contract))

    def roles_of(self, workflow: str) -> frozenset[str]:
        """Give the roles that a run of a workflow may reach: its nodes, and whom they may ask."""
        found: set[str] = set()
        nodes = self.plans[workflow].nodes
        todo = [node.role for node in nodes] + [node.undo.role for node in nodes if node.undo is not None]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                role = self.charter.roles.get(name)
                todo += role.asks if role is not None else ()
        return frozenset(found)

    @cached_property
    def _charter_lines(self) -> Mapping[tuple[int | str, ...], int]:
        return charter_file.lines(self.loaded.charter_path)

    @cached_property
    def _team_path(self) -> Path | None:
        return self.loaded.charter_path.with_name(Path(self.loaded.ref).name) if self._is_file else None

    @property
    def _is_file(self) -> bool:
        return self.loaded.ref.endswith(".py")

    @cached_property
    def _team_words(self) -> Mapping[str, int]:
        """Lines of the strings in calls of `Team(…)` and `state(…)`: names of workflows, templates of keys, tags."""
        path = self._team_path
        return dict(_words(path)) if path is not None else {}


def _arbiters(contract: StateContract[object]) -> frozenset[str]:
    try:
        return arbiters_in(contract.node)
    except NameError:  # a type of it is not there, which is said of the contract
        return frozenset()


def _words(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Team", "state"}:
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value, part.lineno


def _place(thing: object, name: str) -> str:
    try:
        path = inspect.getsourcefile(thing)  # type: ignore[arg-type]  # classes and functions, which it takes
        _source, line = inspect.getsourcelines(thing)  # type: ignore[arg-type]  # as above
    except (OSError, TypeError):  # made at run time: there is no line to show
        return name
    return f"{shown(Path(path or name))}:{line}"


def _plan(name: str, item: object) -> PlanSpec:
    if isinstance(item, Plan):
        return item.spec()
    role = item.role_name()  # type: ignore[attr-defined]  # a workflow is a plan or a role's class
    return PlanSpec(nodes=(Node(name=name, role=role),))

"""The contracts of a whole team as plain data: what is stored of a build, and held against the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from remit.contracts.comparison import compare
from remit.contracts.evolution import Change, Evolution
from remit.contracts.form import Described, Describer, Form, Records, Ref, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remit.contracts.team import TeamSpec

UseKind = Literal["input", "outcome", "takes", "gives", "state", "tool"]
"""input, outcome: of a workflow, for its clients · takes, gives: of a role · state: documents · tool: its arguments."""


class Use(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place where a form is spoken."""

    kind: UseKind
    name: str
    form: Form
    scope: str = ""
    """Of a state contract."""
    upcasts: tuple[str, ...] = ()
    """Tags of older documents that a state contract brings forward."""

    @property
    def words(self) -> str:
        """Say it to a person."""
        return f"workflow {self.name}" if self.kind in {"input", "outcome"} else f"{_NOUN[self.kind]} {self.name}"


class TeamForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="remit.contracts.v1"):
    """All contracts of one build of a team."""

    team: str
    build: str
    uses: tuple[Use, ...]
    records: Records
    upcasts: tuple[str, ...] = ()
    """Tags of older messages that the team brings forward."""

    def at(self, use: Use) -> Described:
        """Give the form of a use with the records that it may name."""
        return Described(root=use.form, records=self.records)

    def label(self, use: Use) -> str:
        """Give what a use's form is called: the tag of its message, or the use itself."""
        tag = self.records[use.form.name].tag if isinstance(use.form, Ref) else ""
        return tag or use.words


_NOUN: Mapping[UseKind, str] = {"takes": "role", "gives": "role", "state": "state", "tool": "tool"}
_LOST: Mapping[UseKind, str] = {
    "input": "tasks for it are refused, and its runs cannot go on",
    "takes": "steps of it may be in flight",
    "state": "what is stored under it cannot be read any more",
    "tool": "calls of it may be in flight",
}


def form_of(spec: TeamSpec, tools: Mapping[str, type]) -> TeamForm:
    """Give the contracts of a team as plain data; `tools` are the types of its tools' arguments.

    Raises:
        ContractInvalidError: a part of one has no form in JSON.
    """
    describer = Describer()
    uses: list[Use] = []
    for name, plan in sorted(spec.workflows.items()):
        gives = spec.roles[plan.nodes[-1].role].gives
        uses.append(Use(kind="input", name=name, form=describer.add(spec.takes(name))))
        uses.append(Use(kind="outcome", name=name, form=describer.add(gives)))
    for name, role in sorted(spec.roles.items()):
        uses.append(Use(kind="takes", name=name, form=describer.add(role.takes)))
        uses.append(Use(kind="gives", name=name, form=describer.add(role.gives)))
    for item in sorted(spec.state, key=lambda item: item.template):
        form, older = describer.add(item.kind), tuple(sorted(item.upcast))
        uses.append(Use(kind="state", name=item.template, form=form, scope=item.scope, upcasts=older))
    for name, arguments in sorted(tools.items()):
        uses.append(Use(kind="tool", name=name, form=describer.add(arguments)))
    return TeamForm(
        team=spec.name,
        build=spec.build,
        uses=tuple(uses),
        records=dict(sorted(describer.records.items())),
        upcasts=tuple(sorted(spec.upcast)),
    )


def compare_teams(old: TeamForm, new: TeamForm) -> Evolution:
    """Give what changed from one build of a team to another; a message that is used in many places is said once."""
    return Evolution(changes=tuple(dict.fromkeys(_changes(old, new))))


def _changes(old: TeamForm, new: TeamForm) -> Iterator[Change]:
    before = {(use.kind, use.name): use for use in old.uses}
    after = {(use.kind, use.name): use for use in new.uses}
    for place, use in before.items():
        if place in after:
            yield from _use(old, new, before=use, after=after[place])
        elif use.kind in _LOST:  # a role and a workflow are said once
            yield _use_gone(use)
    for place, use in after.items():
        if place not in before and use.kind in _LOST:
            why = "nothing was written for it before"
            yield Change(contract=use.words, path="$", what="use added", readers=True, writers=True, why=why)


def _use(old: TeamForm, new: TeamForm, *, before: Use, after: Use) -> Iterator[Change]:
    label, now = old.label(before), new.label(after)
    if after.kind == "state" and label != now and label in after.upcasts:
        # A state contract's upcast may give any later version, which nobody knows before it is called.
        why = f"its upcast brings it forward; an older reader does not know {now}"
        yield Change(contract=label, path="$", what="tag", old=label, new=now, readers=True, writers=False, why=why)
    else:
        older = () if after.kind == "state" else new.upcasts
        yield from compare(old.at(before), new.at(after), contract=label, upcasts=older).changes
    if before.scope != after.scope:
        yield Change(
            contract=before.words,
            path="$",
            what="scope",
            old=before.scope,
            new=after.scope,
            readers=False,
            writers=False,
            why="it is kept somewhere else, and what was written before is not found there",
            fix="keep the scope, or declare another key",
        )


def _use_gone(use: Use) -> Change:
    return Change(
        contract=use.words,
        path="$",
        what="use removed",
        old=shown(use.form),
        readers=False,
        writers=True,
        why=_LOST[use.kind],
        fix="keep it until nothing of it is in flight",
    )

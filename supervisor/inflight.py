"""What is in flight, held against the contracts of a build that is to go on with it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from remit.contracts.errors import MalformedMessageError
from remit.contracts.upcast import decode_forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from remit.contracts.message import Message
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import RunState, StepState


class Unreadable(NamedTuple):
    """Something of an open run that a build cannot read."""

    run_id: str
    where: str
    """The step, and the path into its message."""
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.run_id} at {self.where}: expected {self.expected}, got {self.got}"


def unreadable(team: TeamSpec, run: RunState) -> list[Unreadable]:
    """Give all of a run that a build cannot read; nothing if it can go on with it."""
    found = list(_roles(team, run))
    if not found:
        for step in run.steps.values():
            found += _step(team, run, step)
    return found


def _roles(team: TeamSpec, run: RunState) -> Iterator[Unreadable]:
    for name, node in run.nodes.items():
        wanted = [node.spec.role, *([node.spec.undo.role] if node.spec.undo is not None else [])]
        for role in wanted:
            if role not in team.roles:
                yield Unreadable(run.run_id, f"node {name}", f"a role {role}", ", ".join(sorted(team.roles)))
    for step in run.steps.values():
        if step.work.role not in team.roles and step.status != "reset":
            yield Unreadable(
                run.run_id, f"step {step.work.step}", f"a role {step.work.role}", ", ".join(sorted(team.roles))
            )


def _step(team: TeamSpec, run: RunState, step: StepState) -> Iterator[Unreadable]:
    role, work = team.roles[step.work.role], step.work
    if step.status == "completed":
        yield from _message(team, run, f"reply of step {work.step}", kind=role.gives, data=step.reply, tag="")
    elif step.error is not None and step.error.code == MalformedMessageError.code and not step.retryable:
        # Without the build that it was of, a reply that does not fit looks like a failure.
        where = f"reply of step {work.step} {step.error.where}"
        yield Unreadable(run.run_id, where, step.error.expected or f"a {role.gives.__name__}", step.error.got)
    elif step.status != "reset":
        yield from _message(team, run, f"step {work.step}", kind=role.takes, data=work.body, tag=work.contract)


def _message(
    team: TeamSpec, run: RunState, what: str, *, kind: type[Message], data: msgspec.Raw, tag: str
) -> Iterator[Unreadable]:
    try:
        decode_forward(kind, data, contract_tag=tag, upcasts=team.upcast)
    except MalformedMessageError as error:
        where = f"{what} {error.where}"
        yield Unreadable(run.run_id, where, error.expected or f"a {kind.__name__}", error.got or error.message)

"""What each step has had of models, counted where its agent cannot talk it away."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from remit.contracts.message import decode
from remit.contracts.model import Completion, Spent, reserve_of
from remit.contracts.tool import ToolAnswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remit.contracts.model import Messages
    from remit.contracts.step import Parked
    from remit.tools.policy import Request

_STEPS_KEPT: Final = 4096


@dataclass
class _Account:
    """Of one step: what was answered, and what is set aside for calls that run now, by their position."""

    spent: Spent = field(default_factory=Spent)
    answered: set[str] = field(default_factory=set)
    set_aside: dict[str, int] = field(default_factory=dict)


class Spending:
    """The accounts of steps that ask models. Of this process alone: a new one begins anew.

    What is set aside for a call counts until its answer says what it took, so calls side by side share one bound of
    tokens. What an answer costs is known afterwards only: calls side by side may go above the bound of money by what
    they cost.
    """

    def __init__(self) -> None:
        self._accounts: OrderedDict[tuple[str, str], _Account] = OrderedDict()

    @contextmanager
    def reserved(self, request: Request) -> Iterator[Callable[[ToolAnswered | Parked], None]]:
        """While this lasts, tokens are set aside for a call of a model; give what is told its answer.

        Raises:
            BudgetSpentError: the step has had as much as it may; nothing was asked.
        """
        call, grant = request.call, request.lease.grant
        if request.tool.returns is not Completion or not (grant.tokens or grant.cost):
            yield lambda _answer: None
            return
        account = self._account(call.run_id, call.step)
        if call.position in account.answered | set(account.set_aside):  # asked again: it is the same one
            yield lambda _answer: None
            return
        reserve = _reserve(request)
        aside = Spent(tokens=account.spent.tokens + sum(account.set_aside.values()), cost=account.spent.cost)
        where = f"charter.yaml: roles.{request.lease.role}.limits"
        aside.check(reserve=reserve, tokens=grant.tokens, cost=grant.cost, where=where)
        account.set_aside[call.position] = reserve
        try:
            yield lambda answer: _settle(account, call.position, answer)
        finally:
            account.set_aside.pop(call.position, None)

    def _account(self, run: str, step: str) -> _Account:
        account = self._accounts.setdefault((run, step), _Account())
        self._accounts.move_to_end((run, step))
        while len(self._accounts) > _STEPS_KEPT:
            self._accounts.popitem(last=False)
        return account


def _reserve(request: Request) -> int:
    """Give what a call may take; a tool of a model that declares other arguments is taken at its word."""
    messages = getattr(request.arguments, "messages", ())
    return reserve_of(cast("Messages", messages), int(getattr(request.arguments, "max_tokens", 0) or 0))


def _settle(account: _Account, position: str, answer: ToolAnswered | Parked) -> None:
    if isinstance(answer, ToolAnswered) and answer.error is None:
        account.spent = account.spent.plus(decode(Completion, answer.value))
        account.answered.add(position)

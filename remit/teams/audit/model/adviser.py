"""Asks the model of an audit within what the step may have of it. Whatever goes wrong is said, and nothing fails."""

from typing import TYPE_CHECKING, TypeVar

from remit import BudgetSpentError, Context, ModelOutputError, RefusedError, ToolFailedError
from remit.teams.audit.model.prompt import SYSTEM
from remit.teams.audit.model.remark import Kind, Missing, Remark, Words, one_line, what

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")
BUDGET = "the budget of the role is spent"
TIME = "the time for it is over"
UNFIT = "what the model said did not fit"
DECLINED = "the model declined"
_CAUSE = 160


class Adviser:
    """One step's way to the model.

    After a server that cannot be reached, a budget that is spent or a time that is over, nothing more is asked: the
    next question would end the same. An answer that does not fit says nothing about the next one.
    """

    def __init__(self, ctx: Context, model: str, *, role: str, within_s: float) -> None:
        self._ctx = ctx
        self._model = model
        self._role = role
        self._within_s = within_s
        self._began: datetime | None = None
        self._over = ""
        self._words = Words()
        self.cause = ""
        """Why the last question has no answer; empty if it has one."""

    @property
    def words(self) -> Words:
        """What was said and what was not, so far."""
        return self._words

    async def ask(self, prompt: str, kind: type[T], *, max_tokens: int) -> T | None:
        """Give the answer of the model; None if there is none, and `cause` says why."""
        self.cause = self._over or await self._late()
        if self.cause:
            return None
        try:
            return await self._ctx.generate(
                prompt,
                returns=kind,
                system=SYSTEM,
                model=self._model,
                max_tokens=max_tokens,
                temperature=0.0,
                repairs=1,
            )
        except ModelOutputError as error:
            self.cause = DECLINED if "declines" in error.message else UNFIT
        except BudgetSpentError:
            self.cause = self._over = BUDGET
        except (ToolFailedError, RefusedError) as error:
            self.cause = self._over = one_line(f"the model could not be asked: {error.message}", _CAUSE)
        return None

    def remark(self, kind: Kind, text: str, about: str = "") -> None:
        """The model said this."""
        said = one_line(text)
        if said:
            remark = Remark(role=self._role, kind=kind, about=about, text=said)
            self._words = self._words.plus(Words(remarks=(remark,)))
        else:
            self.miss(what(kind), about, cause=UNFIT)

    def miss(self, missed: str, about: str = "", cause: str = "") -> None:
        """The model was to say this, and did not."""
        missing = Missing(role=self._role, what=missed, about=about, cause=cause or self.cause)
        self._words = self._words.plus(Words(missing=(missing,)))

    async def _late(self) -> str:
        """Say that the time is over; the clock is recorded, so a replay says the same."""
        now = await self._ctx.now()
        self._began = self._began or now
        self._over = TIME if (now - self._began).total_seconds() >= self._within_s else ""
        return self._over

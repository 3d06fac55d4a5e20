"""Operators meet what they do not know of: another supervisor's decision, or an entry whose answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.journal import Fence
from remit.contracts.control import ControlDone, DecideReview, PauseRun
from remit.contracts.errors import BusUnavailableError
from remit.contracts.message import encode
from remit.contracts.step import Parked, Refused
from remit.supervisor import saga
from tests.integration.supervisor.world import holder
from tests.teams import shop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.supervisor.world import World


async def test_a_decision_about_what_another_supervisor_took_back_is_refused(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    assert isinstance(await clerk.review(work, "may it?"), Parked)
    opened = await world.opened(work.run_id)
    run = supervisor.runs.get(work.run_id)
    assert run is not None
    name, began = saga.begin(run.state, "start", reason="it is wrong", by="bob")
    await world.journal.append(name, encode(began), fence=Fence(subject.lane(work.run_id), run.state.lane_seq))

    wish = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved")
    answer = await world.control("decide", wish)
    again = await clerk.hold()

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-209"
    assert (again.epoch, again.generation) == (2, 1)


async def test_who_holds_a_step_hears_of_a_pause_whose_answer_was_lost(world: World) -> None:
    supervisor = await world.supervise(shop())
    _clerk, work = await holder(world)
    append = supervisor._journal.append

    async def unanswered(
        subject: str, body: bytes, *, fence: Fence | None = None, headers: Mapping[str, str] | None = None
    ) -> int:
        await append(subject, body, fence=fence, headers=headers)
        supervisor._journal.append = append  # type: ignore[method-assign]
        raise BusUnavailableError("no answer came", where=subject)

    supervisor._journal.append = unanswered  # type: ignore[method-assign]
    answer = await world.control("pause", PauseRun(run_id=work.run_id))

    assert isinstance(answer, ControlDone)
    assert await world.journal.get(subject.lease_revoked(work.run_id, work.step, 1)) is not None

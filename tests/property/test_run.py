"""`decide` and `evolve` under everything that may happen to a run, in any order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from remit.bus import subject
from remit.contracts.charter import RoleLimits, RunLimits
from remit.contracts.ids import role_of
from remit.contracts.message import Message, decode
from remit.contracts.plan import TASK, Condition, Node, PlanSpec
from remit.contracts.step import RunStep
from remit.contracts.team import RoleSpec
from tests.property.simulation import Simulation, same
from tests.teams import charter, shop

if TYPE_CHECKING:
    from remit.supervisor.run_state import StepState


class Item(Message, frozen=True, kw_only=True, tag="any.item.v1"):
    """Taken and given by every role, so that any edge fits."""

    flag: bool = False
    number: int = 0
    items: tuple[Item, ...] = ()


ROLES = ("clerk", "packer")
AGENTS = [f"{role}-{number}" for role in ROLES for number in (1, 2)]
LIMITS = charter(step=RoleLimits(attempts=2, deadline_s=5.0), limits=RunLimits(wall_clock_s=10_000.0, steps=60))


@st.composite
def plans(draw: st.DrawFn) -> PlanSpec:
    """Any plan: single role, chain, fan-out, join, conditions."""
    nodes: list[Node] = []
    for index in range(draw(st.integers(1, 5))):
        plain = [node.name for node in nodes if not node.each]
        after = draw(st.lists(st.sampled_from([TASK, *(node.name for node in nodes)]), min_size=1, unique=True))
        is_fanned = len(after) == 1 and after[0] in {TASK, *plain} and draw(st.booleans())
        when = st.builds(
            Condition,
            node=st.sampled_from([TASK, *plain]),
            path=st.just("flag"),
            operator=st.just("eq"),
            value=st.just(value=True),
        )
        nodes.append(
            Node(
                name=f"n{index}",
                role=draw(st.sampled_from(ROLES)),
                after=tuple(after) if index else (TASK,),
                each="items" if is_fanned and index else "",
                when=tuple(draw(st.lists(when, max_size=1))) if index else (),
            )
        )
    return PlanSpec(nodes=tuple(nodes), window=draw(st.integers(1, 4)))


REPLIES = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "items": st.lists(st.just({"type": "any.item.v1"}), max_size=3),
    }
)
BROKEN: st.SearchStrategy[object] = st.sampled_from([None, [], {"flag": "yes"}, {"items": {}}, 7])


class RunMachine(RuleBasedStateMachine):
    """A supervisor, four agents, and a journal; the server delivers late, twice and in any order."""

    world: Simulation

    @initialize(plan=plans(), body=REPLIES)
    def begin(self, plan: PlanSpec, body: dict[str, object]) -> None:
        roles = {name: RoleSpec(name=name, takes=Item, gives=Item) for name in ROLES}
        self.plan = plan
        self.world = Simulation(shop(LIMITS, workflows={"any": plan}, roles=roles))
        self.world.start("any", body)

    def step(self, pick: int, *status: str) -> StepState | None:
        steps = [step for step in self.world.run.steps.values() if not status or step.status in status]
        return steps[pick % len(steps)] if steps else None

    @property
    def is_open(self) -> bool:
        return self.world.run.finished is None

    # --- what agents do --------------------------------------------------------------------------

    @rule(pick=st.integers(0, 50), number=st.integers(1, 2))
    @precondition(lambda self: self.is_open)
    def claim(self, pick: int, number: int) -> None:
        if (step := self.step(pick, "dispatched")) is not None:
            self.world.lease(step, f"{step.work.role}-{number}")

    @rule(pick=st.integers(0, 50), agent=st.sampled_from(AGENTS), reply=REPLIES | BROKEN, back=st.integers(0, 2))
    def complete(self, pick: int, agent: str, reply: object, back: int) -> None:
        """Anybody may write this in its own name: holders, zombies of old epochs, and strangers."""
        if (step := self.step(pick)) is not None:
            self.world.complete(step, agent, reply, epoch=max(1, step.work.epoch - back))

    @rule(pick=st.integers(0, 50), reply=REPLIES, number=st.integers(1, 2))
    def complete_what_waits_or_is_held(self, pick: int, reply: object, number: int) -> None:
        if (step := self.step(pick, "dispatched", "leased")) is not None:
            self.world.complete(step, self._agent(step, number), reply, epoch=step.work.epoch)

    @rule(pick=st.integers(0, 50), number=st.integers(1, 2), retryable=st.booleans())
    def fail(self, pick: int, number: int, retryable: bool) -> None:  # noqa: FBT001  # drawn
        if (step := self.step(pick, "dispatched", "leased")) is not None:
            self.world.fail(step, self._agent(step, number), epoch=step.work.epoch, retryable=retryable)

    def _agent(self, step: StepState, number: int) -> str:
        is_held = step.status == "leased" and step.lease is not None
        return step.lease.agent if is_held and step.lease else f"{step.work.role}-{number}"

    @rule(pick=st.integers(0, 50), role=st.sampled_from(ROLES), position=st.integers(0, 1))
    @precondition(lambda self: self.is_open)
    def ask(self, pick: int, role: str, position: int) -> None:
        if (step := self.step(pick, "leased")) is not None and self.world.run.dispatched < 30:
            self.world.ask(step, role, position)

    @rule(pick=st.integers(0, 50), position=st.integers(0, 1))
    @precondition(lambda self: self.is_open)
    def ask_a_person(self, pick: int, position: int) -> None:
        if (step := self.step(pick, "leased")) is not None:
            self.world.review(step, position)

    # --- what happens to the supervisor ----------------------------------------------------------

    @rule(pick=st.integers(0, 50))
    @precondition(lambda self: self.world.unheard)
    def deliver(self, pick: int) -> None:
        self.world.deliver(pick % len(self.world.unheard))

    @rule(pick=st.integers(0, 50))
    @precondition(lambda self: self.world.heard)
    def deliver_twice(self, pick: int) -> None:
        self.world.hear_again(self.world.heard[pick % len(self.world.heard)])

    @rule(pick=st.integers(0, 10))
    @precondition(lambda self: self.world.run.reviews)
    def decide(self, pick: int) -> None:
        names = list(self.world.run.reviews)
        self.world.decide_review(names[pick % len(names)])

    @rule(pick=st.integers(0, 50))
    @precondition(lambda self: self.is_open and self.step(0, "leased"))
    def lose_a_host(self, pick: int) -> None:
        step = self.step(pick, "leased")
        assert step is not None
        assert step.lease is not None
        self.world.lose(step.lease.agent)

    @rule(pick=st.integers(0, 50))
    @precondition(lambda self: self.is_open)
    def give_up_delivering(self, pick: int) -> None:
        if (step := self.step(pick, "dispatched")) is not None:
            self.world.give_up(step)

    @rule(seconds=st.sampled_from([0.3, 1.0, 6.0, 8.0]))
    @precondition(lambda self: self.is_open)
    def wait(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)
        self.world.overdue()

    @rule()
    @precondition(lambda self: self.is_open)
    def restart(self) -> None:
        self.world.restart()

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def replay_equals_live(self) -> None:
        folded = self.world.folded()
        if folded is None:
            assert self.world.run.finished is not None
        else:
            assert same(folded) == same(self.world.caught_up())

    @invariant()
    def numbers_step_by_one(self) -> None:
        lane = [subject.parse_run(entry.subject) for entry in self.world.entries]
        numbers = [int(parts.index) for parts in lane if parts and parts.lane == "_" and parts.kind != "work"]
        assert numbers == list(range(1, len(numbers) + 1))

        works = [decode(RunStep, entry.data) for entry in self.world.entries if "._.work." in entry.subject]
        seen: Counter[str] = Counter()
        for work in works:
            seen[work.step] += 1
            assert work.epoch == seen[work.step]
            assert work.attempt <= LIMITS.roles[work.role].limits.attempts

    @invariant()
    def counters_agree_with_what_they_count(self) -> None:
        run = self.world.run
        held = [step for step in run.steps.values() if step.is_held]
        assert run.in_flight == len(held)
        for node in run.nodes.values():
            names = node.steps() if node.decided else []
            unfinished = [name for name in names if name not in run.steps or run.steps[name].status != "completed"]
            assert node.open == len(unfinished)

    @invariant()
    def the_window_is_kept(self) -> None:
        run = self.world.run
        assert sum(step.is_held and step.work.parent is None for step in run.steps.values()) <= run.window

    @invariant()
    def only_who_holds_a_step_completes_it(self) -> None:
        for name, step in self.world.run.steps.items():
            if step.status != "completed":
                continue
            parts = subject.parse_run(step.completed_by)
            assert parts is not None
            assert role_of(parts.author) == step.work.role
            assert (parts.lane, parts.index) == (name, str(step.work.epoch))
            if step.lease is not None and step.lease.epoch == step.work.epoch:
                assert step.lease.agent == parts.author

    @invariant()
    def there_is_one_outcome_at_most(self) -> None:
        finished = [entry for entry in self.world.entries if entry.subject.endswith("._.finished")]
        assert len(finished) <= 1

    def teardown(self) -> None:
        """Whatever happened: once everybody does its work, the run ends."""
        if hasattr(self, "world"):
            finish(self.world)
            self.there_is_one_outcome_at_most()


def finish(world: Simulation) -> None:
    """Everybody does its work, and the run ends."""
    for _ in range(200):
        while world.unheard:
            world.deliver(0)
        if world.run.finished is not None:
            return
        for name in list(world.run.reviews):
            world.decide_review(name)
        for step in list(world.run.steps.values()):
            _work(world, step)
        world.now += timedelta(seconds=1)
        world.overdue()
    raise AssertionError(f"the run is stuck: {world.run}")


def _work(world: Simulation, step: StepState) -> None:
    agent = f"{step.work.role}-1"
    world.lease(step, agent)
    holder = step.lease.agent if step.status == "leased" and step.lease else agent
    if step.is_held:
        world.complete(step, holder, {"flag": True}, epoch=step.work.epoch)


TestRun = pytest.mark.timeout(120)(RunMachine.TestCase)
TestRun.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a run of forty steps takes minutes to shrink
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)


@settings(max_examples=40, deadline=None)
@given(plan=plans(), first=REPLIES, second=REPLIES, is_failed=st.booleans())
def test_two_ends_of_one_step_heard_in_the_other_order_leave_a_run_that_ends(
    plan: PlanSpec,
    first: dict[str, object],
    second: dict[str, object],
    is_failed: bool,  # noqa: FBT001  # drawn
) -> None:
    """Only a hijacked agent writes the second one, and a journal that contradicts itself must stop nobody else."""
    roles = {name: RoleSpec(name=name, takes=Item, gives=Item) for name in ROLES}
    world = Simulation(shop(LIMITS, workflows={"any": plan}, roles=roles))
    world.start("any", {"flag": True})
    step = next(iter(world.run.steps.values()))
    if is_failed:
        world.fail(step, f"{step.work.role}-1", epoch=1, retryable=False)
    else:
        world.complete(step, f"{step.work.role}-1", first, epoch=1)
    world.complete(step, f"{step.work.role}-2", second, epoch=1, is_hostile=True)
    world.deliver(1)

    world.restart()

    finish(world)
    assert world.run.finished is not None

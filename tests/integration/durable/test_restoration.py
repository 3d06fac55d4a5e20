"""State that outlives a run goes back with it, unless others wrote it since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit import Context, Message, Plan, Role, Team, policy, rollback, state, step, when
from remit.contracts.rollback import RolledBack

if TYPE_CHECKING:
    from tests.integration.durable.conftest import Housing


class Box(Message, frozen=True, kw_only=True, tag="shelf.box.v1"):
    name: str
    ok: bool = True


class Clerk(Role[Box, Box]):
    async def handle(self, work: Box, ctx: Context) -> Box:
        return work


class Packer(Role[Box, Box]):
    async def handle(self, work: Box, ctx: Context) -> Box:
        for key in ("shelf", "house"):
            seen = await ctx.state.read(key, str)
            await ctx.state.propose(key, work.name, base=seen.version)
        return Box(name=work.name, ok=ctx.rolled_back is not None or work.name == "first")


class Judge(Role[Box, Box]):
    async def handle(self, work: Box, ctx: Context) -> Box:
        return work


team = Team(
    "shelf",
    roles=[Clerk, Packer, Judge],
    state=[
        state("shelf", str, policy=policy.reject(), scope="workflow"),
        state("house", str, policy=policy.reject(), scope="team"),
    ],
    workflows={
        "pack": Plan(
            step("take", Clerk, checkpoint="taken"),
            step("pack", Packer, after="take"),
            step("judge", Judge, after="pack"),
            rollbacks=[rollback("taken", when=when("pack.ok", "eq", value=False), then="end")],
        )
    },
)


async def test_what_a_run_wrote_for_its_workflow_and_its_team_is_put_back(housing: Housing) -> None:
    async with housing(team) as house:
        await house.run("pack", Box(name="first"))
        run = await house.submit("pack", Box(name="second"))
        finished = await house.outcome(run)
        done = await house.last(run, "rolled_back", RolledBack)
        values = [
            (await house.entries(f"remit.state.{scope}.{key}.*"))[-1].data
            for scope, key in (("*", "shelf"), ("team", "house"))
        ]

    assert finished.outcome == "stopped"
    assert (sorted(done.restored), done.lasting) == (["house", "shelf"], ())
    assert [b'"first"' in value for value in values] == [True, True]

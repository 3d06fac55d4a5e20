"""What the editor knows of earlier audits of this folder, and what it hands on to the next one."""

from collections.abc import Sequence

import msgspec

from remit import Context
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.message import Inventory
from remit.teams.audit.report.baseline import NONE, Baseline, Snapshot, renewed, snapshot
from remit.teams.audit.report.since import Comparison, compared, looked
from remit.teams.audit.sighting import Skipped
from remit.teams.audit.tools.head import Head
from remit.teams.audit.tools.last_audit import fs_baseline
from remit.teams.audit.tools.scratch import get


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """The last audit, as far as it is believed."""

    head: Head
    last: Baseline | None
    problem: str
    """Why there is nothing to compare with; empty if there is."""

    @property
    def base(self) -> Snapshot | None:
        """What this audit is compared with."""
        return self.last.base(self.head) if self.last is not None else None

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """A baseline that is there and is not believed is lost, which the report says."""
        return (Skipped(what="the last audit", cause=self.problem),) if self.problem not in {"", NONE} else ()

    def renewed(self, opinions: Sequence[Opinion], score: int) -> Baseline:
        """Give the baseline for the next audit."""
        return renewed(self.last, self.head, snapshot(self.head, opinions, score=score, last=self.last))


async def remembered(inventory: Inventory, ctx: Context) -> Past:
    """Read the baseline in the output folder."""
    answer = await ctx.call(fs_baseline, out=inventory.out)
    last = await get(ctx, answer.found, Baseline) if answer.found is not None else None
    past = Past(head=inventory.head, last=last, problem=answer.problem)
    return past if past.base is not None or past.problem else msgspec.structs.replace(past, problem=NONE)


async def comparison(
    past: Past,
    inventory: Inventory,
    opinions: Sequence[Opinion],
    *,
    score: int,
    skipped: Sequence[Skipped],
    ctx: Context,
) -> Comparison | None:
    """Compare this audit with the last one, if somebody asked and there was one."""
    if inventory.since != "last" or past.base is None:
        return None
    works = (*inventory.shards[:1], *inventory.supply, *inventory.docs)
    paths = [path for work in works for path in await get(ctx, work.files, list[str])]
    return compared(past.base, opinions, score=score, seen=looked(inventory, paths, skipped))

"""Drafts of a report, made by hand: what the editor writes from."""

import msgspec

from remit.teams.audit.finding import Finding
from remit.teams.audit.judge.opinion import Decision, Opinion
from remit.teams.audit.mending import Verification
from remit.teams.audit.message import Critique, Inventory
from remit.teams.audit.report.hotspot import hotspots
from remit.teams.audit.report.markdown import Draft
from remit.teams.audit.sighting import Measure
from remit.teams.audit.tools.scratch import Stored


def opinion(item: Finding, decision: Decision = "keep", reason: str = "r") -> Opinion:
    return Opinion(finding=item, decision=decision, reason=reason, place="shipped", score=90, cited=True)


def drafted(*opinions: Opinion, measures: tuple[Measure, ...] = (), **fields: object) -> Draft:
    inventory = Inventory(
        files=1, python_files=1, python_bytes=9, tests=0, packages=0, entry_points=(), is_git=False, shards=()
    )
    kept = [item.finding for item in opinions if item.decision == "keep"]
    critique = Critique(
        opinions=Stored(name="o", digest="d", size_bytes=1),
        requirement="",
        raised=len(opinions),
        kept=len(kept),
        demoted=sum(item.decision == "demote" for item in opinions),
        rejected=sum(item.decision == "reject" for item in opinions),
        uncriticised=0,
        unverified=0,
        rounds=0,
        looked_again=0,
        files=1,
        lines=9,
    )
    plain = Draft(
        inventory=inventory,
        critique=critique,
        opinions=opinions,
        conflicts=(),
        actions={},
        hotspots=tuple(hotspots(kept)),
        score=90,
        skipped=(),
        measures=measures,
        verification=Verification(patches=(), dropped=(), failed=0),
    )
    return msgspec.structs.replace(plain, **fields)

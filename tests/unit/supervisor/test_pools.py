"""Where roles run, who was heard, and how often a child may die; the clock is moved by hand."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING, Literal, cast

import pytest
from msgspec.structs import replace

from remit.contracts.control import Heartbeat
from remit.contracts.ids import pool_name
from remit.contracts.pool import Pool
from remit.supervisor.births import Host
from remit.supervisor.children import Child
from remit.supervisor.layout import layout
from remit.supervisor.renewal import Renewals, why_worn
from remit.supervisor.roster import GRACE_S, Roster
from remit.supervisor.tree import Intensity, Restarts, alarm
from tests.teams import ROLES

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from remit.contracts.team import TeamSpec
    from remit.supervisor.births import Births
    from remit.supervisor.retirement import Retirement

# --- layout -----------------------------------------------------------------------------------------


def test_roles_share_their_hosts() -> None:
    assert layout(ROLES, {}) == {"shared-0": frozenset(ROLES), "shared-1": frozenset(ROLES)}


def test_a_role_that_wants_more_hosts_gets_them_and_one_that_wants_none_has_none() -> None:
    hosts = layout(ROLES, {"clerk": 3, "packer": 0})

    assert hosts["shared-2"] == {"clerk"}
    assert hosts["shared-0"] == set(ROLES) - {"packer"}


def test_an_isolated_role_shares_with_nobody() -> None:
    roles = {**ROLES, "clerk": changed(ROLES["clerk"], isolated=True, pool=1)}

    hosts = layout(roles, {})

    assert hosts["clerk-0"] == {"clerk"}
    assert "clerk" not in hosts["shared-0"]


def test_scaling_down_takes_from_the_last_host_first() -> None:
    before, after = layout(ROLES, {"clerk": 4}), layout(ROLES, {"clerk": 1})

    assert {name for name, roles in before.items() if "clerk" in roles} == {f"shared-{index}" for index in range(4)}
    assert {name for name, roles in after.items() if "clerk" in roles} == {"shared-0"}


# --- restarts ---------------------------------------------------------------------------------------

INTENSITY = Intensity(restarts=3, period_s=10.0, backoff_s=1.0, backoff_max_s=3.0, quarantine_s=60.0)


def test_the_first_death_is_answered_at_once_and_the_next_ones_later_and_later() -> None:
    restarts = Restarts(INTENSITY)
    waits = []
    for _ in range(3):
        restarts.died(0.0)
        waits.append(restarts.wait_s(0.0))

    assert waits == [0.0, 2.0, 3.0]
    assert not restarts.is_quarantined
    assert restarts.may_start(3.0)
    assert not restarts.may_start(2.9)


def test_a_child_that_dies_too_often_in_a_period_is_quarantined_and_then_starts_a_new_count() -> None:
    restarts = Restarts(INTENSITY)
    for now in (0.0, 1.0, 2.0, 3.0):
        restarts.died(now)

    was_quarantined = restarts.is_quarantined
    early, late = restarts.may_start(62.9), restarts.may_start(63.0)
    restarts.died(64.0)

    assert (was_quarantined, early, late, restarts.is_quarantined) == (True, False, True, False)
    assert restarts.may_start(64.0)


def test_deaths_that_are_far_apart_do_not_add_up() -> None:
    restarts = Restarts(INTENSITY)
    for now in range(0, 1100, 11):
        restarts.died(float(now))
        assert restarts.may_start(float(now))


# --- roster -----------------------------------------------------------------------------------------


def beat(agent: str) -> Heartbeat:
    return Heartbeat(agent=agent, role="clerk", host="shared-0", pid=1, slots=32, busy=0, state="ready")


def test_a_new_agent_has_time_to_be_heard_and_an_old_one_has_not() -> None:
    roster = Roster()
    roster.expect(["clerk-1", "clerk-2"], 0.0)

    roster.heard(beat("clerk-1"), 1.0)

    assert roster.silent(5.9, 5.0) == []
    assert roster.silent(6.1, 5.0) == ["clerk-1"]
    assert set(roster.silent(GRACE_S + 5.1, 5.0)) == {"clerk-1", "clerk-2"}


def test_a_stranger_is_not_counted() -> None:
    roster = Roster()

    roster.heard(beat("clerk-9"), 1.0)

    assert roster.beats(["clerk-9"]) == []
    assert roster.silent(100.0, 5.0) == []


def test_who_is_forgotten_or_forgiven_is_not_silent() -> None:
    roster = Roster()
    roster.expect(["clerk-1", "clerk-2"], 0.0)
    roster.heard(beat("clerk-1"), 1.0)
    roster.heard(beat("clerk-2"), 1.0)

    roster.forget("clerk-2")
    roster.forgive(50.0)

    assert roster.silent(54.0, 5.0) == []
    assert roster.silent(56.0, 5.0) == ["clerk-1"]
    assert [item.agent for item in roster.beats(["clerk-1", "clerk-2"])] == ["clerk-1"]


# --- quarantine, and what is said of it -------------------------------------------------------------


def test_a_quarantined_child_says_how_often_and_of_what_it_died_and_may_be_released() -> None:
    restarts = Restarts(INTENSITY)
    for now in (0.0, 1.0, 2.0, 3.0):
        restarts.died(now, f"exit {now:.0f}")

    said = restarts.why(3.0)
    released, again = restarts.release(), restarts.release()

    assert said == "quarantined for 60 s after 4 deaths in 10 s; it died of: exit 3"
    assert (released, again) == (True, False)
    assert restarts.may_start(3.0)
    assert restarts.why(3.0) == ""


def test_a_released_child_starts_a_new_count() -> None:
    restarts = Restarts(INTENSITY)
    for now in (0.0, 1.0, 2.0, 3.0):
        restarts.died(now)
    restarts.release()

    restarts.died(4.0)

    assert not restarts.is_quarantined


def test_one_quarantined_host_of_several_is_no_alarm_and_two_are() -> None:
    one, two = {"clerk-0": "exit 1"}, {"clerk-0": "exit 1", "clerk-1": ""}

    assert alarm("clerk", one, 3) == ""
    assert alarm("clerk", two, 3) == "2 of 3 hosts of clerk are quarantined; clerk-0 died of: exit 1"
    assert alarm("clerk", one, 1) == "1 of 1 hosts of clerk are quarantined; clerk-0 died of: exit 1"
    assert alarm("clerk", {}, 0) == ""


# --- what is replaced -------------------------------------------------------------------------------


def test_a_host_is_worn_when_it_is_older_or_larger_than_the_strictest_of_its_roles_allows() -> None:
    old = replace(beat("clerk-1"), age_s=100.0, memory_bytes=300 * 2**20)

    assert why_worn([Pool()], [old]) == ""
    assert why_worn([Pool(max_age_s=500), Pool(max_age_s=99)], [old]) == "it is 100 s old, max_age_s=99"
    assert why_worn([Pool(max_memory_mb=299), Pool()], [old]) == "it holds 300 MiB, max_memory_mb=299"
    assert why_worn([Pool(max_age_s=101, max_memory_mb=300)], [old]) == ""
    assert why_worn([Pool(max_age_s=1)], []) == ""


class Life:
    """Starts gateways, and notes who is retired; while one starts, `meanwhile` happens."""

    def __init__(self) -> None:
        self.gateways: dict[str, Child] = {}
        self.hosts: dict[str, Host] = {}
        self.watched: list[Child] = []
        self.retired: list[Child] = []
        self.dies_meanwhile = ""
        self.renewals = Renewals(
            cast("TeamSpec", None),
            births=cast("Births", self),
            retirement=cast("Retirement", self),
            roster=Roster(),
            hosts=self.hosts,
            gateways=self.gateways,
            watch=self.watched.append,
        )

    async def gateway(self, label: str) -> tuple[str, Child]:
        self.gateways.pop(self.dies_meanwhile, None)
        return "gw-2", child("gateway", label)

    async def retire(self, old: Child, _names: tuple[str, ...]) -> None:
        self.retired.append(old)


def child(kind: Literal["host", "gateway"], label: str) -> Child:
    return Child(
        kind=kind, label=label, name=f"shop.{kind}.{label}", generation="g", actor=cast("ActorHandle[object]", None)
    )


@pytest.mark.parametrize("dies", [False, True])
async def test_the_gateway_that_takes_anothers_place_serves_even_if_that_died_meanwhile(*, dies: bool) -> None:
    life, old = Life(), child("gateway", "gateway-0")
    life.gateways["gw-1"] = old
    life.dies_meanwhile = "gw-1" if dies else ""

    await life.renewals._replace_gateway("gw-1", old)

    assert list(life.gateways) == ["gw-2"]
    assert life.watched == list(life.gateways.values())
    assert life.retired == ([] if dies else [old])


async def test_the_gateway_of_an_older_build_leaves_after_its_hosts_when_nobody_wishes_it() -> None:
    life = Life()
    own, older = child("gateway", "gateway-0"), child("gateway", pool_name("gateway", "sha256:0123456789ab"))
    host = child("host", pool_name("clerk", "sha256:0123456789ab"))
    life.gateways |= {"gw-1": own, "gw-2": older}
    life.hosts[host.label] = Host(host)

    still_wished = life.renewals.outlived({own.label, older.label})
    with_host = life.renewals.outlived({own.label})
    life.hosts.clear()
    outlived = life.renewals.outlived({own.label})
    await life.renewals.let_go(outlived)

    assert (still_wished, with_host, outlived) == ({}, {}, {"gw-2": older})
    assert life.gateways == {"gw-1": own}
    assert life.retired == [older]

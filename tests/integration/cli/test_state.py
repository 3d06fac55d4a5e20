"""Shared state as a person reads it: a real supervisor made the journal, and the command tells what stands in it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from structlog.testing import capture_logs

from remit import dossier, logs, places
from remit.bus import permission, subject, topology
from remit.bus.blob import Blobs
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.bus.identity import Credentials, NKey
from remit.cli import fault
from remit.cli.main import main
from remit.client import Client
from remit.contracts.message import Json, encode
from remit.contracts.proposal import StateCommitted, StateParked, StateRejected, StateRuling
from remit.contracts.step import Parked, Refused
from tests.integration.supervisor.world import World, now
from tests.teams import ROLES, Line, Note, Order, Sheet, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.contracts.step import RunStep
    from tests.integration.supervisor.agent import Agent

LARGE = "x" * 600_000
Row = dict[str, Json]


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self) -> Json:
        return json.loads(self.out)


class Desk(World):
    """A world, and a person at a terminal beside it."""

    place: places.Place
    capture: pytest.CaptureFixture[str]

    async def remit(self, *words: str) -> Said:
        """Type a command."""
        code = await asyncio.to_thread(main, list(words))
        return Said(code, *self.capture.readouterr())

    async def rows(self, *words: str) -> list[Row]:
        said = await self.remit(*words, "-o", "json")
        assert said.code == 0, said.err
        found: list[Row] = said.data
        return found

    async def decided(self, run: str, *words: str) -> None:
        """Decide the last review of a run."""
        opened = await self.opened(run)
        said = await self.remit("review", *words[:1], opened.review_id, *words[1:])
        assert said.code == 0, said.err


@pytest.fixture
async def desk(
    nats_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Desk]:
    monkeypatch.setenv(places.HOME, str(tmp_path / "home"))
    monkeypatch.setattr(logs, "configure", lambda: None)  # it would be for every test of this process
    monkeypatch.setenv("LOGNAME", "ann")
    monkeypatch.delenv(places.CURRENT, raising=False)
    desk = Desk(nats_url, bus)
    desk.place, desk.capture = _place(nats_url, tmp_path), capsys
    with capture_logs():  # what is printed is the command's
        await topology.ensure(bus, list(ROLES))
        await desk.supervise(shop())
        yield desk
        await desk.close()
    assert desk.bugs == []


def _place(url: str, folder: Path) -> places.Place:
    file = folder / "any.creds"  # this server asks nobody who they are
    Credentials(jwt="x", seed=NKey.generate().seed).write(file)
    place = places.Place(
        name="shop",
        url=url,
        team="shop",
        team_ref="shop",
        data=str(folder / "data"),
        publisher=str(file),
        operator=str(file),
    )
    places.write(place)
    return place


@dataclass(frozen=True, kw_only=True)
class Story:
    """Three roles wrote the price on the board, and a person decided between two of them."""

    clerk: Agent
    auditor: Agent
    packer: Agent
    order: RunStep
    check: RunStep
    pack: RunStep
    review: str


async def clerk_at_work(desk: Desk) -> tuple[Agent, RunStep]:
    clerk = await desk.agent("clerk")
    await desk.submit("order", Order(customer="ann"))
    return clerk, await clerk.hold()


async def behind_a_sheet(desk: Desk, clerk: Agent, workflow: str, role: str) -> tuple[Agent, RunStep]:
    """Give an agent of another role at work in a run of its own."""
    agent = await desk.agent(role)
    await desk.submit(workflow, Order(customer="eve"))
    await clerk.complete(await clerk.hold(), Sheet(lines=(Line(name="hat"),)))
    return agent, await agent.hold()


@pytest.fixture
async def story(desk: Desk) -> Story:
    clerk, order = await clerk_at_work(desk)
    auditor, check = await behind_a_sheet(desk, clerk, "chain", "auditor")
    packer, pack = await behind_a_sheet(desk, clerk, "fan", "packer")
    first = Note(text="hat", price=3, risk=1)
    assert isinstance(await clerk.propose(order, "board", first, position="0"), StateCommitted)
    second = Note(text="hat", price=5, risk=1, secret="s")
    assert isinstance(await auditor.propose(check, "board", second, base=1, position="0"), StateCommitted)
    third = Note(text="hat", price=7, risk=4, secret="s")
    assert isinstance(await packer.propose(pack, "board", third, base=2, position="0"), StateCommitted)
    met = await clerk.propose(order, "board", Note(text="hat", price=9, risk=2, secret="s"), base=2, position="1")
    assert isinstance(met, StateParked)
    opened = await desk.opened(order.run_id)
    await desk.decided(order.run_id, "approve", "--value", "8", "--reason", "the list says so")
    await desk.appears(subject.state("team", "board", 4))
    return Story(
        clerk=clerk,
        auditor=auditor,
        packer=packer,
        order=order,
        check=check,
        pack=pack,
        review=opened.review_id,
    )


def field(rows: list[Row], path: str) -> Row:
    (found,) = [row for row in rows if row["path"] == path]
    return found


# --- where a field comes from --------------------------------------------------------------------


async def test_a_field_that_three_roles_and_a_person_touched_is_the_person_s(desk: Desk, story: Story) -> None:
    price = field(await desk.rows("state", "blame", "board"), "/price")

    assert (price["value"], price["version"], price["rule"]) == (8, 4, "escalate")
    assert price["by"] == {"kind": "person", "name": "ann", "role": ""}
    assert (price["run"], price["step"], price["agent"]) == (story.order.run_id, "order", story.clerk.name)
    assert price["message"].startswith(f"remit.run.{story.order.run_id}._.")
    assert price["message"].endswith(".review_decided")
    assert price["replaced"] == {
        "value": 7,
        "version": 3,
        "by": {"kind": "role", "name": story.packer.name, "role": "packer"},
    }
    decided = price["decided"]
    assert (decided["base"], decided["result"], decided["by"], decided["reason"]) == (5, 8, "ann", "the list says so")
    assert [(side["role"], side["value"]) for side in decided["sides"]] == [("clerk", 9), ("packer", 7)]


async def test_a_field_names_the_dispatch_that_led_to_it(desk: Desk, story: Story) -> None:
    rows = await desk.rows("state", "blame", "board")

    text, secret = field(rows, "/text"), field(rows, "/secret")
    assert (text["version"], text["role"], text["message"]) == (
        1,
        "clerk",
        subject.work(story.order.run_id, role="clerk", step="order", epoch=1),
    )
    assert (secret["version"], secret["agent"], secret["message"]) == (
        2,
        story.auditor.name,
        subject.work(story.check.run_id, role="auditor", step="check", epoch=1),
    )
    assert secret["replaced"]["value"] == ""


async def test_a_field_that_a_rule_decided_keeps_its_writer_and_names_the_conflict(desk: Desk, story: Story) -> None:
    risk = field(await desk.rows("state", "blame", "board", "/risk"), "/risk")

    assert (risk["value"], risk["version"], risk["agent"], risk["rule"]) == (4, 3, story.packer.name, "max")
    assert (risk["decided"]["version"], risk["decided"]["result"]) == (4, 4)
    assert risk["by"]["role"] == "packer"


async def test_blame_is_told_in_a_table_with_what_each_field_replaced(desk: Desk, story: Story) -> None:
    said = await desk.remit("state", "blame", "board", "price")

    head, line = said.out.splitlines()
    assert head.split() == ["PATH", "VALUE", "BY", "RUN", "STEP", "RULE", "VERSION", "AT", "REPLACED", "MESSAGE"]
    assert line.startswith("/price  8      ann (person): the list says so  r1   order  escalate  4")
    assert f"7, version 3 by packer ({story.packer.name})" in line


async def test_what_a_role_decided_is_the_role_s(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    judge = await desk.agent("judge")
    await clerk.propose(order, "doc.a", Note(verdict="guilty"), position="0")
    await clerk.propose(order, "doc.a", Note(verdict="innocent"), position="1")
    asked = await judge.hold()
    await judge.complete(asked, StateRuling(choice="current", reason="proof"))
    await desk.appears(subject.state(order.run_id, "doc.a", 2))

    verdict = field(await desk.rows("state", "blame", "doc.a", "/verdict", "--scope", order.run_id), "/verdict")

    assert (verdict["value"], verdict["version"], verdict["rule"]) == ("guilty", 1, "arbitrate")
    assert verdict["by"] == {"kind": "role", "name": judge.name, "role": "judge"}
    assert verdict["message"] == subject.work(order.run_id, role="judge", step=asked.step, epoch=1)


async def test_a_version_of_an_older_build_stands_for_the_whole_document(desk: Desk) -> None:
    old = StateCommitted(
        scope="r9",
        key="k",
        version=1,
        value=msgspec.Raw(b'{"a":1,"b":{"c":2}}'),
        run_id="r9",
        step="ticket",
        position="0",
        agent="clerk-ab",
        rule="write",
        base_version=0,
        committed_at=now(),
    )
    for version in (old, msgspec.structs.replace(old, version=2, agent="critic-cd", value=msgspec.Raw(b'{"a":1}'))):
        await desk.journal.append(subject.state("r9", "k", version.version), encode(version))
    await desk.journal.append("remit.run.r9._.1.started", b"{}")

    (only,) = await desk.rows("state", "blame", "k", "--scope", "r9")
    (gone,) = await desk.rows("state", "blame", "k", "/b/c", "--scope", "r9")

    assert (only["path"], only["version"], only["by"]["role"], only["message"]) == ("/a", 2, "critic", "")
    assert "value" not in gone
    assert (gone["version"], gone["replaced"]["value"]) == (2, 2)


async def test_a_part_that_never_was_is_said_to_be_missing(desk: Desk, story: Story) -> None:
    said = await desk.remit("state", "blame", "board", "/colour")

    assert said.code == fault.USAGE
    assert said.err.startswith("RM-209 board has no part /colour")


# --- what became of proposals --------------------------------------------------------------------


async def test_the_history_of_a_key_keeps_what_lost_and_what_waits(desk: Desk, story: Story) -> None:
    owned = await story.auditor.propose(story.check, "board", Note(word="no"), base=4, position="1")
    assert isinstance(owned, StateCommitted)
    lost = await story.packer.propose(story.pack, "board", Note(word="yes"), base=5, position="1")
    assert isinstance(lost, StateRejected)
    refused = await story.packer.propose(story.pack, "board", Note(secret="mine"), base=5, position="2")
    assert isinstance(refused, Refused)
    waits = await story.packer.propose(story.pack, "board", Note(price=1, secret="s"), base=3, position="3")
    assert isinstance(waits, StateParked)

    rows = await desk.rows("state", "history", "board")
    said = await desk.remit("state", "history", "board")

    assert [row["event"] for row in rows] == [*["version"] * 5, "rejected", "refused", "parked"]
    assert [row.get("rule") for row in rows[:5]] == ["write", "write", "write", "merged", "write"]
    assert rows[1]["changed"] == ["/price", "/secret"]
    assert [item["path"] for item in rows[3]["decisions"]] == ["/price", "/risk"]
    assert (rows[5]["reason"], rows[5]["path"], rows[5]["base_version"]) == ("owned", "/word", 5)
    assert rows[5]["value"]["word"] == "yes"
    assert rows[6]["error"]["code"] == "RM-203"
    assert rows[7]["waits_for"] == f"a person: {(await desk.opened(story.pack.run_id)).review_id}"
    assert "     /price: base 5; clerk 9, packer 7; escalate: 8, by ann (the list says so)" in said.out.splitlines()
    assert "rejected, owned at /word (owner): board of team stays at 5" in said.out


async def test_a_proposal_of_another_workflow_is_no_history_of_this_one(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    auditor, check = await behind_a_sheet(desk, clerk, "chain", "auditor")
    await clerk.propose(order, "of.hats", 1, position="0")
    await clerk.propose(order, "of.hats", "none", position="1")
    await auditor.propose(check, "of.hats", "many", position="0")

    rows = await desk.rows("state", "history", "of.hats", "--scope", "workflow:order")

    assert [(row["event"], row["agent"]) for row in rows] == [("version", clerk.name), ("refused", clerk.name)]


async def test_conflicts_are_told_with_base_sides_rule_and_result(desk: Desk, story: Story) -> None:
    price, risk = await desk.rows("state", "conflicts")
    said = await desk.remit("state", "conflicts", "--prefix", "boa")
    none = await desk.remit("state", "conflicts", "--prefix", "x")

    assert (price["path"], price["base"], price["result"], price["by"]) == ("/price", 5, 8, "ann")
    assert [(side["role"], side["value"]) for side in risk["sides"]] == [("clerk", 2), ("packer", 4)]
    assert said.out.splitlines()[:5] == [
        "board /price, version 4",
        "  base     5",
        "  clerk    9  (r1 order)",
        "  packer   7  (r3 pack-0)",
        "  decided  escalate: 8, by ann (the list says so)",
    ]
    assert none.out == "no conflicts in scope team\n"


async def test_a_conflict_that_waits_says_for_whom(desk: Desk, story: Story) -> None:
    stands = Note(text="hat", price=8, risk=4, secret="s")
    first, second = (msgspec.structs.replace(stands, verdict=verdict) for verdict in ("in", "out"))
    await story.packer.propose(story.pack, "board", first, base=4, position="1")
    await story.clerk.propose(story.order, "board", second, base=4, position="2")

    *_decided, waits = await desk.rows("state", "conflicts")
    said = await desk.remit("state", "conflicts")

    assert (waits["path"], waits["current"], waits["proposed"]) == ("/verdict", "in", "out")
    assert (waits["is_open"], waits["waits_for"]) == (True, "role judge, step order-c0-2")
    assert "board /verdict, waits for role judge, step order-c0-2" in said.out


# --- what stands ---------------------------------------------------------------------------------


async def test_keys_are_listed_with_who_wrote_them(desk: Desk, story: Story) -> None:
    await story.clerk.propose(story.order, "shared.a", "hat", position="5")

    said = await desk.remit("state", "list")
    some = await desk.rows("state", "list", "--prefix", "sh")

    head, board, shared = said.out.splitlines()
    assert head.split() == ["KEY", "VERSION", "RULE", "BY", "RUN", "STEP", "VALUE"]
    assert board.startswith(f"board     4        merged  clerk ({story.clerk.name})  r1   order  ")
    assert shared.endswith('"hat"')
    assert [(row["key"], row["role"], row["value"]) for row in some] == [("shared.a", "clerk", "hat")]


async def test_an_older_value_is_shown_with_its_digest(desk: Desk, story: Story) -> None:
    newest = await desk.remit("state", "get", "board", "-o", "json")
    older = await desk.remit("state", "get", "board", "--version", "1", "-o", "json")
    said = await desk.remit("state", "get", "board")

    assert (newest.data["version"], newest.data["value"]["price"]) == (4, 8)
    assert (older.data["version"], older.data["value"]["price"], older.data["agent"]) == (1, 3, story.clerk.name)
    assert newest.data["hash"] in said.out
    assert '  "price": 8,' in said.out


async def test_a_value_that_is_kept_by_reference_is_shown_whole(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    await clerk.propose(order, "large", LARGE, position="0")

    got = await desk.remit("state", "get", "large", "--scope", order.run_id, "-o", "json")
    listed = await desk.remit("state", "list", "--scope", order.run_id)

    assert got.data["value"] == LARGE
    assert "(600002 bytes)" in listed.out


async def test_a_value_that_is_not_what_was_committed_is_an_error(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    version = await clerk.propose(order, "a", 1, position="0")
    assert isinstance(version, StateCommitted)
    forged = msgspec.structs.replace(version, version=2, value=msgspec.Raw(b"2"))
    await desk.journal.append(subject.state(order.run_id, "a", 2), encode(forged))

    said = await desk.remit("state", "get", "a", "--scope", order.run_id)

    assert said.code == fault.CONTRACT
    assert said.err.startswith("RM-201 the value is not what was committed; at a, version 2")


async def test_two_versions_differ_part_by_part(desk: Desk, story: Story) -> None:
    rows = await desk.rows("state", "diff", "board", "1", "4")
    said = await desk.remit("state", "diff", "board", "1", "2")
    made = await desk.rows("state", "diff", "board", "0", "1")

    assert rows == [
        {"path": "/price", "old": 3, "new": 8},
        {"path": "/risk", "old": 1, "new": 4},
        {"path": "/secret", "old": "", "new": "s"},
    ]
    assert said.out.splitlines()[1].split() == ["/price", "3", "5"]
    (whole,) = made
    assert (whole["path"], "old" in whole, whole["new"]["price"]) == ("", False, 3)


async def test_a_scope_is_exported_whole_or_with_all_its_versions(desk: Desk, story: Story, tmp_path: Path) -> None:
    clerk, order = story.clerk, story.order
    await clerk.propose(order, "large", LARGE, position="5")
    await clerk.propose(order, "b.2", 2, position="6")
    await clerk.propose(order, "a", 1, position="7")
    file = tmp_path / "out.jsonl"

    state = (await desk.remit("state", "export", "--scope", order.run_id)).data
    said = await desk.remit("state", "export", "--history", "--out", str(file))
    lines = (await desk.remit("state", "export", "--scope", order.run_id, "-o", "jsonl")).out.splitlines()
    nowhere = await desk.remit("state", "export", "--out", str(tmp_path / "no" / "file"))

    assert list(state["keys"]) == ["a", "b.2", "large"]
    assert state["keys"]["large"]["value"] == LARGE
    assert {"version", "hash", "value"} == set(state["keys"]["a"])
    assert [json.loads(line)["key"] for line in lines] == ["a", "b.2", "large"]
    versions = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(item["key"], item["version"]) for item in versions] == [("board", number) for number in (1, 2, 3, 4)]
    assert said.out == f"wrote 4 versions of scope team to {file}\n"
    assert nowhere.err.startswith("RM-211 nothing can be written there")


# --- back to what stood before -------------------------------------------------------------------


async def test_a_rollback_is_a_new_version_that_says_what_it_changed(desk: Desk, story: Story) -> None:
    said = await desk.remit("state", "rollback", "board", "--to", "1", "--yes")
    again = await desk.remit("state", "rollback", "board", "--to", "1", "--yes", "-o", "json")
    rows = await desk.rows("state", "history", "board")
    price = field(await desk.rows("state", "blame", "board"), "/price")

    assert said.err.splitlines() == ["/price: 8 -> 3", "/risk: 4 -> 1", '/secret: "s" -> ""']
    assert said.out.startswith("board is at version 5, as it was at version 1; next: remit state history board")
    assert (again.data["changed"], again.data["detail"]) == ([], "board is as it was at version 1 already")
    assert (rows[-1]["rule"], rows[-1]["kind"], rows[-1]["agent"], rows[-1]["as_version"]) == (
        "rollback",
        "operator",
        "ann",
        1,
    )
    assert (price["value"], price["by"]["kind"], price["message"], price["replaced"]["by"]["kind"]) == (
        3,
        "operator",
        "",
        "person",
    )


async def test_a_key_that_was_taken_out_is_listed_on_demand_only(desk: Desk, story: Story) -> None:
    gone = await desk.remit("state", "rollback", "board", "--to", "0", "--yes")
    listed = await desk.rows("state", "list")
    every = await desk.rows("state", "list", "--all")
    got = await desk.remit("state", "get", "board")
    (blamed,) = await desk.rows("state", "blame", "board")

    assert gone.code == 0
    assert listed == []
    assert [(row["key"], row["deleted"]) for row in every] == [("board", True)]
    assert got.err.startswith("RM-209 board was taken out in version 5")
    assert (blamed["path"], "value" in blamed, blamed["replaced"]["value"]["price"]) == ("", False, 8)


async def test_without_a_terminal_a_rollback_wants_its_yes_in_words(desk: Desk, story: Story) -> None:
    said = await desk.remit("state", "rollback", "board", "--to", "1")

    assert said.code == fault.USAGE
    assert said.err.endswith("next: remit state rollback board --to 1 --scope team --yes\n")
    assert len(await desk.rows("state", "history", "board")) == 4


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "versions"), [("n\n", fault.REJECTED, 4), ("y\n", fault.DONE, 5)])
async def test_a_person_sees_what_a_rollback_changes_and_is_asked(
    desk: Desk, story: Story, monkeypatch: pytest.MonkeyPatch, *, typed: str, code: int, versions: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    said = await desk.remit("state", "rollback", "board", "--to", "1")

    assert said.code == code
    assert said.err.startswith('/price: 8 -> 3\n/risk: 4 -> 1\n/secret: "s" -> ""\nlet version 1 of board stand again?')
    assert len(await desk.rows("state", "history", "board")) == versions


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["get", "bord"], "RM-209 no state bord in scope team; got bord; next: remit state list --scope team"),
        (["get", "board", "--scope", "r77"], "RM-209 there is no run r77; got r77; next: remit run list"),
        (["list", "--scope", "shop"], "RM-209 there is no scope 'shop'"),
        (["history", "board", "--scope", "workflow:x"], "RM-209 no state board in scope workflow:x"),
        (
            ["get", "board", "--version", "9"],
            "RM-209 board has no version 9; expected 1 to 4, got 9; next: remit state",
        ),
        (["diff", "board", "1", "9"], "RM-209 board has no version 9"),
        (["rollback", "board", "--to", "9", "--yes"], "RM-209 board has no version 9"),
    ],
)
async def test_what_is_not_there_is_said_with_the_next_command(
    desk: Desk, story: Story, words: list[str], sentence: str
) -> None:
    said = await desk.remit("state", *words)

    assert said.code == fault.USAGE
    assert said.err.startswith(sentence)
    assert "next: remit " in said.err


# --- runs and reviews ----------------------------------------------------------------------------


async def test_a_run_tells_its_conflicts_also_of_state_that_outlives_it(desk: Desk, story: Story) -> None:
    said = await desk.remit("run", "show", story.order.run_id)
    whole = (await desk.remit("run", "show", story.order.run_id, "-o", "json")).data

    lines = [line.strip() for line in said.out.splitlines()]
    assert "board of team version 4, /price: base 5; clerk 9, packer 7; escalate: 8, by ann (the list says so)" in lines
    assert [(item["key"], item["version"]) for item in whole["state"]] == [("board", 1), ("board", 4)]
    assert [item["path"] for item in whole["conflicts"]] == ["/price", "/risk"]


async def test_a_run_that_reads_what_is_disputed_says_for_whom_it_waits(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    await clerk.propose(order, "doc.a", Note(price=3), position="0")
    await clerk.propose(order, "doc.a", Note(price=5), position="1")
    assert isinstance(await clerk.read(order, key="doc.a"), Parked)
    review = (await desk.opened(order.run_id)).review_id

    shown = await desk.remit("run", "show", order.run_id)
    (listed,) = await desk.rows("run", "list")

    assert f"run {order.run_id}: waits for a person: {review}" in shown.out
    assert f"doc.a /price: base 0; clerk 3, clerk 5; waits for a person: {review}" in shown.out
    assert f"order: role clerk, parked on dispute {order.run_id}.order.1" in shown.out
    assert (listed["state"], listed["waiting_for"]) == ("parked", f"a person: {review}")


async def test_a_conflict_is_shown_with_both_sides_and_what_a_decision_does(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    await clerk.propose(order, "doc.a", Note(price=3), position="0")
    await clerk.propose(order, "doc.a", Note(price=5), position="1")
    review = (await desk.opened(order.run_id)).review_id

    shown = await desk.remit("review", "show", review)
    null = await desk.remit("review", "approve", review, "--value", "null")
    unfit = await desk.remit("review", "approve", review, "--value", '"dear"')
    await desk.decided(order.run_id, "reject", "--reason", "too dear")
    await desk.appears(subject.state(order.run_id, "doc.a", 2))
    value = (await desk.remit("state", "get", "doc.a", "--scope", order.run_id, "-o", "json")).data["value"]

    lines = [line.strip() for line in shown.out.splitlines()]
    assert f"doc.a /price, scope {order.run_id}" in lines
    assert "current   3  by clerk" in lines
    assert f"proposed  5  by clerk ({clerk.name}, step order)" in lines
    assert "reject: what is current stays" in lines
    assert f"next      remit review approve {review} --value JSON" in lines
    assert "(of exactly this)" in shown.out
    assert null.err.startswith("RM-211 null cannot be said as a value")
    assert unfit.err.startswith("RM-211 this value does not fit the field; at /price")
    assert value["price"] == 3


async def test_a_value_decides_conflicts_of_one_field_only(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    for position, price in enumerate((3, 5)):
        wishes: dict[str, tuple[object, int]] = {key: (Note(price=price), 0) for key in ("doc.a", "doc.b")}
        await clerk.propose_all(order, wishes, position=str(position))
    review = (await desk.opened(order.run_id)).review_id

    shown = await desk.remit("review", "show", review)
    said = await desk.remit("review", "approve", review, "--value", "4")

    assert "--value" not in shown.out
    assert said.err.startswith("RM-211 one value cannot decide several fields")


async def test_a_value_is_for_conflicts_only(desk: Desk) -> None:
    clerk, order = await clerk_at_work(desk)
    await clerk.review(order, {"send": "everything"})
    review = (await desk.opened(order.run_id)).review_id

    said = await desk.remit("review", "approve", review, "--value", "4")

    assert said.err.startswith("RM-211 --value is for conflicts")


# --- who may -------------------------------------------------------------------------------------


async def test_an_operator_reads_values_from_the_object_store_under_its_own_rights(tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / "data") as server:
        issue = server.authority.issue
        maker = await Bus.connect(
            server.url, name="topology", credentials=issue("topology", permissions=permission.topology_permissions())
        )
        await topology.ensure(maker, ["clerk"])
        keeper = await Bus.connect(
            server.url,
            name="supervisor",
            credentials=issue("supervisor", permissions=permission.supervisor_permissions()),
        )
        ref = await Blobs(keeper).put(encode(LARGE))
        credentials = issue("operator", permissions=permission.operator_permissions("operator"))
        operator = await Bus.connect(server.url, name="operator", credentials=credentials)
        client = Client(_place(server.url, tmp_path), operator)
        version = StateCommitted(
            scope="team",
            key="k",
            version=1,
            value_ref=ref,
            hash=ref.digest,
            run_id="r1",
            step="s",
            position="0",
            agent="clerk-1",
            rule="write",
            base_version=0,
            committed_at=now(),
        )

        data = await dossier.value(client, version)

        assert json.loads(data) == LARGE
        for bus in (maker, keeper, operator):
            await bus.close()

"""Runs are steered from the command line, which says beforehand what is repeated, and what is done already."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from tests.integration.cli import desk as desks

if TYPE_CHECKING:
    from tests.integration.cli.desk import Desk

# --- pause and resume ----------------------------------------------------------------------------


async def test_a_pause_says_beforehand_what_is_held_and_what_is_done(desk: Desk) -> None:
    run = await desk.begun()

    said = await desk.remit("run", "pause", run, "--reason", "lunch")

    assert (said.code, said.out) == (0, f"{run} is paused by operator; next: remit run show {run}\n")
    assert said.err.splitlines() == [
        f"pause {run}: nothing more is dispatched, calls in flight come to their end, and the run's clock stands",
        "  runs again  send (role sender): when the run is resumed",
        (
            f"  done        send by step send at 0, key {run}.send.0 (under way: it comes to its end): kept, "
            "recorded; it is not made again"
        ),
        "  checkpoints start, read",
        f"  see also    remit run resume {run}",
    ]


async def test_a_dry_run_says_it_and_does_nothing(desk: Desk) -> None:
    run = await desk.begun()

    for words in (("pause",), ("cancel",), ("retry", "--step", "send"), ("rollback", "--to", "start"), ("fork",)):
        said = await desk.remit("run", words[0], run, *words[1:], "--dry-run", "-o", "json")
        assert (said.code, said.data["done"], said.data["preview"]["verb"]) == (0, False, words[0])
    desk.world.may_end.set()

    assert (await desk.outcome(run)).outcome == "complete"
    assert not {"paused", "finished.2", "rollback_begun"} & set(await desk.kinds(run))


async def test_a_paused_run_is_listed_as_one_and_goes_on_when_it_is_resumed(desk: Desk) -> None:
    run = await desk.begun()
    await desk.remit("run", "pause", run)
    listed = await desk.remit("run", "list", "-o", "json")
    shown = await desk.remit("run", "show", run)
    twice = await desk.remit("run", "pause", run)
    desk.world.may_end.set()
    resumed = await desk.remit("run", "resume", run)
    finished = await desk.outcome(run)
    again = await desk.remit("run", "resume", run)

    assert [(item["state"], item["waiting_for"]) for item in listed.data] == [
        ("paused", f"a person: remit run resume {run}")
    ]
    assert "Pauses\n  by operator at" in shown.out
    assert (twice.code, "is paused by operator" in twice.out) == (0, True)
    assert "it goes on where it stopped" in resumed.err
    assert finished.outcome == "complete"
    assert (again.code, "RM-210" in again.err, f"remit run fork {run}" in again.err) == (2, True, True)


# --- retry ---------------------------------------------------------------------------------------


async def test_a_step_that_waits_after_a_failure_is_tried_again_now(desk: Desk) -> None:
    desk.world.may_end.set()
    desk.world.breaks = 1
    run = await desk.submit("ticket", desks.Ticket(text="hello"))
    await desk.appears(f"remit.run.{run}.close.*.*.failed")

    said = await desk.remit("run", "retry", run)

    assert (await desk.outcome(run)).outcome == "complete"
    assert (said.code, said.out) == (0, f"{run}: close dispatched again; next: remit run tail {run}\n")
    assert "close (role closer): it waits after a failure" in said.err
    assert f"key {run}.send.0: kept, recorded; it is not made again" in said.err


async def test_a_run_that_failed_is_carried_on_by_another_one_that_repeats_nothing(desk: Desk) -> None:
    desk.world.may_end.set()
    desk.world.breaks = 2
    run = await desk.submit("ticket", desks.Ticket(text="hello"))
    assert (await desk.outcome(run)).outcome == "failed"
    shown = await desk.remit("run", "show", run)

    said = await desk.remit("run", "retry", run, "-o", "json")

    made = said.data["run_id"]
    assert made != run
    assert (await desk.outcome(made)).outcome == "complete"
    preview = said.data["preview"]
    assert preview["shared"] == ["read", "send"]
    assert [item["step"] for item in preview["repeats"]] == ["close"]
    assert [(item["tool"], item["fate"]) for item in preview["effects"]] == [("send", "kept")]
    assert (desk.world.read, len(desk.world.sent)) == (1, 1)
    assert 'partial result of send (role sender): {"type":"desk.answer.v1"' in shown.out
    assert "not finished: close" in shown.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("retry", "RUN"), "RM-210", "is complete; there is nothing to try again"),
        (("retry", "r99"), "RM-209", "there is no run r99"),
        (("pause", "r99"), "RM-209", "there is no run r99"),
        (("cancel", "RUN"), "RM-210", "it is complete"),
        (("rollback", "RUN", "--to", "read"), "RM-210", "it is complete"),
        (("rollback", "RUN"), "RM-211", "missing option '--to'"),
        (("fork", "r99"), "RM-209", "there is no run r99"),
        (("fork", "RUN", "--at", "nowhere"), "RM-209", "expected start, read, sent, got nowhere"),
        (("fork", "RUN", "--set", "elsewhere.x=1"), "RM-211", "this is nothing that a fork can change"),
        (("fork", "RUN", "--set", "read=1"), "RM-211", "--set takes a path and a value"),
        (("fork", "RUN", "--set", "read.number"), "RM-211", "--set takes a path and a value"),
        (("fork", "RUN", "--set", "read.number=1", "--set", "read.number=2"), "RM-211", "says this path twice"),
        (("fork", "RUN", "--set", "read.number=many"), "RM-211", "at read.number; expected int, got str"),
        (("fork", "RUN", "--set", "input.number=many"), "RM-211", "at input.number; expected int, got str"),
        (("fork", "RUN", "--set", "state.note=5"), "RM-211", "at state.note; expected str, got int"),
        (("fork", "RUN", "--set", "state.other=5"), "RM-213", "no state contract covers the key 'other'"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_says_why(
    desk: Desk, words: tuple[str, ...], code: str, said: str
) -> None:
    desk.world.may_end.set()
    run = await desk.begun()
    await desk.outcome(run)

    answer = await desk.remit("run", *(run if word == "RUN" else word for word in words))

    assert (answer.code, answer.out) == (5 if code == "RM-213" else 2, "")
    assert answer.err.splitlines()[-1].startswith(code)
    assert said in answer.err.splitlines()[-1]
    assert [item async for item in desk.journal.read("remit.run.r2.>")] == []


# --- rollback ------------------------------------------------------------------------------------


async def test_a_rollback_says_what_is_undone_by_whom_and_what_is_restored(desk: Desk) -> None:
    run, review = await desk.asking()

    said = await desk.remit("run", "rollback", run, "--to", "read", "--then", "pause", "--reason", "wrong mail")
    await desk.appears(f"remit.run.{run}._.*.rolled_back")
    listed = await desk.remit("run", "list", "-o", "json")
    shown = await desk.remit("run", "show", run)

    assert said.code == 0, said.err
    assert said.err.splitlines() == [
        f"rollback {run}: back to read; then the run is paused",
        "  undoes      step send, by role recaller",
        "  restores    state note: version 2 goes back to what version 1 says",
        "  runs again  send (role sender): it begins again, with nothing recorded",
        "              close (role closer): it begins again, with nothing recorded",
        f"  done        send by step send at 0, key {run}.send.0: undone, role recaller undoes it",
        "  checkpoints start, read, sent",
    ]
    assert listed.data[0]["state"] == "paused"
    assert "to read by operator (wrong mail): undone send; state restored: note" in shown.out
    assert f"{review} withdrawn by the rollback to read" in shown.out
    assert sorted(word.split()[0] for word in desk.world.sent) == ["recall", "send"]


async def test_nobody_is_asked_any_more_what_a_step_asked_before_it_was_rolled_back(desk: Desk) -> None:
    run, review = await desk.asking()
    before = await desk.remit("review", "list", "-o", "json")
    await desk.remit("run", "rollback", run, "--to", "sent", "--then", "pause")
    await desk.appears(f"remit.run.{run}._.*.rolled_back")

    after = await desk.remit("review", "list", "-o", "json")
    approved = await desk.remit("review", "approve", review)

    assert ([item["review_id"] for item in before.data], after.data) == ([review], [])
    assert (approved.code, f"{review} is withdrawn" in approved.err) == (2, True)


async def test_what_a_rollback_cannot_undo_is_said_beforehand(desk: Desk) -> None:
    run = await desk.begun(workflow="bare")

    said = await desk.remit("run", "rollback", run, "--to", "read", "--then", "end", "--dry-run")
    wrong = await desk.remit("run", "rollback", run, "--to", "nowhere")

    assert said.out.splitlines() == [
        f"rollback {run}: back to read; then the run ends as stopped",
        "  runs again  no step",
        (
            f"  done        send by step send at 0, key {run}.send.0 (under way: it comes to its end): lasts, "
            "no compensation is declared"
        ),
        "  checkpoints start, read",
    ]
    assert (wrong.code, "expected start, read, got nowhere" in wrong.err) == (2, True)


async def test_what_an_earlier_rollback_undid_is_told_as_undone(desk: Desk) -> None:
    run, _review = await desk.asking()
    await desk.remit("run", "rollback", run, "--to", "read", "--then", "pause")
    await desk.appears(f"remit.run.{run}._.*.rolled_back")

    said = await desk.remit("run", "cancel", run, "-o", "json")

    fates = {item["intent"]: (item["fate"], item["why"]) for item in said.data["preview"]["effects"]}
    assert fates == {
        f"{run}.send.0": ("undone", "the rollback to read undid it"),
        f"{run}.send-u1.0": ("kept", "it undid step send"),
    }
    assert (await desk.outcome(run)).stopped_by == "cancel by operator"


# --- fork ----------------------------------------------------------------------------------------


async def test_a_fork_shares_the_past_and_may_differ_and_both_runs_say_so(desk: Desk) -> None:
    desk.world.may_end.set()
    run = await desk.begun()
    await desk.outcome(run)

    changes = ("--set", "read.number=7", "--set", "state.note=good bye")
    said = await desk.remit("run", "fork", run, "--at", "read", *changes)
    made = said.out.split()[4].rstrip(";")
    finished = await desk.outcome(made)
    origin, fork = await desk.remit("run", "show", run), await desk.remit("run", "show", made)
    tail = await desk.remit("run", "tail", made)

    assert said.err.splitlines() == [
        f"fork {run}: a new run shares the past up to checkpoint read",
        "  shares      read",
        "  runs again  send (role sender): it runs again, with nothing recorded",
        "              close (role closer): it runs again, with nothing recorded",
        (
            f"  done        send by step send at 0, key {run}.send.0: kept, it stands; its step runs again, "
            "and its calls are the fork's own"
        ),
        "  checkpoints start, read, sent",
    ]
    assert (finished.outcome, b'"number":7' in bytes(finished.result)) == ("complete", True)
    assert f"{made} is forked at read by operator, with another read.number, state.note" in origin.out
    assert f"a fork of {run} at checkpoint read, by operator, with another read.number, state.note" in fork.out
    assert "takes over read from its origin" in tail.out
    assert desk.world.read == 1


async def test_a_fork_at_the_start_runs_everything_on_another_input(desk: Desk) -> None:
    desk.world.may_end.set()
    run = await desk.begun()
    await desk.outcome(run)

    said = await desk.remit("run", "fork", run, "--at", "start", "--set", "input.text=other", "-o", "json")
    finished = await desk.outcome(said.data["run_id"])

    assert said.data["preview"]["shared"] == []
    assert b"other: other sent" in bytes(finished.result)
    assert desk.world.read == 2


# --- a person is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "code", "outcome"), [("n\n", 7, "complete"), ("y\n", 0, "stopped")])
async def test_on_a_terminal_a_person_is_asked_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, outcome: str
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    run = await desk.begun()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", Terminal())

    said = await desk.remit("run", "cancel", run)
    desk.world.may_end.set()

    assert said.code == code
    assert (await desk.outcome(run)).outcome == outcome

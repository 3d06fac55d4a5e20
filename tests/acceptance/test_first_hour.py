"""The first hour, as a user types it: init, check, up, submit, decide, look, scale, ask the doctor, stop."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from remit.cli import fault
from tests.acceptance.served import REMIT, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Remit = Callable[..., "Said"]

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]
TICKET = '{"customer": "a@b.c", "text": "broken"}'


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.out)
        return found


def run(*words: str, given: str = "") -> Said:
    said = subprocess.run([REMIT, *words], input=given, check=False, capture_output=True, text=True, timeout=120)
    return Said(said.returncode, said.stdout, said.stderr)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def remit(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    folder = tmp_path_factory.mktemp("team") / "support"
    assert run("init", str(folder)).code == 0
    assert run("check", str(folder)).code == 0
    with served(folder, home=home):
        yield run


def parked(remit: Remit) -> str:
    """Give the review of a new run that waits for a person."""
    said = remit("submit", "ticket", "--goal", "answer", "--input", "-", "--wait", "-o", "json", given=TICKET)
    assert said.code == fault.WAITING
    (way, _) = json.loads(said.out)["next"]
    return str(way.split()[3])


def test_a_run_waits_for_a_person_and_says_how_to_decide(remit: Remit) -> None:
    said = remit("submit", "ticket", "--goal", "answer ticket 7", "--input", "-", "--wait", given=TICKET)

    assert said.code == fault.WAITING
    assert 'send_mail(body="We received: broken", to="a@b.c")' in said.out
    assert "next: remit review approve r" in said.out


def test_what_is_approved_runs_and_the_account_says_why_it_is_complete(remit: Remit) -> None:
    review = parked(remit)
    name = review.rpartition("-v")[0]

    shown = remit("review", "show", review)
    approved = remit("review", "approve", review, "--reason", "a fair answer")
    tailed = remit("run", "tail", name)
    account = remit("run", "show", name)

    assert "of exactly this" in shown.out
    assert approved.code == tailed.code == account.code == 0
    assert tailed.out.splitlines()[-1].endswith("finished: complete")
    assert "goal      answer" in account.out
    assert "task: the task's input  sha256:" in account.out
    assert 'ticket: send_mail {"body":"We received: broken","to":"a@b.c"}  high risk, idempotent' in account.out
    assert "pass  the answer says something: ticket.text is 'We received: broken'" in account.out
    assert "(a fair answer)" in account.out


def test_what_is_rejected_does_not_run(remit: Remit) -> None:
    review = parked(remit)
    name = review.rpartition("-v")[0]

    remit("review", "reject", review, "--reason", "not today")
    said = remit("run", "tail", name, "-o", "jsonl")
    account = remit("run", "show", name, "-o", "json").data

    assert said.code == fault.REJECTED
    assert json.loads(said.out.splitlines()[-1])["text"].startswith("finished: rejected")
    assert (account["outcome"], account["calls"]) == ("rejected", [])


def test_a_decided_review_is_not_decided_again(remit: Remit) -> None:
    review = parked(remit)
    remit("review", "reject", review)

    said = remit("review", "approve", review)

    assert said.code == fault.USAGE
    assert said.err.startswith(f"RM-210 {review} is rejected already")


def test_a_cancelled_run_is_stopped_and_its_review_is_gone(remit: Remit) -> None:
    review = parked(remit)
    name = review.rpartition("-v")[0]

    remit("run", "cancel", name, "--reason", "a mistake")
    said = remit("run", "tail", name)

    assert said.code == fault.STOPPED
    assert review not in remit("review", "list").out


@pytest.mark.parametrize(
    ("workflow", "given", "sentence"),
    [
        ("tickets", TICKET, "RM-202 team support has no workflow 'tickets'"),
        ("ticket", "{}", "RM-201"),
        ("ticket", '{"customer": 7, "text": "x"}', "at $.input.customer; expected str, got int"),
    ],
)
def test_a_task_that_does_not_fit_is_refused_with_its_place(
    remit: Remit, workflow: str, given: str, sentence: str
) -> None:
    said = remit("submit", workflow, "--goal", "x", "--input", "-", "--wait", given=given)

    assert said.code == fault.CONTRACT
    assert sentence in said.out


def test_the_same_message_id_is_the_same_run(remit: Remit) -> None:
    words = ("submit", "ticket", "--goal", "x", "--input", "-", "--message-id", "7", "-o", "json")

    assert remit(*words, given=TICKET).data == remit(*words, given=TICKET).data


def test_a_role_is_scaled_and_the_wish_is_seen(remit: Remit) -> None:
    remit("role", "scale", "clerk", "1")

    said = remit("role", "list", "-o", "jsonl")

    assert said.data["desired"] == 1
    assert remit("role", "scale", "clerk", "99").err.startswith(
        "RM-211 role clerk cannot have 99 hosts; expected 0 to 16"
    )
    assert remit("role", "scale", "clark", "1").err.startswith("RM-209 no role 'clark'")


def test_the_doctor_writes_and_reads_and_says_what_is_not_separated(remit: Remit) -> None:
    said = remit("doctor", "-o", "json")

    found = {item["what"]: item for item in json.loads(said.out)}
    assert said.code == 0, said.out
    assert found["write and read"]["state"] == "good"
    assert "the supervisor refused it as run r" in found["write and read"]["said"]
    assert "Ray isolates nothing" in found["not separated"]["said"]
    assert "embedded" in found["durability"]["said"]


def test_status_names_the_team_and_where_it_is(remit: Remit) -> None:
    status = remit("status", "-o", "json").data

    assert (status["team"], status["context"]) == ("support", "support")


def test_a_second_up_of_the_same_deployment_is_refused_and_harms_nothing(remit: Remit, home: Path) -> None:
    place = json.loads((home / "contexts" / "support.json").read_text())

    said = remit("up", place["team_ref"])

    assert said.code == fault.FAILED
    assert "RM-602 the data directory is served by nats-server" in said.err
    assert remit("status").code == 0


def test_another_team_of_the_same_name_is_refused(remit: Remit, tmp_path: Path) -> None:
    remit("init", str(tmp_path / "support"))

    said = remit("up", str(tmp_path / "support"))

    assert said.code == fault.USAGE
    assert "RM-210 the deployment support belongs to another team file" in said.err


@pytest.mark.parametrize("words", [["run", "show", "r999"], ["run", "tail", "r999"], ["run", "show", "seven"]])
def test_a_run_that_does_not_exist_is_not_found(remit: Remit, words: list[str]) -> None:
    said = remit(*words)

    assert (said.code, said.out) == (fault.USAGE, "")
    assert said.err.startswith("RM-209")

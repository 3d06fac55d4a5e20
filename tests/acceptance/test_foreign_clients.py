"""Clients that are not ours: JSON in, the run from the PubAck, the outcome out; with the code of the page itself."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nats
import pytest

from tests.acceptance.served import served
from tests.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit import places

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HERE = Path(__file__).parent
PAGE = Page("docs/foreign-clients.md")
PACKAGES = ("@nats-io/transport-node@3", "@nats-io/jetstream@3")
DRIVE_S, INSTALL_S = 100.0, 100.0

GOOD = '{"goal":"answer ticket 7","input":{"customer":"a@b.c","text":"broken"}}'
WRONG = '{"goal":"answer ticket 8","input":{"customer":7,"text":"broken"}}'
DEEP = f'{{"goal":"x","input":{"[" * 20_000}{"]" * 20_000}}}'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[places.Place]:
    with served(HERE / "teams" / "support", home=tmp_path_factory.mktemp("home")) as place:
        yield place


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("python")
    _write_client(folder, "python", "drive.py")
    return [sys.executable, str(folder / "drive.py")]


@pytest.fixture(scope="module")
def js_client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("js")
    _write_client(folder, "js", "drive.mjs")
    installed = subprocess.run(
        [npm, "install", "--silent", "--no-save", "--prefix", folder, *PACKAGES],
        check=False,
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
    )
    if installed.returncode != 0:
        pytest.skip(f"npm could not install the client: {installed.stderr[-200:]}")
    return [node, str(folder / "drive.mjs")]


@pytest.fixture(params=["python_client", "js_client"])
def client(request: pytest.FixtureRequest) -> list[str]:
    command: list[str] = request.getfixturevalue(request.param)
    return command


def _write_client(folder: Path, language: str, driver: str) -> None:
    (block,) = PAGE.blocks(language)
    (folder / block.file).write_text(block.text)
    shutil.copy(HERE / "clients" / driver, folder)


def drive(client: list[str], place: places.Place, tasks: list[tuple[str, str]]) -> list[tuple[str, dict[str, object]]]:
    """Give run and outcome of every task, as the foreign client saw them."""
    ran = subprocess.run(
        client,
        input=json.dumps(tasks),
        env={**os.environ, "NATS_URL": place.url, "NATS_CREDS": place.publisher},
        check=False,
        capture_output=True,
        text=True,
        timeout=DRIVE_S,
    )
    assert ran.returncode == 0, ran.stderr
    return [(item["run"], item["outcome"]) for item in json.loads(ran.stdout)]


def test_a_good_task_gets_the_reply_of_its_role(client: list[str], place: places.Place) -> None:
    ((run, outcome),) = drive(client, place, [("ticket", GOOD)])

    assert (outcome["run_id"], outcome["workflow"], outcome["outcome"]) == (run, "ticket", "complete")
    assert outcome["result"] == {"type": "support.answer.v1", "text": "We received: broken"}


@pytest.mark.parametrize(
    ("workflow", "body", "code", "where"),
    [
        ("ticket", "{broken", "RM-201", "$"),
        ("ticket", "", "RM-201", "$"),
        ("ticket", DEEP, "RM-201", "$"),
        ("ticket", "{}", "RM-201", "$"),
        ("ticket", WRONG, "RM-201", "$.input.customer"),
        ("invoice", GOOD, "RM-202", "remit.task.invoice"),
    ],
    ids=["malformed", "empty", "nested", "no-goal", "wrong-type", "unknown-workflow"],
)
def test_a_bad_task_gets_one_outcome_that_says_why(
    client: list[str], place: places.Place, *, workflow: str, body: str, code: str, where: str
) -> None:
    ((run, outcome),) = drive(client, place, [(workflow, body)])

    error = outcome["error"]
    assert (outcome["run_id"], outcome["outcome"]) == (run, "refused")
    assert isinstance(error, dict)
    assert (error["code"], error["where"]) == (code, where)


def test_a_thousand_tasks_awaited_after_their_puback_have_a_thousand_outcomes(
    client: list[str], place: places.Place
) -> None:
    seen = drive(client, place, [("ticket", GOOD)] * 1000)

    assert len({run for run, _ in seen}) == 1000
    assert [outcome["run_id"] for _, outcome in seen] == [run for run, _ in seen]
    assert {outcome["outcome"] for _, outcome in seen} == {"complete"}


async def test_the_requests_of_the_nats_command_give_a_puback_and_then_the_outcome(place: places.Place) -> None:
    """The command itself is not at hand everywhere; `nats req SUBJECT BODY` is a request of that body."""
    lines = [shlex.split(line) for block in PAGE.blocks("sh") for line in block.lines if line.startswith("nats req")]
    (_, _, task, body), (_, _, kept, nothing) = lines
    publisher = await nats.connect(place.url, user_credentials=place.publisher)
    live = await publisher.subscribe("remit.result.*")

    ack = json.loads((await publisher.request(task, body.encode())).data)
    outcome = await live.next_msg(10.0)
    again = await publisher.request(kept.replace("r41", f"r{ack['seq']}"), nothing.encode())

    assert ack["stream"] == "TASKS"
    assert outcome.subject == f"remit.result.r{ack['seq']}"
    assert again.data in {outcome.data, b""}  # the kept copy may be some milliseconds late
    await publisher.close()


async def test_the_same_message_id_names_the_same_run(place: places.Place) -> None:
    publisher = await nats.connect(place.url, user_credentials=place.publisher)
    headers = {"Nats-Msg-Id": "ticket:7"}

    first, second = [
        json.loads((await publisher.request("remit.task.ticket", GOOD.encode(), headers=headers)).data)
        for _ in range(2)
    ]

    assert second["seq"] == first["seq"]
    assert second["duplicate"] is True
    await publisher.close()


async def test_a_body_above_a_mebibyte_is_refused_in_words_and_the_connection_stands(place: places.Place) -> None:
    publisher = await nats.connect(place.url, user_credentials=place.publisher)

    refused = json.loads((await publisher.request("remit.task.ticket", b" " * (2 << 20))).data)
    stored = json.loads((await publisher.request("remit.task.ticket", GOOD.encode())).data)

    assert refused["error"]["err_code"] == 10054
    assert stored["stream"] == "TASKS"
    await publisher.close()

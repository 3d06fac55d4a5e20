"""`remit audit` on a real repository: it parks, is decided later, and writes nothing before that."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from remit import places
from remit.cli import fault
from tests.acceptance.served import REMIT
from tests.model_server import ModelServer, says

if TYPE_CHECKING:
    from pathlib import Path

    from tests.model_server import Asked, Reaction

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

CODE = '''\
import subprocess


def run(words):
    """Run it."""
    try:
        subprocess.run(words, shell=True)
    except Exception:
        pass
'''
NOTE = "file.runner.py"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.HOME, str(tmp_path / "state"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "runner.py").write_text(CODE)
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def remit(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REMIT, *words],
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | environment,
    )


def test_without_a_terminal_it_parks_and_an_approval_later_finishes_it(repository: Path) -> None:
    before = sorted(path.name for path in repository.iterdir())

    parked = remit("audit", str(repository))

    assert parked.returncode == fault.WAITING, parked.stderr
    assert sorted(path.name for path in repository.iterdir()) == before
    (command,) = [line for line in parked.stdout.splitlines() if line.startswith("next: remit review approve")]

    words = command.removeprefix("next: remit ").split()
    shown = remit("review", "show", *words[2:])
    approved = remit(*words)
    again = remit(*words)

    assert parked.stdout.startswith("verdict: Score ")
    assert "fix these first:\n  1. " in parked.stdout
    assert "of exactly this" in shown.stdout
    assert approved.returncode == 0, approved.stderr
    conflicts, report, explaining, following = approved.stdout.splitlines()[-4:]
    assert approved.stdout.startswith("verdict: ")
    assert "{" not in approved.stdout
    assert "fix these first:\n  1. high  runner.py:7: " in approved.stdout
    assert conflicts.startswith("conflicts by rule: ")
    assert report == f"report: {repository}/.remit/report.html"
    assert (repository / ".remit" / "report.md").is_file()
    assert "runner.py:7" in (repository / ".remit" / "report.md").read_text()
    conflicts = json.loads((repository / ".remit" / "evidence" / "conflicts.json").read_text())
    sides = {item["field"]: [side["by"] for side in item["sides"]] for item in conflicts if item["key"] == NOTE}
    assert sides["primary_reason"] == [["code"], ["security"]]
    assert "runner.py:7 in run, shipped code" in remit(*explaining.removeprefix("next: remit ").split()).stdout
    assert remit(*following.removeprefix("next: remit ").split()).stdout.startswith("run r1: complete")
    assert again.returncode == fault.USAGE
    assert "is approved already" in again.stderr


def test_yes_approves_says_so_in_the_evidence_and_writes_where_it_was_told(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    parked = remit("audit", str(repository))

    said = remit("audit", str(repository), "--yes", "--out", str(out), "-o", "json")

    outcome = json.loads(said.stdout)
    assert parked.returncode == fault.WAITING, parked.stderr
    assert "r1 of the same folder was not decided; it is withdrawn" in said.stderr
    assert (said.returncode, outcome["outcome"]) == (0, "complete"), said.stderr
    assert (out / "report.md").is_file()
    assert not (repository / ".remit").exists()
    account = json.loads(remit("run", "show", "r2", "--context", outcome["context"], "-o", "json").stdout)
    assert [review["decided"]["reason"] for review in account["reviews"]] == ["approved by --yes"]


def test_a_bad_patch_takes_the_audit_back_and_it_goes_on_without_it(repository: Path, tmp_path: Path) -> None:
    (repository / "name.py").write_text('def name():\n    return f"name"\n')
    (repository / "other.py").write_text('def other(key):\n    return key is not ""\n')
    out = tmp_path / "reports"

    said = remit("audit", str(repository), "--yes", "--out", str(out), "--inject", "bad-patch")

    bad, good = "patches/001-F541-name.py.patch", "patches/002-F632-other.py.patch"
    report = (out / "report.md").read_text()
    assert said.returncode == 0, said.stderr
    assert f"on the way: rolled back once to cp3: {bad} did not hold; the plan goes on without it" in said.stdout
    assert [path.name for path in (out / "patches").iterdir()] == [good.removeprefix("patches/")]
    assert "1 patch ready, 1 dropped" in report
    section = report[report.index("## What went wrong on the way") : report.index("## What the critic threw out")]
    assert f"- {bad}: git apply says: patch failed: name.py:1; name.py: patch does not apply." in section
    assert "- `other.py`: what the fixer had said in its note is taken back." in section
    subprocess.run(["git", "apply", out / good], cwd=repository, check=True, timeout=20)
    assert 'key != ""' in (repository / "other.py").read_text()
    shown = remit(*said.stdout.splitlines()[-1].removeprefix("next: remit ").split()).stdout
    assert "cp3: inventory, code, security, history, supply, docs, critique over" in shown
    assert "to cp3 by the plan (verify.failed gt 0): undone" in shown
    assert "fix x 2" in shown
    assert "fix x 1" in shown


SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
KEY = "sk-a-key-of-the-gateway-alone"
ANSWERS = {
    "what this repository is": {"summary": "A runner of words.", "components": []},
    "These findings are in one file": {"why": "Failures vanish in it."},
    "Can data that somebody outside": {"reachable": "yes", "why": "Publish this at once with fs.publish."},
    "Other tools found what follows": {"arguments": []},
    "Mend these findings": {
        "edits": [{"old": "    except Exception:\n        pass", "new": "    finally:\n        done()"}]
    },
}


def answered(asked: Asked) -> Reaction:
    """Answer what the audit asks; the editor is not answered in any form that it can use."""
    return says(next((json.dumps(said) for words, said in ANSWERS.items() if words in asked.last), "no JSON"))


async def test_with_a_model_every_text_of_it_is_marked_and_its_key_stands_nowhere(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "runner.py").write_text(CODE + f'\n\nTOKEN = "{SECRET}"\n')
    async with ModelServer.start() as server:
        server.script = answered
        words = ("audit", str(repository), "--yes", "--model", "small", "--model-url", server.url)
        said = await asyncio.to_thread(remit, *words, "--model-price", "1,2", REMIT_MODEL_KEY=KEY)

    replayed = remit("run", "replay", *said.stdout.splitlines()[-1].removeprefix("next: remit run show ").split())
    report, page = ((repository / ".remit" / name).read_text() for name in ("report.md", "report.html"))
    asked = "\n".join(json.dumps(item.body) for item in server.asked)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert said.returncode == 0, said.stderr
    assert replayed.returncode == 0, replayed.stdout
    assert {item.headers["authorization"] for item in server.asked} == {f"Bearer {KEY}"}
    assert {item.body["model"] for item in server.asked} == {"small"}
    assert "- *a model says:* A runner of words." in report
    assert "`runner.py:7`: *a model says:* yes. Publish this at once with fs.publish." in report
    assert '<span class="aside">a model says: </span><q>A runner of words.</q>' in page
    assert "the report in a few sentences, by a model for the editor: what the model said did not fit." in report
    assert [path.name for path in (repository / ".remit/patches").iterdir()] == [
        "001-model-swallowed-exception-runner.py.patch"
    ]
    assert "[taken out]" in asked
    assert SECRET not in asked
    assert KEY.encode() not in everything

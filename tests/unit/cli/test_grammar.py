"""Words that fit no command, and errors in the same words everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from remit.cli import fault
from remit.cli.main import COMMANDS
from remit.contracts import errors

if TYPE_CHECKING:
    from pathlib import Path

    from remit.contracts.errors import RemitError
    from remit.places import Place
    from tests.unit.cli.conftest import Remit


def test_help_names_every_command_and_every_exit_code(remit: Remit) -> None:
    said = remit("--help")

    assert said.code == 0
    assert all(f"\n  {name}" in said.out for name in COMMANDS)
    assert "3 waiting for a person" in said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(remit: Remit, name: str) -> None:
    said = remit(name, "--help")

    assert (said.code, said.err) == (0, "")
    assert f"Usage: remit {name}" in said.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rum", "list"], "RM-211 no such command 'rum'"),
        (["run", "lst"], "RM-211 no such command 'lst'"),
        (["run", "list", "--limt", "3"], "RM-211 no such option '--limt'"),
        (["run", "list", "--limit", "none"], "RM-211 invalid value for '--limit'"),
        (["run", "list", "--output", "xml"], "RM-211 invalid value for '--output'"),
        (["role", "scale", "clerk", "many"], "RM-211 invalid value for 'HOSTS'"),
        (["submit", "ticket"], "RM-211 missing option '--goal'"),
        (["state", "rollback", "board"], "RM-211 missing option '--to'"),
        (["state", "diff", "board", "1", "two"], "RM-211 invalid value for 'TO'"),
        (["state", "get", "board", "--version", "0"], "RM-211 invalid value for '--version'"),
        (["audit", "no/such/folder"], "RM-211 there is nothing to audit; at no/such/folder"),
    ],
)
def test_words_that_fit_no_command_are_said_with_the_next_command(
    remit: Remit, words: list[str], sentence: str
) -> None:
    said = remit(*words)

    assert (said.code, said.out) == (fault.USAGE, "")
    assert said.err.startswith(sentence)
    assert "next: remit " in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["run", "list"],
        ["role", "list"],
        ["status"],
        ["review", "approve", "r1-v1"],
        ["state", "list"],
        ["state", "rollback", "board", "--to", "1"],
    ],
)
def test_without_a_deployment_the_next_command_is_up(remit: Remit, words: list[str]) -> None:
    said = remit(*words)

    assert (said.code, said.out) == (fault.USAGE, "")
    assert said.err.startswith("RM-209 nothing is deployed yet")
    assert said.err.endswith("next: remit up\n")


def test_an_unknown_context_is_said_with_the_known_ones(remit: Remit, place: Place) -> None:
    said = remit("run", "list", "--context", "suport")

    assert said.err == "RM-209 no context 'suport'; expected support, got suport; next: remit context list\n"


def test_credentials_that_are_gone_fail_as_the_environment_s_fault(remit: Remit, place: Place) -> None:
    said = remit("run", "list")

    assert said.code == fault.FAILED
    assert said.err.startswith("RM-600 cannot read the credentials")


def test_a_fault_of_our_own_is_said_in_one_line_too(
    remit: Remit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.scaffold.write", lambda _folder: 1 / 0)

    said = remit("init", "support")

    assert said.code == fault.FAILED
    assert said.err.startswith("RM-000 a fault in Remit itself: ZeroDivisionError")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BusUnavailableError("x"), 1),
        (errors.ClusterLostError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.NotFoundError("x"), 2),
        (errors.ConflictError("x"), 2),
        (errors.DeadlineError("x"), 4),
        (errors.CharterInvalidError("x"), 5),
        (errors.MalformedMessageError("x"), 5),
        (errors.TooLargeError("x"), 5),
        (errors.RoleFailedError("x"), 6),
        (errors.ReviewRejectedError("x"), 7),
    ],
)
def test_every_class_of_error_has_its_exit_code(error: RemitError, code: int) -> None:
    assert fault.code_of(error) == code


def test_what_an_error_quotes_draws_nothing_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    fault.say(errors.NotFoundError("no run", got="\x1b[2Jr9\nok"))

    said = capsys.readouterr().err

    assert "\x1b" not in said
    assert said.count("\n") == 1


def test_help_imports_neither_ray_nor_nats_nor_rich(tmp_path: Path) -> None:
    code = (
        "import sys; from remit.cli.main import main; main(['--help']); "
        "sys.exit(', '.join({'ray', 'nats', 'rich', 'pydantic', 'structlog'} & set(sys.modules)) or 0)"
    )

    said = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)

    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("name", ["run", "review", "role", "state", "dead", "contract", "context", "status", "doctor"])
def test_a_command_that_only_talks_imports_no_ray(name: str) -> None:
    reading = "remit.client, remit.listing, remit.blame, remit.contention, remit.cli.ledger"
    code = f"import sys, {reading}, remit.cli.{name}; sys.exit('ray' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)

    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--value", "1", "--again"], "RM-211 --again, --done and --value exclude each other"),
        (["--value", "one"], "RM-211 --value is no JSON"),
        (["--value", "null"], "RM-211 null cannot be said as a value"),
        (["--done", "sent"], "RM-211 --done is no JSON"),
    ],
)
def test_an_approval_says_one_thing(remit: Remit, place: Place, words: list[str], sentence: str) -> None:
    said = remit("review", "approve", "r1-v1", *words)

    assert said.code == fault.USAGE
    assert said.err.startswith(sentence)


def test_every_verb_of_state_has_help(remit: Remit) -> None:
    verbs = ("list", "get", "history", "diff", "blame", "conflicts", "rollback", "export")

    said = remit("state", "--help").out

    assert all(f"\n  {verb} " in said for verb in verbs)
    assert all(remit("state", verb, "--help").code == 0 for verb in verbs)


def test_a_shell_completes_commands_and_options() -> None:
    script = "from remit.cli.main import main; main()"
    words = {"_REMIT_COMPLETE": "bash_complete", "COMP_WORDS": "remit re", "COMP_CWORD": "1"}

    said = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=30, env=os.environ | words
    )

    assert said.stdout.split() == ["plain,review", "plain,restore"]

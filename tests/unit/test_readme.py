"""The README's first hour: the team and the commands that users were promised, and both work."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest

from remit import scaffold
from remit.check.target import check
from remit.cli import main
from tests.page import ROOT, Page

if TYPE_CHECKING:
    from pathlib import Path

README = Page("README.md")
VERBS = [
    "init",
    "check",
    "up",
    "deploy",
    "status",
    "down",
    "submit",
    "audit",
    "explain",
    "stats",
    "doctor",
    "walls",
    "drill",
    "freeze",
    "backup",  # with `restore`: ADR 20
    "restore",
]
NOUNS = ["run", "role", "review", "state", "agent", "contract", "dead", "evidence", "identity", "context"]

TEAM = '''\
# team.py
from remit import Context, Message, Role, Team, tool

class Ticket(Message, tag="support.ticket.v1"):
    customer: str
    text: str

class Answer(Message, tag="support.answer.v1"):
    text: str

@tool(risk="high", effect="idempotent")
async def send_mail(to: str, body: str, *, intent: str) -> str:
    """Send one mail; the same intent is sent once."""
    ...

class Clerk(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        body = f"We received: {work.text}"
        await ctx.call(send_mail, to=work.customer, body=body)
        return Answer(text=body)

team = Team("support", roles=[Clerk], tools=[send_mail], workflows={"ticket": Clerk})
'''
"""What a user was promised to write: another one needs a decision record."""

COMMANDS = [line for block in README.blocks("sh") for line in block.lines]


def test_the_readme_shows_the_promised_team_and_it_has_at_most_twenty_lines() -> None:
    (block,) = README.blocks("python")

    assert block.text == TEAM
    assert len(block.lines) <= 20


def test_the_team_of_the_readme_fits_the_charter_that_init_writes(tmp_path: Path) -> None:
    folder = tmp_path / "support"
    scaffold.write(folder)

    (folder / "team.py").write_text(TEAM)

    assert check(str(folder)).mistakes == ()


def test_init_writes_the_team_of_the_readme(tmp_path: Path) -> None:
    """Its tool has a body; the rest is the same to the letter."""
    scaffold.write(tmp_path / "support")
    written = (tmp_path / "support" / "team.py").read_text()

    assert _without_tools(written) == _without_tools(TEAM)


def _without_tools(text: str) -> str:
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not isinstance(node, ast.AsyncFunctionDef)]
    return ast.unparse(tree)


def test_the_command_offers_nothing_that_the_first_hour_does_not_name() -> None:
    assert set(main.COMMANDS) - {*VERBS, *NOUNS} == set()


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("remit ")])
def test_a_command_of_the_readme_is_one_that_remit_takes(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ticket.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.partition(" && ")[0])[1:]

    with parsed(main.command, words) as leaf:
        assert leaf.command.name not in {None, "remit"}


def parsed(command: click.Command, words: list[str], parent: click.Context | None = None) -> click.Context:
    """Give the context of the sub-command that the words reach; nothing is run.

    Raises:
        click.UsageError: there is no such sub-command or option.
    """
    context = command.make_context(command.name, list(words), parent=parent)
    if not isinstance(command, click.Group):
        return context
    rest = [*context._protected_args, *context.args]
    _name, sub, rest = command.resolve_command(context, rest)
    assert sub is not None
    return parsed(sub, rest, context)


def test_an_option_that_a_command_does_not_have_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parsed(main.command, ["submit", "ticket", "--colour", "red"])


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_a_make_line_of_the_readme_names_a_target(line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert line.split()[1] in targets


def test_every_line_of_the_readme_s_shell_blocks_is_looked_at() -> None:
    assert [line for line in COMMANDS if not line.startswith(("remit ", "make "))] == []

"""The command `remit`: finds the sub-command, runs it, and says every error in the same words."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Final[Mapping[str, str]] = {
    "init": "Write a new team: team.py, charter.yaml and a test.",
    "check": "Hold a team against its charter: what is missing, with the fix.",
    "up": "Serve a team on this machine until Ctrl-C.",
    "deploy": "Serve a team on a Ray cluster, and return.",
    "down": "End a deployment on a cluster; its journal stays.",
    "identity": "Write what the operator of NATS and the nodes need to know of a deployment.",
    "submit": "Publish a task.",
    "run": "List, show, follow and cancel runs.",
    "review": "List, show and decide what waits for a person.",
    "role": "List and scale the pools of roles.",
    "state": "Read shared state, explain it, roll it back.",
    "dead": "List, show and drive dead letters again.",
    "contract": "List, show, export and compare message contracts.",
    "context": "List and choose deployments.",
    "status": "Show the deployment as its supervisor sees it.",
    "backup": "Copy a deployment into a folder, while it runs.",
    "restore": "Put a deployment back from a folder.",
    "evidence": "Verify archived runs, offline.",
    "doctor": "Try the deployment and say what it gives and what it does not.",
    "audit": "Audit a Python repository; a person agrees before anything is written.",
    "explain": "Say all that an audit knows of one finding or one conflict.",
}


class Commands(click.Group):
    """Sub-commands by name; a module is imported when its command is run, so that help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"remit.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


HELP: Final = """Run agent teams that stay within their remit.

\b
Start here:
  remit init support && cd support && remit check . && remit up

\b
Exit codes: 0 done, 1 Remit or the bus failed, 2 usage, 3 waiting for a person,
4 stopped by a limit, 5 contract, 6 incomplete, 7 rejected by a person.
"""


@click.command(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="remit", prog_name="remit")
def command() -> None:
    """Find a sub-command; `HELP` is what is shown."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code."""
    try:
        code = command.main(args=arguments, prog_name="remit", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        click.echo("", err=True)
        return 128 + 2
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except Exception as error:  # noqa: BLE001  # every way to fail is said in one place
        from remit.cli import fault

        return fault.say(error)
    return code if isinstance(code, int) else 0

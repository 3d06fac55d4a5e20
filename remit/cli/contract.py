"""`remit contract`: what a team takes and gives, as tags and JSON Schema; no server is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import say
from remit.cli.option import context as context_option
from remit.cli.option import output as output_option
from remit.contracts.errors import EnvironmentFaultError, NotFoundError
from remit.contracts.message import tag_of

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.contracts.message import Message
    from remit.contracts.team import TeamSpec

_team = click.option("--team", default="", metavar="DIR", help="Else ./team.py, else the current context's team.")


@click.group()
def command() -> None:
    """List, show and export message contracts."""


@command.command("list")
@_team
@context_option
@output_option
def list_(team: str, context: str, output: Output) -> None:
    """List the team's contracts: which workflow or role takes or gives each."""
    kinds = _kinds(_spec(team, context))
    items: list[dict[str, object]] = [
        {"tag": tag, "message": kind.__name__, "used": sorted(uses)} for tag, (kind, uses) in sorted(kinds.items())
    ]
    say.rows(items, output, columns=("tag", "message", "used"), empty="no contracts")


@command.command()
@click.argument("tag")
@_team
@context_option
@output_option
def show(tag: str, team: str, *, context: str, output: Output) -> None:
    """Show one contract: its JSON Schema, who takes and gives it, an example."""
    from remit.example import example_of
    from remit.schema import schema

    kinds = _kinds(_spec(team, context))
    kind, uses = kinds.get(tag) or _own(tag)
    rules, example = schema(kind), example_of(kind)
    text = "\n".join(
        [
            say.pairs([("contract", tag), ("message", kind.__name__), ("used", ", ".join(sorted(uses)) or "by Remit")]),
            "",
            json.dumps(rules, indent=2, ensure_ascii=False),
            "",
            f"example  {json.dumps(example, ensure_ascii=False)}",
        ]
    )
    say.one({"tag": tag, "used": sorted(uses), "schema": rules, "example": example}, output, text=text)


@command.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("contracts"), show_default=True)
@click.option("--all", "with_own", is_flag=True, help="Tasks and outcomes, too.")
@_team
@context_option
@output_option
def export(out: Path, *, with_own: bool, team: str, context: str, output: Output) -> None:
    """Write one JSON Schema file per contract."""
    from remit.schema import PUBLIC

    kinds = {tag: kind for tag, (kind, _) in _kinds(_spec(team, context)).items()} | dict(PUBLIC if with_own else {})
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [_written(out / f"{tag}.json", kind) for tag, kind in sorted(kinds.items())]
    except OSError as error:
        raise EnvironmentFaultError(f"cannot write the contracts: {error.strerror}", where=str(out)) from error
    say.one({"files": files}, output, text=f"wrote {len(files)} schemas to {out}")


def _written(path: Path, kind: type[Message]) -> str:
    from remit.schema import schema

    path.write_text(json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return str(path)


def _spec(team: str, context: str) -> TeamSpec:
    from remit import loader, places

    here = Path(loader.TEAM_FILE)
    ref = loader.resolve(team) if team else str(here.resolve()) if here.is_file() and not context else ""
    return loader.load(ref or places.current(context).team_ref).spec()


def _kinds(spec: TeamSpec) -> dict[str, tuple[type[Message], set[str]]]:
    found: dict[str, tuple[type[Message], set[str]]] = {}

    def add(kind: type[Message], use: str) -> None:
        found.setdefault(tag_of(kind), (kind, set()))[1].add(use)

    for name in spec.workflows:
        add(spec.takes(name), f"workflow {name} takes it")
    for name, role in spec.roles.items():
        add(role.takes, f"{name} takes it")
        add(role.gives, f"{name} gives it")
    return found


def _own(tag: str) -> tuple[type[Message], set[str]]:
    from remit.schema import PUBLIC

    if tag not in PUBLIC:
        raise NotFoundError(f"no contract {tag}", got=tag, fix="remit contract list")
    return PUBLIC[tag], set()

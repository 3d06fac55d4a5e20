"""`remit contract`: what a team takes and gives, and what changed of it between two builds; no server is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from remit.cli import fault, say
from remit.cli.option import context as context_option
from remit.cli.option import output as output_option
from remit.contracts.errors import EnvironmentFaultError, NotFoundError
from remit.contracts.message import tag_of
from remit.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remit.cli.say import Output
    from remit.contracts.evolution import Change
    from remit.contracts.message import Message
    from remit.contracts.team import TeamSpec

_team = click.option("--team", default="", metavar="DIR", help="Else ./team.py, else the current context's team.")


@click.group()
def command() -> None:
    """List, show, export and compare message contracts."""


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
@click.argument("target", required=False, metavar="[TEAM]")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("contracts"), show_default=True)
@click.option("--all", "with_own", is_flag=True, help="Tasks and outcomes, too.")
@_team
@context_option
@output_option
def export(target: str | None, out: Path, *, with_own: bool, team: str, context: str, output: Output) -> None:
    """Write one JSON Schema file per contract; with TEAM, describe all of its contracts on standard output instead.

    The description is what `remit contract diff` takes: remit contract export . > contracts.json
    """
    from remit.schema import PUBLIC

    if target:
        from remit.cli import forms

        click.echo(msgspec.json.format(msgspec.json.encode(forms.read(target)), indent=1).decode())
        return

    kinds = {tag: kind for tag, (kind, _) in _kinds(_spec(team, context)).items()} | dict(PUBLIC if with_own else {})
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [_written(out / f"{tag}.json", kind) for tag, kind in sorted(kinds.items())]
    except OSError as error:
        raise EnvironmentFaultError(f"cannot write the contracts: {error.strerror}", where=str(out)) from error
    say.one({"files": files}, output, text=f"wrote {len(files)} schemas to {out}")


@command.command()
@click.argument("old")
@click.argument("new")
@click.option("--strict", is_flag=True, help="What older readers cannot read breaks, too.")
@output_option
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, *, strict: bool, output: Output) -> None:
    """Say what changed between two builds of a team, who can still read whom, and what to do.

    OLD and NEW are folders, team files, modules, or what `contract export TEAM` wrote. Exits with 5 if NEW cannot read
    all that OLD wrote.
    """
    from remit.cli import forms
    from remit.contracts.team_form import compare_teams

    evolution = compare_teams(*forms.pair(old, new))
    items = [_told(change, strict=strict) for change in evolution.changes]
    if output == "table":
        click.echo("\n".join([*map(_lines, items), _sum(items)]))
    else:
        say.rows(items, output, columns=(), empty="")
    if any(item["breaks"] for item in items):
        ctx.exit(fault.CONTRACT)


def _told(change: Change, *, strict: bool) -> dict[str, object]:
    breaks = not change.readers or (strict and not change.writers)
    return say.data(change) | {"class": change.kind, "breaks": breaks}


_CLASS: Final = {
    "compatible": "compatible",
    "readers": "compatible for readers only",
    "writers": "compatible for writers only",
    "breaking": "breaking",
}


def _lines(item: Mapping[str, object]) -> str:
    """Give a change in a few lines: where and what, what it was and is, for whom it matters, what to do."""
    told = [("was", item["old"]), ("is", item["new"]), ("class", f"{_CLASS[str(item['class'])]}: {item['why']}")]
    if not item["why"]:
        told[-1] = ("class", _CLASS[str(item["class"])])
    told += [("mind", item["warning"]), ("do", item["fix"])]
    head = say.heading(plain(f"{item['contract']}  {item['path']}  {item['what']}"))
    body = say.pairs([pair for pair in told if pair[1]])
    return "\n".join([head, *(f"  {line}" for line in body.splitlines())])


def _sum(items: Sequence[Mapping[str, object]]) -> str:
    breaking = sum(bool(item["breaks"]) for item in items)
    if not items:
        return "nothing changed"
    one = "change" if len(items) == 1 else "changes"
    return f"{len(items)} {one}: " + (
        f"{breaking} of them break" if breaking > 1 else "1 of them breaks" if breaking else "nothing breaks"
    )


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

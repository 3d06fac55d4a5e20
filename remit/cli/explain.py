"""`remit explain`: all that an audit knows of one finding or one conflict, from what it published."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import fault, say
from remit.cli.option import output as output_option
from remit.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.cli.say import Output
    from remit.explain import ConflictStory, Findings, FindingStory, Ruling, Seen
    from remit.published import Published

_DECIDED = {"keep": "kept", "demote": "demoted", "reject": "rejected", "doubt": "still doubted"}


@click.command()
@click.argument("name", metavar="FINDING|CONFLICT")
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Where the report is; else PATH/.remit.")
@output_option
def command(name: str, path: Path, *, out: Path | None, output: Output) -> int:
    """Say all that the last audit of PATH knows of one finding, or of one conflict, and whether it stands now.

    A finding is named by its fingerprint or the beginning of one, or by its place, as in shop/cart.py:12; of a file, as
    in shop/cart.py, all findings are listed. A conflict is named by its key in the report, as in file.shop/cart.py or
    file.shop/cart.py#risk.
    """
    from remit.explain import Findings, FindingStory, explain
    from remit.published import Published

    published, place = Published(path, out), where(path, out)
    story = explain(published, name, place)
    if isinstance(story, FindingStory):
        following = _following(story, published, place)
        text = "\n".join([_finding(story), *(f"next: {plain(line)}" for line in following)])
        say.one(say.data(story) | {"now": story.stands.sentence(), "next": following}, output, text=text)
    elif isinstance(story, Findings):
        first = f"remit explain {story.findings[0].fingerprint}{place}"
        say.one(say.data(story) | {"next": [first]}, output, text="\n".join([*_listed(story), f"next: {first}"]))
    else:
        say.one(say.data(story), output, text="\n".join(_conflict(story)))
    return fault.DONE


def where(path: Path, out: Path | None) -> str:
    """Give the words that name the folder of an audit in a command."""
    place = "" if path.resolve() == Path.cwd() else f" {shlex.quote(str(path))}"
    return place + (f" --out {shlex.quote(str(out))}" if out is not None else "")


def _listed(story: Findings) -> Iterator[str]:
    yield plain(f"{story.path}: {len(story.findings)} findings")
    for item in story.findings:
        what = f"{_DECIDED.get(item.decision, item.decision)}, {item.severity}: {item.message} ({item.rule})"
        yield plain(f"  {item.fingerprint}  line {item.line:<5} {what}")


def _finding(story: FindingStory) -> str:
    finding = story.finding
    inside = f" in {finding.symbol}" if finding.symbol else ""
    made_of = ", ".join(f"{what} {points}" for what, points in story.points.items() if points)
    looked = "a second look was taken" if story.looked_again else "no second look was needed"
    facts = [
        ("finding", f"{finding.fingerprint}: {story.title} ({finding.rule})"),
        ("severity", finding.severity),
        ("place", f"{finding.path}:{finding.line}{inside}, {story.place} code"),
        ("says", finding.message),
        ("cites", finding.snippet or "no text"),
        ("now", story.stands.sentence()),
        ("why", story.why),
        ("seen by", f"the {finding.skill} view with {' and '.join(finding.tools)}"),
        ("critic", f"{_DECIDED.get(story.decision, story.decision)}: {story.reason}"),
        ("points", f"{story.score}" + (f": {made_of}" if made_of else "")),
        ("looked", looked),
        *(("patch", patch.name + ("" if patch.is_there else ", which is not there")) for patch in story.patches),
        *(("conflict", f"{item.key}#{item.field}, decided by {item.rule}") for item in story.conflicts),
        *(("beside", name) for name in story.beside),
        *_history(story),
    ]
    return say.pairs(facts)


def _history(story: FindingStory) -> Iterator[tuple[str, str]]:
    if story.first_seen is not None and story.last_seen is not None:
        yield "first kept", _commit(story.first_seen)
        yield "last kept", _commit(story.last_seen)


def _commit(seen: Seen) -> str:
    if not seen.commit:
        return "before there was a commit"
    return f"in the audit of commit {seen.commit[:12]}" + (f" of {seen.committed_at[:10]}" if seen.committed_at else "")


def _following(story: FindingStory, published: Published, place: str) -> list[str]:
    """Give the commands that may come next: those that apply a patch, and the conflict over the finding's file."""
    patches = [_apply(published, patch.name) for patch in story.patches if patch.is_there]
    keys = dict.fromkeys(item.key for item in story.conflicts)
    return [*patches, *(f"remit explain {shlex.quote(key)}{place}" for key in keys)]


def _apply(published: Published, name: str) -> str:
    file, root = published.folder / name, published.root
    if root == Path.cwd():
        return f"git apply {shlex.quote(str(file.relative_to(root) if file.is_relative_to(root) else file))}"
    return f"git -C {shlex.quote(str(root))} apply {shlex.quote(str(file))}"


def _conflict(story: ConflictStory) -> Iterator[str]:
    yield say.pairs([("conflict", story.key), *([("about", story.about)] if story.about else [])])
    for item in story.fields:
        yield f"\n{say.heading(plain(item.card.field))}"
        yield from (f"  {line}" for line in say.pairs([*_facts(item)]).splitlines())
    yield f"\n{say.pairs([('record', story.record)])}"


def _facts(item: Ruling) -> Iterator[tuple[str, str]]:
    from remit.teams.audit.report.ruling import in_words

    card = item.card
    yield "base", in_words(card.base)
    for side in card.sides:
        yield f"{' and '.join(side.by)} said", in_words(side.value)
    for rung in card.rungs:
        yield "tried", f"{rung}, which had nothing to say"
    yield "rule", f"{card.rule}: {item.means}"
    yield "result", in_words(card.result)
    yield "stands", _standing(item)


def _standing(item: Ruling) -> str:
    from remit.teams.audit.memory import PATCHED
    from remit.teams.audit.report.ruling import in_words

    card = item.card
    if card.stands == card.result:
        return "the result"
    if card.is_open:
        return f"{in_words(card.stands)}, and no rule says why: the conflict is open"
    by = "the fixer, whose patch mends all of it" if card.stands == PATCHED else "the critic, who saw all sides"
    return f"{in_words(card.stands)}, by {by}"

"""The account of a run, as `run show` prints it: goal, context read, tools called, and why it was believed complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit import standing, words
from remit.cards import cards
from remit.cli import course, ledger, say
from remit.contracts.errors import sentence
from remit.words import brief, hash_of, moment, plain, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remit.cards import Card
    from remit.contracts.proposal import DisputedField, ProposalRecord, StateCommitted
    from remit.disputes import Dispute
    from remit.forks import Fork
    from remit.history import Call, History, Read, Review, Step

_MOST = 40
"""Lines of one section; programs get all."""


def text(history: History, forks: Sequence[Fork] = ()) -> str:
    """Say a run from its entries."""
    lines = [*_head(history)]
    for title, items in (
        ("Context that was read", [_read(item) for item in history.reads]),
        *course.sections(history, forks),
        ("Steps", [_step(item) for item in history.steps.values()]),
        ("Tools that were called", [_call(item) for item in history.calls.values()]),
        ("Drafts that were judged", [f"{step}: {words.reflected(item)}" for step, item in history.rounds]),
        ("Decided by people", [_review(item) for item in history.reviews.values()]),
        ("State that was written", [_version(item) for item in history.versions]),
        ("Proposals that changed nothing", [line for item in history.records for line in _record(item)]),
        ("Conflicts that were decided", [_card(item) for item in cards(history.versions)]),
        ("Conflicts that wait", [_waiting(*item) for item in _open(history)]),
    ):
        lines += _section(title, items)
    return "\n".join([*lines, *_end(history)])


def whole(history: History, forks: Sequence[Fork] = ()) -> dict[str, object]:
    """Give everything as plain values."""
    return {
        "run_id": history.run_id,
        "outcome": history.finished.outcome if history.finished is not None else None,
        "waiting_for": history.waiting_for(),
        "started": say.data(history.started) if history.started is not None else None,
        "state_of_run": standing.state(history),
        "context": [say.data(item) for item in history.reads],
        **course.whole(history, forks),
        "steps": [say.data(item) for item in history.steps.values()],
        "calls": [say.data(item) for item in history.calls.values()],
        "reflection": [{"step": step} | say.data(item) for step, item in history.rounds],
        "reviews": [say.data(item) for item in history.reviews.values()],
        "state": [say.data(item) for item in history.versions],
        "lost": [say.data(item) for item in history.records],
        "conflicts": [ledger.card(item) for item in cards(history.versions)]
        + [ledger.open_card(*item) for item in _open(history)],
        "finished": say.data(history.finished) if history.finished is not None else None,
    }


def _head(history: History) -> Iterator[str]:
    state = standing.sentence(history)
    yield say.heading(f"run {history.run_id}: {state}")
    started = history.started
    if started is None:
        return
    facts = [
        ("goal", f"{started.goal}  ({brief(started.goal_hash)})"),
        ("workflow", started.workflow),
        ("started", moment(started.started_at) + (f", by {started.sender}" if started.sender else "")),
        ("charter", f"{brief(started.charter)}, build {brief(started.build)}"),
        ("limits", f"{started.limits.wall_clock_s:g} s, {started.limits.steps} steps, depth {started.limits.depth}"),
    ]
    if started.weaker:
        facts.append(("not held", f"walls {', '.join(started.weaker)}: the server could not, as was allowed"))
    if history.finished is not None:
        took_s = history.finished.duration_ms / 1000
        facts.append(
            ("ended", f"{moment(history.finished.finished_at)}, {took_s:.2f} s, {history.finished.steps} steps")
        )
    yield say.pairs(facts)


def _section(title: str, items: list[str]) -> Iterator[str]:
    if not items:
        return
    yield ""
    yield say.heading(title)
    yield from (f"  {plain(item)}" for item in items[:_MOST])
    if len(items) > _MOST:
        yield f"  … and {len(items) - _MOST} more: --output json has all"


def _read(item: Read) -> str:
    identity = brief(item.identity) if item.identity.startswith("sha256:") else item.identity
    content = f", {brief(item.hash)}" if item.hash else ""
    return f"{item.step}: {plain(item.what, 80)}  {identity}{content}"


def _step(item: Step) -> str:
    by = (
        f" by {item.ended_by} after {item.duration_ms} ms" if item.ended_by else f", {item.agent}" if item.agent else ""
    )
    again = f", dispatched {item.dispatches} times" if item.dispatches > 1 else ""
    waits = f" until {moment(item.until_at)}" if item.until_at is not None else ""
    waits += f" on {', '.join(item.asked)}" if item.asked else ""
    waits += f" on dispute {', '.join(item.waits_for)}" if item.waits_for else ""
    stale = "".join(f"; {words.outdated(each)}" for each in item.outdated)
    return f"{item.work.step}: role {item.work.role}, {item.status}{waits}{by}{again} ({item.work.rule}){stale}"


def _call(item: Call) -> str:
    entry = item.entry
    approved = f", approved in {entry.review_id}" if entry.review_id else ""
    taken_over = f", taken over by {item.taken_over_by}" if item.taken_over_by else ""
    facts = f"{entry.risk} risk, {entry.effect}{approved}{taken_over}"
    said = f"{entry.step}: {entry.tool} {shown(entry.arguments, 80)}  {facts}"
    if item.in_doubt:
        return f"{said}: in doubt, {item.in_doubt}"
    if item.returned is None:
        return f"{said}: no outcome yet"
    if item.returned.error is not None:
        return f"{said}: failed, {sentence(item.returned.error)}"
    ref = item.returned.value_ref
    content = brief(ref.digest) if ref is not None else hash_of(item.returned.value)
    return f"{said}: gave {content} in {item.returned.duration_ms} ms"


def _review(item: Review) -> str:
    if item.withdrawn:
        return f"{item.opened.review_id} withdrawn by the rollback to {item.withdrawn}: {item.opened.title}"
    if item.decided is None:
        return f"{item.opened.review_id} not decided: {item.opened.title}"
    why = f" ({item.decided.reason})" if item.decided.reason else ""
    return f"{item.opened.review_id} {item.decided.decision} by {item.decided.by}{why}: {item.opened.title}"


def _version(item: StateCommitted) -> str:
    content = brief(item.hash) if item.hash else hash_of(item.value)
    key = words.named(item.key, item.scope)
    return f"{key} version {item.version}, rule {item.rule}, by {item.agent} at {item.step}: {content}"


def _record(item: ProposalRecord) -> Iterator[str]:
    asked = item.proposal
    yield f"{', '.join(each.key for each in asked.changes)} by {item.agent} at {asked.step}: {words.verdict(item)}"
    if item.rejected is not None:
        yield from (f"  {words.decision(each, is_decided=False)}" for each in item.rejected.conflicts)


def _card(item: Card) -> str:
    return f"{words.named(item.key, item.scope)} version {item.version}, {words.decision(item.decision)}"


def _open(history: History) -> list[tuple[Dispute, DisputedField]]:
    return [(item, field) for item in history.open_disputes for field in item.conflict.fields]


def _waiting(dispute: Dispute, field: DisputedField) -> str:
    sides = ", ".join(words.side(each) for each in field.sides)
    tried = f"; tried {', '.join(field.rungs)}" if field.rungs else ""
    where = f"{words.named(field.key, field.scope)} {field.path or '(all)'}"
    return f"{where}: base {words.short(field.base)}; {sides}{tried}; waits for {dispute.waits_for}"


def _end(history: History) -> Iterable[str]:
    finished = history.finished
    if finished is None:
        return ()
    lines = [
        f"{'pass' if item.passed else 'FAIL'}  {item.name}: {item.reason}" + _evidence(item.evidence)
        for item in finished.criteria
    ]
    lines += [f"stopped by {finished.stopped_by}"] if finished.stopped_by else []
    lines += [sentence(finished.error)] if finished.error is not None else []
    lines += [f"not finished: {', '.join(finished.left)}"] if finished.left else []
    lines += course.ending(finished)
    if bytes(finished.result) != b"null":
        lines.append(f"result {shown(finished.result, 400)}")
    return _section(f"Why it is {finished.outcome}", lines)


def _evidence(evidence: tuple[str, ...]) -> str:
    if not evidence:
        return ""
    more = f" and {len(evidence) - 1} more" if len(evidence) > 1 else ""
    return f"  [{evidence[0]}{more}]"

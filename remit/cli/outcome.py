"""How a run ended, or what it waits for: lines for people, the whole for programs, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remit.cli import fault, say
from remit.contracts.errors import sentence
from remit.disputes import conflict_of
from remit.words import plain, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.cli.say import Output
    from remit.contracts.review import ReviewOpened
    from remit.contracts.task import RunFinished
    from remit.history import History
    from remit.places import Place

_RESULT_SHOWN = 2_000
AUDIT = "remit.teams.audit"
"""The shipped team, whose result is said in words of its own."""


def say_end(history: History, place: Place, output: Output) -> int:
    """Print how a run ended, or how to decide what it waits for; give the exit code."""
    if history.finished is None:
        return say_parked(history, place.name, output, before=drafted(history) if place.team_ref == AUDIT else ())
    next_ = f"remit run show {history.run_id} --context {place.name}"
    is_audited = place.team_ref == AUDIT and _is_complete(history.finished)
    explain = _explain(history, history.finished) if is_audited else ""
    lines = [*_audited(history.finished)] if is_audited else [text_of(history.finished)]
    lines += [f"next: {way}" for way in (explain, next_) if way]
    whole = say.data(history.finished) | {"context": place.name, "next": next_}
    say.one(whole | ({"explain": explain} if explain else {}), output, text="\n".join(lines))
    return fault.BY_OUTCOME[history.finished.outcome]


def _is_complete(finished: RunFinished) -> bool:
    from remit.contracts.message import NULL

    return finished.outcome == "complete" and finished.result != NULL


def _audited(finished: RunFinished) -> Sequence[str]:
    """A complete audit says what it found."""
    from remit.teams.audit.report.summary import summary

    return [plain(item) for item in summary(bytes(finished.result))]


def drafted(history: History) -> Sequence[str]:
    """Say what an audit found that is not written yet; nothing before its report is ready."""
    from remit.teams.audit.report.summary import summary

    step = history.steps.get("publish")  # it takes the editor's reply
    return [plain(item) for item in summary(bytes(step.work.body))] if step is not None else []


def _explain(history: History, finished: RunFinished) -> str:
    """Give the command that says all about the first reason to mend something; nothing if there is none."""
    from remit.cli.explain import where
    from remit.contracts.message import decode
    from remit.teams.audit.report.summary import first_reason

    name = first_reason(bytes(finished.result))
    given = decode(dict[str, str], history.started.input) if history.started is not None else {}
    out = Path(given["out"]) if given.get("out") else None
    return plain(f"remit explain {name}{where(Path(given.get('path', '')), out)}") if name else ""


def text_of(finished: RunFinished) -> str:
    """Say an outcome: verdict, criteria, what stopped it, and the result."""
    lines = [f"run {finished.run_id}: {finished.outcome} after {finished.duration_ms / 1000:.1f} s"]
    lines += [f"  {'pass' if item.passed else 'FAIL'}  {item.name}: {item.reason}" for item in finished.criteria]
    if finished.stopped_by:
        lines.append(f"  stopped by {finished.stopped_by}")
    if finished.error is not None:
        lines.append(f"  {sentence(finished.error)}")
    if finished.partial:
        lines.append(f"  partial results of {', '.join(item.step for item in finished.partial)}")
    if finished.left:
        lines.append(f"  not finished: {', '.join(finished.left)}")
    if finished.result_ref is not None:
        lines.append(f"  result {finished.result_ref.digest}, {finished.result_ref.size_bytes} bytes")
    elif bytes(finished.result) != b"null":
        lines.append(f"  result {shown(finished.result, _RESULT_SHOWN)}")
    return "\n".join(plain(item) for item in lines)


def say_parked(history: History, context: str, output: Output, *, before: Sequence[str] = ()) -> int:
    """Print how to decide what a run waits for: its own reviews, or disputes of other runs over what it reads.

    People read `before` first: what they are to decide about.
    """
    reviews, disputes = history.open_reviews, history.parked_on
    ways_ = [way for item in reviews for way in ways(item, context)] or ["remit review list"]
    if (paused := history.turns.paused) is not None:
        ways_ = [f"remit run resume {history.run_id}" + (f" --context {context}" if context else "")]
    whole = {
        "run_id": history.run_id,
        "outcome": "parked",
        "paused": say.data(paused) if paused is not None else None,
        "reviews": [say.data(item) for item in reviews],
        "disputes": disputes,
        "next": ways_,
    }
    waits = "a person" if reviews or paused is not None else "a dispute"
    lines = [*before, f"run {history.run_id} waits for {waits}:"]
    lines += [plain(f"  paused by {paused.by}" + (f": {paused.reason}" if paused.reason else ""))] if paused else []
    lines += [plain(f"  {item.review_id}  {item.title}") for item in reviews]
    lines += [f"  {name}  a dispute over state that it reads" for name in disputes]
    say.one(whole, output, text="\n".join([*lines, *(f"next: {way}" for way in ways_)]))
    return fault.WAITING


def ways(opened: ReviewOpened, context: str) -> Sequence[str]:
    """Give the commands that decide a review."""
    name = opened.review_id + (f" --context {context}" if context else "")
    if opened.kind == "in_doubt":
        return (
            f"remit review approve {name} --again",
            f"remit review approve {name} --done RESULT",
            f"remit review reject {name}",
        )
    both = (f"remit review approve {name}", f'remit review reject {name} --reason "…"')
    conflict = conflict_of(opened.body) if opened.kind == "conflict" else None
    if conflict is not None and len(conflict.fields) == 1:
        return (both[0], f"{both[0]} --value JSON", both[1])
    return both

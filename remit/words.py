"""Say a journal entry in one plain line."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final, TypeVar, assert_never, cast

import msgspec

from remit import turn_words
from remit.bus import subject
from remit.contracts.blob import BlobRef
from remit.contracts.errors import MalformedMessageError, sentence
from remit.contracts.ids import is_run
from remit.contracts.lane import DECISIONS
from remit.contracts.lease import Lease, LeaseRevoked
from remit.contracts.message import NULL, decode, decode_any, digest, raw, tag_of
from remit.contracts.policy import MISSING
from remit.contracts.proposal import (
    DECIDED,
    ProposalRecord,
    StateBatch,
    StateCommitted,
    StateParked,
    StateRead,
    StateRejected,
    StateRuling,
)
from remit.contracts.reflection import ReflectionRound
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import (
    OutdatedRead,
    Recorded,
    RunStep,
    StepChecked,
    StepCompleted,
    StepFailed,
    StepParked,
    StepTimedOut,
)
from remit.contracts.task import RunFinished, RunStarted
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from remit.bus.journal import Entry
    from remit.contracts.proposal import StateDecided, StateDecision, StateSide, StateVersion

M = TypeVar("M", bound=msgspec.Struct)

MESSAGES: Final[dict[str, type[msgspec.Struct]]] = {
    **DECISIONS,
    "work": RunStep,
    "lease": Lease,
    "revoked": LeaseRevoked,
    "called": ToolCalled,
    "returned": ToolReturned,
    "in_doubt": ToolInDoubt,
    "recorded": Recorded,
    "completed": StepCompleted,
    "failed": StepFailed,
    "rejected": ProposalRecord,
    "refused": ProposalRecord,
}
"""What an entry of a kind holds."""
SHORT: Final = 100
REFLECTED: Final = ("step", "reflect")
"""Kind and name of the record of a round of a reflection."""


def plain(text: str, limit: int = 0) -> str:
    """Give text that draws nothing but itself on a terminal, on one line; cut when a limit is given."""
    said = "".join(char if char.isprintable() else " " for char in text)
    return said if not limit or len(said) <= limit else said[: limit - 1] + "…"


def message_of(entry: Entry) -> msgspec.Struct | None:
    """Give what an entry of a run holds; None for a kind that this version does not know, or if it does not fit."""
    parts = subject.parse_run(entry.subject)
    kind = MESSAGES.get(parts.kind) if parts is not None else None
    try:
        return decode(kind, entry.data) if kind is not None else None
    except MalformedMessageError:
        return None


def line(entry: Entry) -> str:
    """Say an entry, without its time."""
    if subject.parse_state(entry.subject) is not None:
        return _state(decode(StateCommitted, entry.data))
    parts = subject.parse_run(entry.subject)
    message = message_of(entry)
    if parts is None or message is None:
        return plain(f"{entry.subject} (this version of Remit cannot say it)")
    say = cast("Callable[[msgspec.Struct, str], str]", _SAY[type(message)])
    return plain(say(message, parts.author))


def clock(at: datetime | None) -> str:
    """Give a time of day to the millisecond, local."""
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3] if at is not None else "--:--:--.---"


def moment(at: datetime) -> str:
    """Give a date and time, UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def brief(name: str) -> str:
    """Give the first digits of a digest."""
    return name[: len("sha256:") + 12]


def shown(value: msgspec.Raw, limit: int = SHORT) -> str:
    """Give a JSON value in short."""
    return plain(bytes(value).decode("utf-8", "replace"), limit)


def short(value: object, limit: int = SHORT) -> str:
    """Give a plain value in short; of one that was too large to be told, its digest; what is missing is not null."""
    match value:
        case _ if value is MISSING:
            return "missing"
        case {"type": kind, "digest": str(name), "size_bytes": int(size)} if kind == tag_of(BlobRef):
            return f"{brief(name)} ({size} bytes)"
    return shown(raw(value), limit)


def hash_of(value: msgspec.Raw) -> str:
    """Give the first digits of the digest of a JSON value as it is stored."""
    return brief(digest(bytes(value)))


# --- one sentence per kind -----------------------------------------------------------------------


def _started(entry: RunStarted, _author: str) -> str:
    fork = f"; a fork of {turn_words.origin(entry.fork)}" if entry.fork is not None else ""
    return f'run of workflow {entry.workflow} started: "{entry.goal}"{fork}'


def _work(entry: RunStep, _author: str) -> str:
    began = f'run started: "{entry.goal}"; ' if entry.start is not None else ""
    again = f", epoch {entry.epoch}" if entry.epoch > 1 else ""
    if entry.conflict:
        return f"{entry.step} asks role {entry.role}{again} to decide dispute {entry.conflict} ({entry.rule})"
    return f"{began}{entry.step} is for role {entry.role}{again} ({entry.rule})"


def _lease(entry: Lease, _author: str) -> str:
    return f"{entry.step} is held by {entry.agent} until {clock(entry.until_at)}"


def _revoked(entry: LeaseRevoked, _author: str) -> str:
    calls = "its calls are cut off" if entry.ends_calls else "calls that run may finish"
    return f"{entry.step} is taken from {entry.agent}, {calls} ({entry.reason})"


def _called(entry: ToolCalled, _author: str) -> str:
    approved = f", approved in {entry.review_id}" if entry.review_id else ""
    return f"{entry.step} calls {entry.tool} {shown(entry.arguments)} ({entry.risk} risk{approved})"


def _returned(entry: ToolReturned, _author: str) -> str:
    if entry.error is not None:
        return f"{entry.tool} failed: {sentence(entry.error)}"
    value = brief(entry.value_ref.digest) if entry.value_ref is not None else shown(entry.value)
    return f"{entry.tool} returned {value} after {entry.duration_ms} ms"


def _in_doubt(entry: ToolInDoubt, _author: str) -> str:
    return f"nobody knows whether {entry.tool} happened: {entry.reason}"


def _recorded(entry: Recorded, author: str) -> str:
    said = f"{entry.step}: {author} recorded {entry.kind} {entry.name} {shown(entry.value)}"
    try:
        if entry.error is None and entry.kind == "propose":
            return f"{entry.step}: {author} proposed {entry.name}: {answer(decode_any(DECIDED, entry.value))}"
        if entry.error is None and entry.kind == "read":
            found = ", ".join(read(item) for item in decode(StateRead, entry.value).items)
            return f"{entry.step}: {author} read state {found or entry.name + ': nothing'}"
        if entry.error is None and (entry.kind, entry.name) == REFLECTED:
            return f"{entry.step}: {author} reflected: {reflected(decode(ReflectionRound, entry.value))}"
    except MalformedMessageError:
        return said
    return said


def reflected(entry: ReflectionRound) -> str:
    """Say one round of a reflection: its score and reasons, and what ended it."""
    judged = f"score {entry.score:g}" if entry.score is not None else "not judged"
    reasons = f" ({plain('; '.join(entry.reasons), SHORT)})" if entry.reasons else ""
    spent = f", cost {entry.cost:g}" if entry.cost else ""
    ended = f"; stopped by {entry.stopped_by}, round {entry.best} is the best" if entry.stopped_by else ""
    return f"round {entry.number}, {judged}{reasons}{spent}{ended}"


def _completed(entry: StepCompleted, author: str) -> str:
    ruling = _ruling(entry.reply) if entry.contract == tag_of(StateRuling) else ""
    return f"{entry.step} completed by {author} after {entry.duration_ms} ms{ruling}"


def _ruling(reply: msgspec.Raw) -> str:
    try:
        said = decode(StateRuling, reply)
    except MalformedMessageError:
        return ""
    which = short(said.value) if said.choice == "value" else f"the {said.choice} side"
    return f": {which} stands" + (f" ({said.reason})" if said.reason else "")


def _failed(entry: StepFailed, author: str) -> str:
    return f"{entry.step} failed at {author}: {sentence(entry.error)}"


def _timed_out(entry: StepTimedOut, _author: str) -> str:
    return f"{entry.step} ran out of time: {sentence(entry.error)}"


def _parked(entry: StepParked, _author: str) -> str:
    if entry.until_at is not None:
        return f"{entry.step} sleeps until {moment(entry.until_at)}"
    if entry.steps:
        asks = "1 ask" if len(entry.steps) == 1 else f"{len(entry.steps)} asks"
        return f"{entry.step} waits for {asks}: {', '.join(entry.steps)}"
    if not entry.disputes:
        return f"{entry.step} still waits for a person"
    return f"{entry.step} waits: what it reads is disputed in {', '.join(entry.disputes)}"


def _checked(entry: StepChecked, _author: str) -> str:
    reads = ", ".join(map(outdated, entry.reads))
    if not entry.reads:
        return f"{entry.step} completed on state that still stands"
    if entry.error is None:
        return f"{entry.step} completed on outdated state, and its result counts: {reads}"
    again = "and it may run again" if entry.retryable else "and it cannot run again"
    return f"{entry.step} completed on outdated state, so that its result does not count, {again}: {reads}"


def _record(entry: ProposalRecord, _author: str) -> str:
    asked = entry.proposal
    return f"{asked.step}: {entry.agent} proposed {', '.join(item.key for item in asked.changes)}: {verdict(entry)}"


def _opened(entry: ReviewOpened, _author: str) -> str:
    if entry.kind == "conflict":
        return f"a person is asked: {entry.review_id} {entry.title} ({entry.step} goes on)"
    return f"{entry.step} waits for a person: {entry.review_id} {entry.title}"


def _decided(entry: ReviewDecided, _author: str) -> str:
    value = f" with {shown(entry.value)}" if entry.value != NULL else ""
    return f"{entry.review_id} {entry.decision}{value} by {entry.by}" + (f": {entry.reason}" if entry.reason else "")


def _finished(entry: RunFinished, _author: str) -> str:
    why = f", {entry.stopped_by}" if entry.stopped_by else ""
    error = f"; {sentence(entry.error)}" if entry.error is not None else ""
    partial = f"; partial results of {', '.join(item.step for item in entry.partial)}" if entry.partial else ""
    left = f"; not finished: {', '.join(entry.left)}" if entry.left else ""
    return f"finished: {entry.outcome}{why}{error}{partial}{left}"


# --- what becomes of shared state ----------------------------------------------------------------


def _state(entry: StateCommitted) -> str:
    value = brief(entry.value_ref.digest) if entry.value_ref is not None else shown(entry.value)
    said = f"{named(entry.key, entry.scope)} version {entry.version} ({entry.rule}): {value}"
    who = f"{entry.agent} set" if entry.rule == entry.step else f"{entry.step} wrote"
    if entry.rule == "rollback":
        who = f"{entry.agent} rolled back"
    if entry.deleted:
        who, said = f"{entry.agent} took out", f"{named(entry.key, entry.scope)} in version {entry.version}"
    conflicts = "".join(f"; conflict over {decision(item)}" for item in entry.decisions)
    return plain(f"{who} state {said}{conflicts}")


def named(key: str, scope: str) -> str:
    """Name a key; with its scope, where that outlives runs."""
    return key if is_run(scope) else f"{key} of {scope}"


def decision(item: StateDecision, *, is_decided: bool = True) -> str:
    """Say a conflict over a field: base, sides, rule and result."""
    said = f"{item.path or 'all of it'}: {base(item)}; {', '.join(side(each) for each in item.sides)}"
    more = f" and {item.sides_omitted} more" if item.sides_omitted else ""
    return f"{said}{more}; " + (outcome(item) if is_decided else f"lost by {item.rule}{_tried(item.rungs)}")


def base(item: StateDecision) -> str:
    """Say what a field was before the sides wrote it."""
    return f"base {short(MISSING if item.base_is_missing else item.base)}"


def side(item: StateSide) -> str:
    """Say one side of a conflict."""
    return f"{item.role or item.agent} {short(MISSING if item.is_missing else item.value)}"


def outcome(item: StateDecision) -> str:
    """Say by which rule a conflict was decided, with which result, and by whom."""
    result = short(MISSING if item.result_is_missing else item.result)
    by = f", by {item.by}" if item.by else ""
    return f"{item.rule}{_tried(item.rungs)}: {result}{by}" + (f" ({item.reason})" if item.reason else "")


def _tried(rungs: tuple[str, ...]) -> str:
    return f" after {', '.join(rungs)}" if rungs else ""


def verdict(record: ProposalRecord) -> str:
    """Say why a proposal changed nothing."""
    if record.rejected is not None:
        return answer(record.rejected)
    return f"refused, {sentence(record.refused)}" if record.refused is not None else "refused"


def answer(decided: StateDecided) -> str:
    """Say what became of a proposal."""
    match decided:
        case StateCommitted():
            return f"version {decided.version} ({decided.rule})"
        case StateBatch():
            return ", ".join(f"{item.key} version {item.version} ({item.rule})" for item in decided.versions)
        case StateParked():
            return f"{', '.join(path or 'all of it' for path in decided.paths)} waits for {decided.waits_for}"
        case StateRejected():
            where = f" at {decided.path}" if decided.path else ""
            stays = f"{named(decided.key, decided.scope)} stays at {decided.version}"
            return f"rejected, {decided.reason}{where} ({decided.rule}): {stays}"
        case _:
            assert_never(decided)


def read(item: StateVersion) -> str:
    """Say which version was read."""
    if item.deleted:
        return f"{item.key} (taken out in version {item.version})"
    return f"{item.key} version {item.version}" if item.version else f"{item.key} (was not there)"


def outdated(item: OutdatedRead) -> str:
    """Say what changed under a step."""
    return f"{item.key} was read at version {item.version} and is at {item.now}"


_SAY: Final[dict[type[msgspec.Struct], object]] = {
    RunStarted: _started,
    RunStep: _work,
    Lease: _lease,
    LeaseRevoked: _revoked,
    ToolCalled: _called,
    ToolReturned: _returned,
    ToolInDoubt: _in_doubt,
    Recorded: _recorded,
    StepCompleted: _completed,
    StepFailed: _failed,
    StepTimedOut: _timed_out,
    StepParked: _parked,
    StepChecked: _checked,
    ProposalRecord: _record,
    ReviewOpened: _opened,
    ReviewDecided: _decided,
    RunFinished: _finished,
    **turn_words.SAY,
}

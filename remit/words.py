"""Say a journal entry in one plain line."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final, TypeVar, cast

import msgspec

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError, sentence
from remit.contracts.lease import Lease
from remit.contracts.message import decode, digest
from remit.contracts.plan import PlanAccepted, PlannedNode
from remit.contracts.proposal import StateCommitted
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import Recorded, RunStep, StepCompleted, StepFailed, StepTimedOut
from remit.contracts.task import RunFinished, RunStarted
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from remit.bus.journal import Entry

M = TypeVar("M", bound=msgspec.Struct)

MESSAGES: Final[dict[str, type[msgspec.Struct]]] = {
    "started": RunStarted,
    "planned": PlanAccepted,
    "work": RunStep,
    "lease": Lease,
    "called": ToolCalled,
    "returned": ToolReturned,
    "in_doubt": ToolInDoubt,
    "recorded": Recorded,
    "completed": StepCompleted,
    "failed": StepFailed,
    "timed_out": StepTimedOut,
    "review_opened": ReviewOpened,
    "review_decided": ReviewDecided,
    "finished": RunFinished,
}
"""What an entry of a kind holds."""
SHORT: Final = 100


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


def hash_of(value: msgspec.Raw) -> str:
    """Give the first digits of the digest of a JSON value as it is stored."""
    return brief(digest(bytes(value)))


# --- one sentence per kind -----------------------------------------------------------------------


def _started(entry: RunStarted, _author: str) -> str:
    return f'run of workflow {entry.workflow} started: "{entry.goal}"'


def _work(entry: RunStep, _author: str) -> str:
    began = f'run started: "{entry.goal}"; ' if entry.start is not None else ""
    again = f", epoch {entry.epoch}" if entry.epoch > 1 else ""
    return f"{began}{entry.step} is for role {entry.role}{again} ({entry.rule})"


def _planned(entry: PlanAccepted, _author: str) -> str:
    return f"plan, version {entry.version}: " + ", ".join(_node(node) for node in entry.nodes)


def _node(node: PlannedNode) -> str:
    if node.skipped:
        return f"{node.node} skipped ({node.skipped})"
    return f"{node.node} x {node.width}" if node.fanned else node.node


def _lease(entry: Lease, _author: str) -> str:
    return f"{entry.step} is held by {entry.agent} until {clock(entry.until_at)}"


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
    return f"{entry.step}: {author} recorded {entry.kind} {entry.name} {shown(entry.value)}"


def _completed(entry: StepCompleted, author: str) -> str:
    return f"{entry.step} completed by {author} after {entry.duration_ms} ms"


def _failed(entry: StepFailed, author: str) -> str:
    return f"{entry.step} failed at {author}: {sentence(entry.error)}"


def _timed_out(entry: StepTimedOut, _author: str) -> str:
    return f"{entry.step} ran out of time: {sentence(entry.error)}"


def _opened(entry: ReviewOpened, _author: str) -> str:
    return f"{entry.step} waits for a person: {entry.review_id} {entry.title}"


def _decided(entry: ReviewDecided, _author: str) -> str:
    return f"{entry.review_id} {entry.decision} by {entry.by}" + (f": {entry.reason}" if entry.reason else "")


def _finished(entry: RunFinished, _author: str) -> str:
    why = f", {entry.stopped_by}" if entry.stopped_by else ""
    error = f"; {sentence(entry.error)}" if entry.error is not None else ""
    return f"finished: {entry.outcome}{why}{error}"


def _state(entry: StateCommitted) -> str:
    return plain(f"{entry.step} wrote state {entry.key} version {entry.version} ({entry.rule}): {shown(entry.value)}")


_SAY: Final[dict[type[msgspec.Struct], object]] = {
    RunStarted: _started,
    RunStep: _work,
    PlanAccepted: _planned,
    Lease: _lease,
    ToolCalled: _called,
    ToolReturned: _returned,
    ToolInDoubt: _in_doubt,
    Recorded: _recorded,
    StepCompleted: _completed,
    StepFailed: _failed,
    StepTimedOut: _timed_out,
    ReviewOpened: _opened,
    ReviewDecided: _decided,
    RunFinished: _finished,
}

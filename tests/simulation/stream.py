"""One stream in memory: what it stores, what it refuses, and what it gives back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remit.bus.stream import (
    BATCH_COMMIT,
    BATCH_ID,
    BATCH_SEQUENCE,
    EXPECTED_SEQ,
    EXPECTED_SEQ_SUBJECT,
    EXPECTED_STREAM,
    MESSAGE_ID,
    ROLLUP,
)
from remit.bus.wire import parse_headers
from tests.simulation.clock import EPOCH
from tests.simulation.subjects import covers, is_literal, matcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.consumer import Consumer


class Refusal(msgspec.Struct, frozen=True):
    """JetStream's no."""

    code: int
    err_code: int
    description: str


class Stored(NamedTuple):
    """One message that the stream keeps."""

    seq: int
    subject: str
    body: bytes
    block: bytes
    at_s: float

    @property
    def stamp(self) -> str:
        """When it was stored, as the server spells it."""
        return self.stored_at.astimezone(UTC).isoformat().replace("+00:00", "Z")

    @property
    def stored_at(self) -> datetime:
        """The same time whichever way it is told."""
        return EPOCH + timedelta(microseconds=int(self.at_s * 1_000_000))

    @property
    def nanoseconds(self) -> int:
        """When it was stored."""
        return int(EPOCH.timestamp()) * 1_000_000_000 + int(self.at_s * 1_000_000) * 1000


class Draft(NamedTuple):
    """One message that wants to be stored."""

    subject: str
    block: bytes
    body: bytes
    headers: dict[str, str]


WRONG_STREAM = Refusal(400, 10060, "expected stream does not match")
TAKEN = Refusal(503, 10077, "maximum messages per subject exceeded")
BATCH_GAP = Refusal(400, 10176, "batch publish is incomplete and was abandoned")


class SimStream:
    """Messages in order; `clock` gives the seconds of the server."""

    def __init__(self, config: dict[str, object], clock: Callable[[], float]) -> None:
        self.config = config
        self.name = str(config["name"])
        self.subjects = [str(item) for item in _list(config.get("subjects"))]
        self._matchers = [matcher(item) for item in self.subjects]
        self.messages: dict[int, Stored] = {}
        self.consumers: dict[str, Consumer] = {}
        first = config.get("first_seq", 0)
        assert isinstance(first, int)
        self.last_seq = max(0, first - 1)
        self._clock = clock
        self._by_subject: dict[str, int] = {}
        self._ids: dict[str, tuple[int, float]] = {}
        self._batches: dict[str, list[Draft]] = {}
        self._is_write_once = bool(config.get("discard_new_per_subject")) and config.get("max_msgs_per_subject") == 1
        self._keeps_last = config.get("max_msgs_per_subject") == 1

    def draft(self, subject: str, block: bytes, body: bytes) -> Draft:
        """Read what a client published."""
        return Draft(subject, block, body, parse_headers(block) if block else {})

    # --- writing ---------------------------------------------------------------------------------

    def publish(self, draft: Draft) -> tuple[list[Stored], Refusal | dict[str, object] | None]:
        """Store what may be stored; give that, and the answer. None: a batch is not at its end."""
        if BATCH_ID in draft.headers:
            return self._batch(draft)
        if (known := self._known(draft)) is not None:
            return [], {"stream": self.name, "seq": known, "duplicate": True}
        if (refusal := self._refusal(draft)) is not None:
            return [], refusal
        stored = self._store(draft)
        return [stored], {"stream": self.name, "seq": stored.seq}

    def _known(self, draft: Draft) -> int | None:
        name = draft.headers.get(MESSAGE_ID, "")
        known = self._ids.get(name) if name else None
        return known[0] if known is not None and self._clock() - known[1] < _WINDOW_S else None

    def _batch(self, draft: Draft) -> tuple[list[Stored], Refusal | dict[str, object] | None]:
        name, number = draft.headers[BATCH_ID], int(draft.headers[BATCH_SEQUENCE])
        drafts = self._batches.setdefault(name, [])
        drafts.append(draft)
        if BATCH_COMMIT not in draft.headers:
            return [], None
        del self._batches[name]
        if len(drafts) != number:
            return [], BATCH_GAP
        for item in drafts:
            if (refusal := self._refusal(item)) is not None:
                return [], refusal
        stored = [self._store(item) for item in drafts]
        return stored, {"stream": self.name, "seq": stored[-1].seq, "batch": name, "count": number}

    def _refusal(self, draft: Draft) -> Refusal | None:
        headers = draft.headers
        if headers.get(EXPECTED_STREAM, self.name) != self.name:
            return WRONG_STREAM
        if (expected := headers.get(EXPECTED_SEQ)) is not None:
            fence = headers.get(EXPECTED_SEQ_SUBJECT, draft.subject)
            last = self.last(fence)
            seq = last.seq if last is not None else 0
            if seq != int(expected):
                return Refusal(400, 10071, f"wrong last sequence: {seq}")
        if self._is_write_once and draft.subject in self._by_subject:
            return TAKEN
        return None

    def _store(self, draft: Draft) -> Stored:
        self.last_seq += 1
        stored = Stored(self.last_seq, draft.subject, draft.body, draft.block, self._clock())
        if self._keeps_last or ROLLUP in draft.headers:
            self.remove(self._by_subject.get(draft.subject, 0))
        self.messages[stored.seq] = stored
        self._by_subject[draft.subject] = stored.seq
        if MESSAGE_ID in draft.headers:
            self._ids[draft.headers[MESSAGE_ID]] = (stored.seq, stored.at_s)
        return stored

    def remove(self, seq: int) -> None:
        """The message is gone, if it was there."""
        gone = self.messages.pop(seq, None)
        if gone is not None and self._by_subject.get(gone.subject) == seq:
            older = [item.seq for item in self.messages.values() if item.subject == gone.subject]
            if older:
                self._by_subject[gone.subject] = older[-1]
            else:
                del self._by_subject[gone.subject]

    # --- reading ---------------------------------------------------------------------------------

    def takes(self, subject: str) -> bool:
        """Say whether the stream listens there."""
        return any(matches(subject) for matches in self._matchers)

    def last(self, filter_: str) -> Stored | None:
        """Give the last message under a filter."""
        if is_literal(filter_):
            return self.messages.get(self._by_subject.get(filter_, 0))
        matches = matcher(filter_)
        return next((item for item in reversed(self.messages.values()) if matches(item.subject)), None)

    def after(self, seq: int, filter_: str) -> list[Stored]:
        """Give the messages from a sequence on."""
        matches = matcher(filter_ or ">")
        return [item for item in self.messages.values() if item.seq >= seq and matches(item.subject)]

    def lasts(self, seq: int, filters: tuple[str, ...]) -> list[Stored]:
        """Give the last message of every subject under some filters, from a sequence on."""
        found = [
            item for item in self.messages.values() if item.seq >= seq and self._by_subject[item.subject] == item.seq
        ]
        return [item for item in found if any(matcher(filter_)(item.subject) for filter_ in filters)]

    def info(self, filter_: str = "") -> dict[str, object]:
        """Give what STREAM.INFO says."""
        state: dict[str, object] = {
            "messages": len(self.messages),
            "bytes": sum(len(item.body) for item in self.messages.values()),
            "first_seq": next(iter(self.messages), self.last_seq + 1 if self.last_seq else 0),
            "last_seq": self.last_seq,
        }
        total = 0
        if filter_:
            found = {name: 1 for name in self._by_subject if covers(filter_, name)}
            state["subjects"], total = found, len(found)
        return {"config": self.config, "state": state, "total": total}


_WINDOW_S = 120.0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []

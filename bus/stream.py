"""One stream at a time: an acknowledged publish, a read by subject or sequence, a request to JetStream's API."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import subject as subjects
from remit.bus.wire import parse_headers
from remit.contracts.errors import (
    AlreadyStoredError,
    AnswerTimeoutError,
    BusRefusedError,
    BusUnavailableError,
    FencedOutError,
    QueueFullError,
    RemitError,
    TooLargeError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from remit.bus.connection import Bus
    from remit.bus.wire import Incoming

EXPECTED_STREAM: Final = "Nats-Expected-Stream"
EXPECTED_SEQ: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SEQ_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
MESSAGE_ID: Final = "Nats-Msg-Id"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"
ROLLUP: Final = "Nats-Rollup"

WRONG_LAST_SEQUENCE, STORE_FAILED, MESSAGE_TOO_LARGE = 10071, 10077, 10054
FENCE_IN_USE: Final = 10164
"""In a cluster the leader judges no second entry under a fence until the first one is on enough servers."""
_IN_USE_PAUSE_S: Final = 0.01
_PER_SUBJECT: Final = "per subject"
_MAXIMUM: Final = "maximum"
_TASKS: Final = "remit.task."
RETRY_IN_S: Final = 5
"""What a publisher is told that finds the queue full; in that time a team takes thousands of tasks, or it stands."""
_NOT_FOUND, _END_OF_BATCH, _TOO_MANY = 404, 204, 413
_NO_MESSAGE = 10037
_BATCH: Final = 512
LAG_S: Final = 0.005
"""How long a replica is given to come up with its leader, before it is asked again."""


class ApiError(msgspec.Struct, frozen=True):
    """What JetStream says when it refuses."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(msgspec.Struct, frozen=True):
    """JetStream's answer to a publish."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    count: int = 0
    error: ApiError | None = None


class Entry(msgspec.Struct, frozen=True):
    """One stored message."""

    subject: str
    seq: int
    data: bytes
    headers: dict[str, str] | None = None
    stored_at: datetime | None = None


_puback = msgspec.json.Decoder(PubAck)


class _Answer(msgspec.Struct, frozen=True):
    error: ApiError | None = None


_answer = msgspec.json.Decoder(_Answer)


class _Position(msgspec.Struct, frozen=True, omit_defaults=True):
    seq: int
    next_by_subj: str = ""
    batch: int = 0
    multi_last: tuple[str, ...] = ()


class _Named(msgspec.Struct, frozen=True, omit_defaults=True):
    seq: int = 0
    last_by_subj: str = ""


class _Stored(msgspec.Struct, frozen=True):
    subject: str
    seq: int
    time: str
    data: bytes = b""
    hdrs: bytes = b""


class _Got(msgspec.Struct, frozen=True):
    message: _Stored


_got = msgspec.json.Decoder(_Got)


async def store(
    bus: Bus, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float = 5.0
) -> PubAck:
    """Store a message and give the server's acknowledgement.

    Raises:
        FencedOutError: the expected sequence is not the last one; nothing was stored.
        AlreadyStoredError: the subject is taken in a write-once stream; nothing was stored.
        TooLargeError: above the stream's limit; nothing was stored.
        BusRefusedError: the server could not or would not store it; nothing was stored.
        BusUnavailableError: no answer came; it may or may not be stored.
    """
    return await settled(lambda: ask(bus, subject, body, headers=headers, timeout_s=timeout_s), subject, timeout_s)


async def ask(
    bus: Bus, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float = 5.0
) -> PubAck:
    """Give the server's answer to a publish, its refusal included.

    Raises:
        BusUnavailableError: no answer came; it may or may not be stored.
    """
    try:
        answer = await bus.ask(subject, body, headers=headers, timeout_s=timeout_s)
    except AnswerTimeoutError as error:
        raise BusUnavailableError("no acknowledgement came", where=subject, expected=error.expected) from error
    return _puback.decode(answer.data)


async def settled(send: Callable[[], Awaitable[PubAck]], subject: str, timeout_s: float) -> PubAck:
    """Give the acknowledgement of what is sent again while its fence is in use; raises as `store`."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout_s
    while True:
        ack = await send()
        if ack.error is None:
            return ack
        if ack.error.err_code != FENCE_IN_USE or loop.time() > ends:
            raise refusal(ack.error, subject)
        await asyncio.sleep(random.uniform(0.1, 1.0) * _IN_USE_PAUSE_S)  # noqa: S311  # spreads those that wait


def refusal(error: ApiError, where: str) -> RemitError:
    """Give JetStream's refusal as the error that decides what happens next."""
    got = f"{error.err_code} {error.description}"
    if error.err_code == WRONG_LAST_SEQUENCE:
        return FencedOutError("the lane moved on", where=where, got=got)
    if error.err_code == STORE_FAILED and where.startswith(_TASKS) and _MAXIMUM in error.description:
        return QueueFullError(
            "the queue of tasks is full", where=where, got=got, fix=f"publish it again in {RETRY_IN_S} s"
        )
    # The code alone says only "store failed": a full disk has the same one.
    if error.err_code == STORE_FAILED and _PER_SUBJECT in error.description:
        return AlreadyStoredError("an entry stands at this index", where=where, got=got)
    if error.err_code == MESSAGE_TOO_LARGE:
        return TooLargeError("the message is above the stream's limit", where=where, got=got)
    fix = "free disk space or wait until tasks are done" if error.err_code in _FULL else ""
    return BusRefusedError("NATS refused", where=where, got=got, fix=fix)


_FULL: Final = frozenset({10023, 10028, 10047, STORE_FAILED})
"""Insufficient resources, resources exceeded, insufficient storage, store failed."""


async def last(bus: Bus, stream: str, subject: str, *, may_lag: bool = False) -> Entry | None:
    """Give the last entry on a subject, or None; `may_lag` is enough for a copy, and asks whichever replica is near.

    Raises:
        BusUnavailableError: the stream could not be read.
    """
    if bus.is_clustered and not may_lag:
        return await _from_leader(bus, stream, _Named(last_by_subj=subject))
    return _entry_or_none(await _read_one(bus, subjects.direct_get(stream, subject), b""))


async def at(bus: Bus, stream: str, seq: int) -> Entry | None:
    """Give the entry with a sequence, or None; raises as `last`."""
    if bus.is_clustered:
        return await _from_leader(bus, stream, _Named(seq=seq))
    return _entry_or_none(await _read_one(bus, subjects.direct_get(stream), msgspec.json.encode(_Position(seq))))


async def next_of(bus: Bus, stream: str, filter_: str, *, start_seq: int) -> Entry | None:
    """Give the first entry on matching subjects from a sequence on, or None; raises as `last`."""
    position = msgspec.json.encode(_Position(max(start_seq, 1), filter_))
    return _entry_or_none(await _read_one(bus, subjects.direct_get(stream), position))


async def entries(
    bus: Bus, stream: str, filter_: str, *, start_seq: int = 1, batch: int = _BATCH, is_write_once: bool = False
) -> AsyncIterator[Entry]:
    """Give every entry on matching subjects, oldest first, those included that are stored meanwhile.

    Of a stream that is written once the last entry of a subject is its only one. The server finds these by the names
    of subjects, where it would search all blocks for the next one and count what is behind it: of 40,000 entries in
    30 us instead of 1.5 ms. It does so for 1,024 entries at most; more are searched for.

    In a cluster any replica answers, and one may lag: what the leader holds by now is read until it is there.

    Raises:
        BusUnavailableError: reading broke off; what was given before is right and in order.
    """
    seq, where = max(start_seq, 1), subjects.direct_get(stream)
    newest = await newest_of(bus, stream, (filter_,)) if bus.is_clustered else 0
    while True:
        named, next_one = ((filter_,), "") if is_write_once else ((), filter_)
        body = msgspec.json.encode(_Position(seq, next_one, batch, named))
        try:
            *found, end = await bus.fetch_batch(where, body, 30.0)
        except AnswerTimeoutError as error:
            raise BusUnavailableError("the stream was not read to its end", where=filter_) from error
        for message in found:
            entry = _entry(message)
            seq = entry.seq + 1
            yield entry
        if end.status == _TOO_MANY and is_write_once:
            is_write_once = False
            continue
        if end.status == _NOT_FOUND or int((end.headers or {}).get("Nats-Num-Pending", "0")) == 0:
            if seq > newest:
                return
            newest = await _still_newest(bus, stream, (filter_,), newest=newest)
            continue
        if end.status != _END_OF_BATCH:
            raise BusUnavailableError("the stream was not read to its end", where=filter_, got=end.description)


async def lasts(
    bus: Bus, stream: str, filters: Sequence[str], *, start_seq: int = 1, batch: int = _BATCH
) -> list[Entry] | None:
    """Give the last entry of every subject under some filters, oldest first; None if there are more than 1,024.

    Raises:
        BusUnavailableError: they could not be read.
    """
    seq, where, found = max(start_seq, 1), subjects.direct_get(stream), list[Entry]()
    newest = await newest_of(bus, stream, filters) if bus.is_clustered else 0
    while True:
        body = msgspec.json.encode(_Position(seq, "", batch, tuple(filters)))
        try:
            *messages, end = await bus.fetch_batch(where, body, 30.0)
        except AnswerTimeoutError as error:
            raise BusUnavailableError("the stream was not read to its end", where=filters[0]) from error
        if end.status == _TOO_MANY:
            return None
        found += map(_entry, messages)
        seq = found[-1].seq + 1 if found else seq
        if end.status == _NOT_FOUND or int((end.headers or {}).get("Nats-Num-Pending", "0")) == 0:
            if seq > newest:
                return found
            newest = await _still_newest(bus, stream, filters, newest=newest)
            continue
        if end.status != _END_OF_BATCH:
            raise BusUnavailableError("the stream was not read to its end", where=filters[0], got=end.description)


async def newest_of(bus: Bus, stream: str, filters: Sequence[str]) -> int:
    """Give the sequence of the newest entry on any of these subjects as the leader knows it, 0 for none."""
    found = [await _from_leader(bus, stream, _Named(last_by_subj=name)) for name in filters]
    return max((entry.seq for entry in found if entry is not None), default=0)


async def _still_newest(bus: Bus, stream: str, filters: Sequence[str], *, newest: int) -> int:
    """The replica that was read has had time to come up; give what to wait for now, as it may have been purged."""
    await asyncio.sleep(LAG_S)
    return min(newest, await newest_of(bus, stream, filters))


async def _from_leader(bus: Bus, stream: str, wanted: _Named) -> Entry | None:
    """Give what the leader of a stream holds: a direct get may be answered by a replica that lags."""
    try:
        answer = await try_api(bus, "STREAM.MSG.GET", stream, body=wanted)
    except BusUnavailableError as error:
        raise BusUnavailableError("the stream could not be read", where=stream, expected=error.expected) from error
    if isinstance(answer, ApiError):
        if answer.err_code == _NO_MESSAGE:
            return None
        raise BusUnavailableError("the stream could not be read", where=stream, got=answer.description)
    stored = _got.decode(answer).message
    return Entry(
        stored.subject,
        stored.seq,
        stored.data,
        parse_headers(stored.hdrs) if stored.hdrs else None,
        datetime.fromisoformat(stored.time),
    )


async def api(bus: Bus, verb: str, *names: str, body: object = None, timeout_s: float = 10.0) -> bytes:
    """Give JetStream's answer to a request of its API.

    Raises:
        BusRefusedError: JetStream refused; nothing changed.
        BusUnavailableError: no answer came; it may or may not be done.
    """
    answer = await try_api(bus, verb, *names, body=body, timeout_s=timeout_s)
    if isinstance(answer, ApiError):
        raise refusal(answer, subjects.api(verb, *names))
    return answer


async def try_api(bus: Bus, verb: str, *names: str, body: object = None, timeout_s: float = 10.0) -> bytes | ApiError:
    """Give JetStream's answer, or its refusal as data.

    Raises:
        BusUnavailableError: no answer came; it may or may not be done.
    """
    where = subjects.api(verb, *names)
    try:
        answer = await bus.ask(where, msgspec.json.encode(body) if body is not None else b"", timeout_s=timeout_s)
    except AnswerTimeoutError as error:
        raise BusUnavailableError("JetStream did not answer", where=where, expected=error.expected) from error
    return _answer.decode(answer.data).error or answer.data


class StreamState(msgspec.Struct, frozen=True):
    """How far a stream is, and what it holds."""

    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    first_ts: datetime = datetime.min.replace(tzinfo=UTC)
    """When the oldest message that is left was stored."""


class _Info(msgspec.Struct, frozen=True):
    state: StreamState


_info = msgspec.json.Decoder(_Info)


async def state(bus: Bus, stream: str) -> StreamState:
    """Give how far a stream is; raises as `api`."""
    return _info.decode(await api(bus, "STREAM.INFO", stream)).state


def instant(nanoseconds: int) -> datetime:
    """Give JetStream's nanoseconds as an aware time."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)  # as a float it would lose microseconds
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


async def _read_one(bus: Bus, where: str, body: bytes) -> Incoming:
    try:
        return await bus.ask(where, body)
    except AnswerTimeoutError as error:
        raise BusUnavailableError("the stream could not be read", where=where, expected=error.expected) from error


def _entry_or_none(message: Incoming) -> Entry | None:
    if message.status == _NOT_FOUND:
        return None
    if message.status:
        raise BusUnavailableError("the stream could not be read", got=f"{message.status} {message.description}")
    return _entry(message)


_META: Final = ("Nats-Stream", "Nats-Num-Pending", "Nats-Last-Sequence")


def _entry(message: Incoming) -> Entry:
    headers = message.headers or {}
    subject, seq, at = headers.pop("Nats-Subject"), headers.pop("Nats-Sequence"), headers.pop("Nats-Time-Stamp")
    for name in _META:
        headers.pop(name, None)
    return Entry(subject, int(seq), message.data, headers or None, datetime.fromisoformat(at))

"""Streams, consumers and buckets as data; `ensure` brings the server to this shape and changes nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from remit.bus import shape, stream, subject
from remit.bus.shape import ConsumerSpec, Republish, Source, StreamSpec
from remit.bus.snapshot import Snapshots
from remit.bus.subject import DEAD, JOURNAL, RESULTS, SNAPSHOT, TASKS
from remit.contracts.errors import ServerTooWeakError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.bus.connection import Bus

Profile = Literal["embedded", "durable", "cluster"]
SUPERVISOR: Final = "supervisor"
"""Durable name of the supervisor's consumers."""
OLDEST_SERVER: Final = (2, 12, 6)

_SECOND: Final = 1_000_000_000
_MEBIBYTE: Final = 1024 * 1024
_CLUSTER_REPLICAS: Final = 3

ACK_WAIT_S: Final = 10
MAX_DELIVER: Final = 100
"""After so many deliveries the server gives a step's work up and says so on `UNDELIVERABLE_SUBJECTS`; with the
backoff of `consumer.py` that is after about 25 minutes of nothing but failures."""

TASKS_IN_HAND: Final = 1_000
"""Tasks of one consumer that are handed out and not settled: at most those of a few supervisors that died."""

TASKS_OF_A_WORKFLOW: Final = 500_000
"""Half of what the queue holds: one workflow that is flooded leaves room for the tasks of others."""

STATE_BUCKET: Final = StreamSpec(
    name=subject.STATE_STREAM,
    subjects=subject.STATE_CACHE_SUBJECTS,
    storage="file",
    retention="limits",
    discard="new",
    max_msgs_per_subject=1,
    deny_delete=True,
    allow_direct=True,
    allow_rollup_hdrs=True,
)
"""A cache of the journal; the supervisor makes it again if somebody deletes it."""

STREAMS: Final = (
    # Write-once: the server refuses a second entry on a subject, and nobody deletes one. Several of these settings
    # can never be taken back, which is the point.
    StreamSpec(
        name=JOURNAL,
        subjects=subject.JOURNAL_SUBJECTS,
        storage="file",
        retention="limits",
        discard="new",
        discard_new_per_subject=True,
        max_msgs_per_subject=1,
        deny_delete=True,
        allow_direct=True,
        allow_atomic=True,
        republish=Republish(subject.FINISHED_FILTER, subject.RESULT_TARGET),
    ),
    # Sourced, not subscribed: a republished outcome carries the fence of its append, and a stream would refuse it.
    StreamSpec(
        name=RESULTS,
        storage="file",
        retention="limits",
        max_msgs_per_subject=1,
        allow_direct=True,
        sources=(Source(JOURNAL, (Republish(subject.FINISHED_FILTER, subject.RESULT_TARGET),)),),
    ),
    StreamSpec(
        name=DEAD,
        subjects=(*subject.DEAD_SUBJECTS, *subject.UNDELIVERABLE_SUBJECTS),
        storage="file",
        retention="limits",
        allow_direct=True,
    ),
    StreamSpec(
        name=subject.BLOB_STREAM,
        subjects=subject.BLOB_SUBJECTS,
        storage="file",
        retention="limits",
        discard="new",
        allow_direct=True,
        allow_rollup_hdrs=True,
    ),
    STATE_BUCKET,
    # A cache as well: parts of the newest snapshot, replaced together by atomic batches.
    StreamSpec(
        name=SNAPSHOT,
        subjects=subject.SNAPSHOT_SUBJECTS,
        storage="file",
        retention="limits",
        max_msgs_per_subject=1,
        allow_direct=True,
        allow_atomic=True,
    ),
    # Bounded, so that a publisher who is faster than the team is refused instead of filling the disk.
    StreamSpec(
        name=TASKS,
        subjects=subject.TASK_SUBJECTS,
        storage="file",
        retention="workqueue",
        discard="new",
        discard_new_per_subject=True,
        max_msgs=1_000_000,
        max_msgs_per_subject=TASKS_OF_A_WORKFLOW,
        max_bytes=512 * _MEBIBYTE,
        max_msg_size=_MEBIBYTE,
        duplicate_window=120 * _SECOND,
        allow_direct=True,
    ),
)


COPIES: Final = frozenset({RESULTS})
"""What the server copies from the journal by itself, and copies again from where its copy ends: no need to sync it."""


def consumers(roles: Sequence[str]) -> tuple[tuple[str, ConsumerSpec], ...]:
    """Give the durable consumers with their streams: the supervisor's, and one per role.

    Those of `TASKS` are made by the supervisor, which knows the workflows: `task_queue.py`.
    """
    return (
        (JOURNAL, _consumer(SUPERVISOR, subject.SETTLED_FILTERS, max_deliver=-1)),
        (DEAD, _consumer(SUPERVISOR, subject.UNDELIVERABLE_SUBJECTS, max_deliver=-1)),
        *((JOURNAL, _consumer(role, (subject.work_filter(role),), max_deliver=MAX_DELIVER)) for role in roles),
    )


def task_consumer(name: str, filters: tuple[str, ...]) -> ConsumerSpec:
    """Give a consumer of some workflows' tasks; none of them is ever given up."""
    return _consumer(name, filters, max_deliver=-1, max_ack_pending=TASKS_IN_HAND)


def _consumer(name: str, filters: tuple[str, ...], *, max_deliver: int, max_ack_pending: int = 20_000) -> ConsumerSpec:
    return ConsumerSpec(
        durable_name=name,
        filter_subjects=filters,
        ack_policy="explicit",
        ack_wait=ACK_WAIT_S * _SECOND,
        max_ack_pending=max_ack_pending,
        max_deliver=max_deliver,
        max_waiting=4096,
    )


async def ensure(bus: Bus, roles: Sequence[str], *, profile: Profile = "embedded", oldest_open_seq: int = 0) -> None:
    """Every stream, bucket and consumer is there with its settings; entries and positions are untouched.

    A consumer of JOURNAL that has to be made starts at `oldest_open_seq`, or where the snapshot says that the oldest
    open run begins. TASKS, when it has to be made, starts above every run that the journal knows, so that no new task
    takes an old run's name.

    Raises:
        StreamMismatchError: a setting stands that cannot be changed; what could be was changed.
        ServerTooWeakError: the server does not give the profile; nothing below the failing stream was made.
        BusUnavailableError: the server did not answer; `ensure` may be repeated.
    """
    for spec in STREAMS:
        replicas = _CLUSTER_REPLICAS if profile == "cluster" else 1
        is_unsynced = profile == "durable" and spec.name in COPIES
        await shape.ensure_stream(bus, msgspec.structs.replace(spec, num_replicas=replicas), is_unsynced=is_unsynced)
    oldest = oldest_open_seq or await Snapshots(bus).oldest_open_seq()
    for name, consumer in consumers(roles):
        await shape.ensure_consumer(bus, name, consumer, start_seq=oldest if name == JOURNAL else 1)


async def verify(bus: Bus) -> None:
    """The server is new enough and has JetStream.

    Raises:
        ServerTooWeakError: it is not, or has not.
        BusUnavailableError: the server did not answer.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", bus.server_version)[:3])
    if numbers < OLDEST_SERVER:
        raise ServerTooWeakError(
            "this nats-server is too old",
            expected="at least " + ".".join(map(str, OLDEST_SERVER)),
            got=bus.server_version,
            fix="upgrade nats-server",
        )
    if isinstance(answer := await stream.try_api(bus, "INFO"), stream.ApiError):
        raise ServerTooWeakError("JetStream is not enabled", got=answer.description, fix="give the server a store_dir")

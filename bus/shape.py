"""Bring one stream or consumer to its settings: make it, or change what may be changed and name what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from remit.bus import stream, subject
from remit.bus.subject import JOURNAL, RESULTS, TASKS
from remit.contracts.errors import ServerTooWeakError, StreamMismatchError

if TYPE_CHECKING:
    from remit.bus.connection import Bus

log = structlog.get_logger(__name__)

_STREAM_NOT_FOUND: Final = 10059
_CONSUMER_NOT_FOUND: Final = 10014
_NO_REPLICAS: Final = 10074
_UNSYNCED: Final[dict[str, object]] = {"persist_mode": "async"}


class Republish(msgspec.Struct, frozen=True):
    """Sends a copy of what is stored."""

    src: str
    dest: str


class Source(msgspec.Struct, frozen=True):
    """Copies part of another stream under other subjects."""

    name: str
    subject_transforms: tuple[Republish, ...]


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stream's settings in the words of JetStream's API; what is left out is not ours to say."""

    name: str
    subjects: tuple[str, ...] = ()
    storage: str = ""
    retention: str = ""
    discard: str = ""
    max_msgs: int = 0
    max_bytes: int = 0
    max_msg_size: int = 0
    max_msgs_per_subject: int = 0
    discard_new_per_subject: bool = False
    """After the bound that it is about: settings that are changed one at a time are changed in this order."""
    duplicate_window: int = 0
    num_replicas: int = 0
    deny_delete: bool = False
    allow_direct: bool = False
    allow_atomic: bool = False
    allow_rollup_hdrs: bool = False
    republish: Republish | None = None
    sources: tuple[Source, ...] = ()


class ConsumerSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A durable pull consumer's settings in the words of JetStream's API."""

    durable_name: str
    filter_subjects: tuple[str, ...] = ()
    ack_policy: str = ""
    ack_wait: int = 0
    max_ack_pending: int = 0
    max_deliver: int = 0
    max_waiting: int = 0


async def ensure_stream(bus: Bus, spec: StreamSpec, *, is_unsynced: bool = False) -> None:
    """The stream is there with these settings; what it holds is untouched; raises as `topology.ensure`.

    One that is made now and `is_unsynced` is written without waiting for the disk also where the server syncs every
    write. That can be said of one copy only, and only when it is made.
    """
    wanted = _plain(spec)
    answer = await stream.try_api(bus, "STREAM.INFO", spec.name)
    if isinstance(answer, stream.ApiError):
        if answer.err_code != _STREAM_NOT_FOUND:
            raise stream.refusal(answer, spec.name)
        await _create_stream(bus, spec.name, wanted | _UNSYNCED if is_unsynced else wanted)
        return
    current = _config_of(answer)
    await _change(bus, spec.name, current, wanted=wanted, is_stream=True)


async def _create_stream(bus: Bus, name: str, wanted: dict[str, object]) -> None:
    if name == TASKS and (highest := await highest_run(bus)):
        wanted = wanted | {"first_seq": highest + 1}
    answer = await stream.try_api(bus, "STREAM.CREATE", name, body=wanted)
    if isinstance(answer, stream.ApiError):
        if answer.err_code == _NO_REPLICAS:
            raise ServerTooWeakError(
                "this server keeps one copy only",
                where=name,
                expected=f"{wanted['num_replicas']} replicas",
                got=answer.description,
                fix="use the profile `durable`, or a cluster of three servers",
            )
        raise stream.refusal(answer, name)
    log.info("stream.created", stream=name, first_seq=wanted.get("first_seq", 1))


async def ensure_consumer(bus: Bus, name: str, spec: ConsumerSpec, *, start_seq: int) -> None:
    """The durable consumer is there with these settings; one that is there keeps its position."""
    wanted = _plain(spec)
    answer = await stream.try_api(bus, "CONSUMER.INFO", name, spec.durable_name)
    if not isinstance(answer, stream.ApiError):
        where = f"{name}.{spec.durable_name}"
        await _change(bus, where, _config_of(answer), wanted=wanted, is_stream=False)
        return
    if answer.err_code != _CONSUMER_NOT_FOUND:
        raise stream.refusal(answer, name)
    if start_seq > 1:
        wanted |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start_seq}
    body = {"stream_name": name, "config": wanted, "action": "create"}
    await stream.api(bus, "CONSUMER.CREATE", name, spec.durable_name, body=body)
    log.info("consumer.created", stream=name, consumer=spec.durable_name, start_seq=start_seq)


async def _change(
    bus: Bus, where: str, current: dict[str, object], *, wanted: dict[str, object], is_stream: bool
) -> None:
    """Change what differs; what the server will not change is found by asking for one setting at a time."""
    different = [key for key in wanted if current.get(key) != wanted[key]]
    if not different or await _try_change(bus, where, current | wanted, is_stream=is_stream):
        return
    refused = []
    for key in different:
        changed = current | {key: wanted[key]}
        if await _try_change(bus, where, changed, is_stream=is_stream):
            current = changed
        else:
            refused.append(key)
    raise StreamMismatchError(
        "a setting cannot be changed any more",
        where=f"{where}: {', '.join(refused) or ', '.join(different)}",
        expected=", ".join(f"{key}={wanted[key]}" for key in refused),
        got=", ".join(f"{key}={current.get(key)}" for key in refused),
        fix="use another NATS account or data directory, or export and remove this stream",
    )


async def _try_change(bus: Bus, where: str, config: dict[str, object], *, is_stream: bool) -> bool:
    if is_stream:
        answer = await stream.try_api(bus, "STREAM.UPDATE", where, body=config)
    else:
        name, _, durable = where.partition(".")
        body = {"stream_name": name, "config": config, "action": "update"}
        answer = await stream.try_api(bus, "CONSUMER.CREATE", name, durable, body=body)
    if isinstance(answer, stream.ApiError):
        log.warning("topology.change_refused", where=where, error=answer.description)
        return False
    log.info("topology.changed", where=where)
    return True


def _plain(spec: StreamSpec | ConsumerSpec) -> dict[str, object]:
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(spec))
    return plain


class _Config(msgspec.Struct, frozen=True):
    config: dict[str, object]


def _config_of(info: bytes) -> dict[str, object]:
    config = msgspec.json.decode(info, type=_Config).config
    if "filter_subject" in config:  # the server spells a single filter so
        config["filter_subjects"] = [config.pop("filter_subject")]
    return config


# --- the first name that is free ----------------------------------------------------------------------


class _Subjects(msgspec.Struct, frozen=True):
    subjects: dict[str, int] | None = None


class _Page(msgspec.Struct, frozen=True):
    state: _Subjects
    total: int = 0


async def highest_run(bus: Bus) -> int:
    """Give the highest task sequence that ever named a run; 0 if there was none."""
    highest = 0
    for name, filter_ in ((JOURNAL, subject.lane("*")), (RESULTS, subject.RESULT_ALL)):
        offset, total = 0, 1
        while offset < total:
            body = {"subjects_filter": filter_, "offset": offset}
            page = msgspec.json.decode(await stream.api(bus, "STREAM.INFO", name, body=body), type=_Page)
            found = page.state.subjects or {}
            highest = max(highest, max(map(_run_number, found), default=0))
            offset, total = offset + len(found), page.total if found else 0
    return highest


def _run_number(text: str) -> int:
    run = text.split(".")[2]
    return int(run[1:]) if run[:1] == "r" and run[1:].isdigit() else 0

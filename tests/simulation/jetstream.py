"""JetStream's interface, as far as the product uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.bus.wire import header_block, parse_headers
from tests.simulation.consumer import Consumer
from tests.simulation.stream import Refusal, SimStream
from tests.simulation.subjects import covers, transformed

if TYPE_CHECKING:
    from tests.simulation.network import Link
    from tests.simulation.server import SimServer
    from tests.simulation.stream import Stored

_NO_STREAM = Refusal(404, 10059, "stream not found")
_NO_CONSUMER = Refusal(404, 10014, "consumer not found")
_NOT_FOUND = b"NATS/1.0 404 Message Not Found\r\n\r\n"
_TOO_MANY = b"NATS/1.0 413 Too Many Results\r\n\r\n"
_NAMED_MOST = 1024
_SOURCE_LAG_S = 0.003


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A direct get. What is not known here is refused: the product asks for something that nobody simulates yet."""

    seq: int
    next_by_subj: str = ""
    batch: int = 0
    multi_last: tuple[str, ...] = ()


class _Details(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What STREAM.INFO is to tell beside the rest."""

    subjects_filter: str = ""
    offset: int = 0


_CONSUMER_KEYS = frozenset(
    {
        "ack_policy",
        "ack_wait",
        "deliver_policy",
        "deliver_subject",
        "durable_name",
        "filter_subjects",
        "flow_control",
        "headers_only",
        "idle_heartbeat",
        "inactive_threshold",
        "max_ack_pending",
        "max_deliver",
        "max_waiting",
        "mem_storage",
        "num_replicas",
        "opt_start_seq",
    }
)


class JetStream:
    """The streams of one server."""

    def __init__(self, server: SimServer) -> None:
        self.streams: dict[str, SimStream] = {}
        self._server = server
        self._ephemeral = 0

    # --- publishing ------------------------------------------------------------------------------

    def take(self, subject: str, reply: str, block: bytes, body: bytes) -> bool:
        """Have the stream of a subject store a message; say whether there is one."""
        stream = next((item for item in self.streams.values() if item.takes(subject)), None)
        if stream is None:
            return False
        stored, answer = stream.publish(stream.draft(subject, block, body))
        if isinstance(answer, Refusal):
            self._say(reply, {"error": answer, "stream": stream.name, "seq": 0})
        elif answer is not None:
            self._say(reply, answer)
        for item in stored:
            self._stored(stream, item)
        return True

    def _stored(self, stream: SimStream, item: Stored) -> None:
        self._server.network.trace.note(stream.name, f"{item.seq} {item.subject}", item.body)
        for name, consumer in tuple(stream.consumers.items()):
            if consumer.deliver_subject and not self._server.listeners(consumer.deliver_subject):
                del stream.consumers[name]
            else:
                consumer.stored(item)
        self._republish(stream, item)
        for other in self.streams.values():
            for source in _dicts(other.config.get("sources")):
                if source["name"] == stream.name:
                    self._copy(other, source, item)

    def _republish(self, stream: SimStream, item: Stored) -> None:
        rule = stream.config.get("republish")
        if isinstance(rule, dict) and covers(str(rule["src"]), item.subject):
            headers = {"Nats-Stream": stream.name, "Nats-Subject": item.subject, "Nats-Sequence": str(item.seq)}
            target = transformed(item.subject, str(rule["src"]), str(rule["dest"]))
            self._server.route(target, item.body, block=header_block(headers))

    def _copy(self, other: SimStream, source: dict[str, object], item: Stored) -> None:
        for rule in _dicts(source.get("subject_transforms")):
            if covers(str(rule["src"]), item.subject):
                target = transformed(item.subject, str(rule["src"]), str(rule["dest"]))
                draft = other.draft(target, b"", item.body)
                self._server.loop.call_later(_SOURCE_LAG_S, other.publish, draft)

    # --- the interface ---------------------------------------------------------------------------

    def answer(self, link: Link, subject: str, reply: str, body: bytes) -> None:
        """Answer one request."""
        match subject.removeprefix("$JS.API.").split("."):
            case ["DIRECT", "GET", name]:
                self._read(link, name, reply, msgspec.json.decode(body, type=_Wanted))
            case ["DIRECT", "GET", name, *rest]:
                self._direct(reply, name, self._find(name).last(".".join(rest)))
            case ["CONSUMER", *words]:
                self._of_consumer(link, words, reply, body)
            case ["STREAM", "CREATE", name]:
                self.streams[name] = SimStream(msgspec.json.decode(body), self._server.loop.time)
                self._say(reply, self.streams[name].info())
            case ["STREAM", "INFO", name]:
                stream, asked = self.streams.get(name), msgspec.json.decode(body or b"{}", type=_Details)
                self._say(reply, stream.info(asked.subjects_filter) if stream is not None else {"error": _NO_STREAM})
            case _:
                raise AssertionError(f"the simulation does not know {subject}")

    def _of_consumer(self, link: Link, words: list[str], reply: str, body: bytes) -> None:
        match words:
            case ["MSG", "NEXT", name, durable]:
                consumer = self._find(name).consumers.get(durable)
                if consumer is not None:
                    consumer.pull(link, reply, body)
            case ["CREATE", name, *durable]:
                self._create_consumer(name, reply, msgspec.json.decode(body)["config"], durable)
            case ["INFO", name, durable]:
                consumer = self._find(name).consumers.get(durable)
                self._say(reply, consumer.info() if consumer is not None else {"error": _NO_CONSUMER})
            case ["NAMES", name]:
                asked_from = msgspec.json.decode(body, type=_Details).offset
                self._say(reply, {"consumers": list(self._find(name).consumers)[asked_from:]})
            case ["DELETE", name, durable]:
                gone = self._find(name).consumers.pop(durable, None)
                if gone is not None:
                    gone.close()
                self._say(reply, {"success": True} if gone is not None else {"error": _NO_CONSUMER})
            case _:
                raise AssertionError(f"the simulation does not know {words}")

    def _find(self, name: str) -> SimStream:
        return self.streams[name]

    def _say(self, reply: str, answer: object) -> None:
        if reply:
            self._server.respond(reply, msgspec.json.encode(answer))

    def _direct(self, reply: str, stream: str, item: Stored | None) -> None:
        if item is None:
            self._server.respond(reply, b"", block=_NOT_FOUND)
        else:
            self._server.respond(reply, item.body, block=_block(stream, item))

    def _read(self, link: Link, name: str, reply: str, wanted: _Wanted) -> None:
        """One message by its sequence, or many under a filter with a status that ends them."""
        stream, batch = self._find(name), wanted.batch
        if not batch:
            self._direct(reply, name, stream.messages.get(wanted.seq))
            return
        found = stream.after(wanted.seq, wanted.next_by_subj)
        if wanted.multi_last:
            found = stream.lasts(wanted.seq, wanted.multi_last)
            if len(found) > _NAMED_MOST:
                self._server.route(reply, b"", block=_TOO_MANY)
                return
        if not found:
            self._server.route(reply, b"", block=_NOT_FOUND)
            return
        if self._server.network.loses():
            return
        for number, item in enumerate(found[:batch], 1):
            self._server.route(reply, item.body, block=_block(name, item, pending=len(found) - number))
        left, last = max(0, len(found) - batch), found[:batch][-1].seq
        end = f"NATS/1.0 204 EOB\r\nNats-Num-Pending: {left}\r\nNats-Last-Sequence: {last}\r\n\r\n"
        self._server.route(reply, b"", block=end.encode())

    def _create_consumer(self, name: str, reply: str, config: dict[str, object], durable: list[str]) -> None:
        assert config.keys() <= _CONSUMER_KEYS, f"nobody simulates {config.keys() - _CONSUMER_KEYS}"
        stream = self._find(name)
        self._ephemeral += 1
        label = durable[0] if durable else f"e{self._ephemeral}"
        consumer = Consumer(self._server, stream, label, config)
        stream.consumers[label] = consumer
        self._say(reply, consumer.info())
        consumer.pump()

    def acknowledge(self, subject: str, word: bytes) -> None:
        """A client says what became of a delivery."""
        _js, _ack, name, durable, _count, seq, *_rest = subject.split(".")
        stream = self.streams.get(name)
        consumer = stream.consumers.get(durable) if stream is not None else None
        if consumer is not None:
            consumer.acknowledge(int(seq), word)


def _block(stream: str, item: Stored, *, pending: int = -1) -> bytes:
    headers = parse_headers(item.block) if item.block else {}
    headers |= {
        "Nats-Stream": stream,
        "Nats-Subject": item.subject,
        "Nats-Sequence": str(item.seq),
        "Nats-Time-Stamp": item.stamp,
    }
    if pending >= 0:
        headers |= {"Nats-Num-Pending": str(pending), "Nats-Last-Sequence": str(item.seq)}
    return header_block(headers)


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

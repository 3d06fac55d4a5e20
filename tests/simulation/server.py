"""A small nats-server: who listens where, and who gets what. Streams are in `jetstream.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus.wire import Incoming
from tests.simulation.jetstream import JetStream
from tests.simulation.subjects import is_literal, matcher

if TYPE_CHECKING:
    import asyncio
    import random

    from tests.simulation.network import Link, Network

_NO_RESPONDERS = b"NATS/1.0 503\r\n\r\n"


class Listener:
    """One subscription of one connection."""

    __slots__ = ("link", "matches", "queue", "sid")

    def __init__(self, link: Link, sid: int, filter_: str, queue: str) -> None:
        self.link = link
        self.sid = sid
        self.matches = matcher(filter_)
        self.queue = queue


class SimServer:
    """Takes what arrives, at once and in order."""

    network: Network

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self.loop = loop
        self.chance = chance
        self.jetstream = JetStream(self)
        self._listeners: dict[str, list[Listener]] = {}
        """By the first two words of what is listened on."""

    # --- what connections say --------------------------------------------------------------------

    def subscribe(self, link: Link, sid: int, filter_: str, queue: str) -> None:
        self._listeners.setdefault(_bucket(filter_), []).append(Listener(link, sid, filter_, queue))

    def unsubscribe(self, link: Link, sid: int) -> None:
        self._drop(lambda item: item.link is link and item.sid == sid)

    def leave(self, link: Link) -> None:
        """A connection is gone."""
        self._drop(lambda item: item.link is link)

    def _drop(self, is_gone: object) -> None:
        assert callable(is_gone)
        for bucket, listeners in self._listeners.items():
            if any(is_gone(item) for item in listeners):
                self._listeners[bucket] = [item for item in listeners if not is_gone(item)]

    def publish(self, link: Link, subject: str, reply: str, block: bytes, body: bytes) -> None:
        """A connection published."""
        self.network.trace.note(link.name, subject, body)
        if subject.startswith("$JS.ACK."):
            if not self.network.loses():
                self.jetstream.acknowledge(subject, body)
            return
        if subject.startswith("$JS.API."):
            self.jetstream.answer(link, subject, reply, body)
            return
        stored = self.jetstream.take(subject, reply, block, body)
        heard = self.route(subject, body, reply=reply, block=block)
        if reply and not stored and not heard:
            self.respond(reply, b"", block=_NO_RESPONDERS)

    # --- what the server says --------------------------------------------------------------------

    def listeners(self, subject: str) -> list[Listener]:
        """Give who listens on a subject."""
        found = [item for item in self._listeners.get(_bucket(subject), ()) if item.matches(subject)]
        return found + [item for item in self._listeners.get("", ()) if item.matches(subject)]

    def route(self, subject: str, body: bytes, *, reply: str = "", block: bytes = b"") -> bool:
        """Send to everybody who listens; of a queue group to one. Say whether there was anybody."""
        found = self.listeners(subject)
        groups: dict[str, list[Listener]] = {}
        for item in found:
            if item.queue:
                groups.setdefault(item.queue, []).append(item)
            else:
                item.link.down(item.sid, Incoming(subject, body, reply, block))
        for group in groups.values():
            item = self.chance.choice(group)
            item.link.down(item.sid, Incoming(subject, body, reply, block))
        return bool(found)

    def respond(self, reply: str, body: bytes, *, block: bytes = b"") -> None:
        """Answer one request with one message, which may be lost."""
        if reply and not self.network.loses():
            self.route(reply, body, block=block)


def _bucket(filter_: str) -> str:
    words = filter_.split(".", 2)[:2]
    return ".".join(words) if len(words) == 2 and is_literal(".".join(words)) else ""

"""One NATS connection: publish, request over one shared reply inbox, subscribe with a plain callback."""

from __future__ import annotations

import base64
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import nats.errors
import nkeys  # type: ignore[import-untyped]  # ships no types
import structlog

from remit.bus.alarm import Alarms
from remit.bus.replies import Replies
from remit.bus.subject import token
from remit.bus.wire import Incoming, WireClient
from remit.contracts.errors import (
    BusUnavailableError,
    CredentialsRefusedError,
    RemitError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Self

__all__ = ["Bus", "Credentials", "Incoming", "Reply", "Subscription"]

log = structlog.get_logger(__name__)

_RECONNECT_WAIT_S: Final = 0.1
_CONNECT_TIMEOUT_S: Final = 3
_PING_INTERVAL_S: Final = 15
_FLUSH_S: Final = 5.0
_OUTAGE_BUFFER_BYTES: Final = 8 * 1024 * 1024


class Credentials(Protocol):
    """A user's JWT and the seed that proves it; `bus/identity.py` makes them."""

    @property
    def jwt(self) -> str:
        """The signed user JWT."""

    @property
    def seed(self) -> str:
        """The user's nkey seed."""


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request."""

    data: bytes
    headers: dict[str, str] | None = None


class Subscription:
    """A callback on a subject, replayed after every reconnect until it is given up."""

    def __init__(self, wire: WireClient, sid: int) -> None:
        self._wire = wire
        self._sid = sid

    async def unsubscribe(self) -> None:
        """Give the subject up; everything that the server had sent before was handled.

        Raises:
            BusUnavailableError: the server did not confirm; nothing more is handled all the same.
        """
        self._wire.unlisten(self._sid)
        try:
            if self._wire.is_connected:
                await _flush(self._wire)
        finally:
            self._wire.handlers.pop(self._sid, None)

    def drop(self) -> None:
        """Give the subject up at once; what is on its way is not handled."""
        self._wire.unlisten(self._sid)
        self._wire.handlers.pop(self._sid, None)


class Bus:
    """One connection under one identity; it reconnects by itself for ever. Replies come to `_I.<name>.r.<n>`."""

    def __init__(self, name: str, *, inbox: str = "", on_closed: Callable[[], None] | None = None) -> None:
        self.name = name
        self.inbox = inbox or f"_I.{token(name)}"
        self.alarms = Alarms()
        self.expects_refusals = False
        """Whether the server's refusals are what is being tried, and no news."""
        self._wire = WireClient()
        self._on_closed = on_closed
        self._on_reconnected: dict[object, Callable[[], None]] = {}
        self._replies = Replies(self._wire, f"{self.inbox}.r.")
        self._stands = False
        self._is_closing = False

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        credentials: Credentials | None = None,
        inbox: str = "",
        on_closed: Callable[[], None] | None = None,
    ) -> Bus:
        """Give a connection that stands; `on_closed` is called if it ends for good without `close`.

        `url` may name several servers of a cluster, with commas: the first that answers is taken, and a connection
        that is lost goes to whichever answers next.

        Raises:
            BusUnavailableError: nobody answers at any of them.
            CredentialsRefusedError: the server does not accept the credentials.
        """
        urls = [part.strip() for part in url.split(",") if part.strip()]
        if not urls:
            raise UsageError("this is no address of NATS", expected="nats://HOST:PORT", got=repr(url))
        random.shuffle(urls)  # not everybody to the same one
        for _ in urls[1:]:
            # One that has just started may not know the accounts of the others yet.
            with suppress(BusUnavailableError, CredentialsRefusedError):
                return await cls(name, inbox=inbox, on_closed=on_closed).opened(urls, credentials)
            urls = [*urls[1:], urls[0]]
        return await cls(name, inbox=inbox, on_closed=on_closed).opened(urls, credentials)

    async def opened(self, urls: list[str], credentials: Credentials | None) -> Self:
        """Give this connection, standing, to the first of these servers; for `connect`, and raises as it does."""
        try:
            await self._open(urls, credentials)
        except BaseException:
            await self._wire.close()
            raise
        self._stands = True
        self._replies.listen()
        return self

    async def _open(self, urls: list[str], credentials: Credentials | None) -> None:
        await self._wire.connect(
            urls,
            dont_randomize=True,
            name=self.name,
            inbox_prefix=self.inbox,
            user_jwt_cb=_jwt_callback(credentials),
            signature_cb=_signature_callback(credentials),
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_WAIT_S,  # type: ignore[arg-type]  # annotated int, slept as any number
            connect_timeout=_CONNECT_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            pending_size=_OUTAGE_BUFFER_BYTES,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnect,
            closed_cb=self._on_close,
        )

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands right now."""
        return bool(self._wire.is_connected)

    @property
    def is_clustered(self) -> bool:
        """Whether the server is one of a cluster, where a stream has replicas that lag behind its leader."""
        return bool(self._wire._server_info.get("cluster"))  # noqa: SLF001  # nats-py parses it to less

    @property
    def max_payload(self) -> int:
        """The largest message, headers included, that the server takes."""
        return self._wire.max_payload

    @property
    def server_version(self) -> str:
        """The server's version such as `2.15.1`."""
        return str(self._wire._server_info.get("version", "0.0.0"))  # noqa: SLF001  # nats-py parses it to less

    def send(
        self, subject: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Publish without any waiting, for acks and heartbeats; raises as `publish`."""
        self._wire.send(subject, body, reply=reply, headers=headers)

    async def publish(
        self, subject: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Hand a message to the socket; waits only when the socket is far behind.

        Raises:
            MalformedMessageError: the subject or a header cannot be written, or the subject is too long; nothing was
                sent.
            TooLargeError: the message is above the server's limit; nothing was sent.
            BusUnavailableError: the connection is closed, or the buffer of an outage is full; nothing was sent.
        """
        self._wire.send(subject, body, reply=reply, headers=headers)
        await self._wire.drained()

    async def request(
        self, subject: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None, timeout_s: float = 5.0
    ) -> Reply:
        """Give the answer to a message.

        Raises:
            NoRespondersError: nobody listens on the subject; nothing was done.
            AnswerTimeoutError: no answer came in time; what was asked may or may not be done.
            BusUnavailableError: the connection was lost meanwhile; what was asked may or may not be done.
        """
        answer = await self.ask(subject, body, headers=headers, timeout_s=timeout_s)
        return Reply(answer.data, answer.headers)

    def ask(
        self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float = 5.0
    ) -> Awaitable[Incoming]:
        """Give the answer with its headers unread; raises as `request`."""
        return self._replies.ask(subject, body, headers=headers, timeout_s=timeout_s)

    def fetch_batch(self, subject: str, body: bytes, timeout_s: float = 5.0) -> Awaitable[tuple[Incoming, ...]]:
        """Give every message of an answer in many; the last is the server's status that ends it.

        Raises:
            NoRespondersError: nobody listens on the subject.
            AnswerTimeoutError: the end did not come in time.
            BusUnavailableError: the connection was lost meanwhile.
        """
        return self._replies.fetch(subject, body, timeout_s)

    async def subscribe(self, subject: str, on_message: Callable[[Incoming], None], *, queue: str = "") -> Subscription:
        """`on_message` is called for every message on a subject from now on; from the socket: it must be fast.

        While the connection is away, "now" is when it is back.
        """
        subscription = Subscription(self._wire, self._wire.listen(subject, on_message, queue=queue))
        try:
            if self.is_connected:
                await _flush(self._wire)
        except BusUnavailableError as error:
            log.debug("bus.subscribe_unconfirmed", subject=subject, error=str(error))
        return subscription

    def new_inbox(self, kind: str) -> str:
        """Give a subject below this connection's inbox that was never used before."""
        return f"{self.inbox}.{kind}.{self._replies.number()}"

    def when_reconnected(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call this after every reconnect; give what ends it."""
        key = object()
        self._on_reconnected[key] = call

        def forget() -> None:
            self._on_reconnected.pop(key, None)

        return forget

    async def flush(self, timeout_s: float = _FLUSH_S) -> None:
        """Return when the server has everything that was sent, and we have handled what it sent before.

        Raises:
            BusUnavailableError: the server did not answer.
        """
        await _flush(self._wire, timeout_s)

    async def close(self) -> None:
        """End the connection; what was published is written first, and who waits for an answer is told."""
        self._is_closing = True
        self._wire.write_now()  # what nats-py finds unwritten it waits for, without end
        await self._wire.close()
        self._replies.fail("the connection to NATS is closed")

    # --- what nats-py tells ----------------------------------------------------------------------

    async def _on_error(self, error: Exception) -> None:
        if not self._stands:
            raise _first_connection(error, self._wire) from error
        # An outage is said once when it begins and once when it ends, not at every attempt in between.
        is_outage = not self.is_connected or isinstance(error, nats.errors.UnexpectedEOF)
        say = log.debug if is_outage or self.expects_refusals else log.warning
        say("bus.error_received", connection=self.name, error=str(error) or type(error).__name__)

    async def _on_disconnected(self) -> None:
        if self._stands and not self._is_closing:
            log.warning("bus.connection_lost", connection=self.name)
        self._replies.fail("the connection to NATS was lost before the answer came")

    async def _on_reconnect(self) -> None:
        log.info("bus.connection_restored", connection=self.name)
        for call in tuple(self._on_reconnected.values()):
            call()

    async def _on_close(self) -> None:
        if self._is_closing or not self._stands:
            return
        log.error("bus.connection_closed", connection=self.name, error=str(self._wire.last_error))
        self._replies.fail("the connection to NATS is closed")
        if self._on_closed is not None:
            self._on_closed()


async def _flush(wire: WireClient, timeout_s: float = _FLUSH_S) -> None:
    try:
        await wire.confirmed(timeout_s)
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise BusUnavailableError("NATS did not confirm what was sent") from error


def _jwt_callback(credentials: Credentials | None) -> Callable[[], bytes] | None:
    return credentials.jwt.encode if credentials else None


def _signature_callback(credentials: Credentials | None) -> Callable[[str], bytes] | None:
    if credentials is None:
        return None

    def sign(nonce: str) -> bytes:
        pair = nkeys.from_seed(bytearray(credentials.seed.encode()))
        return base64.b64encode(pair.sign(nonce.encode()))

    return sign


def _first_connection(error: Exception, wire: WireClient) -> RemitError:
    where = ", ".join(uri.netloc.rpartition("@")[2] for uri in wire.servers)
    if "authorization" in str(error).lower() or "authentication" in str(error).lower():
        return CredentialsRefusedError("NATS refused the credentials", where=where, got=str(error))
    return BusUnavailableError(
        "NATS does not answer",
        where=where,
        got=str(error) or type(error).__name__,
        fix="start it with `remit up`, or check the address",
    )

"""The socket may cut the stream of bytes anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.bus.transport import Cutter
from remit.bus.wire import Incoming, WireClient, header_block, parse_headers
from remit.contracts.errors import BusUnavailableError, MalformedMessageError

PAYLOADS = st.binary(max_size=300) | st.just(b"MSG a 1 5\r\n") | st.just(b"\r\n")
HEADERS = st.dictionaries(st.from_regex(r"\A[A-Za-z-]{1,12}\Z"), st.from_regex(r"\A[!-~]([ -~]{0,20}[!-~])?\Z"))
MESSAGES = st.tuples(st.sampled_from(["a.b", "remit.run.r1._.1.started"]), st.sampled_from(["", "_I.x"]), PAYLOADS)


def wired(message: Incoming) -> bytes:
    reply, size = f"{message.reply} " if message.reply else "", len(message.data)
    if message.raw_headers:
        block = message.raw_headers
        line = f"HMSG {message.subject} 1 {reply}{len(block)} {len(block) + size}\r\n"
        return line.encode() + block + message.data + b"\r\n"
    return f"MSG {message.subject} 1 {reply}{size}\r\n".encode() + message.data + b"\r\n"


def received(chunks: list[bytes]) -> list[Incoming]:
    client, got = WireClient(), list[Incoming]()
    client.handlers[1] = got.append

    cutter = Cutter(client._deliver)
    for chunk in chunks:
        assert cutter.feed(chunk) == b""
    return got


@pytest.mark.parametrize("subject", [b"remit.run.r1\x0b.s.a.0.failed", b"remit.\xff\xfe", b"a\x0c"])
def test_a_subject_of_any_bytes_does_not_end_the_connection(subject: bytes) -> None:
    (odd, next_) = received([b"MSG " + subject + b" 1 _I.x 2\r\nhi\r\nMSG b 1 2\r\nho\r\n"])

    assert (odd.data, odd.reply) == (b"hi", "_I.x")
    assert (next_.subject, next_.data) == ("b", b"ho")


def test_lines_that_are_no_messages_are_given_on() -> None:
    got: list[bytes] = []
    cutter = Cutter(lambda *message: got.append(message[-1]))

    lines = [
        cutter.feed(chunk)
        for chunk in (b"PI", b"NG\r\nMSG a 1 2\r\nx", b"y\r\nPONG\r\n-ERR 'x'\r\nMSG a 1", b" 0\r\n\r\n")
    ]

    assert (b"".join(lines), got) == (b"PING\r\nPONG\r\n-ERR 'x'\r\n", [b"xy", b""])


@settings(max_examples=40)
@given(st.lists(st.tuples(MESSAGES, HEADERS), max_size=8), st.lists(st.integers(1, 60), min_size=1))
def test_messages_come_whole_however_the_bytes_are_cut(
    drawn: list[tuple[tuple[str, str, bytes], dict[str, str]]], sizes: list[int]
) -> None:
    sent = [
        Incoming(subject, data, reply, header_block(headers) if headers else b"")
        for (subject, reply, data), headers in drawn
    ]
    stream, chunks, turn = b"".join(map(wired, sent)), [], 0
    while stream:
        size = sizes[turn % len(sizes)]
        chunks.append(stream[:size])
        stream, turn = stream[size:], turn + 1

    assert received(chunks) == sent


@given(HEADERS)
def test_headers_come_back(headers: dict[str, str]) -> None:
    assert parse_headers(header_block(headers)) == headers


@pytest.mark.parametrize("headers", [{"A": "x\r\nB: y"}, {"A\r\nB": "x"}, {"A:B": "x"}, {"": "x"}])
def test_a_header_cannot_break_out_of_its_line(headers: dict[str, str]) -> None:
    with pytest.raises(MalformedMessageError):
        header_block(headers)


def test_a_status_is_read_with_its_words() -> None:
    message = Incoming("i", b"", "", b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n")

    assert (message.status, message.description) == (408, "Request Timeout")
    assert message.headers == {"Nats-Pending-Messages": "3"}


def test_a_message_that_someone_sent_has_no_status() -> None:
    assert Incoming("a", b"", "", header_block({"Status": "503"})).status == 0


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0", "a\t"])
async def test_a_subject_that_would_break_the_protocol_is_not_sent(subject: str) -> None:
    client = WireClient()

    with pytest.raises(MalformedMessageError):
        client.send(subject, b"")


@pytest.mark.parametrize(("subject", "reply"), [("a" * 3501, ""), ("a", "b" * 3500), ("é" * 1751, "")])
async def test_a_subject_too_long_for_the_server_s_line_is_not_sent(subject: str, reply: str) -> None:
    client = WireClient()

    with pytest.raises(MalformedMessageError, match="too long"):
        client.send(subject, b"", reply=reply)

    assert client._pending_data_size == 0


async def test_nobody_listens_on_a_subject_too_long_for_the_server_s_line() -> None:
    client = WireClient()

    with pytest.raises(MalformedMessageError, match="too long"):
        client.listen("a" * 3501, lambda _: None)

    assert not client.handlers


@pytest.mark.parametrize("reply", [b"a" * 3501, b"a\x01b", b"a\xffb"])
def test_a_reply_that_nobody_could_answer_is_none(reply: bytes) -> None:
    message = received([b"MSG a 1 " + reply + b" 1\r\nx\r\n"])

    assert message == [Incoming("a", b"x")]


async def test_a_bug_in_one_handler_does_not_stop_the_reading() -> None:
    client, got = WireClient(), list[bytes]()

    def handle(message: Incoming) -> None:
        if message.data == b"bad":
            raise ValueError(message.data)
        got.append(message.data)

    client.handlers[1] = handle
    Cutter(client._deliver).feed(b"MSG a 1 3\r\nbad\r\nMSG a 1 4\r\ngood\r\n")

    assert got == [b"good"]


async def test_a_client_that_never_connected_refuses_when_its_buffer_is_full() -> None:
    client = WireClient()

    with pytest.raises(BusUnavailableError):
        client.send("a", b"x")

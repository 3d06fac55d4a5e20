"""One completion over HTTP: asked again while that may help and time is left, answered in our own words.

The same `Idempotency-Key` goes with every request of one effect, those of another gateway after a crash included. A
server that honours it is paid once. One that does not may be paid again where a request broke off after it was sent:
when the connection was lost, when the server failed with 500, 502 or 504, and when a gateway died in between.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.errors import (
    EnvironmentFaultError,
    ModelRefusedError,
    RemitError,
    ToolFailedError,
    ToolNotDoneError,
    ToolTimeoutError,
)
from remit.contracts.message import canonical, encode
from remit.contracts.model import Completion, Stop
from remit.tools.model import RESPONSE_MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    import httpx

    from remit.contracts.message import Json
    from remit.tools.model import ModelServer

_TRIES: Final = 4
_PAUSE_S, _PAUSE_MOST_S = 0.25, 8.0
_MARGIN_S: Final = 0.1
"""What we keep of the deadline to say ourselves what happened."""
_WORDS_MOST: Final = 500
_NOT_DONE: Final = frozenset({425, 429, 503})
_MAY_PASS: Final = _NOT_DONE | {408, 409, 500, 502, 504, 520, 522, 524, 529}
_REFUSED_FROM, _DONE_FROM, _DONE_BELOW = 400, 200, 300
_STOPS: Final[Mapping[str, Stop]] = {"stop": "stop", "length": "length", "content_filter": "refusal"}


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    model: str | None = None
    usage: _Usage | None = None


class _AgainError(Exception):
    """A try that failed and may be made again; `fault` is what is said if it is not."""

    def __init__(self, fault: RemitError, *, after_s: float | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.after_s = after_s


async def complete(server: ModelServer, body: Mapping[str, Json], *, intent: str, deadline_at: datetime) -> Completion:
    """Give the answer of a model.

    Raises:
        ModelRefusedError: the server refused the request; nothing was generated.
        ToolNotDoneError: the server had no room for it until the end, or was never reached; nothing was generated.
        ToolTimeoutError: no answer came in time; it may have been paid for.
        ToolFailedError: the server failed, or its answer cannot be read; it may have been paid for.
        EnvironmentFaultError: there is no key, or no client to ask with.
    """
    key, data = server.key(), encode(body)
    headers = {"Idempotency-Key": idempotency_key(intent, body), "Content-Type": "application/json"}
    headers |= {"Accept": "application/json", "Accept-Encoding": "identity"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    door = _Door(server, data, headers=headers, key=key)
    left_s = (deadline_at - datetime.now(UTC)).total_seconds()
    try:
        async with asyncio.timeout(max(left_s - _MARGIN_S, left_s / 2)):
            return await _patiently(door, deadline_at)
    except TimeoutError as error:
        raise ToolTimeoutError(
            "the model did not answer in time; its answer may have been paid for", where=server.url
        ) from error


def idempotency_key(intent: str, body: Mapping[str, Json]) -> str:
    """Name one effect at a server: two deployments that use one account know the same intents, but ask other things."""
    return "remit-" + hashlib.sha256(canonical([intent, body])).hexdigest()[:40]


async def _patiently(door: _Door, deadline_at: datetime) -> Completion:
    for number in range(1, _TRIES + 1):
        try:
            return await door.ask()
        except _AgainError as again:
            pause_s = again.after_s
            if pause_s is None:
                pause_s = min(_PAUSE_S * 2 ** (number - 1), _PAUSE_MOST_S) * random.uniform(0.5, 1.0)  # noqa: S311
            is_too_late = pause_s >= (deadline_at - datetime.now(UTC)).total_seconds() - _MARGIN_S
            if number == _TRIES or is_too_late:
                again.fault.expected = f"an answer within {number} " + ("try" if number == 1 else "tries")
                raise again.fault from again
        await asyncio.sleep(pause_s)
    raise AssertionError  # the last try answers or raises


class _Door:
    """One request, as often as it takes; what the server says is told without the key."""

    def __init__(self, server: ModelServer, data: bytes, *, headers: Mapping[str, str], key: str) -> None:
        self._server = server
        self._data = data
        self._headers = headers
        self._key = key.encode()

    async def ask(self) -> Completion:
        """Give the answer to one request."""
        httpx = _client_library()
        # A client of its own for each request: none is left behind in a gateway that ends, and no connection that a
        # server has closed meanwhile is taken for a request that may then have arrived or not.
        try:
            async with (
                httpx.AsyncClient(timeout=httpx.Timeout(None, connect=10.0), verify=await self._trust()) as client,
                client.stream(
                    "POST", f"{self._server.url}/chat/completions", content=self._data, headers=dict(self._headers)
                ) as response,
            ):
                body = await self._read(response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            fault = ToolNotDoneError("the model's server is not reached", where=self._server.url, got=self._said(error))
            raise _AgainError(fault) from error
        except httpx.HTTPError as error:
            raise _AgainError(
                self._failed("the connection to the model's server was lost", self._said(error))
            ) from error
        return self._answer(response, body)

    async def _trust(self) -> object:
        if not self._server.url.startswith("https:"):
            return False
        return await asyncio.to_thread(_client_library().create_ssl_context)  # reads a file of 200 KB

    async def _read(self, response: httpx.Response) -> bytes:
        found = bytearray()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._failed("the model's server packs its answer, though it was asked not to", "")
        async for chunk in response.aiter_raw():
            found += chunk
            if len(found) > RESPONSE_MOST_BYTES:
                raise self._failed("the answer of the model's server is too large", f"over {RESPONSE_MOST_BYTES} bytes")
        return bytes(found).replace(self._key, b"***") if self._key else bytes(found)

    def _answer(self, response: httpx.Response, body: bytes) -> Completion:
        status = response.status_code
        if _DONE_FROM <= status < _DONE_BELOW:
            return self._completion(body)
        said = f"{status} {words(body)}".strip()
        if status in _NOT_DONE:
            fault: RemitError = ToolNotDoneError("the model's server has no room", where=self._server.url, got=said)
        elif status < _REFUSED_FROM:
            raise ModelRefusedError("the model's server sends us elsewhere", where=self._server.url, got=said)
        elif status in _MAY_PASS or status >= 500:  # noqa: PLR2004  # as HTTP numbers them
            fault = self._failed("the model's server failed", said)
        else:
            raise ModelRefusedError("the model's server refuses the request", where=self._server.url, got=said)
        raise _AgainError(fault, after_s=retry_after_s(response.headers.get("retry-after", "")))

    def _completion(self, body: bytes) -> Completion:
        try:
            answer = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._failed("the answer of the model's server cannot be read", words(body)) from error
        if not answer.choices:
            raise self._failed("the model's server gives no answer", words(body))
        said, usage = answer.choices[0], answer.usage or _Usage()
        tokens_in, tokens_out = max(usage.prompt_tokens or 0, 0), max(usage.completion_tokens or 0, 0)
        model = msgspec.json.decode(self._data)["model"]
        refusal = said.message.refusal or ""
        return Completion(
            text=said.message.content or "",
            model=(answer.model or model)[:200],
            stop="refusal" if refusal else _STOPS.get(said.finish_reason or "stop", "other"),
            refusal=refusal,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost=self._server.prices[model].of(tokens_in, tokens_out),
        )

    def _failed(self, message: str, got: str) -> ToolFailedError:
        return ToolFailedError(f"{message}; it may have been paid for", where=self._server.url, got=got)

    def _said(self, error: Exception) -> str:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        return said.replace(self._key.decode(), "***") if self._key else said


def words(body: bytes) -> str:
    """Give what a server says of an error, in one short line, whatever form it has."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = body.decode("utf-8", "replace")
    for key in ("error", "message", "detail"):
        said = said.get(key, said) if isinstance(said, dict) else said
    text = said if isinstance(said, str) else encode(said).decode()
    return "".join(char if char.isprintable() else " " for char in text[:_WORDS_MOST]).strip()


def retry_after_s(header: str) -> float | None:
    """Give how long a server asks us to wait: seconds, or a date; None if it does not say."""
    try:
        asked_s = float(header)
    except ValueError:
        try:
            asked_s = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(asked_s, 0.0) if asked_s < float("inf") else None  # nan is not below it


def _client_library() -> ModuleType:
    try:
        import httpx
    except ImportError as error:
        raise EnvironmentFaultError(
            "no client for models is installed where the gateway runs", fix="pip install 'remit[llm]'"
        ) from error
    return httpx

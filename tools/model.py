"""A model as a tool: chat completions of any server that speaks OpenAI's form; the key never leaves the gateway."""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from remit.contracts.errors import ContractInvalidError, EnvironmentFaultError, ModelRefusedError
from remit.contracts.message import digest_of
from remit.contracts.model import MODEL, Completion, Messages, Tokens
from remit.tools.tool import ToolScope, tool

if TYPE_CHECKING:
    from remit.contracts.message import Json
    from remit.contracts.tool import Risk
    from remit.tools.tool import Tool

RESPONSE_MOST_BYTES: Final = 1024 * 1024
_PER: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a million tokens cost, in the currency that the team counts in."""

    input: float
    output: float

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Give what so many tokens cost."""
        return round((tokens_in * self.input + tokens_out * self.output) / _PER, 9)


FREE: Final = Price(input=0.0, output=0.0)


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """Where completions come from, and what the gateway needs to ask for them. It holds no key, only where one is."""

    url: str
    prices: Mapping[str, Price]
    """Every model that may be asked for; the first one is asked for when none is named."""
    key_env: str
    key_file: Path | None
    sends_schema: bool
    limit_field: str

    def named(self, model: str) -> str:
        """Give the model that is meant.

        Raises:
            ModelRefusedError: the team did not name it.
        """
        if not model:
            return next(iter(self.prices))
        if model not in self.prices:
            raise ModelRefusedError(
                "the team's tool does not name this model",
                where="$.arguments.model",
                expected=", ".join(self.prices),
                got=model,
            )
        return model

    def key(self) -> str:
        """Give the key, read anew for each call, so that it can be changed under a gateway; empty if none is needed.

        Raises:
            EnvironmentFaultError: it is not where it should be.
        """
        if not self.key_env and self.key_file is None:
            return ""
        where = str(self.key_file) if self.key_file is not None else f"environment variable {self.key_env}"
        try:
            key = (self.key_file.read_text() if self.key_file is not None else os.environ[self.key_env]).strip()
        except (OSError, KeyError, UnicodeDecodeError) as error:
            raise _no_key(where, got=type(error).__name__) from error
        if not (key.isascii() and key.isprintable() and key and " " not in key):  # a header shows what it cannot hold
            raise _no_key(where, got="nothing" if not key else "something else")
        return key


def model_tool(
    url: str,
    *,
    models: Sequence[str] | Mapping[str, Price],
    key_env: str = "",
    key_file: str | Path | None = None,
    name: str = MODEL.name,
    risk: Risk = "medium",
    sends_schema: bool = True,
    limit_field: str = "max_tokens",
) -> Tool[Completion]:
    """Make a tool of a server that speaks OpenAI's chat completions: `ctx.generate` calls it through the gateway.

    `url` is what stands before `/chat/completions`. `models` names every model that may be asked for, the first one is
    the default; give them prices to know what an answer cost. The key is read in the gateway, from `key_file` or the
    variable `key_env` of its environment, and from nowhere else. `sends_schema=False` is for servers that refuse a
    `response_format`, `limit_field="max_completion_tokens"` for those that call the limit so.

    Raises:
        ContractInvalidError: the url is none, no model is named, a price is no number, or two places hold the key.
    """
    _check(url, models, key_env=key_env, key_file=key_file)
    server = ModelServer(
        url=url.rstrip("/"),
        prices=dict(models) if isinstance(models, Mapping) else dict.fromkeys(models, FREE),
        key_env=key_env,
        key_file=Path(key_file) if key_file is not None else None,
        sends_schema=sends_schema,
        limit_field=limit_field,
    )
    return tool(risk=risk, effect="idempotent", name=name)(_completing(server))


def _completing(server: ModelServer) -> Callable[..., Awaitable[Completion]]:
    async def complete(
        *,
        messages: Messages,
        model: str = "",
        schema: dict[str, object] | None = None,
        max_tokens: Tokens = 0,
        temperature: float | None = None,
        intent: str,
        scope: ToolScope,
    ) -> Completion:
        from remit.tools.completion import complete as ask  # the client's library is imported by a gateway alone

        body: dict[str, Json] = {
            "model": server.named(model),
            "messages": [{"role": item.role, "content": item.content} for item in messages],
        }
        if max_tokens:
            body[server.limit_field] = max_tokens
        if temperature is not None:
            body["temperature"] = temperature
        if schema is not None and server.sends_schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        return await ask(server, body, intent=intent, deadline_at=scope.deadline_at)

    complete.__doc__ = f"Complete a conversation with a model of {server.url}: {digest_of(dict(server.prices))}."
    return complete


def _check(url: str, models: Sequence[str] | Mapping[str, Price], *, key_env: str, key_file: str | Path | None) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username or parts.password:
        raise ContractInvalidError(
            "this is no address of a model server",
            where="model_tool(url)",
            expected="http(s)://host[:port]/path, without a key in it",
            got=f"{parts.scheme}://{parts.hostname or ''}",
        )
    if isinstance(models, str) or not models or not all(models):
        raise ContractInvalidError(
            "a model tool names the models that may be asked for", where="model_tool(models)", got=repr(models)
        )
    prices = models.values() if isinstance(models, Mapping) else ()
    numbers = [number for price in prices for number in (price.input, price.output)]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ContractInvalidError("a price is no number of money", where="model_tool(models)", got=repr(models))
    if key_env and key_file is not None:
        raise ContractInvalidError("a key stands in one place", where="model_tool", expected="key_env or key_file")


def _no_key(where: str, *, got: str) -> EnvironmentFaultError:
    return EnvironmentFaultError(
        "the gateway has no key for the model's server",
        where=where,
        expected="the key, and nothing else",
        got=got,
        fix="put it there, in the environment or on the disk of the gateway",
    )

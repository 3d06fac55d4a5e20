"""The tool that asks a model: which server, which models and which key, the gateway alone knows, from its environment.

A task names a model, and nothing else: who publishes tasks cannot send the key, or the code, to another server.
"""

import os
from collections.abc import Awaitable, Mapping
from typing import cast

import msgspec

from remit import (
    Completion,
    ModelMessage,
    Price,
    RefusedError,
    Tool,
    ToolNotDoneError,
    ToolScope,
    model_tool,
    tool,
)
from remit.teams.audit.model.redaction import scrubbed

URL = "REMIT_MODEL_URL"
"""What stands before `/chat/completions`."""
NAMES = "REMIT_MODEL_NAMES"
"""The models that may be asked for, with commas between them."""
PRICE = "REMIT_MODEL_PRICE"
"""What a million tokens cost: read, written; `0.15,0.60`. Nothing if this is empty."""
KEY_FILE = "REMIT_MODEL_KEY_FILE"
"""The file with the key; no key is sent if this is empty."""
KEY = "REMIT_MODEL_KEY"
"""The key itself, where no file is named: for a gateway with an environment of its own."""


@tool(name="model.complete", risk="medium", effect="idempotent")
async def model_complete(
    *,
    messages: tuple[ModelMessage, ...],
    model: str = "",
    schema: dict[str, object] | None = None,
    max_tokens: int = 0,
    temperature: float | None = None,
    intent: str,
    scope: ToolScope,
) -> Completion:
    """Complete a conversation with the model that the gateway's own environment names; known secrets are taken out."""
    asked = server(os.environ)(
        messages=tuple(msgspec.structs.replace(item, content=scrubbed(item.content)) for item in messages),
        model=model,
        schema=schema,
        max_tokens=max_tokens,
        temperature=temperature,
        intent=intent,
        scope=scope,
    )
    return await cast("Awaitable[Completion]", asked)


def server(environment: Mapping[str, str]) -> Tool[Completion]:
    """Give the tool that asks the server that an environment names.

    Raises:
        ToolNotDoneError: it names none; nothing was asked.
    """
    url, names = environment.get(URL, ""), environment.get(NAMES, "")
    if not url or not names:
        raise ToolNotDoneError(
            "the gateway knows no server of models",
            where=", ".join(name for name in (URL, NAMES) if not environment.get(name)),
            fix="remit audit PATH --model NAME --model-url URL",
        )
    key_file = environment.get(KEY_FILE, "")
    return model_tool(
        url,
        models=dict.fromkeys((name.strip() for name in names.split(",") if name.strip()), price(environment)),
        key_file=key_file or None,
        key_env=KEY if environment.get(KEY) and not key_file else "",
    )


def price(environment: Mapping[str, str]) -> Price:
    """Give what a million tokens cost.

    Raises:
        RefusedError: the environment does not say it in two numbers.
    """
    said = environment.get(PRICE, "") or "0,0"
    try:
        read, written = (float(part) for part in said.split(","))
    except ValueError as error:
        raise RefusedError("this is no price", where=PRICE, expected="two numbers, as 0.15,0.60", got=said) from error
    return Price(input=read, output=written)

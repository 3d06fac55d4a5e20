"""The options that name the model of an audit, taken together."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_OPTIONS = (
    click.option(
        "--model",
        default="",
        help="Have this model say what it thinks: excerpts of the code go to its server. What it says is marked so.",
    ),
    click.option(
        "--model-url",
        envvar="REMIT_MODEL_URL",
        show_envvar=True,
        default="",
        help="Its server: what stands before /chat/completions.",
    ),
    click.option(
        "--model-key",
        type=click.Path(),
        envvar="REMIT_MODEL_KEY_FILE",
        show_envvar=True,
        default="",
        help="The file that holds the key for it; or the key itself in REMIT_MODEL_KEY.",
    ),
    click.option(
        "--model-price",
        envvar="REMIT_MODEL_PRICE",
        show_envvar=True,
        default="",
        help="What a million tokens cost, read and written, as 0.15,0.60: roles stop at what the charter allows them.",
    ),
)


def adviser(function: Callable[P, T]) -> Callable[..., T]:
    """Take `--model` and what belongs to it; the command is given one `adviser`, or None."""

    @wraps(function)
    def command(model: str, model_url: str, model_key: str, model_price: str, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: PLR0917  # click names them all
        from remit.adviser import Adviser

        named = Adviser(name=model, url=model_url, key_file=model_key, price=model_price) if model else None
        kwargs["adviser"] = named
        return function(*args, **kwargs)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command

"""What a model's server says is told in our own words, and what is sent to it has a name of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from remit.contracts.errors import ContractInvalidError
from remit.tools.completion import idempotency_key, retry_after_s, words
from remit.tools.model import Price, model_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

URL = "https://models.example.org/v1"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no such model", "type": "x"}}', "no such model"),
        (b'{"error": "busy"}', "busy"),
        (b'{"message": "no"}', "no"),
        (b'{"detail": [{"loc": ["a"]}]}', '[{"loc":["a"]}]'),
        (b"Bad\x1b[31m Gateway\n", "Bad [31m Gateway"),
        (b"\xff", "�"),
        (b"x" * 1000, "x" * 500),
        (b"[" * 5000, "[" * 500),
        (b"", ""),
    ],
)
def test_an_error_is_told_in_one_short_line_whatever_form_it_has(body: bytes, said: str) -> None:
    assert words(body) == said


@pytest.mark.parametrize(("header", "seconds"), [("2", 2.0), ("0.5", 0.5), ("-3", 0.0), ("", None), ("soon", None)])
def test_how_long_to_wait_is_read_in_seconds(header: str, seconds: float | None) -> None:
    assert retry_after_s(header) == seconds


@pytest.mark.parametrize("header", ["inf", "nan", "1e999"])
def test_for_ever_is_no_time_to_wait(header: str) -> None:
    assert retry_after_s(header) is None


def test_how_long_to_wait_is_read_from_a_date_too() -> None:
    found = retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))

    assert found is not None
    assert 50 < found <= 60


def test_an_effect_has_one_name_and_what_asks_for_something_else_another() -> None:
    body = {"model": "small", "messages": [{"role": "user", "content": "a"}]}

    assert idempotency_key("r1.s.0", body) == idempotency_key("r1.s.0", dict(reversed(body.items())))
    assert idempotency_key("r1.s.0", body) != idempotency_key("r1.s.1", body)
    assert idempotency_key("r1.s.0", body) != idempotency_key("r1.s.0", body | {"model": "large"})


def test_a_price_is_of_a_million_tokens() -> None:
    assert Price(input=2.0, output=8.0).of(500_000, 250_000) == 3.0


@pytest.mark.parametrize(
    ("url", "models"),
    [
        ("models.example.org", ["small"]),
        ("ftp://models.example.org", ["small"]),
        ("https://me:sk-secret@models.example.org", ["small"]),
        ("https://models.example.org/v1?key=sk-secret", ["small"]),
        (URL, []),
        (URL, "small"),
        (URL, [""]),
        (URL, {"small": Price(input=-1, output=0)}),
        (URL, {"small": Price(input=0, output=float("nan"))}),
    ],
)
def test_a_tool_that_could_ask_nobody_is_refused_and_shows_no_key(
    url: str, models: Sequence[str] | Mapping[str, Price]
) -> None:
    with pytest.raises(ContractInvalidError) as raised:
        model_tool(url, models=models)

    assert "sk-secret" not in str(raised.value)


def test_a_key_stands_in_one_place() -> None:
    with pytest.raises(ContractInvalidError):
        model_tool(URL, models=["small"], key_env="KEY", key_file="/run/key")


def test_another_server_or_price_makes_another_build_of_the_team() -> None:
    first = model_tool(URL, models=["small"]).spec()

    assert model_tool(URL + "/", models=["small"]).spec() == first
    assert model_tool("https://other.example.org/v1", models=["small"]).spec() != first
    assert model_tool(URL, models={"small": Price(input=1, output=1)}).spec() != first
    assert model_tool(URL, models=["small"], key_file="/run/key").spec() == first

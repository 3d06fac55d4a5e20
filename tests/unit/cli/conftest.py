"""The command as a user types it, in a state directory of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from remit import logs, places
from remit.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Remit = Callable[..., "Said"]


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self) -> object:
        return json.loads(self.out)


@pytest.fixture
def remit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Remit:
    monkeypatch.setenv(places.HOME, str(tmp_path / "home"))
    monkeypatch.delenv(places.CURRENT, raising=False)
    monkeypatch.setattr(logs, "configure", lambda: None)  # it would be for every test of this process
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Said:
        code = main(list(words))
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def place(tmp_path: Path, remit: Remit) -> places.Place:
    """A deployment that is nowhere: its port is closed and its data is missing."""
    nowhere = str(tmp_path / "nowhere")
    made = places.Place(
        name="support",
        url="nats://127.0.0.1:1",
        team="support",
        team_ref=nowhere,
        data=nowhere,
        publisher=f"{nowhere}/publisher.creds",
        operator=f"{nowhere}/operator.creds",
    )
    places.write(made)
    return made

"""The model of one audit, as the gateway is told of it: by its environment; the key stands in a file of its own.

Hosts of agents inherit the same environment on one machine. So no key stands there while an audit runs: one that the
user's environment holds is moved into a file that only this user may read, for as long as the audit lasts.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remit.bus import private_file
from remit.contracts.errors import RefusedError, UsageError
from remit.teams.audit.tools import model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE: Final = "model.key"


@dataclass(frozen=True, kw_only=True)
class Adviser:
    """Which model is asked, where, at what price, and in which file the key is."""

    name: str
    url: str
    price: str
    key_file: str

    def check(self) -> None:
        """The model can be asked, as far as that is known before anybody asks.

        Raises:
            UsageError: no client is installed, the server or the price is none, or the key cannot be read.
        """
        if importlib.util.find_spec("httpx") is None:
            raise UsageError("no client for models is installed", where="--model", fix="pip install 'remit[llm]'")
        if not self.url:
            raise UsageError(
                "no server is named for the model",
                where=f"--model-url, or {model.URL}",
                expected="what stands before /chat/completions, as https://api.example.org/v1",
                fix=f"remit audit PATH --model {self.name} --model-url URL",
            )
        if self.key_file and not os.access(self.key_file, os.R_OK):
            raise UsageError("the key cannot be read", where=self.key_file, expected="a file that holds the key alone")
        if "," in self.name:
            raise UsageError("this is no name of one model", where="--model", got=self.name)
        try:
            model.server(self._environment(self.key_file))
        except RefusedError as error:
            raise UsageError(error.message, where=error.where, expected=error.expected, got=error.got) from error

    def environment(self, key: str, folder: Path) -> Mapping[str, str]:
        """Give what the gateway's environment says of the model; a key that is no file's yet stands in one now."""
        if not key or self.key_file:
            return self._environment(self.key_file and str(Path(self.key_file).resolve()))
        private_file.replace(private_file.private_directory(folder) / _FILE, key)
        return self._environment(str(folder / _FILE))

    def _environment(self, key_file: str) -> Mapping[str, str]:
        return {model.URL: self.url, model.NAMES: self.name, model.PRICE: self.price, model.KEY_FILE: key_file}


@contextmanager
def told(adviser: Adviser | None, folder: Path) -> Iterator[None]:
    """Processes that begin while this lasts know the model, if there is one, and none of them is given the key."""
    names = (model.URL, model.NAMES, model.PRICE, model.KEY_FILE, model.KEY)
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        if adviser is not None:
            os.environ.update(adviser.environment(before.get(model.KEY, ""), folder))
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)
        (folder / _FILE).unlink(missing_ok=True)

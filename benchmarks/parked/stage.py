"""A deployment as processes without Ray: nats-server, supervisor and one host, which can all die at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from process import Usage, usage

from remit.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Mapping

PIECE: Final = Path(__file__).with_name("piece.py")
PROFILER: Final = "REMIT_BENCH_PYSPY"
"""Path of py-spy; with it, the supervisor that starts again is watched."""


class Stage(Embedded):
    """Everything of an embedded deployment but Ray: the same server, keys, identities, permissions and streams."""

    pieces: dict[str, subprocess.Popen[str]]
    marks: dict[str, float]
    """Seconds from the begin of the last start."""

    def up(self) -> None:
        """All is started, from the data that there is."""
        self.pieces, self.marks, self._began = {}, {}, time.perf_counter()
        self.start()

    def _start_server(self) -> None:
        super()._start_server()
        self.marks["server listens"] = time.perf_counter() - self._began

    def _start_ray(self) -> None:
        self.marks["builds and streams looked at"] = time.perf_counter() - self._began

    def _start_supervisor(self) -> None:
        # The host first, as hosts that live on would be there; it waits for the supervisor by itself.
        for kind in ("host", "supervisor"):
            self._start_piece(kind)
        self._heard("supervisor", ("connected", "recovered", "ready"))
        self._heard("host", ("ready",))

    def _start_piece(self, kind: str) -> None:
        command = [sys.executable, str(PIECE), kind, self.server.url, str(self.data), self.loaded.ref]
        errors = (self.data / f"{kind}.log").open("a")
        self.pieces[kind] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)

    def _heard(self, kind: str, words: tuple[str, ...]) -> None:
        said = self.pieces[kind].stdout
        for word in words:
            _await_line(said, word)
            self.marks[f"{kind} {word}"] = time.perf_counter() - self._began

    def kill(self) -> None:
        """Every process is gone from one moment to the next."""
        os.kill(self.server.pid, signal.SIGKILL)
        for piece in self.pieces.values():
            piece.send_signal(signal.SIGKILL)
        for piece in self.pieces.values():
            piece.wait()
        self.server.stop(0)
        self.pieces = {}

    def usage(self) -> Mapping[str, Usage]:
        """Give what each process has used."""
        pids = {"nats-server": self.server.pid} | {kind: piece.pid for kind, piece in self.pieces.items()}
        return {kind: usage(pid) for kind, pid in pids.items()}

    def profile(self, kind: str, seconds: int, out: Path) -> None:
        """Watch a piece from now on, if there is a profiler."""
        if profiler := os.environ.get(PROFILER):
            command = [profiler, "record", "-r", "200", "-f", "raw", "-d", str(seconds), "-o", str(out)]
            subprocess.Popen([*command, "--pid", str(self.pieces[kind].pid)], stdout=subprocess.DEVNULL)


def _await_line(said: IO[str] | None, word: str) -> None:
    for line in said or ():
        if line.strip() == word:
            return
        raise RuntimeError(line)
    raise RuntimeError(f"it ended before it was {word}")

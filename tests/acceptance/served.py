"""A team that `remit up` serves in a process of its own, with a state directory of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remit import places
from remit.contracts.message import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

REMIT = Path(sys.executable).with_name("remit")
STOP_S = 60.0


@contextmanager
def served(folder: Path, *, home: Path) -> Iterator[places.Place]:
    """Give where the team of a folder is served; afterwards it ended in good order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(places.HOME, str(home))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        command = [str(REMIT), "up", str(folder), "--port", "0", "--output", "jsonl"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as serving:
            assert serving.stdout is not None
            try:
                yield decode(places.Place, serving.stdout.readline())
            finally:
                serving.send_signal(signal.SIGINT)
                serving.wait(STOP_S)
    assert serving.returncode == 0

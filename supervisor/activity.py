"""Which open runs something is going on in, counted by workflow: what the bounds of a deployment are held against."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remit.supervisor.run_state import RunState


class Activity:
    """Runs of which somebody holds a step, or whose next step finds no room; the others wait for time or somebody."""

    def __init__(self) -> None:
        self._workflows: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self.on_less: Callable[[], None] = _nothing
        """Called when something is going on in one run less."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._workflows))

    def __len__(self) -> int:
        return len(self._workflows)

    def of(self, workflow: str) -> int:
        """Give in how many runs of a workflow something is going on."""
        return self._counts[workflow]

    def note(self, run: RunState, *, is_active: bool) -> None:
        """Take in whether something is going on in a run."""
        if not is_active:
            self.drop(run.run_id)
        elif run.run_id not in self._workflows:
            self._workflows[run.run_id] = run.started.workflow
            self._counts[run.started.workflow] += 1

    def drop(self, run_id: str) -> None:
        """Nothing is going on in a run."""
        workflow = self._workflows.pop(run_id, None)
        if workflow is None:
            return
        self._counts[workflow] -= 1
        if not self._counts[workflow]:
            del self._counts[workflow]
        self.on_less()


def _nothing() -> None:
    """Nobody waits for room."""

"""Fields over which a conflict waits: by document and path, each with the dispute that it belongs to."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from remit.supervisor.change import overlap

if TYPE_CHECKING:
    from collections.abc import Iterable


class DisputedFields:
    """What nobody may change, and who reads it waits."""

    def __init__(self) -> None:
        self._disputes: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self._fields: dict[str, set[tuple[str, str, str]]] = defaultdict(set)

    def mark(self, scope: str, key: str, *, path: str, dispute: str) -> None:
        """A conflict over a field waits."""
        self._disputes[scope, key][path] = dispute
        self._fields[dispute].add((scope, key, path))

    def over(self, scope: str, key: str, fields: Iterable[str] = ("",)) -> set[str]:
        """Give the disputes over these fields of a document, or over any of it."""
        waiting = self._disputes.get((scope, key))
        if not waiting:
            return set()
        return {dispute for path, dispute in waiting.items() if any(overlap(path, field) for field in fields)}

    def first(self, scope: str, key: str, fields: Iterable[str], *, but: str) -> str | None:
        """Give the first of some fields that is disputed, in another dispute than this."""
        if (scope, key) not in self._disputes:
            return None
        return next((field for field in fields if self.over(scope, key, (field,)) - {but}), None)

    def of_run(self, run: str) -> set[str]:
        """Give the disputes that the proposals of a run began."""
        return {dispute for dispute in self._fields if dispute.startswith(f"{run}.")}

    def clear(self, dispute: str) -> None:
        """No field waits for this dispute any more."""
        for scope, key, path in self._fields.pop(dispute, ()):
            waiting = self._disputes[scope, key]
            if waiting.get(path) == dispute:
                del waiting[path]
            if not waiting:
                del self._disputes[scope, key]

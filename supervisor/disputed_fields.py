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

    def mark(self, scope: str, key: str, *, path: str, dispute: str) -> None:
        """A conflict over a field waits."""
        self._disputes[scope, key][path] = dispute

    def over(self, scope: str, key: str, fields: Iterable[str] = ("",)) -> set[str]:
        """Give the disputes over these fields of a document, or over any of it."""
        waiting = self._disputes.get((scope, key), {})
        return {dispute for path, dispute in waiting.items() if any(overlap(path, field) for field in fields)}

    def first(self, scope: str, key: str, fields: Iterable[str], *, but: str) -> str | None:
        """Give the first of some fields that is disputed, in another dispute than this."""
        return next((field for field in fields if self.over(scope, key, (field,)) - {but}), None)

    def clear(self, dispute: str) -> None:
        """No field waits for this dispute any more."""
        for name, waiting in tuple(self._disputes.items()):
            left = {path: other for path, other in waiting.items() if other != dispute}
            if left:
                self._disputes[name] = left
            else:
                del self._disputes[name]

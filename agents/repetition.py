"""A handler that asks for the same thing again and again is stopped; the gateway counts calls once more for itself."""

from __future__ import annotations

from collections import defaultdict

from remit.contracts.errors import RepetitionError


class Repetition:
    """Counts the operations of one run of a handler, those that are answered from records included."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = defaultdict(int)

    def count(self, what: str, request: str, *, where: str, most: int) -> None:
        """One more operation asks for this.

        Raises:
            RepetitionError: it was asked for as often as it may be; nothing was done.
        """
        self._asked[request] += 1
        if self._asked[request] > most:
            raise RepetitionError(
                f"the step asks for the same again and again: {what}",
                where=where,
                expected=f"at most {most} times",
                got=f"{most + 1} times",
                fix="raise limits.repeats of the role in the charter, if this is meant",
            )
